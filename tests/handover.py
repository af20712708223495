"""A hand-over as sources that deliver need it: notes what it is given, and how often it is asked for room."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from exporter.alert import Alert
from exporter.pipeline import Arrival


class Kept:
    """Has the given rooms, then much room; sets ``stop`` once it was asked ``looks`` times."""

    reads_behind = stores = False

    def __init__(self, *rooms: int, stop: threading.Event | None = None, looks: int = 0) -> None:
        self._rooms = list(rooms)
        self._stop, self._looks = stop, looks
        self.waits: list[float] = []
        self.batches: list[list[Alert]] = []

    def wait_for_room(self, timeout_seconds: float) -> int:
        self.waits.append(timeout_seconds)
        if self._stop is not None and len(self.waits) >= self._looks:
            self._stop.set()
        return self._rooms.pop(0) if self._rooms else 10_000

    def deliver(self, alerts: Sequence[Alert]) -> None:
        self.batches.append(list(alerts))

    def keep(self, alerts: Sequence[Alert]) -> None:
        raise AssertionError("what such a source gives is delivered")

    def keep_messages(self, arrivals: Sequence[Arrival]) -> None:
        raise AssertionError("what such a source gives is delivered")

    def finish(self) -> None:
        raise AssertionError("nothing was kept")

    @property
    def alerts(self) -> list[Alert]:
        return [alert for batch in self.batches for alert in batch]

    @property
    def numbers(self) -> list[int]:
        """The field ``n`` of each alert."""
        return [int(alert.fields["n"]) for alert in self.alerts]
