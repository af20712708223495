"""Messages that differ from an earlier one in nothing but their time: what they say besides is not read again.

Owns where Falco writes an alert's time: before the output text, as ``evt.time``, and as ``time``, in this order. That
a message means the same with other digits there is not taken for granted: it is read twice with other digits, and kept
only where nothing but the time became another. Refuses to read JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal

from exporter.alert import TIME_LIMIT_NS, Alert, Fields
from exporter.errors import DecodeError
from exporter.kept import Kept
from exporter.likeness import LIKENESS_BYTES, LIKENESSES
from exporter.sources.alike import CLOCK_LENGTH, Said
from exporter.sources.json_values import to_time_text, utc_seconds

_OUTPUT, _EVT_TIME, _TIME = b'"output":"', b'"evt.time":', b'"time":"'
_OTHERS = (
    (b"01:02:03.040506070", b"1234567890123456789", b"2001-02-03T04:05:06.070809010Z"),
    (b"23:12:14.151617181", b"2019181716151413121", b"2034-11-12T13:14:15.161718192Z"),
)
"""Times with nothing in common, since a message may have those of one of them elsewhere, too."""
_EVT_TIME_LENGTH, _TIME_LENGTH = 19, 30
_LAST_WORDS = slice(-110, -40)
"""Of a message: its source and tags, before the time."""
_is_times = re.compile(
    rb"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}[1-9][0-9]{18}[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z"
).fullmatch
_SECOND_NS = 1_000_000_000
_KEPT_BYTES = 2 * 1024 * 1024


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


_Pieces = tuple[bytes, bytes, bytes, bytes]
"""A message without its times: what stands before, between and behind them."""
_Places = tuple[int, int, int, int, int, int]
"""Where the clock, ``evt.time`` and ``time`` begin and end in a message, bytes from its start."""


def _places_of(message: bytes) -> _Places | None:
    """Return where the times are in a message; None where they are not as Falco writes them."""
    clock_at = message.find(_OUTPUT) + len(_OUTPUT)
    clock_end = clock_at + CLOCK_LENGTH
    evt_time_at = message.find(_EVT_TIME, clock_end) + len(_EVT_TIME)
    evt_time_end = evt_time_at + _EVT_TIME_LENGTH
    time_at = message.rfind(_TIME, evt_time_end) + len(_TIME)
    # What is not found is found at -1.
    if clock_at < len(_OUTPUT) or evt_time_at < clock_end or time_at < evt_time_end:
        return None
    return clock_at, clock_end, evt_time_at, evt_time_end, time_at, time_at + _TIME_LENGTH


def _pieces_of(message: bytes, places: _Places) -> _Pieces:
    """Return a message without its times."""
    clock_at, clock_end, evt_time_at, evt_time_end, time_at, time_end = places
    return message[:clock_at], message[clock_end:evt_time_at], message[evt_time_end:time_at], message[time_end:]


def _alert_at(message: bytes, places: _Places, said: Said) -> Alert | None:
    """Return the alert of a message that says this with other times in these places; None where these are none."""
    clock_at, clock_end, evt_time_at, evt_time_end, time_at, time_end = places
    times = message[clock_at:clock_end] + message[evt_time_at:evt_time_end] + message[time_at:time_end]
    if _is_times(times) is None:
        return None
    seconds = utc_seconds(times[37:56].decode())
    if seconds is None:
        return None
    time_ns = seconds * _SECOND_NS + int(times[57:66])
    if not 0 < time_ns < TIME_LIMIT_NS:
        return None
    return said.at(time_ns, times[:18], _LikeFields(said.fields, times[18:37]), message)


class AlikeMessages:
    """Reads alerts; those that differ from an earlier one in nothing but their time, quickly. Safe from any thread."""

    def __init__(self, read: Callable[[bytes], Alert]) -> None:
        """``read`` reads any message; it raises DecodeError."""
        self._read = read
        self._kept: Kept[_Pieces, Said | Literal[False]] = Kept(LIKENESSES, _KEPT_BYTES)
        """What came again, by its message without the times; False where other times make another alert of it."""
        self._latest: Kept[tuple[int, bytes], tuple[_Pieces, _Places, Said]] = Kept(LIKENESSES, _KEPT_BYTES)
        """The latest of those by length and last words: where its times stand need not be looked for."""

    def read(self, message: bytes) -> Alert:
        """Return the message's alert, the same that ``read`` makes of it. Raises DecodeError as it does."""
        words = len(message), message[_LAST_WORDS]
        latest = self._latest.get(words)
        if latest is not None:
            pieces, places, known = latest
            if pieces == _pieces_of(message, places):
                return _alert_at(message, places, known) or self._read(message)
        # What stands before the document is left out of what an alert keeps of its message.
        if len(message) > LIKENESS_BYTES or not message.startswith(b"{"):
            return self._read(message)
        found = _places_of(message)
        if found is None:
            return self._read(message)
        pieces = _pieces_of(message, found)
        kept = self._kept.get(pieces)
        if kept:
            self._latest.keep(words, (pieces, found, kept), 2 * len(message))
            return _alert_at(message, found, kept) or self._read(message)
        alert = self._read(message)
        if kept is None and alert.likeness.comes_again:
            made = Said.of(alert)
            is_same = all(self._comes_with(times, pieces, found, made) for times in _OTHERS)
            self._kept.keep(pieces, is_same and made, 2 * len(message))
        return alert

    def _comes_with(self, times: Sequence[bytes], pieces: _Pieces, places: _Places, known: Said) -> bool:
        """Say whether these pieces with other times in their places are the alert that is made of what is known."""
        message = b"".join(chain.from_iterable(zip(pieces, (*times, b""), strict=True)))
        made = _alert_at(message, places, known)
        try:
            read = self._read(message)
        except DecodeError:
            return False
        return (
            made is not None
            and read.likeness is known.likeness
            and (read.time_ns, read.raw_output) == (made.time_ns, made.raw_output)
            and list(read.all_fields().items()) == list(made.all_fields().items())
        )
