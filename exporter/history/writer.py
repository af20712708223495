"""Writing: messages first, then what is known of them, and the oldest out when there is too much.

Owns the volumes (``schema.py``): where an alert goes, and when a volume is
dropped. Every call is one transaction or several, each whole; after a kill the
next start goes on where the last one ended. Refuses threads and queues.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.escaping import valid_text
from exporter.history.database import transaction, used_bytes
from exporter.history.facets import tokens_of
from exporter.history.facts import Row, row_of
from exporter.history.query import searchable
from exporter.history.schema import create_volume, drop_volume
from exporter.history.stored import ReadMessage, from_stored, to_stored
from exporter.incidents.state import State
from exporter.verdict.judgement import Judgement

VOLUMES = 16
"""In how many parts a full history is: this share of it goes at once."""
HOUR_NS = 3_600_000_000_000
FRESH_LIMIT = 10_000
"""Alerts that are remembered from their writing to their indexing, so that they need not be read again."""
FRESH_BYTES = 16 * 1024 * 1024
"""How much their messages have at most."""
INDEX_ALERTS = 4_000
"""Alerts that are made searchable at once: one word for many of them costs less than each time anew."""
INDEX_BYTES = 8 * 1024 * 1024
"""How much the messages have, at most, that are in memory for it; one is looked at however large it is."""
SEARCHED_CHARACTERS = 16_384
"""How much of an alert's text can be searched for: senders choose its length."""
STATES_LIMIT = 5_000
"""Identifiers of incidents that are kept, the latest."""
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
        self._fresh: dict[int, Alert] = {}
        self._fresh_bytes = 0
        self._latest: _Volume | None = None
        self._read_latest()

    def _read_latest(self) -> None:
        row = self._connection.execute(
            "SELECT number, last_id, indexed_id, bytes, opened_s FROM volumes ORDER BY number DESC LIMIT 1"
        ).fetchone()
        self._latest = _Volume(*row) if row else None

    def append(self, alerts: Sequence[Alert]) -> None:
        """Keep the alerts' messages; they can be found once they are indexed."""
        now = time.time()
        try:
            with transaction(self._connection):
                first, last = self._append(alerts, now)
        except BaseException:
            self._read_latest()
            raise
        size = sum([_size(alert) for alert in alerts])
        if len(self._fresh) + len(alerts) <= FRESH_LIMIT and self._fresh_bytes + size <= FRESH_BYTES:
            self._fresh.update(zip(range(first, last + 1), alerts, strict=True))
            self._fresh_bytes += size

    def _append(self, alerts: Sequence[Alert], now: float) -> tuple[int, int]:
        volume = self._volume(now)
        before = used_bytes(self._connection)
        first = volume.last_id + 1
        self._connection.executemany(
            f"INSERT INTO log_{volume.number} VALUES (?, ?, ?)",
            [(number, valid_text(alert.hostname), to_stored(alert)) for number, alert in enumerate(alerts, first)],
        )
        volume.last_id += len(alerts)
        self._grow(volume.number, before)
        self._connection.execute(
            "UPDATE volumes SET last_id = ?, alerts = alerts + ?, newest_s = ? WHERE number = ?",
            (volume.last_id, len(alerts), now, volume.number),
        )
        return first, volume.last_id

    def _volume(self, now: float) -> _Volume:
        """Return the volume that takes new alerts."""
        latest = self._latest
        bounds = self._bounds
        if latest is not None and (
            latest.bytes < bounds.limit_bytes / VOLUMES and now - latest.opened_s < bounds.limit_age_seconds / VOLUMES
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
            "SELECT number, indexed_id FROM volumes WHERE indexed_id < last_id ORDER BY number LIMIT 1"
        ).fetchone()
        if volume is None:
            return 0, 0
        number, indexed_id = volume
        stored = self._stored(number, indexed_id, limit)
        found = [(key, alert) for key, host, message in stored if (alert := self._alert(key, host, message))]
        rows = [row_of(key, alert, self._judge(alert)) for key, alert in found]
        texts = [searchable(alert)[:SEARCHED_CHARACTERS] for _, alert in found]
        with transaction(self._connection):
            before = used_bytes(self._connection)
            self._insert(number, rows, texts)
            last = stored[-1][0] if stored else self._last_id(number)
            self._connection.execute("UPDATE volumes SET indexed_id = ? WHERE number = ?", (last, number))
            self._grow(number, before)
        for key, _, _ in stored:
            if (alert := self._fresh.pop(key, None)) is not None:
                self._fresh_bytes -= _size(alert)
        return len(stored), len(stored) - len(found)

    def _stored(self, number: int, behind: int, limit: int) -> list[tuple[int, Any, Any]]:
        """Return the next alerts behind this one, at most so many, and of large ones fewer."""
        rows = self._connection.execute(
            f"SELECT id, host, message FROM log_{number} WHERE id > ? ORDER BY id LIMIT ?", (behind, limit)
        )
        found, size = [], 0
        with contextlib.closing(rows):
            for row in rows:
                found.append(row)
                size += len(row[2]) if isinstance(row[2], bytes) else 0
                if size > INDEX_BYTES:
                    break
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

    def _last_id(self, number: int) -> int:
        found: int = self._connection.execute("SELECT last_id FROM volumes WHERE number = ?", (number,)).fetchone()[0]
        return found

    def _alert(self, key: int, host: Any, message: Any) -> Alert | None:
        if not (isinstance(host, str) and isinstance(message, bytes)):
            # SQLite takes any value in any column: a file that is damaged may be whole to it.
            return None
        try:
            return self._fresh.get(key) or from_stored(message, host, self._read_message)
        except DecodeError:
            return None

    def _insert(self, number: int, rows: Sequence[Row], texts: Sequence[str]) -> None:
        run = self._connection.executemany
        run(
            f"INSERT INTO facts_{number} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row.id, row.time_ns, bytes.fromhex(row.uid), *row[3:]) for row in rows],
        )
        run(
            f"INSERT INTO words_{number} (rowid, text, facts) VALUES (?, ?, ?)",
            [(row.id, _searched(text), tokens_of(row)) for row, text in zip(rows, texts, strict=True)],
        )
        hours: dict[int, tuple[int, int]] = {}
        for row in rows:
            hour = row.time_ns // HOUR_NS
            hours[hour] = (hours.get(hour, (row.id,))[0], row.id)
        run(
            f"INSERT INTO hours_{number} VALUES (?, ?, ?) ON CONFLICT (hour) DO UPDATE SET last_id = excluded.last_id",
            [(hour, *ids) for hour, ids in hours.items()],
        )
        names = Counter((kind, getattr(row, kind)) for row in rows for kind in _NAMED)
        run(
            f"INSERT INTO names_{number} VALUES (?, ?, ?) "
            "ON CONFLICT (kind, name) DO UPDATE SET alerts = alerts + excluded.alerts",
            [(kind, name, count) for (kind, name), count in names.items() if name],
        )

    def trim(self) -> int:
        """Drop the oldest volumes while there is too much or too old; return how many alerts went."""
        dropped = 0
        while (oldest := self._oldest_to_drop()) is not None:
            number, alerts = oldest
            with transaction(self._connection):
                for statement in drop_volume(number):
                    self._connection.execute(statement)
                self._connection.execute("DELETE FROM volumes WHERE number = ?", (number,))
            dropped += alerts
        return dropped

    def _oldest_to_drop(self) -> tuple[int, int] | None:
        oldest = self._connection.execute(
            "SELECT number, alerts, newest_s FROM volumes ORDER BY number LIMIT 1"
        ).fetchone()
        if oldest is None or self._latest is None or oldest[0] == self._latest.number:
            # The newest goes on being written; what is in it is at most a sixteenth of the limits.
            return None
        number, alerts, newest_s = oldest
        too_large = used_bytes(self._connection) > self._bounds.limit_bytes * (VOLUMES - 1) / VOLUMES
        too_old = time.time() - newest_s > self._bounds.limit_age_seconds
        return (number, alerts) if too_large or too_old else None

    @property
    def waiting(self) -> int:
        """Alerts that are kept and cannot be found yet."""
        found = self._connection.execute("SELECT coalesce(sum(last_id - indexed_id), 0) FROM volumes").fetchone()
        return int(found[0])


def _size(alert: Alert) -> int:
    return len(alert.received) or alert.size_bytes


def _searched(text: str) -> str:
    """Return the text without lone surrogates and NULs, which SQLite does not take, or takes for an end."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")
