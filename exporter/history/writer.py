"""Writing: messages first, then what is known of them, and the oldest out when there is too much.

Owns the volumes (``schema.py``): where an alert goes, and when a volume is
dropped. Every call is one transaction or several, each whole; after a kill the
next start goes on where the last one ended. Refuses threads and queues.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.history.database import insert, transaction, used_bytes
from exporter.history.facets import tokens_of
from exporter.history.facts import Row, row_of
from exporter.history.fresh import Fresh
from exporter.history.messages import Messages, has_chunks, keep
from exporter.history.query import searchable
from exporter.history.schema import create_volume, drop_volume
from exporter.history.stored import ReadMessage, from_stored, to_stored
from exporter.incidents.state import State
from exporter.verdict.judgement import Judgement

VOLUMES = 16
"""In how many parts a full history is: this share of it goes at once."""
HOUR_NS = 3_600_000_000_000
INDEX_ALERTS = 4_000
"""Alerts that are made searchable at once: one word for many of them costs less than each time anew."""
INDEX_BYTES = 8 * 1024 * 1024
"""How much the messages have, at most, that are in memory for it; one is looked at however large it is."""
SEARCHED_CHARACTERS = 16_384
"""How much of an alert's text can be searched for: senders choose its length."""
STATES_LIMIT = 5_000
"""Identifiers of incidents that are kept, the latest."""
_LAST = 2**62
_NAMED = ("verdict", "rule", "host", "namespace")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    limit_bytes: int
    limit_age_seconds: float


@dataclass(slots=True)
class _Volume:
    """The newest volume."""

    number: int
    last_id: int
    indexed_id: int
    bytes: int
    opened_s: float
    takes_more: bool = True
    """Not one of an earlier version (``schema.ROWS_VERSION``)."""


