"""What report pages read, be it on disk or in memory.

Owns the protocol, and the way from one store to another while the first cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from exporter.alert import Alert
from exporter.history.facts import Row
from exporter.history.query import Query


class ReportStore(Protocol):
    """Kept alerts. Safe from any thread; every method may raise HistoryError."""

    @property
    def boot(self) -> str:
        """Tells this store's numbers from another's."""

    @property
    def sequence(self) -> int:
        """The number of the newest alert that can be found; 0 before the first."""

    def __len__(self) -> int: ...

    def page(self, query: Query, *, limit: int, before: int = 0, after: int = 0, from_newest: bool = True) -> list[Row]:
        """Return at most ``limit`` alerts that the query asks for, newest first.

        Numbers are below ``before`` and above ``after``, where given; of more than ``limit`` the newest, or the
        oldest with ``from_newest=False``.
        """

    def read(self, rows: Iterable[Row]) -> Mapping[int, Alert]:
        """Return the alerts of rows by their numbers; without those that are not kept any more."""

    def find(self, uid: str) -> Alert | None:
        """Return the alert with this uid; None when it is not kept."""

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return ``rules``, ``hosts`` and ``namespaces`` of what is kept, each sorted."""

    def counts(self) -> Mapping[str, int]:
        """Return how many alerts have each verdict, the most severe verdict first."""


class Fallback:
    """The history, and while it cannot be written the recent alerts in memory. ``works`` says which."""

    def __init__(self, history: ReportStore, recent: ReportStore, works: Callable[[], bool]) -> None:
        self._history = history
        self._recent = recent
        self._works = works

    @property
    def _store(self) -> ReportStore:
        return self._history if self._works() else self._recent

    @property
    def boot(self) -> str:
        """See ``ReportStore``."""
        return self._store.boot

    @property
    def sequence(self) -> int:
        """See ``ReportStore``."""
        return self._store.sequence

    def __len__(self) -> int:
        return len(self._store)

    def page(self, query: Query, *, limit: int, before: int = 0, after: int = 0, from_newest: bool = True) -> list[Row]:
        """See ``ReportStore``."""
        return self._store.page(query, limit=limit, before=before, after=after, from_newest=from_newest)

    def read(self, rows: Iterable[Row]) -> Mapping[int, Alert]:
        """See ``ReportStore``."""
        return self._store.read(rows)

    def find(self, uid: str) -> Alert | None:
        """Look in memory first: an alert is there before it can be found on disk, and while the disk fails."""
        return self._recent.find(uid) or self._history.find(uid)

    def choices(self) -> Mapping[str, Sequence[str]]:
        """See ``ReportStore``."""
        return self._store.choices()

    def counts(self) -> Mapping[str, int]:
        """See ``ReportStore``."""
        return self._store.counts()
