"""How much time alerts that are unlike every recent one may take.

Owns the account: a fixed share of the time that passes comes in, and what the
work takes goes out. Falco waits for the answer to each alert, with all its
outputs, so that without a bound whoever makes many unlike alerts slows all of
them down. Time is the wall clock's: on a busy machine, or under a CPU limit,
work takes longer and Falco waits longer. Refuses to know what the work is, and
to decide what becomes of an alert without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.5
"""Of the time that passes."""
CAPACITY_SECONDS = 1.0
"""What is there after a rest: some thousand unlike alerts in a row are worked on as any other."""


class Allowance:
    """Time to spend. Used by any thread; what two spend at the same moment may be counted once."""

    def __init__(
        self,
        share: float = SHARE,
        capacity_seconds: float = CAPACITY_SECONDS,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._share = share
        self._capacity = self._left = capacity_seconds
        self._clock = clock
        self._looked_at = clock()

    def permits(self) -> bool:
        """Whether there is something left; what is begun now may spend more than that."""
        now = self._clock()
        self._left = min(self._capacity, self._left + (now - self._looked_at) * self._share)
        self._looked_at = now
        return self._left > 0

    def begin(self) -> float:
        """Return what ``end`` wants once the work is done."""
        return self._clock()

    def end(self, begun: float) -> None:
        """Spend the time since then."""
        self._left -= self._clock() - begun
