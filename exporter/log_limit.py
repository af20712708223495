"""How often a log line about the same thing is worth writing.

Owns the pause between two lines of one kind, for what strangers can cause:
each occurrence is counted by a metric, and a line a minute says what it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

PAUSE_SECONDS = 60.0


class LogLimit:
    """Permits one line per key and minute. Keys come from a closed set, so that nothing grows."""

    def __init__(self, pause_seconds: float = PAUSE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._written_at: dict[Hashable, float] = {}

    def permits(self, key: Hashable) -> bool:
        """Tell whether a line of this kind may be written now; the caller then writes it."""
        now = self._clock()
        written_at = self._written_at.get(key)
        if written_at is not None and now - written_at < self._pause_seconds:
            return False
        self._written_at[key] = now
        return True
