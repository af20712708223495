"""Falco's JSON form of an alert becomes an Alert.

Owns what is known about the JSON notation, as Falco's http_output and
file_output and falcosidekick write it. Pure, like ``decode.py``, through which
the rest of the program reaches it. Refuses protobuf.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.alert import TIME_LIMIT_NS, Alert, Priority
from exporter.errors import DecodeError

_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_OUTPUT_MEMBER = '"output":"'
_SURROGATE = re.compile("[\ud800-\udfff]")
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-]\d\d):?(\d\d))", re.ASCII)


def from_json(text: bytes | str) -> Alert:
    """Decode one alert in Falco's JSON form, as http_output, file_output and falcosidekick send it.

    Values of ``output_fields`` become Falco's text notation: a number keeps its
    own digits, ``true``, ``null`` → ``<NA>``, a list → ``(a,b)``, an object →
    compact JSON. Members that Falco can leave out (``output``, ``output_fields``,
    ``tags``, ``hostname``, ``source``) may be missing; unknown ones are ignored.

    Raises DecodeError naming the member, what was expected and what was found.
    """
    document = _to_document(text)
    return Alert(
        _to_time_ns(document.get("time")),
        _to_rule(document.get("rule")),
        _to_priority(document.get("priority")),
        _to_source(_to_string(document, "source")),
        _to_string(document, "hostname"),
        _to_string(document, "output") or _to_string(document, "message"),
        _to_fields(document),
        _to_tags(document),
        text.strip() if isinstance(text, bytes) else b"",
    )


def _to_document(text: bytes | str) -> dict[str, Any]:
    suspect = isinstance(text, str) and not text.isascii()
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        document = _JSON.decode(text)
    except RecursionError as exc:
        raise DecodeError("malformed", "expected one JSON object, found one that is nested too deeply") from exc
    except ValueError as exc:
        raise DecodeError("malformed", f"expected one JSON object, found {_excerpt(text)}: {exc}") from exc
    if not isinstance(document, dict):
        raise DecodeError("malformed", f"expected one JSON object, found {_excerpt(text)}")
    return _clean(document) if suspect or "\\u" in text else document


def output_of_document(output: str) -> str:
    """Return the output text out of the alert's JSON document (Falco with json_output).

    Falco writes the document compactly and ``output`` before ``output_fields``;
    quotes inside strings are escaped, so the first match is the member itself.
    """
    start = output.find(_OUTPUT_MEMBER)
    if start >= 0:
        try:
            text: str = _JSON.raw_decode(output, start + len(_OUTPUT_MEMBER) - 1)[0]
        except ValueError:
            return output
        return _without_surrogates(text)
    try:
        document = _JSON.decode(output)
    except (ValueError, RecursionError):
        return output
    if "rule" not in document:
        return output
    return _without_surrogates(str(document.get("output") or document.get("message") or ""))


def _without_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON's escapes can spell but UTF-8 cannot."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _clean(value: Any) -> Any:
    """Replace lone surrogates everywhere in a parsed document."""
    if isinstance(value, str):
        return _without_surrogates(value)
    if isinstance(value, dict):
        return {_without_surrogates(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _excerpt(value: object) -> str:
    """Show at most 60 characters of what was found, quoted so that it cannot harm a log."""
    if value is None:
        return "nothing"
    shown = ascii(value[:60] if isinstance(value, str) else value)
    return shown if len(shown) <= 60 else shown[:60] + "…"


def _to_rule(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise DecodeError("bad_rule", f"member `rule`: expected the rule's name, found {_excerpt(value)}")


def _to_priority(value: object) -> Priority:
    priority = Priority.from_label(value) if isinstance(value, str) else Priority.UNKNOWN
    if priority is Priority.UNKNOWN:
        raise DecodeError(
            "bad_priority",
            f"member `priority`: expected one of Falco's eight words, Emergency to Debug, found {_excerpt(value)}",
        )
    return priority


def _to_time_ns(value: object) -> int:
    time_ns = _parse_rfc3339(value) if isinstance(value, str) else None
    if time_ns is None or not 0 < time_ns < TIME_LIMIT_NS:
        raise DecodeError(
            "bad_time",
            "member `time`: expected an RFC 3339 time between 1970 and 2262 such as 2024-10-05T18:29:39.273467556Z, "
            f"found {_excerpt(value)}",
        )
    return time_ns


def _parse_rfc3339(text: str) -> int | None:
    """Return nanoseconds since 1970 UTC; None where the text is no RFC 3339 time."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, offset_hours, offset_minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset_hours or '+00'}:{offset_minutes or '00'}")
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _to_source(source: str) -> str:
    """Name the source as Falco does; falcosidekick writes ``syscalls``."""
    return "syscall" if source == "syscalls" else source


def _to_string(document: dict[str, Any], member: str) -> str:
    value = document.get(member)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise DecodeError("bad_member", f"member `{member}`: expected a string, found {_excerpt(value)}")


def _to_tags(document: dict[str, Any]) -> list[str]:
    value = document.get("tags")
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return value
    raise DecodeError("bad_member", f"member `tags`: expected a list of strings, found {_excerpt(value)}")


def _to_fields(document: dict[str, Any]) -> Mapping[str, str]:
    fields = document.get("output_fields")
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise DecodeError("bad_member", f"member `output_fields`: expected an object, found {_excerpt(fields)}")
    for field, value in fields.items():
        if not isinstance(value, str):
            fields[field] = _to_falco_text(value)
    for field in _TIME_TEXTS.keys() & fields.keys():
        fields[field] = _to_time_text(fields[field], _TIME_TEXTS[field])
    return fields


def _to_falco_text(value: object) -> str:
    """Write a JSON value as Falco writes it in text."""
    if value is None:
        return "<NA>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "(" + ",".join(item if isinstance(item, str) else _to_falco_text(item) for item in value) + ")"
    return value if isinstance(value, str) else _COMPACT.encode(value)


_TIME_TEXTS: Mapping[str, Callable[[datetime, int], str]] = {
    "evt.time": lambda moment, ns: f"{moment:%H:%M:%S}.{ns:09d}",
    "evt.time.s": lambda moment, _: f"{moment:%H:%M:%S}",
    "evt.time.iso8601": lambda moment, ns: f"{moment:%Y-%m-%dT%H:%M:%S}.{ns:09d}+0000",
    "evt.datetime": lambda moment, ns: f"{moment:%Y-%m-%d %H:%M:%S}.{ns:09d}",
    "evt.datetime.s": lambda moment, _: f"{moment:%Y-%m-%d %H:%M:%S}",
}
"""Time fields that Falco writes as text by gRPC, but as nanoseconds since 1970 in JSON."""


def _to_time_text(value: str, write: Callable[[datetime, int], str]) -> str:
    """Write nanoseconds as the text that Falco's gRPC form has; anything else stays as it is."""
    if not (value.isascii() and value.isdigit() and len(value) <= 19):
        return value
    seconds, nanoseconds = divmod(int(value), 1_000_000_000)
    return write(datetime.fromtimestamp(seconds, UTC), nanoseconds)
