"""How much work alerts that are unlike every recent one may cost.

Owns the account: CPU time that comes in at a fixed share of the time that
passes. Falco waits for the answer to each alert, with all its outputs, so that
without a bound whoever makes many unlike alerts slows all of them down.
Refuses to know what the work is, and to decide what becomes of an alert
without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.3
"""Of a core."""
CAPACITY_SECONDS = 1.0
"""What comes in while nothing is spent: some thousand unlike alerts in a row are worked on as any other."""


class Allowance:
    """CPU time to spend. Used by any thread; what two spend at the same moment may be counted once."""

    def __init__(
        self,
        share: float = SHARE,
        capacity_seconds: float = CAPACITY_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._share = share
        self._capacity = self._left = capacity_seconds
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._looked_at = clock()

    def permits(self) -> bool:
        """Whether there is something left; what was begun may then spend more than that."""
        now = self._clock()
        self._left = min(self._capacity, self._left + (now - self._looked_at) * self._share)
        self._looked_at = now
        return self._left > 0

    def begin(self) -> float:
        """Return what ``end`` wants once the work is done."""
        return self._cpu_clock()

    def end(self, begun: float) -> None:
        """Spend the CPU time that this thread has used since."""
        self._left -= self._cpu_clock() - begun
