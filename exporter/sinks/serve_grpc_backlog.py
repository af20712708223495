"""What waits for those who read our gRPC server.

Owns the bounds, in alerts and in bytes: a reader who does not read costs
no more than the limit, whatever the size of the alerts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

PIECE_MESSAGES = 64
"""Messages that leave a subscriber's backlog at once; they are not counted while they are sent."""


class Backlog:
    """Messages that wait, the oldest first."""

    def __init__(self, limit_messages: int, limit_bytes: int) -> None:
        self._limit_messages = limit_messages
        self._limit_bytes = limit_bytes
        self._waiting: deque[bytes] = deque()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_over(self) -> bool:
        """Whether more waits than may."""
        return len(self._waiting) > self._limit_messages or self._size_bytes > self._limit_bytes

    def extend(self, messages: Sequence[bytes]) -> None:
        """Put messages at the end, whatever the limit."""
        self._waiting.extend(messages)
        self._size_bytes += sum(map(len, messages))

    def drop_oldest(self) -> int:
        """Drop until no more waits than may; returns how many went."""
        before = len(self._waiting)
        while self.is_over:
            self._size_bytes -= len(self._waiting.popleft())
        return before - len(self._waiting)

    def take(self, limit: int | None = None) -> list[bytes]:
        """Return the oldest messages, all of them or as many as the limit says."""
        count = len(self._waiting) if limit is None else min(limit, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(count)]
        self._size_bytes -= sum(map(len, taken))
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._size_bytes = 0


class Subscriber:
    """One reader's backlog; ``cut_off`` is called, once, when more waits than may."""

    def __init__(self, backlog: Backlog, cut_off: Callable[[], object]) -> None:
        self._backlog = backlog
        self._cut_off = cut_off
        self._changed = threading.Condition()
        self.overrun = False
        """Whether more came than the reader took."""
        self.ended = False

    def put(self, messages: Sequence[bytes]) -> None:
        """Queue the messages; above the limit nothing more is kept, and the reader is cut off."""
        with self._changed:
            if self.overrun:
                return
            self._backlog.extend(messages)
            if self._backlog.is_over:
                self.overrun = True
                self._backlog.clear()
            self._changed.notify()
        if self.overrun:
            self._cut_off()

    def end(self) -> None:
        """No more requests will come, or the server stops."""
        with self._changed:
            self.ended = True
            self._changed.notify()

    def take(self, wait_seconds: float) -> list[bytes]:
        """Return the next that waits, after waiting for it if need be."""
        with self._changed:
            if not self._backlog and not self.ended and not self.overrun:
                self._changed.wait(wait_seconds)
            return self._backlog.take(PIECE_MESSAGES)
