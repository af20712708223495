"""Messages that differ from an earlier one in nothing but their time: what they say besides is not read again.

Owns where Falco writes an alert's time: before the output text, as ``evt.time``, and as ``time``, in this order. That
a message means the same with other digits there is not taken for granted: it is read once with other digits, and kept
only where nothing but the time became another. Refuses to read JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from exporter.alert import TIME_LIMIT_NS, Alert, Fields, make_alert, set_form, set_likeness
from exporter.errors import DecodeError
from exporter.kept import Kept
from exporter.likeness import LIKENESS_BYTES, LIKENESSES
from exporter.sources.json_values import parse_rfc3339, to_time_text

_OUTPUT, _EVT_TIME, _TIME = b'"output":"', b'"evt.time":', b'"time":"'
_DIGITS = b"0123456789"
_OTHER = b"01:02:03.040506070", b"1234567890123456789", b"2001-02-03T04:05:06.070809010Z"
"""Times of an alert that none has: each in its own place."""
_CLOCK_LENGTH, _EVT_TIME_LENGTH, _TIME_LENGTH = map(len, _OTHER)
_KEPT_BYTES = 2 * 1024 * 1024


class _Cut(NamedTuple):
    """A message and where its times begin: ``HH:MM:SS.nnnnnnnnn``, nanoseconds since 1970, and RFC 3339."""

    rest: bytes
    """The message without its times."""
    clock_at: int
    evt_time_at: int
    time_at: int


def _cut(message: bytes) -> _Cut | None:
    """Cut the times out of a message; None where they are not where Falco writes them."""
    clock_at = message.find(_OUTPUT) + len(_OUTPUT)
    clock_end = clock_at + _CLOCK_LENGTH
    evt_time_at = message.find(_EVT_TIME, clock_end) + len(_EVT_TIME)
    evt_time_end = evt_time_at + _EVT_TIME_LENGTH
    time_at = message.rfind(_TIME, evt_time_end) + len(_TIME)
    if clock_at < len(_OUTPUT) or evt_time_at < clock_end or time_at < evt_time_end:
        return None
    rest = (
        message[:clock_at] + message[clock_end:evt_time_at] + message[evt_time_end:time_at]
        + message[time_at + _TIME_LENGTH :]
    )  # fmt: skip
    return _Cut(rest, clock_at, evt_time_at, time_at)


class _LikeFields(Fields):
    """Fields of an alert that is like another: all but ``evt.time`` are that one's."""

    __slots__ = ("_evt_time", "_fields")

    def __init__(self, fields: dict[str, str], evt_time: bytes) -> None:
        self._fields = fields
        self._evt_time = evt_time

    def to_dict(self) -> dict[str, str]:
        """Return every field, in the document's order."""
        return self._fields | {"evt.time": to_time_text("evt.time", int(self._evt_time))}

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return one field's value."""
        return self[name] if name == "evt.time" else self._fields.get(name, default)

    def __len__(self) -> int:
        return len(self._fields)


class AlikeMessages:
    """Reads alerts; those that differ from an earlier one in nothing but their time, quickly. Safe from any thread."""

    def __init__(self, read: Callable[[bytes], Alert]) -> None:
        """``read`` reads any message; it raises DecodeError."""
        self._read = read
        self._kept: Kept[bytes, Alert] = Kept(LIKENESSES, _KEPT_BYTES)
        """An alert of each kind that came again, by its message without the times."""

    def read(self, message: bytes) -> Alert:
        """Return the message's alert, the same that ``read`` makes of it. Raises DecodeError as it does."""
        # What stands before the document is left out of what an alert keeps of its message.
        cut = _cut(message) if len(message) <= LIKENESS_BYTES and message.startswith(b"{") else None
        known = None if cut is None else self._kept.get(cut.rest)
        if cut is None or known is None:
            alert = self._read(message)
            if cut is not None and alert.likeness.comes_again and self._reads_alike(message, cut, alert):
                self._kept.keep(cut.rest, alert, 2 * len(message))
            return alert
        return _like(known, message, cut) or self._read(message)

    def _reads_alike(self, message: bytes, cut: _Cut, alert: Alert) -> bool:
        """Say whether the alert with other times is the one that ``_like`` makes of it."""
        clock, evt_time, time = _OTHER
        other = (
            message[: cut.clock_at] + clock + message[cut.clock_at + len(clock) : cut.evt_time_at] + evt_time
            + message[cut.evt_time_at + len(evt_time) : cut.time_at] + time + message[cut.time_at + len(time) :]
        )  # fmt: skip
        made = _like(alert, other, cut)
        try:
            read = self._read(other)
        except DecodeError:
            return False
        return (
            made is not None
            and read.likeness is alert.likeness
            and (read.time_ns, read.raw_output) == (made.time_ns, made.raw_output)
            and list(read.all_fields().items()) == list(made.all_fields().items())
        )


def _like(known: Alert, message: bytes, cut: _Cut) -> Alert | None:
    """Return an alert like the known one with the times of its own message; None where they are not as Falco's."""
    _, clock_at, evt_time_at, time_at = cut
    clock = message[clock_at : clock_at + _CLOCK_LENGTH]
    evt_time = message[evt_time_at : evt_time_at + _EVT_TIME_LENGTH]
    time = message[time_at : time_at + _TIME_LENGTH]
    if (
        clock[2:9:3] != b"::."
        or len(clock.translate(None, _DIGITS)) != 3
        or not evt_time.isdigit()
        or evt_time[0] == _DIGITS[0]
        or not time.isascii()
    ):
        return None
    time_ns = parse_rfc3339(time.decode())
    if time_ns is None or not 0 < time_ns < TIME_LIMIT_NS:
        return None
    alert = make_alert(
        time_ns,
        known.rule,
        known.priority,
        known.source,
        known.hostname,
        clock.decode() + known.raw_output[_CLOCK_LENGTH:],
        _LikeFields(known.all_fields(), evt_time),
        known.tags,
        message,
    )
    set_form(alert, known.form)
    set_likeness(alert, known.likeness)
    return alert
