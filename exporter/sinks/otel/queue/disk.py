"""The queue's file: chunks of bytes in SQLite.

Owns the file, its schema, and what to do with one that is damaged. Refuses
order, limits and retries (see ``spool.py``). A chunk is on disk when
``insert`` returns: it survives the end of the process by any signal. With
``synchronous=NORMAL`` a power cut can take the last moments (SQLite manual,
PRAGMA synchronous).
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import ExporterError

_log = logging.getLogger(__name__)

FILE_NAME = "queue.sqlite3"
_APPLICATION_ID = 0x46414C51
LOCK_WAIT_SECONDS = 2.0
_KEPT_DAMAGED_FILES = 3
_CACHE_KIB = 2_048
_PAGE_BYTES = 16_384
_CHECKPOINT_BYTES = 16 * 1024 * 1024
_SHRINK_PAGES = 1_024
_CIRCUMSTANCES = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_AUTH,
    }
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunk (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  queued_at REAL NOT NULL,
  records INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  payload BLOB NOT NULL
)
"""


_LIST = "SELECT id, queued_at, records, bytes, length(payload) FROM chunk ORDER BY id"


class SpoolError(ExporterError):
    """The queue's file cannot be used now; the text says why."""

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


class ChunkDamagedError(ExporterError):
    """One chunk is not what was written."""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """What is known of a chunk without reading it."""

    chunk_id: int
    queued_at: float
    """Seconds since 1970."""
    records: int
    payload_bytes: int
    """What it has in memory."""
    stored_bytes: int
    """What it has on disk."""


class DiskStore:
    """One queue file, held by one process at a time. Not safe for threads: the spool locks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / FILE_NAME
        self._connection: sqlite3.Connection | None = None

    def open(self, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> tuple[list[StoredChunk], Path | None]:
        """Open or create the file, waiting so long for another process to let go of it.

        Returns the chunks it holds, oldest first, and where a damaged file
        was set aside (None where there was none). Raises SpoolError where no
        file can be had: no such directory, read-only, full, held by another.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise SpoolError(f"cannot make the queue's directory {self._directory}: {exc.strerror}") from exc
        try:
            return self._open(wait_seconds), None
        except sqlite3.DatabaseError as exc:
            self.close()
            if not _is_damage(exc):
                raise SpoolError(f"cannot use the queue file {self.path}: {exc}") from exc
            aside = self._set_aside(str(exc))
        try:
            return self._open(wait_seconds), aside
        except sqlite3.DatabaseError as exc:
            self.close()
            raise SpoolError(f"cannot make a new queue file {self.path}: {exc}") from exc

    def _open(self, wait_seconds: float) -> list[StoredChunk]:
        connection = sqlite3.connect(self.path, timeout=wait_seconds, isolation_level=None, check_same_thread=False)
        self._connection = connection
        # One process at a time, and no shared-memory file, which network file systems lack.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_BYTES // _PAGE_BYTES}")
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        with contextlib.suppress(OSError):
            self.path.chmod(0o600)
        rows = connection.execute(_LIST).fetchall()
        return [_to_stored(row) for row in rows]

    def insert(self, stored: bytes, records: int, queued_at: float, *, payload_bytes: int) -> int:
        """Put one chunk on disk and return its id. Raises SpoolError; then nothing was written."""
        row = (queued_at, records, payload_bytes, _checksum(stored, records), stored)
        try:
            cursor = self._connected().execute(
                "INSERT INTO chunk (queued_at, records, bytes, crc, payload) VALUES (?, ?, ?, ?, ?)", row
            )
        except sqlite3.Error as exc:
            raise _to_spool_error("write to", self.path, exc) from exc
        return int(cursor.lastrowid or 0)

    def read(self, chunk_id: int) -> bytes:
        """Return one chunk.

        Raises ChunkDamagedError where it is not what was written, SpoolError where the disk is away.
        """
        try:
            row = (
                self._connected()
                .execute("SELECT payload, records, crc FROM chunk WHERE id = ?", (chunk_id,))
                .fetchone()
            )
        except sqlite3.Error as exc:
            if not _is_damage(exc):
                raise _to_spool_error("read", self.path, exc) from exc
            raise ChunkDamagedError(
                f"chunk {chunk_id} of {self.path} cannot be read ({exc}); its records are lost, and counted as damaged"
            ) from exc
        if row is None or not _is_whole(*row):
            raise ChunkDamagedError(
                f"chunk {chunk_id} of {self.path} is not what was written; its records are lost, and counted as damaged"
            )
        return bytes(row[0])

    def delete(self, chunk_ids: Sequence[int]) -> None:
        """Remove chunks for good. Raises SpoolError; then they are still there."""
        try:
            with self._connected() as connection:
                connection.execute("BEGIN")
                connection.executemany("DELETE FROM chunk WHERE id = ?", [(chunk_id,) for chunk_id in chunk_ids])
        except sqlite3.Error as exc:
            raise _to_spool_error("remove delivered records from", self.path, exc) from exc

    def shrink(self) -> None:
        """Give some of the removed chunks' space back to the file system; call it again for more."""
        try:
            self._connected().execute(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})").fetchall()
        except sqlite3.Error as exc:
            raise _to_spool_error("shrink", self.path, exc) from exc

    def replace(self, reason: str) -> Path:
        """Set the file aside as damaged and begin a new one. Raises SpoolError where that fails."""
        self.close()
        aside = self._set_aside(reason)
        try:
            self._open(0.0)
        except sqlite3.DatabaseError as exc:
            self.close()
            raise SpoolError(f"cannot make a new queue file {self.path}: {exc}") from exc
        return aside

    def close(self) -> None:
        """Let go of the file. Twice is safe."""
        if self._connection is not None:
            # Closing writes what SQLite still has to tidy; the chunks themselves are on disk already.
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise SpoolError(f"the queue file {self.path} is closed")
        return self._connection

    def _set_aside(self, reason: str) -> Path:
        aside = self.path.with_name(f"{FILE_NAME}.damaged-{time.time_ns()}")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(FILE_NAME + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            self._forget_old_damaged()
        except OSError as exc:
            raise SpoolError(f"cannot set the damaged queue file {self.path} aside: {exc.strerror}") from exc
        _log.error("queue file %s is damaged (%s): set aside as %s, starting a new one", self.path, reason, aside)
        return aside

    def _forget_old_damaged(self) -> None:
        """Keep the last few: what must be bounded on a disk that damages files."""
        damaged = sorted(path for path in self._directory.glob(f"{FILE_NAME}.damaged-*") if path.name[-1].isdigit())
        for path in damaged[:-_KEPT_DAMAGED_FILES]:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)