class Writer:
    """Writes through one connection; one thread at a time.

    Every method raises sqlite3.Error where the disk or the file fails, and has then done nothing.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        bounds: Bounds,
        *,
        judge: Callable[[Alert], Judgement],
        read_message: ReadMessage,
    ) -> None:
        self._connection = connection
        self._bounds = bounds
        self._judge = judge
        self._read_message = read_message
        self._fresh = Fresh()
        self._latest: _Volume | None = None
        self._read_latest()

    def _read_latest(self) -> None:
        row = self._connection.execute(
            "SELECT number, last_id, indexed_id, bytes, opened_s FROM volumes ORDER BY number DESC LIMIT 1"
        ).fetchone()
        self._latest = _Volume(*row) if row else None
        if self._latest is not None:
            self._latest.takes_more = has_chunks(self._connection, self._latest.number)

    def append(self, alerts: Sequence[Alert]) -> None:
        """Keep the alerts' messages; they can be found once they are indexed."""
        now = time.time()
        try:
            with transaction(self._connection):
                first = self._append(alerts, now)
        except BaseException:
            self._read_latest()
            raise
        self._fresh.keep(first, alerts)

    def _append(self, alerts: Sequence[Alert], now: float) -> int:
        volume = self._volume(now)
        before = used_bytes(self._connection)
        first = volume.last_id + 1
        volume.last_id += len(alerts)
        hosts = [alert.hostname for alert in alerts]
        keep(self._connection, volume.number, first, hosts, [alert.received or to_stored(alert) for alert in alerts])
        self._grow(volume.number, before)
        self._connection.execute(
            "UPDATE volumes SET last_id = ?, alerts = alerts + ?, newest_s = ? WHERE number = ?",
            (volume.last_id, len(alerts), now, volume.number),
        )
        return first

    def _volume(self, now: float) -> _Volume:
        """Return the volume that takes new alerts."""
        latest = self._latest
        bounds = self._bounds
        if (
            latest is not None
            and latest.takes_more
            and latest.bytes < bounds.limit_bytes / VOLUMES
            and now - latest.opened_s < bounds.limit_age_seconds / VOLUMES
        ):
            return latest
        number, last_id = (latest.number + 1, latest.last_id) if latest else (1, 0)
        for statement in create_volume(number):
            self._connection.execute(statement)
        self._connection.execute(
            "INSERT INTO volumes VALUES (?, ?, ?, ?, 0, 0, ?, ?)", (number, last_id + 1, last_id, last_id, now, now)
        )
        self._latest = _Volume(number, last_id, last_id, 0, now)
        return self._latest

    def _grow(self, number: int, before_bytes: int) -> None:
        grown = used_bytes(self._connection) - before_bytes
        self._connection.execute("UPDATE volumes SET bytes = bytes + ? WHERE number = ?", (grown, number))
        if self._latest is not None and self._latest.number == number:
            self._latest.bytes += grown

    def index(self, limit: int) -> tuple[int, int]:
        """Make at most so many alerts searchable; return how many were looked at, and how many could not be read.

        None was looked at when nothing waits.
        """
        volume = self._connection.execute(
            "SELECT number, CAST(indexed_id AS INTEGER), last_id, max(0, min(?, last_id - indexed_id)) FROM volumes "
            "WHERE indexed_id < last_id ORDER BY number LIMIT 1",
            (limit,),
        ).fetchone()
        if volume is None:
            return 0, 0
        number, indexed_id, last_id, limit = volume
        looked_at = self._next(number, indexed_id, limit)
        found = [(key, alert) for key, alert in looked_at if alert is not None]
        rows = [row_of(key, alert, self._judge(alert)) for key, alert in found]
        texts = [_searched(alert) for _, alert in found]
        last = looked_at[-1][0] if looked_at else last_id
        with transaction(self._connection):
            before = used_bytes(self._connection)
            self._insert(number, rows, texts)
            self._connection.execute("UPDATE volumes SET indexed_id = ? WHERE number = ?", (last, number))
            self._grow(number, before)
        self._fresh.forget(last)
        return len(looked_at), len(looked_at) - len(found)

    def _next(self, number: int, behind: int, limit: int) -> list[tuple[int, Alert | None]]:
        """Return the next alerts of a volume behind this one, at most so many, and of large ones fewer.

        None stands for one that cannot be read.
        """
        fresh, size = self._fresh.take(behind, limit, INDEX_BYTES)
        found: list[tuple[int, Alert | None]] = list(enumerate(fresh, behind + 1))
        behind += len(fresh)
        end = self._fresh.first_behind(behind) or _LAST
        for key, stored in islice(Messages(self._connection, number).behind(behind), limit - len(fresh)):
            if key >= end or size > INDEX_BYTES:
                break
            found.append((key, self._read(*stored) if stored else None))
            size += len(stored[1]) if stored else 0
        return found

    def note_losses(self, losses: Mapping[str, int]) -> None:
        """Add what the exporter lost since the last time, by what it is."""
        now_ns = time.time_ns()
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO losses VALUES (?, ?, ?) "
                "ON CONFLICT (hour, what) DO UPDATE SET count = count + excluded.count",
                [(now_ns // HOUR_NS, what, count) for what, count in losses.items()],
            )
            oldest_ns = now_ns - int(self._bounds.limit_age_seconds * 1e9)
            self._connection.execute("DELETE FROM losses WHERE hour < ?", (oldest_ns // HOUR_NS,))

    def note_incidents(self, states: Iterable[State]) -> None:
        """Keep what was told of incidents, in place of what was told before; of too many the latest."""
        with transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?)", states)
            self._connection.execute(
                "DELETE FROM incidents WHERE first_ns < "
                "(SELECT first_ns FROM incidents ORDER BY first_ns DESC LIMIT 1 OFFSET ?)",
                (STATES_LIMIT,),
            )

    def settle(self) -> None:
        """Move what was written from the log beside the file into the file.

        Done apart from writing, for many transactions at once: pages that change often are moved once.
        """
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _read(self, host: str, message: bytes) -> Alert | None:
        try:
            return from_stored(message, host, self._read_message)
        except DecodeError:
            return None

    def _insert(self, number: int, rows: Sequence[Row], texts: Sequence[str]) -> None:
        if not rows:
            return
        columns: dict[str, Sequence[Any]] = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
        ids, times, priorities, uids = (columns[name] for name in ("id", "time_ns", "priority", "uid"))
        stored = columns | {"uid": list(map(bytes.fromhex, uids)), "priority": list(map(int, priorities))}
        insert(self._connection, f"facts_{number}", list(stored.values()))
        run = self._connection.executemany
        # One by one: before a statement of several rows the index would write out what it gathers in memory.
        run(
            f"INSERT INTO words_{number} (rowid, text, facts) VALUES (?, ?, ?)",
            zip(ids, texts, map(tokens_of, rows), strict=True),
        )
        hours = [time_ns // HOUR_NS for time_ns in times]
        first, last = dict(zip(reversed(hours), reversed(ids), strict=True)), dict(zip(hours, ids, strict=True))
        run(
            f"INSERT INTO hours_{number} VALUES (?, ?, ?) ON CONFLICT (hour) DO UPDATE SET last_id = excluded.last_id",
            [(hour, first[hour], last[hour]) for hour in last],
        )
        names = [(kind, name, count) for kind in _NAMED for name, count in Counter(columns[kind]).items() if name]
        run(
            f"INSERT INTO names_{number} VALUES (?, ?, ?) "
            "ON CONFLICT (kind, name) DO UPDATE SET alerts = alerts + excluded.alerts",
            names,
        )

    def trim(self) -> int:
        """Drop the oldest volumes while there is too much or too old; return how many alerts went."""
        dropped = 0
        while (oldest := self._oldest_to_drop()) is not None:
            number, alerts, last_id = oldest
            with transaction(self._connection):
                for statement in drop_volume(number):
                    self._connection.execute(statement)
                self._connection.execute("DELETE FROM volumes WHERE number = ?", (number,))
            self._fresh.forget(last_id)
            dropped += alerts
        return dropped

    def _oldest_to_drop(self) -> tuple[int, int, int] | None:
        oldest = self._connection.execute(
            "SELECT number, alerts, newest_s, last_id FROM volumes ORDER BY number LIMIT 1"
        ).fetchone()
        if oldest is None or self._latest is None or oldest[0] == self._latest.number:
            # The newest goes on being written; what is in it is at most a sixteenth of the limits.
            return None
        number, alerts, newest_s, last_id = oldest
        too_large = used_bytes(self._connection) > self._bounds.limit_bytes * (VOLUMES - 1) / VOLUMES
        too_old = time.time() - newest_s > self._bounds.limit_age_seconds
        return (number, alerts, last_id) if too_large or too_old else None

    @property
    def waiting(self) -> int:
        """Alerts that are kept and cannot be found yet."""
        found = self._connection.execute("SELECT coalesce(sum(last_id - indexed_id), 0) FROM volumes").fetchone()
        return int(found[0])


def _searched(alert: Alert) -> str:
    """Return what can be searched for, without lone surrogates and NULs, which SQLite does not take, or as an end."""
    text = searchable(alert)[:SEARCHED_CHARACTERS]
    return (text if text.isascii() else text.encode("utf-8", "replace").decode()).replace("\0", " ")
