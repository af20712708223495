"""Which addresses many people come from.

Owns the table of who came from where. An address that is a company's way out
tells its people from nobody: it ties nothing any more.
"""

from __future__ import annotations

from exporter.incidents.tie import Key

SHARED_FROM = 3
"""As many principals make an address one that many people come from."""
ADDRESSES_LIMIT = 20_000


class _Seen:
    __slots__ = ("has_benign", "principals")

    def __init__(self) -> None:
        self.principals: set[Key] = set()
        self.has_benign = False

    @property
    def is_shared(self) -> bool:
        return len(self.principals) >= SHARED_FROM or (self.has_benign and len(self.principals) > 1)


class Addresses:
    """Who came from which address."""

    def __init__(self, limit: int = ADDRESSES_LIMIT) -> None:
        self._limit = limit
        self._seen: dict[str, _Seen] = {}
        self.knows_all = True
        """Whether no address was forgotten yet."""

    def note(self, address: str, principal: Key, *, benign: bool) -> bool:
        """Learn that the principal came from there; return whether that made it a shared address."""
        seen = self._seen.get(address)
        if seen is None:
            if len(self._seen) >= self._limit:
                del self._seen[next(iter(self._seen))]
                self.knows_all = False
            seen = self._seen[address] = _Seen()
        was = seen.is_shared
        if len(seen.principals) < SHARED_FROM:
            seen.principals.add(principal)
        seen.has_benign = seen.has_benign or benign
        return seen.is_shared and not was

    def is_shared(self, address: str) -> bool:
        """Whether three principals came from there, or two of whom one did benign work."""
        seen = self._seen.get(address)
        return seen is not None and seen.is_shared
