"""A source of one Falco target with everything around it: a stop, a hand-over, a way to ask, a clock."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import FalcoGrpc, FalcoTarget
from exporter.selfmetrics import SelfMetrics
from exporter.sources.falco_grpc import FalcoGrpcSource


class Stop(threading.Event):
    """A stop that notes how long it is waited for, waits for nothing, and is set after so many times."""

    def __init__(self, times: int = 1_000, act: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._times, self._act = times, act
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self._act(len(self.waits))
        if len(self.waits) >= self._times:
            self.set()
        return self.is_set()


class Asked:
    """A way to ask: each poll gives what a test says; after the last one the stop is set."""

    def __init__(self, stop: threading.Event, *polls: Sequence[bytes | Exception], last: Sequence[bytes] = ()) -> None:
        self._stop, self._polls, self._last = stop, list(polls), last
        self.polled = self.cancelled = 0

    def poll(self) -> Iterator[bytes]:
        self.polled += 1
        given = self._polls.pop(0) if self._polls else ()
        if not self._polls:
            self._stop.set()
        for message in given:
            if isinstance(message, Exception):
                raise message
            yield message

    def finish(self) -> Iterator[bytes]:
        yield from self._last

    def cancel(self) -> None:
        self.cancelled += 1


class Bench:
    """A source with its counters."""

    def __init__(self, address: str = "unix:///nowhere/s", *, silence: float | None = None, **settings: Any) -> None:
        self.registry = CollectorRegistry()
        more = {} if silence is None else {"silence_seconds": silence}
        self.source = FalcoGrpcSource(
            FalcoTarget(address, "mine"), FalcoGrpc(**settings), SelfMetrics(self.registry), **more
        )

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"target": "mine", **labels})


class Clock:
    """A clock that waiting moves, and pauses of the longest length."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.ranges: list[tuple[float, float]] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

        class Chance:
            def uniform(_self, low: float, high: float) -> float:  # noqa: N805
                self.ranges.append((low, high))
                return high

        monkeypatch.setattr(random, "SystemRandom", Chance)

    def stop(self) -> Stop:
        stop = Stop(1_000)

        def move(_: int) -> None:
            assert stop.waits[-1] is not None
            self.now += stop.waits[-1]

        stop._act = move
        return stop
