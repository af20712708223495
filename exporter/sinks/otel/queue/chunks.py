"""What a queue is made of: chunks of records, and lines of them with their totals.

Owns the counting. Refuses to decide what comes and goes (see ``spool.py``).
"""

from __future__ import annotations

from collections import deque
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
    payload: P | bytes
    """The records, or their form for the disk where they were read from there; empty bytes until then."""
    stored_bytes: int = 0
    """What it takes on disk; 0 where it is in memory only."""
    chunks: int = 1
    """How many it is on disk."""
    first_record: int = 0
    """The number of its first record on disk."""

    @property
    def size_bytes(self) -> int:
        """What it takes where it waits."""
        return self.stored_bytes or self.payload_bytes


class Line(Generic[P]):
    """Chunks in order, oldest first, with their totals."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk[P]] = deque()
        self.records = 0
        self.size_bytes = 0

    def __iter__(self) -> Iterator[Chunk[P]]:
        return iter(self._chunks)

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def oldest(self) -> Chunk[P] | None:
        """The first chunk; None in an empty line."""
        return self._chunks[0] if self._chunks else None

    def append(self, chunk: Chunk[P]) -> None:
        """Add a chunk at the end."""
        self._chunks.append(chunk)
        self.records += chunk.records
        self.size_bytes += chunk.size_bytes

    def pop(self) -> Chunk[P]:
        """Take the oldest chunk."""
        chunk = self._chunks.popleft()
        self.records -= chunk.records
        self.size_bytes -= chunk.size_bytes
        return chunk

    def put_back(self, chunks: Iterable[Chunk[P]]) -> None:
        """Let chunks be the oldest, in their order."""
        for chunk in reversed(list(chunks)):
            self._chunks.appendleft(chunk)
            self.records += chunk.records
            self.size_bytes += chunk.size_bytes

    def clear(self) -> None:
        """Forget every chunk."""
        self._chunks.clear()
        self.records = self.size_bytes = 0
