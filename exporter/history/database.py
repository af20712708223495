"""The file: opening it, keeping others out, setting a damaged one aside.

Owns names and modes of the files, the lock, and what SQLite's errors mean.
Refuses to know what is in the tables.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exporter.errors import ExporterError
from exporter.history.schema import APPLICATION_ID, BASE, LATER, ROWS_VERSION, VERSION
from exporter.private_files import make_private_directory, open_locked, open_private

FILE = "history.db"
SET_ASIDE = "history.db.damaged"
"""One at a time: a file that is set aside replaces the one before."""
_LOCK = "history.lock"
_COMPANIONS = ("", "-wal", "-shm")
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_FULL = frozenset({sqlite3.SQLITE_FULL})
_PAGE_BYTES = 8_192
"""Of a new file, which is a tenth smaller than with SQLite's 4,096."""
_CACHE_KIB = 16_384
_READER_CACHE_KIB = 4_096
_VALUES_TOGETHER = 300
"""In one statement; SQLite before 3.32 takes 999."""
_WAL_LIMIT_BYTES = 16 * 1024 * 1024
_BUSY_SECONDS = 5.0


class HistoryError(ExporterError):
    """The history cannot be used: says which file, and why."""


class DamagedError(HistoryError):
    """The file is damaged or not ours; it has to be set aside."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is wrong, which no further try mends."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def drop_reason(error: Exception) -> str:
    """Return the reason for which alerts are dropped when writing fails so: ``disk_full`` or ``disk_error``."""
    full = isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _FULL
    return "disk_full" if full else "disk_error"


class NoHistoryError(HistoryError):
    """There is no history yet, or none there."""


class Lock:
    """Holds the directory for one writer, as long as the process lives."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1

    def take(self) -> None:
        """Take it. Raises HistoryError where another process holds it, OSError as the system gives it."""
        if self._descriptor >= 0:
            return
        descriptor = open_locked(self._directory / _LOCK)
        if descriptor is None:
            raise HistoryError(f"another process writes the history in {self._directory}")
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go. Twice is safe."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_writer(directory: Path) -> sqlite3.Connection:
    """Open the file for writing, made where it is missing, mode 0600.

    Raises DamagedError for one that is damaged or not ours, sqlite3.Error and OSError for the rest.
    """
    make_private_directory(directory)
    path = directory / FILE
    # SQLite gives the files beside it the same mode.
    os.close(open_private(path, os.O_RDWR | os.O_CREAT))
    with _opening(path) as connection:
        is_new = not connection.execute("PRAGMA schema_version").fetchone()[0]
        if is_new:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # Writer.settle
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        if is_new:
            _begin(connection)
        _check(connection, path)
        for statement in LATER.split(";"):
            connection.execute(statement)
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


def open_reader(directory: Path) -> sqlite3.Connection:
    """Open the file for reading. Raises HistoryError where there is none or it is not ours, sqlite3.Error."""
    path = directory / FILE
    if not path.is_file():
        raise NoHistoryError(
            f"{path}: no such file; expected the directory that the exporter's history.directory names"
        )
    with _opening(path) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        _check(connection, path)
    return connection


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that is closed where preparing it fails; damage becomes DamagedError."""
    connection = _connect(path)
    try:
        yield connection
    except BaseException as exc:
        connection.close()
        # What is damaged may be in SQLite's own message, which Python then cannot read.
        if isinstance(exc, UnicodeDecodeError) or (isinstance(exc, sqlite3.Error) and is_damage(exc)):
            raise DamagedError(f"{path}: {exc}") from exc
        raise


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _begin(connection: sqlite3.Connection) -> None:
    """Make an empty file a history, in one step for whoever reads."""
    with transaction(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for statement in BASE.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO identity VALUES (?)", (secrets.token_hex(4),))


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if not connection.execute("PRAGMA schema_version").fetchone()[0]:
        raise HistoryError(f"{path}: nothing is in it yet")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise DamagedError(f"{path}: expected a history of this program, found another database")
    if version not in {VERSION, ROWS_VERSION}:
        raise DamagedError(f"{path}: expected version {VERSION} of the history, found {version}")
    connection.execute("SELECT count(*) FROM volumes").fetchone()


def set_aside(directory: Path) -> Path:
    """Move the file and what belongs to it out of the way and return where it is now. Raises OSError."""
    for companion in _COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            (directory / (SET_ASIDE + companion)).unlink()
        with contextlib.suppress(FileNotFoundError):
            (directory / (FILE + companion)).replace(directory / (SET_ASIDE + companion))
    return directory / SET_ASIDE


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return how much of the file holds something."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return int(pages - free) * size


def insert(connection: sqlite3.Connection, table: str, columns: Sequence[Sequence[Any]]) -> None:
    """Insert rows, given as their columns; many with one statement, which costs a third less than one by one.

    ``table`` is the table's name, with its columns where not every one is given. A column of bytes has nothing else.
    """
    width, count = len(columns), len(columns[0])
    together = _VALUES_TOGETHER // width
    whole = count - count % together
    row = f"({', '.join('?' * width)})"
    many = f"INSERT INTO {table} VALUES {', '.join([row] * together)}"
    connection.executemany(many, (_values(columns, start, start + together) for start in range(0, whole, together)))
    connection.executemany(
        f"INSERT INTO {table} VALUES {row}", (_values(columns, start, start + 1) for start in range(whole, count))
    )


def _values(columns: Sequence[Sequence[Any]], start: int, end: int) -> list[Any]:
    """Return the values of some rows one after another."""
    values: list[Any] = [None] * (len(columns) * (end - start))
    for place, column in enumerate(columns):
        part = column[start:end]
        # For bytes sqlite3 looks for an adapter each time, in vain, which costs more than a copy.
        values[place :: len(columns)] = map(bytearray, part) if isinstance(part[0], bytes) else part
    return values


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction; nothing of it stays where it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
