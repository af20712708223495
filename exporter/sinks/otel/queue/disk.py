"""Chunks on disk, the newest of them in memory besides.

Owns which payloads stay in memory although they are on disk: with a collector
that keeps up, nothing is ever read back. Counts what the disk lost. Refuses
limits and the way to memory when the disk fails (see ``spool.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple

from exporter.sinks.otel.queue.chunks import Chunk, P
from exporter.sinks.otel.queue.journal import LOCK_WAIT_SECONDS, Damage, Journal, SpoolError
from exporter.sinks.otel.queue.old_queue import move_old_queue

__all__ = ["LOCK_WAIT_SECONDS", "DiskQueue", "SpoolError", "Standing"]

KEPT_BYTES = 12 * 1024 * 1024
"""Maximum bytes that are on disk and in memory besides; the last chunk may go above."""


class Standing(NamedTuple):
    """What may be completed of chunks that are on disk ahead of their payload."""

    wanted_from: int | None
    """Number of the first record that nobody has taken; None where there is no room in memory."""
    file_begins: Sequence[int]
    """Numbers of the records that a file begins with: what stands on both sides cannot become one."""

    def wants(self, record: int) -> bool:
        """Whether the payload of the chunk that begins with this record is any use."""
        return self.wanted_from is not None and record >= self.wanted_from


class DiskQueue(Generic[P]):
    """A line of chunks on disk. Each call raises SpoolError where the disk fails.

    ``on_drop`` is called with a reason and a number of records.
    """

    def __init__(self, directory: Path, on_drop: Callable[[str, int], None]) -> None:
        self._journal = Journal(directory)
        self._on_drop = on_drop
        self._kept: dict[int, Chunk[P]] = {}
        self._kept_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether the directory is ours."""
        return self._journal.is_open

    @property
    def records(self) -> int:
        """Records that wait on disk and were not taken."""
        return self._journal.records

    @property
    def size_bytes(self) -> int:
        """Their bytes."""
        return self._journal.size_bytes

    def open(self, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Take up what an earlier process left, the queue of an earlier version included."""
        self._journal.open(wait_seconds=wait_seconds)
        move_old_queue(self._journal, self._on_drop)

    def append(self, chunk: Chunk[P], stored: bytes) -> None:
        """Put a chunk on disk, where it is once this returns; ``stored`` is its payload in the form for the disk."""
        chunk.first_record = self._journal.append(
            stored, chunk.records, chunk.queued_at, payload_bytes=chunk.payload_bytes
        )
        if self._kept_bytes + chunk.payload_bytes <= KEPT_BYTES:
            chunk.stored_bytes = len(stored)
            self._keep(chunk)

    def append_ahead(self, stored: bytes, records: int, queued_at: float, payload_bytes: int) -> int:
        """Put a chunk on disk ahead of its payload; return the number of its first record."""
        return self._journal.append(stored, records, queued_at, payload_bytes=payload_bytes)

    def standing(self, first_record: int) -> Standing:
        """Say what may be completed of the chunks from this record on."""
        wanted_from = self._journal.next_record if self._kept_bytes < KEPT_BYTES else None
        return Standing(wanted_from, self._journal.files_after(first_record))

    def complete(self, chunk: Chunk[P]) -> None:
        """Let chunks on disk, which follow each other, be this one; they stay as they are where one was taken."""
        first, end = chunk.first_record, chunk.first_record + chunk.records
        is_whole = all(begin >= end for begin in self._journal.files_after(first))
        if first >= self._journal.next_record and is_whole:
            self._keep(chunk)

    def _keep(self, chunk: Chunk[P]) -> None:
        self._kept[chunk.first_record] = chunk
        self._kept_bytes += chunk.payload_bytes

    def peek(self) -> Chunk[P] | None:
        """Return the oldest chunk, its payload perhaps still on disk; None at the end."""
        kept = self._kept.get(self._journal.next_record)
        if kept is not None:
            return kept
        while isinstance(header := self._journal.peek(), Damage):
            self._on_drop("damaged", header.records)
        if header is None:
            return None
        return Chunk(header.records, header.payload_bytes, header.queued_at, b"", header.stored_bytes)

    def take(self, chunk: Chunk[P]) -> bool:
        """Take the chunk that ``peek`` gave, with its payload; False where that is damaged, which was counted."""
        if not self._forget_kept():
            header = self._journal.peek()
            if header is None or isinstance(header, Damage):
                raise SpoolError("the oldest chunk of the queue is gone")
            payload = self._journal.payload(header)
            if payload is None:
                self._on_drop("damaged", chunk.records)
            else:
                chunk.payload = payload
        self._journal.skip(chunk.records, chunk.stored_bytes, chunk.chunks)
        return bool(chunk.payload)

    def drop(self, chunk: Chunk[P]) -> None:
        """Pass over the chunk that ``peek`` gave."""
        self._forget_kept()
        self._journal.skip(chunk.records, chunk.stored_bytes, chunk.chunks)

    def drop_older(self, horizon: float) -> int:
        """Pass over whole files whose chunks are all older; return how many records that is."""
        dropped = 0
        while records := self._journal.skip_older(horizon):
            dropped += records
        for first_record in [number for number in self._kept if number < self._journal.next_record]:
            self._kept_bytes -= self._kept.pop(first_record).payload_bytes
        return dropped

    def settle(self) -> None:
        """Remember that everything taken so far is done with."""
        self._journal.settle()

    def shrink(self) -> None:
        """Give back space that nothing uses."""
        self._journal.shrink()

    def close(self) -> None:
        """Let go of the directory; what was taken and not settled comes again. Twice is safe."""
        self._journal.close()
        self._kept.clear()
        self._kept_bytes = 0

    def _forget_kept(self) -> bool:
        kept = self._kept.pop(self._journal.next_record, None)
        if kept is not None:
            self._kept_bytes -= kept.payload_bytes
        return kept is not None
