"""Chunks on disk and in memory besides: which are kept, and which become one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.sinks.otel.queue import disk as module
from exporter.sinks.otel.queue import journal
from exporter.sinks.otel.queue.chunks import Chunk
from exporter.sinks.otel.queue.disk import DiskQueue, SpoolError
from exporter.sinks.otel.queue.segment import HEADER_BYTES

STORED = b"s" * 40


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskQueue[bytes]]:
    made: DiskQueue[bytes] = DiskQueue(tmp_path, lambda *drop: pytest.fail(str(drop)))
    made.open()
    yield made
    made.close()


def put(disk: DiskQueue[bytes], *, records: int = 2, payload_bytes: int = 100, queued_at: float = 5.0) -> Chunk[bytes]:
    chunk: Chunk[bytes] = Chunk(records, payload_bytes, queued_at, STORED)
    disk.append(chunk, STORED)
    return chunk


def put_ahead(disk: DiskQueue[bytes], *, records: int = 2) -> int:
    """Put a chunk on disk ahead of its payload; the number of its first record."""
    return disk.append_ahead(STORED, records, 5.0, 100)


def to_one(first_record: int, records: int, payload: bytes, *, chunks: int) -> Chunk[bytes]:
    return Chunk(records, len(payload), 5.0, payload, chunks * len(STORED), chunks, first_record)


def is_kept(disk: DiskQueue[bytes], chunk: Chunk[bytes]) -> bool:
    return disk._kept.get(chunk.first_record) is chunk


def taken(disk: DiskQueue[bytes]) -> list[tuple[int, bytes | None]]:
    """Records and payload of everything that waits, taken."""
    found: list[tuple[int, bytes | None]] = []
    while (chunk := disk.peek()) is not None:
        assert disk.take(chunk)
        found.append((chunk.records, bytes(chunk.payload)))
    return found


def test_what_became_one_has_its_own_size_in_memory(disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk ahead of its payload has none, whatever it will have."""
    monkeypatch.setattr(module, "KEPT_BYTES", 300)
    before = put(disk)
    first = put_ahead(disk)
    put_ahead(disk)
    assert disk.standing(first).wants(first)
    disk.complete(whole := to_one(first, 4, b"p" * 50, chunks=2))
    assert is_kept(disk, before)
    assert is_kept(disk, whole)
    assert is_kept(disk, put(disk))
    assert not is_kept(disk, put(disk))


def test_nothing_is_wanted_where_there_is_no_room_in_memory(
    disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read back from disk; once something has gone there is room again."""
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    oldest = put(disk)
    first = put_ahead(disk)
    assert not disk.standing(first).wants(first)
    assert disk.take(oldest)
    assert disk.standing(first).wants(first)
    assert taken(disk) == [(2, STORED)]


def test_what_became_one_is_one_wherever_it_begins(disk: DiskQueue[bytes]) -> None:
    """It has its parts' records, though others stand before it, and reading goes on behind it."""
    put(disk, records=1)
    first = put_ahead(disk, records=2)
    put_ahead(disk, records=3)
    put(disk, records=4)
    disk.complete(to_one(first, 5, b"both", chunks=2))
    assert taken(disk) == [(1, STORED), (5, b"both"), (4, STORED)]
    assert (disk.records, disk.size_bytes) == (0, 0)


def test_chunks_of_two_files_stay_apart(disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is in one file: nothing reaches from one into the next, and who completes can know where that is."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2 * (HEADER_BYTES + len(STORED)))
    for _ in range(4):
        put_ahead(disk)
    assert disk.standing(2).file_begins == [4]
    disk.complete(to_one(2, 4, b"both", chunks=2))
    disk.complete(to_one(4, 4, b"of the other file", chunks=2))
    assert taken(disk) == [(2, STORED), (2, STORED), (4, b"of the other file")]
    assert (disk.records, disk.size_bytes) == (0, 0)


def test_chunks_of_which_one_was_taken_stay_as_they_are(disk: DiskQueue[bytes]) -> None:
    """What is on its way goes out as it was, and the rest by itself."""
    first, second = put_ahead(disk), put_ahead(disk)
    oldest = disk.peek()
    assert oldest is not None
    assert disk.take(oldest)
    assert not disk.standing(first).wants(first)
    assert disk.standing(first).wants(second)
    disk.complete(to_one(first, 4, b"both", chunks=2))
    assert (oldest.records, oldest.payload) == (2, STORED)
    assert taken(disk) == [(2, STORED)]


def test_a_chunk_that_is_gone_cannot_be_taken(disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """The text says so; nothing is passed over."""
    monkeypatch.setattr(module, "KEPT_BYTES", 0)
    put(disk)
    chunk = disk.peek()
    assert chunk is not None
    assert disk.take(chunk)
    with pytest.raises(SpoolError, match=r"^the oldest chunk of the queue is gone$"):
        disk.take(chunk)
    put(disk)
    assert taken(disk) == [(2, STORED)]


def test_reading_goes_on_behind_what_became_one_after_a_restart(disk: DiskQueue[bytes]) -> None:
    """The place is behind all of its parts."""
    first, _, _ = [put_ahead(disk) for _ in range(3)]
    put(disk, records=4)
    disk.complete(to_one(first, 6, b"all", chunks=3))
    whole = disk.peek()
    assert whole is not None
    assert disk.take(whole)
    disk.settle()
    disk.close()
    disk.open()
    assert taken(disk) == [(4, STORED)]


@pytest.mark.parametrize("how", ["taken", "too old"])
def test_what_has_gone_makes_room_in_memory(disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """For as much as it had there, and no more."""
    monkeypatch.setattr(module, "KEPT_BYTES", 500)
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2 * (HEADER_BYTES + len(STORED)))
    kept = [put(disk, queued_at=queued_at) for queued_at in (5.0, 5.0, 50.0, 50.0, 50.0)]
    if how == "taken":
        assert all(disk.take(chunk) for chunk in kept[:2])
    else:
        assert disk.drop_older(10.0) == 4
    assert [is_kept(disk, put(disk)) for _ in range(3)] == [True, True, False]
