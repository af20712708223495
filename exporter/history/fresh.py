"""Alerts from their writing to their indexing, so that they need not be read again.

Owns how many stay in memory, and how large their messages are; what is beyond that is read from the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from exporter.alert import Alert

LIMIT_ALERTS = 10_000
LIMIT_BYTES = 16 * 1024 * 1024
"""How much their messages have at most."""


class _Run(NamedTuple):
    """Alerts whose numbers follow one another."""

    first: int
    alerts: Sequence[Alert]
    sizes: Sequence[int]
    """Of their messages, bytes."""


class Fresh:
    """Alerts by number; numbers grow. One thread at a time."""

    def __init__(self) -> None:
        self._runs: deque[_Run] = deque()
        self._alerts = self._bytes = 0

    def keep(self, first: int, alerts: Sequence[Alert]) -> None:
        """Remember the alerts, the first of which has this number, where all of them fit in."""
        sizes = [len(alert.received) or alert.size_bytes for alert in alerts]
        size = sum(sizes)
        if self._alerts + len(alerts) <= LIMIT_ALERTS and self._bytes + size <= LIMIT_BYTES:
            self._runs.append(_Run(first, alerts, sizes))
            self._alerts += len(alerts)
            self._bytes += size

    def take(self, behind: int, limit_alerts: int, limit_bytes: int) -> tuple[list[Alert], int]:
        """Return the alerts that follow this number directly, and how large their messages are together.

        The last is the one that passes the limit of bytes. They stay until they are forgotten.
        """
        found: list[Alert] = []
        size = 0
        for first, alerts, sizes in self._runs:
            if first != behind + len(found) + 1:
                break
            for alert, each in zip(alerts, sizes, strict=True):
                if len(found) >= limit_alerts or size > limit_bytes:
                    return found, size
                found.append(alert)
                size += each
        return found, size

    def first_behind(self, number: int) -> int | None:
        """Return the first number behind this one whose alert is remembered; None where there is none."""
        return next(
            (max(run.first, number + 1) for run in self._runs if run.first + len(run.alerts) - 1 > number), None
        )

    def forget(self, last: int) -> None:
        """Let go of the alerts up to this number."""
        while self._runs and self._runs[0].first <= last:
            first, alerts, sizes = self._runs.popleft()
            gone = min(len(alerts), last - first + 1)
            self._alerts -= gone
            self._bytes -= sum(sizes[:gone])
            if gone < len(alerts):
                self._runs.appendleft(_Run(last + 1, alerts[gone:], sizes[gone:]))
