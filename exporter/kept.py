"""What is worked out once and kept: a dictionary with a bound in entries and in bytes.

Owns the bound. Values and names come from anyone who can cause an alert, so that
nothing may be kept without one. When it is reached, everything goes: what is
wanted again comes back at once, and no entry pays for an order.
"""

from __future__ import annotations

from typing import TypeVar

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
