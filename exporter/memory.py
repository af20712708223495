"""How this process uses memory: what the C library keeps, and how often garbage is looked for."""

from __future__ import annotations

import contextlib
import ctypes
import gc

COLLECTION_THRESHOLD = 50_000
"""Allocations between two looks of the garbage collector; an alert makes no cycles, a catalog few."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_MEMORY_BYTES = 16 * 1024 * 1024
_ARENAS = 2


def tune_memory() -> None:
    """Look for garbage seldom, and let glibc keep the memory of large buffers, a few MiB, after each use.

    A look goes through everything that is in memory, so that the usual 700 allocations between two of them make
    reading a large catalog cost more than in proportion to it. A request to a collector has megabytes; memory
    that is new each time costs a page fault for every 4 KiB, which is more than sending them
    (docs/performance.md). Fewer arenas, because each of grpc's threads would otherwise keep its own; where the C
    library is another, only the first is done.
    """
    gc.set_threshold(COLLECTION_THRESHOLD, 20, 20)
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_MEMORY_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_MEMORY_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)
