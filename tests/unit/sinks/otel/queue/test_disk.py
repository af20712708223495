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


def is_kept(disk: DiskQueue[bytes], chunk: Chunk[bytes]) -> bool:
    return disk.waiting([chunk]) == [chunk]


def taken(disk: DiskQueue[bytes]) -> list[tuple[int, bytes | None]]:
    """Records and payload of everything that waits, taken."""
    found: list[tuple[int, bytes | None]] = []
    while (chunk := disk.peek()) is not None:
        assert disk.take(chunk)
        found.append((chunk.records, bytes(chunk.payload)))
    return found


def test_what_became_one_has_its_own_size_in_memory(disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the parts' sizes nor more than they had counts against the maximum, and what was kept before does."""
    monkeypatch.setattr(module, "KEPT_BYTES", 300)
    before, *parts = (put(disk) for _ in range(3))
    assert not is_kept(disk, put(disk))
    disk.complete(parts, b"p" * 50)
    assert is_kept(disk, before)
    assert is_kept(disk, put(disk))
    assert not is_kept(disk, put(disk))


def test_messages_count_as_what_they_are_until_their_records_are_made(
    disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guess of what the records will have does not let far larger messages into memory."""
    monkeypatch.setattr(module, "KEPT_BYTES", 2 * len(STORED))
    assert [is_kept(disk, put(disk, payload_bytes=1)) for _ in range(4)] == [True, True, False, False]


def test_what_became_one_is_one_wherever_it_begins(disk: DiskQueue[bytes]) -> None:
    """It has its parts' records, though others stand before it, and reading goes on behind it."""
    put(disk, records=1)
    parts = [put(disk, records=2), put(disk, records=3)]
    put(disk, records=4)
    disk.complete(parts, b"both")
    assert taken(disk) == [(1, STORED), (5, b"both"), (4, STORED)]
    assert (disk.records, disk.size_bytes) == (0, 0)


def test_chunks_with_another_between_them_stay_apart(disk: DiskQueue[bytes]) -> None:
    """Else the one between would be passed over, neither sent nor counted."""
    first, between, last = (put(disk) for _ in range(3))
    disk.complete([first, last], b"both")
    assert [first.chunks, between.chunks, last.chunks] == [1, 1, 1]
    assert taken(disk) == [(2, STORED)] * 3


def test_chunks_of_two_files_stay_apart(disk: DiskQueue[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is in one file: nothing reaches from one into the next."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2 * (HEADER_BYTES + len(STORED)))
    chunks = [put(disk) for _ in range(3)]
    disk.complete(chunks[1:], b"both")
    assert taken(disk) == [(2, STORED)] * 3
    assert (disk.records, disk.size_bytes) == (0, 0)


def test_chunks_of_which_one_was_taken_stay_as_they_are(disk: DiskQueue[bytes]) -> None:
    """What is on its way goes out as it was, and the rest by itself."""
    chunks = [put(disk) for _ in range(2)]
    assert disk.take(chunks[0])
    disk.complete(chunks, b"both")
    assert (chunks[0].records, chunks[0].payload) == (2, STORED)
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
    parts = [put(disk) for _ in range(3)]
    put(disk, records=4)
    disk.complete(parts, b"all")
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
