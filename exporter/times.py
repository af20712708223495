"""Times and spans of time as people write them: ``7d``, ``2026-03-01T12:00``, RFC 3339.

Owns the notation. A time without a zone is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGO = re.compile(r"([0-9]{1,6})\s*(m|h|d|w)\Z", re.ASCII)
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NANOSECONDS = 1_000_000_000
EXPECTED = "a time such as 2026-03-01T12:00 (UTC), or how long ago: 90m, 24h, 7d, 2w"
_MINUTES_FROM_SECONDS = 120
_HOURS_FROM_SECONDS = 7_200


def span(seconds: float) -> str:
    """Return a span of time in whole seconds, minutes or hours: ``90 s``, ``12 min``, ``5 h``."""
    whole = max(0, round(seconds))
    if whole < _MINUTES_FROM_SECONDS:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < _HOURS_FROM_SECONDS else f"{whole // 3600} h"


def time_from_text(text: str, now_ns: int) -> int:
    """Return the time meant, nanoseconds since 1970; ``7d`` is seven days before ``now_ns``.

    Raises ValueError, saying what was expected, for anything else and for times outside 1970 to 2262.
    """
    text = text.strip()
    if ago := _AGO.match(text):
        return max(1, now_ns - int(ago[1]) * _SECONDS[ago[2]] * _NANOSECONDS)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None:
        known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = int(known.timestamp())
        if 0 < seconds < 2**63 // _NANOSECONDS:
            return seconds * _NANOSECONDS + known.microsecond * 1_000
    raise ValueError(f"found {text[:60]!r}, expected {EXPECTED}")
