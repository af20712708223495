"""The queue of version 0.1 in a SQLite file is moved into today's."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from pathlib import Path

import pytest

from tests.unit.sinks.otel.queue.bench import Bench


def old_queue(directory: Path, rows: list[tuple[bytes, int, bool]]) -> Path:
    """A queue of version 0.1; the third of a row says whether its checksum is right."""
    path = directory / "queue.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE chunk (id INTEGER PRIMARY KEY AUTOINCREMENT, queued_at REAL NOT NULL, records INTEGER NOT "
            "NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL)"
        )
        for payload, records, whole in rows:
            crc = zlib.crc32(payload, records) + (0 if whole else 1)
            row = (1_000.0, records, 5_000, crc, payload)
            connection.execute("INSERT INTO chunk (queued_at, records, bytes, crc, payload) VALUES (?,?,?,?,?)", row)
    return path


def test_the_queue_of_an_earlier_version_is_moved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What waited in a SQLite file goes out first, with its age; damaged chunks are counted, the file goes."""
    caplog.set_level("INFO")
    rows = [(b"first", 1, True), (b"bad", 1, False), (b"second", 4, True), (b"worse", 4, False)]
    path = old_queue(tmp_path, rows)
    bench = Bench(tmp_path)
    bench.spool.append(b"new", 1)
    assert (bench.spool.records, bench.spool.oldest_queued_at) == (6, 1_000.0)
    assert bench.drain() == [b"first", b"second", b"new"]
    assert not list(tmp_path.glob("queue.sqlite3*"))
    assert bench.drops == {"damaged": 5}
    said = f"5 records were moved from the old queue {path}, 5 were damaged"
    assert [record.message for record in caplog.records] == [said]


def test_an_old_queue_that_cannot_be_read_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what to do, and the new queue works."""
    (tmp_path / "queue.sqlite3").write_bytes(b"no database" * 500)
    bench = Bench(tmp_path)
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]
    assert (tmp_path / "queue.sqlite3").exists()
    [record] = caplog.records
    assert record.message == (
        f"0 records were moved from the old queue {tmp_path / 'queue.sqlite3'}, the rest cannot be read (file is not a "
        "database): the file stays; remove it by hand, or its records are sent again at the next start"
    )
    assert not bench.drops


def test_damage_that_makes_the_error_itself_unreadable_leaves_the_file(tmp_path: Path) -> None:
    """SQLite quotes a name that is no text any more, and Python cannot read the error; the start goes on."""
    path = old_queue(tmp_path, [(b"first", 2, True)])
    path.write_bytes(path.read_bytes().replace(b"tablechunkchunk", b"table\xa2hunkchunk"))
    bench = Bench(tmp_path)
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]
    assert path.exists()


@pytest.mark.parametrize(
    ("column", "value", "lost"),
    [
        ("queued_at", "x", 2), ("bytes", -5, 2), ("bytes", 1.5, 2), ("bytes", "x", 2), ("payload", "x", 2),
        ("records", -2, 1), ("records", 0, 1), ("records", 2**32, 1), ("records", 1.5, 1), ("records", "x", 1),
    ],
)  # fmt: skip
def test_a_damaged_value_costs_its_chunk_only(tmp_path: Path, column: str, value: object, lost: int) -> None:
    """SQLite keeps any value in any column: what no chunk can have is counted, and the start goes on."""
    path = old_queue(tmp_path, [(b"first", 2, True), (b"second", 3, True)])
    checksum = zlib.crc32(b"first", value & 0xFFFFFFFF) if isinstance(value, int) and column == "records" else None
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE chunk SET {column} = ?, crc = ifnull(?, crc) WHERE id = 1", (value, checksum))
    bench = Bench(tmp_path)
    assert bench.drain() == [b"second"]
    assert bench.drops == {"damaged": lost}
    assert not list(tmp_path.glob("queue.sqlite3*"))


@pytest.mark.parametrize(("column", "value"), [("bytes", 0), ("bytes", 1), ("records", 2**32 - 1)])
def test_a_value_that_a_chunk_can_just_have_is_moved(tmp_path: Path, column: str, value: int) -> None:
    """Nothing is counted as damaged."""
    path = old_queue(tmp_path, [(b"first", 2, True)])
    checksum = zlib.crc32(b"first", value) if column == "records" else None
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE chunk SET {column} = ?, crc = ifnull(?, crc)", (value, checksum))
    bench = Bench(tmp_path)
    assert bench.drain() == [b"first"]
    assert not bench.drops
