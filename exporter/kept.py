"""What is worked out once and kept: a dictionary with a bound in entries and in bytes.

Owns the bound. Values and names come from anyone who can cause an alert, so that
nothing may be kept without one. When it is reached, everything goes: what is
wanted again comes back at once, and no entry pays for an order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(dict[K, V]):
    """Read it as a dictionary; add with ``keep``."""

    __slots__ = ("_limit_bytes", "_limit_entries", "size_bytes")

    def __init__(self, limit_entries: int, limit_bytes: int = 16 * 1024 * 1024) -> None:
        super().__init__()
        self._limit_entries = limit_entries
        self._limit_bytes = limit_bytes
        self.size_bytes = 0
        """What the entries were said to have."""

    def keep(self, key: K, value: V, size_bytes: int = 0) -> V:
        """Add an entry of so many bytes and return its value; one that is larger than all may be is not kept."""
        if size_bytes > self._limit_bytes:
            return value
        if len(self) >= self._limit_entries or self.size_bytes + size_bytes > self._limit_bytes:
            self.clear()
            self.size_bytes = 0
        self[key] = value
        self.size_bytes += size_bytes
        return value


class PerObject(Generic[K, V]):
    """What a function gives for recent objects, found by the very object and not by its value.

    For what would cost more to hash than a look: most parts of a report are the same objects as in another one. In a
    flood of parts that come once those that come again stay: what is full becomes the older half, and what is asked
    for again comes over from there. The function must be pure.
    """

    __slots__ = ("_limit_bytes", "_limit_entries", "_make", "_older", "_recent", "_size")

    def __init__(
        self,
        make: Callable[[K], V],
        limit_entries: int,
        limit_bytes: int = 1024 * 1024,
        *,
        size: Callable[[V], int] = lambda _: 0,
    ) -> None:
        """Keep at most twice the limits; ``size`` says how many bytes a value has."""
        self._make = make
        self._limit_entries = limit_entries
        self._limit_bytes = limit_bytes
        self._size = size
        self._recent: Kept[int, tuple[K, V]] = Kept(limit_entries, limit_bytes)
        self._older: Kept[int, tuple[K, V]] = self._recent

    def __call__(self, of: K) -> V:
        """Return what the function gives for the object."""
        # The object is kept beside the value, so that its id is never another's.
        known = self._recent.get(id(of))
        if known is not None and known[0] is of:
            return known[1]
        return self._find(of)

    def _find(self, of: K) -> V:
        known = self._older.get(id(of))
        if known is None or known[0] is not of:
            known = (of, self._make(of))
        recent, size = self._recent, self._size(known[1])
        if len(recent) >= self._limit_entries or recent.size_bytes + size > self._limit_bytes:
            self._older = recent
            self._recent = recent = Kept(self._limit_entries, self._limit_bytes)
        recent.keep(id(of), known, size)
        return known[1]
