"""The history as its readers see it: pages of a search, one alert by its uid, all alerts in order.

Owns connections for reading, as many as read at once, and how long a search
may take. Safe from any thread, and beside a writer in this process or another.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.history import search
from exporter.history.database import DamagedError, HistoryError, is_damage, open_reader
from exporter.history.facets import uid_expression
from exporter.history.facts import Row
from exporter.history.messages import Messages
from exporter.history.query import Query
from exporter.history.search import Span
from exporter.history.stored import ReadMessage, from_stored
from exporter.incidents.state import State
from exporter.verdict.judgement import VERDICTS

SEARCH_SECONDS = 5.0
TALLY_SECONDS = 60.0
HOUR_NS = 3_600_000_000_000
CHOICES_LIMIT = 500
"""Names that a list to choose from shows, the most frequent."""
_PIECE = 500
"""Rows that are read at once of what goes through many."""
_STEPS = 20_000
"""SQLite's instructions between two looks at the clock."""
_IDLE_READERS = 4
_LAST = 2**62
_END_NS = 2**63 - 1


class Kept(NamedTuple):
    """An alert out of the history."""

    row: Row
    alert: Alert


class History:
    """Reads the history in a directory.

    ``read_message`` gives the alert of a message as it came. ``on_damage`` is told that the file is damaged.
    Every method raises HistoryError where the file cannot be read, or a search takes too long.
    """

    def __init__(
        self, directory: Path, read_message: ReadMessage, *, on_damage: Callable[[], None] = lambda: None
    ) -> None:
        self._directory = directory
        self._read_message = read_message
        self._on_damage = on_damage
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0
        self._is_closed = False

    def close(self) -> None:
        """Let go of every connection. What is asked for afterwards still gets an answer, and keeps no connection."""
        self._is_closed = True
        self.renew()

    def renew(self) -> None:
        """Let go of every connection that nobody uses now, because the file is another; more can be opened."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextlib.contextmanager
    def _reading(self, seconds: float = SEARCH_SECONDS) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the file, for at most so many seconds."""
        with self._lock:
            generation = self._generation
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = open_reader(self._directory)
            deadline = time.monotonic() + seconds
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except (sqlite3.Error, DamagedError) as exc:
            if connection is not None:
                connection.close()
            raise self._error(exc, seconds) from exc
        except (TypeError, ValueError, AttributeError, OverflowError) as exc:
            # SQLite takes any value in any column: a file that is damaged may be whole to it.
            if connection is not None:
                connection.close()
            raise HistoryError(
                f"the history in {self._directory} holds a value that this version cannot read: {exc}"
            ) from exc
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        with self._lock:
            if not self._is_closed and generation == self._generation and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    def _error(self, error: Exception, seconds: float) -> HistoryError:
        if isinstance(error, DamagedError) or (isinstance(error, sqlite3.Error) and is_damage(error)):
            self._on_damage()
            return HistoryError(f"the history is damaged: {error}")
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return HistoryError(f"the search took longer than {seconds:g} s; narrow it, e.g. to a shorter time")
        return HistoryError(f"the history in {self._directory} cannot be read: {error}")

    @property
    def boot(self) -> str:
        """Tells this history's numbers from another's."""
        with self._reading() as connection:
            return str(connection.execute("SELECT boot FROM identity").fetchone()[0])

    @property
    def sequence(self) -> int:
        """The number of the newest alert that can be found; 0 before the first."""
        with self._reading() as connection:
            found = connection.execute("SELECT coalesce(max(indexed_id), 0) FROM volumes").fetchone()
            return int(found[0])

    def __len__(self) -> int:
        with self._reading() as connection:
            found = connection.execute("SELECT coalesce(sum(alerts), 0) FROM volumes WHERE alerts BETWEEN 0 AND 1e12")
            return int(found.fetchone()[0])

    def oldest(self) -> Row | None:
        """Return the first alert that is kept; None where there is none."""
        with self._reading() as connection:
            for volume in reversed(search.volumes(connection)):
                span = Span(volume.first_id, volume.last_id)
                if found := search.search(connection, volume, Query(), span, newest_first=False, limit=1):
                    return found[0]
        return None

    def page(self, query: Query, *, limit: int, before: int = 0, after: int = 0, from_newest: bool = True) -> list[Row]:
        """Return at most ``limit`` alerts, newest first (``ReportStore.page``)."""
        span = Span(after + 1, before - 1 if before else _LAST)
        found: list[Row] = []
        with self._reading() as connection:
            volumes = search.volumes(connection)
            for volume in volumes if from_newest else reversed(volumes):
                left = limit - len(found)
                found += search.search(connection, volume, query, span, newest_first=from_newest, limit=left)
                if len(found) >= limit:
                    break
        if not from_newest:
            found.reverse()
        return found

    def read(self, rows: Iterable[Row]) -> Mapping[int, Alert]:
        """Return the alerts of rows by their numbers; without those that are not kept any more, or damaged."""
        ids = [row.id for row in rows]
        found: dict[int, Alert] = {}
        with self._reading() as connection:
            for volume in search.volumes(connection):
                if wanted := [number for number in ids if volume.first_id <= number <= volume.last_id]:
                    found |= self._read(connection, volume.number, wanted)
        return found

    def find(self, uid: str) -> Alert | None:
        """Return the alert with this uid, the newest where it came twice; None when it is not kept."""
        expression = uid_expression(uid)
        with self._reading() as connection:
            for volume in search.volumes(connection):
                number = search.find(connection, volume, expression)
                if number is not None:
                    return self._read(connection, volume.number, [number]).get(number)
        return None

    def tally(
        self, columns: Sequence[str], since_ns: int = 0, until_ns: int = 0, *, bucket_ns: int = 0
    ) -> Counter[tuple[Any, ...]]:
        """Count alerts by the values of columns (``verdict``, ``rule``, ``place``, …) of their rows.

        With ``bucket_ns`` the number of the bucket of time, since 1970, stands before the values.
        """
        counted: Counter[tuple[Any, ...]] = Counter()
        with self._reading(TALLY_SECONDS) as connection:
            for volume in search.volumes(connection):
                found = search.tally(connection, volume.number, columns, (since_ns, until_ns or _END_NS), bucket_ns)
                for *values, count in found:
                    counted[tuple(values)] += count
        return counted

    def losses(self, since_ns: int, until_ns: int) -> Mapping[str, int]:
        """Return what the exporter lost in the hours of that time, by what it is."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT what, sum(count) FROM losses WHERE hour BETWEEN ? AND ? GROUP BY what ORDER BY what",
                (since_ns // HOUR_NS, (until_ns - 1) // HOUR_NS),
            )
            return dict(found.fetchall())

    def incident_states(self) -> list[State]:
        """Return what was told of incidents before."""
        with self._reading() as connection:
            return search.incident_states(connection)

    def latest(
        self, since_ns: int, until_ns: int, limit: int, *, also_benign_of: Collection[str]
    ) -> tuple[Iterator[Alert], bool]:
        """Return the latest alerts of a time, at most so many, in order of their time, and whether there are more.

        Without those that were likely benign when they came, but with these of the event sources ``also_benign_of``.
        Messages are read in pieces, as the iterator goes on: however many there are, few are in memory.
        """
        found: list[tuple[int, int, int]] = []
        with self._reading(TALLY_SECONDS) as connection:
            for number in search.numbers(connection):
                span_ns = (since_ns, until_ns or _END_NS)
                found += search.latest(connection, number, span_ns, also_benign_of, limit + 1)
                found = heapq.nlargest(limit + 1, found)
        return self._in_pieces(found[limit - 1 :: -1]), len(found) > limit

    def _in_pieces(self, places: Sequence[tuple[int, int, int]]) -> Iterator[Alert]:
        """Yield the alerts at these places (time, number, volume), without those that are not kept any more."""
        for start in range(0, len(places), _PIECE):
            piece = places[start : start + _PIECE]
            found: dict[int, Alert] = {}
            with self._reading() as connection:
                for volume in set(search.numbers(connection)) & {volume for *_, volume in piece}:
                    found |= self._read(connection, volume, [number for _, number, each in piece if each == volume])
            yield from [found[number] for _, number, _ in piece if number in found]

    def not_indexed(self, limit: int) -> list[Alert]:
        """Return what is kept and cannot be searched for yet, the latest, in the order in which it came."""
        found: dict[int, Alert] = {}
        with self._reading() as connection:
            for number in search.numbers(connection):
                ids = search.not_indexed(connection, number, limit - len(found))
                found |= self._read(connection, number, ids)
        return [found[number] for number in sorted(found)]

    def alerts(
        self,
        since_ns: int = 0,
        until_ns: int = 0,
        query: Query | None = None,
        *,
        wanted: Callable[[Row], bool] = lambda _: True,
    ) -> Iterator[Kept]:
        """Yield the alerts from ``since_ns`` until before ``until_ns`` (0: no limit) in order of their time.

        ``wanted`` is asked before a message is read, which is most of the work. Alerts of one time come in the order
        in which they were kept. The file is read in pieces, so that a long walk keeps nobody from writing; what is
        dropped meanwhile is left out.
        """
        with self._reading() as connection:
            numbers = [volume.number for volume in search.volumes(connection)]
        walks = [self._walk(number, (since_ns, until_ns or _END_NS), wanted) for number in numbers]
        for kept in heapq.merge(*walks, key=lambda kept: (kept.row.time_ns, kept.row.id)):
            if query is None or query.admits(kept.row, kept.alert):
                yield kept

    def _walk(self, number: int, span_ns: tuple[int, int], wanted: Callable[[Row], bool]) -> Iterator[Kept]:
        place, until_ns = (span_ns[0], 0), span_ns[1]
        while True:
            with self._reading() as connection:
                if number not in {volume.number for volume in search.volumes(connection)}:
                    return
                rows = search.in_order(connection, number, place, until_ns, _PIECE)
                alerts = self._read(connection, number, [row.id for row in rows if wanted(row)])
            yield from [Kept(row, alerts[row.id]) for row in rows if row.id in alerts]
            if len(rows) < _PIECE:
                return
            place = (rows[-1].time_ns, rows[-1].id)

    def _read(self, connection: sqlite3.Connection, number: int, ids: Iterable[int]) -> dict[int, Alert]:
        found = {}
        for key, host, message in Messages(connection, number).of(ids):
            with contextlib.suppress(DecodeError):
                found[key] = from_stored(message, host, self._read_message)
        return found

    def counts(self) -> Mapping[str, int]:
        """Return how many alerts have each verdict, the most severe verdict first."""
        counted = self._names("verdict")
        return {verdict: counted[verdict] for verdict in VERDICTS}

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return rules, hosts and namespaces of the alerts kept, each sorted, at most 500 of a kind."""
        kinds = {"rules": "rule", "hosts": "host", "namespaces": "namespace"}
        return {
            plural: sorted(name for name, _ in self._names(kind).most_common(CHOICES_LIMIT))
            for plural, kind in kinds.items()
        }

    def _names(self, kind: str) -> Counter[str]:
        counted: Counter[str] = Counter()
        with self._reading() as connection:
            for volume in search.volumes(connection):
                counted.update(search.names(connection, volume.number, kind))
        return counted
