"""What is worked out once and kept: a dictionary with a bound in entries and in bytes.

Owns the bound. Values and names come from anyone who can cause an alert, so that
nothing may be kept without one. When it is reached, everything goes: what is
wanted again comes back at once, and no entry pays for an order.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

NAMES_CHARACTERS = 1_024
"""Of names together, beyond which they are not Falco's: nothing is kept for them."""

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T", str, bytes)


class Kept(dict[K, V]):
    """Read it as a dictionary; add with ``keep``."""

    __slots__ = ("_entry_bytes", "_limit_bytes", "_limit_entries", "size_bytes")

    def __init__(
        self, limit_entries: int, limit_bytes: int = 16 * 1024 * 1024, *, entry_bytes: int | None = None
    ) -> None:
        """Keep so many entries and bytes at most; one entry may have ``entry_bytes``, or as many as all."""
        super().__init__()
        self._limit_entries = limit_entries
        self._limit_bytes = limit_bytes
        self._entry_bytes = limit_bytes if entry_bytes is None else entry_bytes
        self.size_bytes = 0
        """What the entries were said to have."""

    def keep(self, key: K, value: V, size_bytes: int = 0) -> V:
        """Add an entry of so many bytes and return its value; one that is larger than one may be is not kept."""
        if size_bytes > self._entry_bytes:
            return value
        if len(self) >= self._limit_entries or self.size_bytes + size_bytes > self._limit_bytes:
            self.clear()
            self.size_bytes = 0
        self[key] = value
        self.size_bytes += size_bytes
        return value


class Bound(Generic[K, V]):
    """One bound for many dictionaries, which are read as what they are and emptied together. Safe from any thread.

    For what is looked up by less than all that it depends on: a key that names the rest as well costs more.
    """

    def __init__(self, limit_entries: int, limit_bytes: int) -> None:
        self._limit_entries = limit_entries
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._filled: list[dict[K, V]] = []
        self._entries = self._size_bytes = 0

    def __len__(self) -> int:
        return self._entries

    def keep(self, into: dict[K, V], key: K, value: V, size_bytes: int) -> None:
        """Add an entry, which ``into`` does not have, to one of the dictionaries."""
        with self._lock:
            if self._entries >= self._limit_entries or self._size_bytes + size_bytes > self._limit_bytes:
                for filled in self._filled:
                    filled.clear()
                self._filled.clear()
                self._entries = self._size_bytes = 0
            if not into:
                self._filled.append(into)
            into[key] = value
            self._entries += 1
            self._size_bytes += size_bytes


class Made(Kept[T, V]):
    """What a function makes of texts: read it with ``[]``, which makes what is missing. The function must be pure."""

    __slots__ = ("_limit_length", "_make")

    def __init__(self, make: Callable[[T], V], limit_entries: int, limit_length: int) -> None:
        """Keep nothing for a text that is longer than the limit, so that all have so many bytes at most."""
        super().__init__(limit_entries)
        self._make: Callable[[T], V] = make
        self._limit_length = limit_length

    def __missing__(self, text: T) -> V:
        value = self._make(text)
        return self.keep(text, value) if len(text) <= self._limit_length else value


class ByLength(dict[int, V]):
    """What depends on a length only: read it with ``[]``, which makes what is missing and keeps it below a limit."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    @abstractmethod
    def make(self, length: int) -> V:
        """Return what belongs to the length."""

    def __missing__(self, length: int) -> V:
        value = self.make(length)
        if length < self._limit:
            self[length] = value
        return value


class Recent(Generic[K, V]):
    """What was asked for not long ago; an entry that is asked for again stays, also in a flood of others.

    What is full becomes the older half, and what is asked for again comes over from there. Safe from any thread: at
    worst an entry is lost, and made anew.
    """

    __slots__ = ("_limit_bytes", "_limit_entries", "_older", "_recent", "_size")

    def __init__(
        self, limit_entries: int, limit_bytes: int = 1024 * 1024, *, size: Callable[[V], int] = lambda _: 0
    ) -> None:
        """Keep at most twice the limits; ``size`` says how many bytes a value has."""
        self._limit_entries = limit_entries
        self._limit_bytes = limit_bytes
        self._size = size
        self._recent: Kept[K, V] = Kept(limit_entries, limit_bytes)
        self._older: Kept[K, V] = self._recent

    def __len__(self) -> int:
        return len(self._recent.keys() | self._older.keys())

    def get(self, key: K) -> V | None:
        """Return what is kept for the key, or None."""
        value = self._recent.get(key)
        if value is None and (value := self._older.get(key)) is not None:
            self.keep(key, value)
        return value

    def keep(self, key: K, value: V) -> V:
        """Keep the value, which is not None, and return it."""
        recent, size = self._recent, self._size(value)
        if len(recent) >= self._limit_entries or recent.size_bytes + size > self._limit_bytes:
            self._older = recent
            self._recent = recent = Kept(self._limit_entries, self._limit_bytes)
        return recent.keep(key, value, size)


class PerObject(Generic[K, V]):
    """What a function gives for recent objects, found by the very object and not by its value.

    For what would cost more to hash than a look: most parts of a report are the same objects as in another one. In a
    flood of parts that come once those that come again stay (``Recent``). The function must be pure.
    """

    __slots__ = ("_kept", "_make")

    def __init__(
        self,
        make: Callable[[K], V],
        limit_entries: int,
        limit_bytes: int = 1024 * 1024,
        *,
        size: Callable[[V], int] = lambda _: 0,
        size_of_object: Callable[[K], int] = lambda _: 0,
    ) -> None:
        """Keep at most twice the limits; ``size`` says how many bytes a value has, ``size_of_object`` its object."""
        self._make = make
        self._kept: Recent[int, tuple[K, V]] = Recent(
            limit_entries, limit_bytes, size=lambda known: size_of_object(known[0]) + size(known[1])
        )

    def __call__(self, of: K) -> V:
        """Return what the function gives for the object."""
        # The object is kept beside the value, so that its id is never another's.
        known = self._kept.get(id(of))
        if known is None or known[0] is not of:
            known = self._kept.keep(id(of), (of, self._make(of)))
        return known[1]
