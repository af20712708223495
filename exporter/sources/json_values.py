"""JSON values as Falco writes the same values in text, which is what its gRPC form has.

Owns Falco's text notation and its times. Values come from attackers; their
nesting was limited before (``json_document.check_nesting``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from exporter.alert import Fields
from exporter.sources.json_document import Number

_SECOND_NS = 1_000_000_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-]\d\d):?(\d\d))", re.ASCII)
_TIME_LIMIT_NS = 10**19
_MISSING = object()
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def parse_rfc3339(text: str) -> int | None:
    """Return nanoseconds since 1970 UTC; None where the text is no RFC 3339 time."""
    if len(text) == 30 and text[19] == "." and text[29] == "Z":
        # As Falco writes it. Alerts come in bursts: most share their second with the one before.
        fraction = text[20:29]
        if fraction.isascii() and fraction.isdigit():
            seconds = utc_seconds(text[:19])
            return None if seconds is None else seconds * _SECOND_NS + int(fraction)
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, hours, minutes = match.groups()
    seconds = _to_seconds(f"{day}T{clock}{hours or '+00'}:{minutes or '00'}")
    return None if seconds is None else seconds * _SECOND_NS + int((fraction or "").ljust(9, "0"))


@lru_cache(maxsize=64)
def utc_seconds(moment: str) -> int | None:
    """Return seconds since 1970 of ``2024-10-05T18:29:39``, UTC; None where it is no time."""
    match = _RFC3339.fullmatch(moment + "Z")
    return None if match is None else _to_seconds(f"{match[1]}T{match[2]}+00:00")


def _to_seconds(moment: str) -> int | None:
    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except ValueError:
        return None


def to_falco_text(value: object) -> str:
    """Write a JSON value as Falco writes it in text."""
    if type(value) is int:
        return str(value)
    if value is None:
        return "<NA>"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list):
        return "(" + ",".join([to_falco_text(item) for item in value]) + ")"
    return _compact(value)


def _compact(value: object) -> str:
    """Write a value inside an object: JSON without spaces, numbers with their own digits."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quoted(name)}:{_compact(item)}" for name, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return _quoted(value)


@lru_cache(maxsize=64)
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@lru_cache(maxsize=64)
def _clock(seconds: int) -> str:
    return f"{_moment(seconds):%H:%M:%S}"


TIME_TEXTS: Mapping[str, Callable[[int, int], str]] = {
    "evt.time": lambda seconds, ns: f"{_clock(seconds)}.{ns:09d}",
    "evt.time.s": lambda seconds, _: _clock(seconds),
    "evt.time.iso8601": lambda seconds, ns: f"{_moment(seconds):%Y-%m-%dT%H:%M:%S}.{ns:09d}+0000",
    "evt.datetime": lambda seconds, ns: f"{_moment(seconds):%Y-%m-%d %H:%M:%S}.{ns:09d}",
    "evt.datetime.s": lambda seconds, _: f"{_moment(seconds):%Y-%m-%d %H:%M:%S}",
}
"""Time fields that Falco writes as text by gRPC, but as nanoseconds since 1970 in JSON."""


def to_time_text(name: str, value: object) -> str:
    """Write nanoseconds as the text that Falco's gRPC form has; anything else as any other field."""
    if type(value) is int and 0 <= value < _TIME_LIMIT_NS:
        return TIME_TEXTS[name](*divmod(value, _SECOND_NS))
    text = to_falco_text(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return text
    seconds, nanoseconds = divmod(int(text), _SECOND_NS)
    return TIME_TEXTS[name](seconds, nanoseconds)


class JsonFields(Fields):
    """Output fields as JSON has them; each becomes Falco's text when somebody asks for it."""

    __slots__ = ("_is_text", "_values")

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values
        self._is_text = False

    def to_dict(self) -> dict[str, str]:
        """Return every field, in the document's order."""
        values: dict[str, str] = self._values  # type: ignore[assignment] # true after the loop
        if not self._is_text:
            for name, value in self._values.items():
                kind = type(value)
                if kind is str:
                    continue
                if value is None:
                    values[name] = "<NA>"
                elif kind is int and name not in TIME_TEXTS:
                    values[name] = str(value)
                else:
                    values[name] = to_text(name, value)
            self._is_text = True
        return values

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return one field's value; writes none of the others."""
        value = self._values.get(name, _MISSING)
        if type(value) is str:
            return value
        return default if value is _MISSING else to_text(name, value)

    def __len__(self) -> int:
        return len(self._values)


def to_text(name: str, value: object) -> str:
    """Write a field's value as Falco writes it in text."""
    return to_time_text(name, value) if name in TIME_TEXTS else to_falco_text(value)
