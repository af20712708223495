"""Threads that ended by a mistake in the program, which nobody would notice otherwise.

Owns taking note of them while the program runs. Refuses to decide what follows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class ThreadDeaths:
    """Logs each thread that an exception ends, and tells it to ``on_death``, between ``watch`` and ``close``."""

    def __init__(self, on_death: Callable[[BaseException], None]) -> None:
        self._on_death = on_death
        self._before: Callable[[threading.ExceptHookArgs], object] | None = None
        self.reasons: dict[str, str] = {}
        """The thread's name, and what became of it."""

    def watch(self) -> None:
        """Begin to watch every thread of the process."""
        self._before = threading.excepthook
        threading.excepthook = self._note

    def close(self) -> None:
        """Leave threads to who watched before. Twice is safe."""
        if self._before is not None:
            threading.excepthook, self._before = self._before, None

    def _note(self, args: threading.ExceptHookArgs) -> None:
        name = "a thread" if args.thread is None else args.thread.name
        error = args.exc_value if args.exc_value is not None else args.exc_type()
        logger.error("%s: ended by a programming error", name, exc_info=error)
        self.reasons[name] = "its thread was ended by a programming error; see the log"
        self._on_death(error)
