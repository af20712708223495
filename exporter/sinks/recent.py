"""The recent alerts, kept in memory for the report pages.

Owns a ring bounded by number and by size, and the search in it. Refuses to
render: a report is made when someone opens it.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.alert import Alert
from exporter.history.facts import Row, row_of
from exporter.history.query import Query
from exporter.verdict.judgement import UNDECIDED, VERDICTS, Judgement

SIZE_LIMIT_BYTES = 32 * 1024 * 1024
"""Maximum memory of the alerts that are kept, as they estimate it themselves (``Alert.size_bytes``)."""

WAITING_ALERTS, WAITING_BYTES = 32, 65_536
"""Alerts, and bytes of their messages, that are kept together where they come singly: less for each."""


class Entry:
    """One kept alert."""

    __slots__ = ("_row", "alert", "sequence", "size")

    def __init__(self, sequence: int, alert: Alert, size: int) -> None:
        self.sequence = sequence
        """Grows by one with each alert since the start."""
        self.alert = alert
        self.size = size
        self._row: Row | None = None

    def row(self, judge: Callable[[Alert], Judgement]) -> Row:
        """Return what lists show of the alert, worked out when first asked for."""
        if self._row is None:
            self._row = row_of(self.sequence, self.alert, judge(self.alert))
        return self._row


class RecentSink:
    """The last alerts, newest first.

    Keeps at most ``limit`` alerts and ``size_limit_bytes`` of text; the oldest go first.
    """

    name = "recent"

    def __init__(
        self,
        limit: int,
        *,
        size_limit_bytes: int = SIZE_LIMIT_BYTES,
        judge: Callable[[Alert], Judgement] = lambda _: UNDECIDED,
    ) -> None:
        self._judge = judge
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
        return next((entry.alert for entry in self._newest_first() if entry.row(self._judge).uid == uid), None)

    def page(self, query: Query, *, limit: int, before: int = 0, after: int = 0, from_newest: bool = True) -> list[Row]:
        """Return at most ``limit`` alerts, newest first (``history.ReportStore.page``)."""
        if not limit or after >= self.sequence:
            return []
        entries = [
            entry
            for entry in self._newest_first()
            if after < entry.sequence and (not before or entry.sequence < before)
        ]
        if not from_newest:
            entries.reverse()
        rows = ((entry.row(self._judge), entry.alert) for entry in entries)
        found = list(itertools.islice((row for row, alert in rows if query.admits(row, alert)), limit))
        return found if from_newest else found[::-1]

    def read(self, rows: Iterable[Row]) -> Mapping[int, Alert]:
        """Return the alerts of rows by their numbers; without those that are not kept any more."""
        kept = {entry.sequence: entry.alert for entry in self._newest_first()}
        return {row.id: kept[row.id] for row in rows if row.id in kept}

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return the rules, hosts and namespaces of the alerts kept, each sorted."""
        alerts = [entry.alert for entry in self._newest_first()]
        return {
            "rules": sorted({alert.rule for alert in alerts}),
            "hosts": sorted({alert.hostname for alert in alerts} - {""}),
            "namespaces": sorted({alert.namespace for alert in alerts} - {""}),
        }

    def counts(self) -> Mapping[str, int]:
        """Return how many of the alerts kept have each verdict, the most severe verdict first."""
        counted = Counter(entry.row(self._judge).verdict for entry in self._newest_first())
        return {verdict: counted[verdict] for verdict in VERDICTS}
