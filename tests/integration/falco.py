"""What tests of a source need: a sink that keeps what it is given, and a running source."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from exporter.alert import Alert
from exporter.pipeline import Pipeline, Source


class KeepingSink:
    """A sink that keeps alerts; ``limit`` is its room, which tests may change at any time."""

    name = "keeping"

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.alerts: list[Alert] = []
        self.batches: list[int] = []
        self.looks = 0
        """How often somebody asked for the room."""

    def start(self) -> None:
        """Nothing to open."""

    def room(self) -> int:
        self.looks += 1
        return max(0, self.limit - len(self.alerts))

    def is_asked_again(self, times: int = 10) -> Callable[[], bool]:
        """Return a condition: somebody asked for the room so often since now."""
        before = self.looks
        return lambda: self.looks >= before + times

    def write(self, alerts: Sequence[Alert]) -> None:
        self.batches.append(len(alerts))
        self.alerts.extend(alerts)

    def close(self, deadline_seconds: float) -> None:
        """Nothing to close."""


@contextlib.contextmanager
def running(source: Source, sink: KeepingSink) -> Iterator[threading.Event]:
    """Run the source into the sink; stop and join it at the end, and raise what it raised."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            source.run(Pipeline([sink]), stop)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive(), "the source did not stop"
        if errors:
            raise errors[0]
