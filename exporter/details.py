"""The facts of an alert for a reader: each field's name, and its value as a person reads it.

Owns which numbers are times, durations or devices; the names are those of
``event_sources.py``. Refuses to escape and to leave anything out: a field
without a name of its own stands under Falco's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from exporter.alert import Alert
from exporter.derived import DERIVED, fd_label, to_duration
from exporter.event_sources import fields, host_label
from exporter.shown import mode

NAMES: tuple[tuple[str, str], ...] = tuple((field.label, field.name) for field in fields() if field.label)
"""What a reader calls a field, in the order of reading; the fields of one event source stand together."""

_RANKS = {field: rank for rank, (_, field) in enumerate(NAMES)}
_NANOSECONDS = 1_000_000_000
_TIME = re.compile(r"[cm]time\Z|(?:\A|[._])(?:start_)?ts\Z|\.pidns_init_start_ts\Z")
_DURATION = re.compile(r"duration|\Aproc\.pid\.time\Z|\.latency\Z")
_NOT_NANOSECONDS = re.compile(r"\.(?:human|s|ns)\Z")


def details(alert: Alert) -> tuple[tuple[str, str], ...]:
    """Return the alert's facts, label and value: the host, then named facts in order of reading, then the others."""
    named = []
    others = []
    for field in alert.all_fields():
        value = alert.get(field)
        if value is None or field == "evt.time":
            continue
        shown = readable(alert, field, value)
        rank = _RANKS.get(field)
        if rank is None:
            others.append((field, shown))
        else:
            named.append((rank, shown))
    if alert.has_no_login:
        named.append((_RANKS["user.loginuid"], "none: no login session is attached"))
    named.sort()
    others.sort()
    host = [(host_label(alert.source), alert.hostname)] if alert.hostname else []
    return (*host, *[(_label(rank, alert), value) for rank, value in named], *others)


def readable(alert: Alert, field: str, value: str) -> str:
    """Return the field's value as a person reads it, Falco's own beside it: times, durations and devices by name."""
    if reader := _READERS.get(field):
        return reader(alert, value)
    if not value.isascii() or not value.isdigit() or len(value) > 19 or _NOT_NANOSECONDS.search(field):
        return value
    if _DURATION.search(field):
        return f"{to_duration(int(value))} ({value} ns)"
    return _time(alert, int(value)) if _TIME.search(field) and len(value) == 19 else value


def _time(alert: Alert, time_ns: int) -> str:
    """A time with how long before the alert it was, since the difference is what tells something."""
    seconds, nanoseconds = divmod(time_ns, _NANOSECONDS)
    shown = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{nanoseconds // 1_000_000:03d} UTC"
    difference = alert.time_ns - time_ns
    return f"{shown}, {to_duration(abs(difference))} {'before' if difference >= 0 else 'after'} the alert ({time_ns})"


def _terminal(alert: Alert, value: str) -> str:
    name = DERIVED["alert.terminal"](alert)
    return f"{name} ({value})" if name else f"none ({value})" if value == "0" else value


def _mode(_: Alert, value: str) -> str:
    octal = mode(value)
    return value if octal == value else f"{octal}: {value}"


_READERS: Mapping[str, Callable[[Alert, str], str]] = {"proc.tty": _terminal, "evt.arg.mode": _mode}


def _label(rank: int, alert: Alert) -> str:
    return fd_label(alert) if rank == _RANKS["fd.name"] else NAMES[rank][0]
