"""What a queue is made of: chunks of records, batches of them, and their totals.

Owns the counting. Refuses to decide what comes and goes (see ``spool.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Chunk:
    """Some records that came together, and where they are."""

    records: int
    size_bytes: int
    queued_at: float
    """Seconds since 1970."""
    payload: bytes | None
    """The bytes where they are in memory, be it besides; None where they are on disk alone."""
    chunk_id: int = 0
    """The id on disk; 0 where they are in memory alone."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was taken and not yet released: chunks with their payloads, oldest first."""

    chunks: tuple[Chunk, ...]
    payloads: tuple[bytes, ...]

    @property
    def records(self) -> int:
        """How many records it holds."""
        return sum(chunk.records for chunk in self.chunks)

    @property
    def size_bytes(self) -> int:
        """The payloads' bytes."""
        return sum(map(len, self.payloads))


NOTHING = Batch((), ())


class Totals:
    """How much waits, and where."""

    def __init__(self) -> None:
        self.records = 0
        self.size_bytes = 0
        self.memory_bytes = 0
        """What is in memory alone."""
        self.kept_bytes = 0
        """What is on disk and in memory besides."""

    def count(self, chunks: Iterable[Chunk]) -> None:
        """Add chunks that came."""
        for chunk in chunks:
            self.records += chunk.records
            self.size_bytes += chunk.size_bytes
            if not chunk.chunk_id:
                self.memory_bytes += chunk.size_bytes
            elif chunk.payload is not None:
                self.kept_bytes += chunk.size_bytes

    def uncount(self, chunk: Chunk) -> None:
        """Take off a chunk that went."""
        self.records -= chunk.records
        self.size_bytes -= chunk.size_bytes
        if not chunk.chunk_id:
            self.memory_bytes -= chunk.size_bytes
        elif chunk.payload is not None:
            self.kept_bytes -= chunk.size_bytes