def _to_stored(row: tuple[object, ...]) -> StoredChunk:
    chunk_id, queued_at, records, payload_bytes, stored_bytes = row
    if not (isinstance(chunk_id, int) and isinstance(queued_at, float)):
        raise sqlite3.DatabaseError("the queue's index holds what was never written")
    if not (isinstance(records, int) and isinstance(payload_bytes, int) and isinstance(stored_bytes, int)):
        raise sqlite3.DatabaseError("the queue's index holds what was never written")
    if records <= 0 or payload_bytes < 0:
        raise sqlite3.DatabaseError("the queue's index holds what was never written")
    return StoredChunk(chunk_id, queued_at, records, payload_bytes, stored_bytes)


def salvage(path: Path) -> Iterator[tuple[StoredChunk, bytes]]:
    """Yield what a damaged file still gives: each chunk that is whole, with its payload.

    Reads from both ends up to the damage. What cannot be read is passed over.
    """
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error, OverflowError), contextlib.closing(sqlite3.connect(path)) as connection:
            for row in connection.execute(
                f"SELECT id, queued_at, records, bytes, crc, payload FROM chunk ORDER BY id {order}"  # noqa: S608
            ):
                chunk_id, queued_at, records, payload_bytes, crc, payload = row
                if chunk_id in seen:
                    break
                if _is_whole(payload, records, crc):
                    seen.add(chunk_id)
                    size = payload_bytes if isinstance(payload_bytes, int) else len(payload)
                    yield StoredChunk(chunk_id, float(queued_at), records, max(size, 0), len(payload)), payload


def _checksum(payload: bytes, records: int) -> int:
    return zlib.crc32(payload, records & 0xFFFFFFFF)


def _is_whole(payload: object, records: object, crc: object) -> bool:
    return isinstance(payload, bytes) and isinstance(records, int) and _checksum(payload, records) == crc


def _is_damage(error: sqlite3.Error) -> bool:
    """Tell a damaged file from one that cannot be used just now (full, read-only, locked, unreachable)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF not in _CIRCUMSTANCES


def _to_spool_error(action: str, path: Path, error: sqlite3.Error) -> SpoolError:
    return SpoolError(f"cannot {action} the queue file {path}: {error}", damaged=_is_damage(error))
