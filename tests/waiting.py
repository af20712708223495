"""Waiting for an event instead of sleeping: the one way in which tests do it."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], what: str = "what was waited for", *, seconds: float = 30.0) -> None:
    """Return once the condition holds; fail, saying that ``what`` did not come about, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.01)
