"""The recent alerts, kept in memory for the report pages.

Owns a ring bounded by number and by size, and the search in it. Refuses to
render: a report is made when someone opens it.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.alert import Alert, Priority

SIZE_LIMIT_BYTES = 32 * 1024 * 1024
"""Maximum memory of the alerts that are kept, as they estimate it themselves (``Alert.size_bytes``)."""

WAITING_ALERTS, WAITING_BYTES = 32, 65_536
"""Alerts, and bytes of their messages, that are kept together where they come singly: less for each."""


class Entry:
    """One kept alert."""

    __slots__ = ("_uid", "alert", "sequence", "size")

    def __init__(self, sequence: int, alert: Alert, size: int) -> None:
        self.sequence = sequence
        """Grows by one with each alert since the start."""
        self.alert = alert
        self.size = size
        self._uid = ""

    @property
    def uid(self) -> str:
        """The alert's uid, worked out when first asked for."""
        if not self._uid:
            self._uid = self.alert.uid
        return self._uid


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts are asked for; an empty part asks for all."""

    rule: str = ""
    """The rule's name, any case."""
    priority: Priority | None = None
    """This priority and above."""
    host: str = ""
    """The host's name, any case."""
    namespace: str = ""
    """The Kubernetes namespace."""
    text: str = ""
    """Stands in the rule, the output, the host or a field's value, any case."""

    def admits(self, alert: Alert) -> bool:
        """Tell whether the alert is asked for."""
        return (
            (self.priority is None or alert.priority <= self.priority)
            and (not self.rule or alert.rule.casefold() == self.rule.casefold())
            and (not self.host or alert.hostname.casefold() == self.host.casefold())
            and (not self.namespace or alert.namespace == self.namespace)
            and (not self.text or self._finds_text(alert))
        )

    def _finds_text(self, alert: Alert) -> bool:
        wanted = self.text.casefold()
        texts = itertools.chain((alert.rule, alert.raw_output, alert.hostname), alert.all_fields().values())
        return any(wanted in text.casefold() for text in texts)


class RecentSink:
    """The last alerts, newest first.

    Keeps at most ``limit`` alerts and ``size_limit_bytes`` of text; the oldest go first.
    """

    name = "recent"

    def __init__(self, limit: int, *, size_limit_bytes: int = SIZE_LIMIT_BYTES) -> None:
        self.boot = secrets.token_hex(4)
        """Tells one run's sequence numbers from another's."""
        self._limit = limit
        self._size_limit = size_limit_bytes
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._sequence = 0
        self._waiting: list[Alert] = []
        self._waiting_bytes = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing to open."""

    def room(self) -> int:
        """Old alerts make room for new ones."""
        return 1_000_000

    def close(self, deadline_seconds: float) -> None:
        """Nothing to deliver."""

    def write(self, alerts: Sequence[Alert]) -> None:
        """Keep the batch's last alerts: of a large one now, of small ones together, at the latest when asked."""
        with self._lock:
            self._waiting += alerts
            for alert in alerts:
                self._waiting_bytes += len(alert.received) or WAITING_BYTES
            if len(self._waiting) >= WAITING_ALERTS or self._waiting_bytes > WAITING_BYTES:
                self._keep_waiting()

    def _keep_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        skipped = max(0, len(waiting) - self._limit)
        self._sequence += skipped
        for alert in waiting[skipped:]:
            size = alert.size_bytes
            self._sequence += 1
            self._entries.append(Entry(self._sequence, alert, size))
            self._size += size
            while self._entries and (len(self._entries) > self._limit or self._size > self._size_limit):
                self._size -= self._entries.popleft().size

    def __len__(self) -> int:
        with self._lock:
            self._keep_waiting()
            return len(self._entries)

    @property
    def sequence(self) -> int:
        """The newest alert's sequence number; 0 before the first."""
        with self._lock:
            self._keep_waiting()
            return self._sequence

    def _newest_first(self) -> Sequence[Entry]:
        with self._lock:
            self._keep_waiting()
            entries = list(self._entries)
        entries.reverse()
        return entries

    def alerts(self) -> list[Alert]:
        """Return every alert kept, newest first."""
        return [entry.alert for entry in self._newest_first()]

    def find(self, uid: str) -> Alert | None:
        """Return the alert with this uid; None when it is not, or no longer, kept."""
        return next((entry.alert for entry in self._newest_first() if entry.uid == uid), None)

    def search(self, wanted: Filter, *, limit: int) -> list[Entry]:
        """Return at most ``limit`` alerts that the filter admits, newest first."""
        return list(itertools.islice(self._admitted(wanted, 0), limit))

    def newer_than(self, sequence: int, wanted: Filter, *, limit: int) -> list[Entry]:
        """Return at most ``limit`` alerts with a higher sequence number, newest first."""
        if sequence >= self.sequence:
            return []
        return list(itertools.islice(self._admitted(wanted, sequence), limit))

    def _admitted(self, wanted: Filter, sequence: int) -> Iterator[Entry]:
        for entry in self._newest_first():
            if entry.sequence <= sequence:
                return
            if wanted.admits(entry.alert):
                yield entry

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return the rules, hosts and namespaces of the alerts kept, each sorted."""
        alerts = [entry.alert for entry in self._newest_first()]
        return {
            "rules": sorted({alert.rule for alert in alerts}),
            "hosts": sorted({alert.hostname for alert in alerts} - {""}),
            "namespaces": sorted({alert.namespace for alert in alerts} - {""}),
        }
