"""What unlike alerts may take, and what comes back with time."""

from __future__ import annotations

import time

from exporter.allowance import Allowance


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def spend(self, allowance: Allowance, seconds: float) -> None:
        begun = allowance.begin()
        self.now += seconds
        allowance.end(begun)


def test_it_permits_until_it_is_spent() -> None:
    """What was begun may spend more than is left; after that nothing is permitted. Work brings its own share in."""
    clock = Clock()
    allowance = Allowance(0.5, 2.0, clock=clock)
    assert allowance.permits()
    clock.spend(allowance, 3.0)
    assert allowance.permits()
    clock.spend(allowance, 2.0)
    assert not allowance.permits()


def test_its_share_of_the_time_comes_back() -> None:
    """One second spent too much is half of two seconds."""
    clock = Clock()
    allowance = Allowance(0.5, 2.0, clock=clock)
    clock.spend(allowance, 6.0)
    assert not allowance.permits()
    clock.now += 1.9
    assert not allowance.permits()
    clock.now += 0.2
    assert allowance.permits()


def test_rest_saves_no_more_than_its_capacity() -> None:
    """A quiet day pays for no flood."""
    clock = Clock()
    allowance = Allowance(0.5, 2.0, clock=clock)
    clock.now += 86_400.0
    assert allowance.permits()
    clock.spend(allowance, 4.1)
    assert not allowance.permits()


def test_the_time_of_the_wall_is_what_it_counts() -> None:
    """Work that waits for a processor keeps Falco waiting too."""
    allowance = Allowance(0.0, 0.02)
    assert allowance.permits()
    begun = allowance.begin()
    time.sleep(0.03)
    allowance.end(begun)
    assert not allowance.permits()
