"""What a queue is made of: chunks of records, batches of them, and their totals.

Owns the counting. Refuses to decide what comes and goes (see ``spool.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Payload(Protocol):
    """What a queue keeps: ``len`` is its size in memory, ``bytes`` the form for the disk. ``bytes`` itself is one."""

    def __len__(self) -> int: ...

    def __bytes__(self) -> bytes: ...


P = TypeVar("P", bound=Payload)


@dataclass(slots=True)
class Chunk(Generic[P]):
    """Some records that came together, and where they are."""

    records: int
    payload_bytes: int
    """What it has in memory, by its own account."""
    queued_at: float
    """Seconds since 1970."""
    payload: P | bytes | None
    """The records where they are in memory, be it besides, or their form for the disk; None where they are on disk
    alone."""
    chunk_id: int = 0
    """The id on disk; 0 where they are in memory alone."""
    stored_bytes: int = 0
    """What it takes on disk; 0 where it is in memory alone."""

    @property
    def size_bytes(self) -> int:
        """What it takes where it waits."""
        return self.stored_bytes if self.chunk_id else self.payload_bytes


@dataclass(frozen=True, slots=True)
class Batch(Generic[P]):
    """What was taken and not yet released: chunks with their payloads, oldest first."""

    chunks: tuple[Chunk[P], ...] = ()
    payloads: tuple[P | bytes, ...] = ()

    def __iter__(self) -> Iterator[tuple[Chunk[P], P | bytes]]:
        return zip(self.chunks, self.payloads, strict=True)

    @property
    def records(self) -> int:
        """How many records it holds."""
        return sum(chunk.records for chunk in self.chunks)


class Totals:
    """How much waits, and where."""

    def __init__(self) -> None:
        self.records = 0
        self.size_bytes = 0
        self.memory_bytes = 0
        """What is in memory alone."""
        self.kept_bytes = 0
        """What is on disk and in memory besides."""

    def count(self, chunks: Iterable[Chunk[P]]) -> None:
        """Add chunks that came."""
        for chunk in chunks:
            self.records += chunk.records
            self.size_bytes += chunk.size_bytes
            if not chunk.chunk_id:
                self.memory_bytes += chunk.size_bytes
            elif chunk.payload is not None:
                self.kept_bytes += chunk.payload_bytes

    def uncount(self, chunk: Chunk[P]) -> None:
        """Take off a chunk that went."""
        self.records -= chunk.records
        self.size_bytes -= chunk.size_bytes
        if not chunk.chunk_id:
            self.memory_bytes -= chunk.size_bytes
        elif chunk.payload is not None:
            self.kept_bytes -= chunk.payload_bytes
