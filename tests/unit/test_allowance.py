"""What unlike alerts may cost, and what comes back with time."""

from __future__ import annotations

from exporter.allowance import Allowance


class Clocks:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = self.used = 0.0

    def allowance(self) -> Allowance:
        return Allowance(0.5, 2.0, clock=lambda: self.now, cpu_clock=lambda: self.used)

    def spend(self, allowance: Allowance, seconds: float) -> None:
        begun = allowance.begin()
        self.used += seconds
        allowance.end(begun)


def test_it_permits_until_it_is_spent() -> None:
    """What was begun may spend more than is left; after that nothing is permitted."""
    clocks = Clocks()
    allowance = clocks.allowance()
    assert allowance.permits()
    clocks.spend(allowance, 1.9)
    assert allowance.permits()
    clocks.spend(allowance, 1.1)
    assert not allowance.permits()


def test_its_share_of_the_time_comes_back() -> None:
    """One second spent too much is half of two seconds."""
    clocks = Clocks()
    allowance = clocks.allowance()
    clocks.spend(allowance, 3.0)
    clocks.now = 1.9
    assert not allowance.permits()
    clocks.now = 2.1
    assert allowance.permits()


def test_rest_saves_no_more_than_its_capacity() -> None:
    """A quiet day pays for no flood."""
    clocks = Clocks()
    allowance = clocks.allowance()
    clocks.now = 86_400.0
    assert allowance.permits()
    clocks.spend(allowance, 2.1)
    assert not allowance.permits()


def test_the_cpu_of_this_thread_is_what_it_counts() -> None:
    """Waiting costs nothing, work does."""
    allowance = Allowance(0.0, 0.02)
    begun = allowance.begin()
    allowance.end(begun)
    assert allowance.permits()
    begun = allowance.begin()
    sum(number * number for number in range(2_000_000))
    allowance.end(begun)
    assert not allowance.permits()
