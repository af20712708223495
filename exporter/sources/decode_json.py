"""Falco's JSON form of an alert becomes an Alert.

Owns what is known about the JSON notation, as Falco's http_output and
file_output and falcosidekick write it. Pure, like ``decode.py``, through which
the rest of the program reaches it. Refuses protobuf.

Two readers give the same alert: msgspec's for what Falco really sends, and
Python's own (``json_document.py``) for what the first does not take: bytes
that are not UTF-8, lone surrogates, NaN, and everything that is wrong and has
to be named.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exporter.alert import TIME_LIMIT_NS, Alert, Priority, make_alert
from exporter.errors import DecodeError
from exporter.sources.alike_json import AlikeMessages
from exporter.sources.json_document import (
    BYTE_ORDER_MARK,
    JSON,
    NESTING_LIMIT,
    Number,
    check_nesting,
    excerpt,
    is_text,
    to_document,
    without_surrogates,
)
from exporter.sources.json_values import JsonFields, parse_rfc3339

_PRIORITIES = {priority.label: priority for priority in Priority if priority is not Priority.UNKNOWN}
_SOURCES = {None: "syscall", "": "syscall", "syscalls": "syscall"}
"""What means Falco's own source of system calls: none, and falcosidekick's word."""
_STRINGS = ("source", "hostname", "output", "message")
_PLAIN_BRACKETS = 2
"""Brackets, besides its tags', that an alert opens without lists and objects in its fields: its own, its fields'."""
_OUTPUT_MEMBER = '"output":"'


class _Document(msgspec.Struct, gc=False):
    """The members of an alert that are used; msgspec passes over all others."""

    time: str
    rule: str
    priority: str
    source: str | None = None
    hostname: str | None = None
    output: str | None = None
    message: str | None = None
    output_fields: dict[str, object] | None = None
    tags: list[str] | None = None


_read = msgspec.json.Decoder(_Document, float_hook=Number).decode


def from_json(text: bytes | str) -> Alert:
    """Decode one alert in Falco's JSON form, as http_output, file_output and falcosidekick send it.

    Values of ``output_fields`` become Falco's text notation: a number keeps its
    own digits, ``true``, ``null`` → ``<NA>``, a list → ``(a,b)``, an object →
    compact JSON. Members that Falco can leave out (``output``, ``output_fields``,
    ``tags``, ``hostname``) may be missing; so may ``source``, which then is
    ``syscall``, as Falco itself means. Unknown members are ignored.

    Raises DecodeError naming the member, what was expected and what was found.
    """
    text = text.strip()
    return _ALIKE.read(text) if isinstance(text, bytes) else _read_alert(text)


def _read_alert(text: bytes | str) -> Alert:
    if isinstance(text, bytes):
        if text.startswith(BYTE_ORDER_MARK) and len(text) > len(BYTE_ORDER_MARK):
            text = text[len(BYTE_ORDER_MARK) :]
        opened = text.count(b"{") + text.count(b"[")
    else:
        opened = text.count("{") + text.count("[")
    if opened > NESTING_LIMIT:
        check_nesting(text)
    try:
        document = _read(text)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        document = _checked(to_document(text))
    if not document.rule:
        raise _bad_rule(document.rule)
    time_ns = parse_rfc3339(document.time)
    if time_ns is None or not 0 < time_ns < TIME_LIMIT_NS:
        raise _bad_time(document.time)
    return make_alert(
        time_ns,
        document.rule,
        _PRIORITIES.get(document.priority) or _to_priority(document.priority),
        _SOURCES.get(document.source) or document.source or "syscall",
        document.hostname or "",
        document.output or document.message or "",
        _to_fields(document.output_fields, opened - (document.tags is not None)),
        document.tags or [],
        text if isinstance(text, bytes) else b"",
    )


def _checked(members: Mapping[str, object]) -> _Document:
    """Return the members as the other reader does; raises DecodeError for one of the wrong type."""
    time, rule, priority = members.get("time"), members.get("rule"), members.get("priority")
    if not is_text(rule):
        raise _bad_rule(rule)
    if not is_text(time):
        raise _bad_time(time)
    if not is_text(priority):
        raise _bad_priority(priority)
    fields, tags = members.get("output_fields"), members.get("tags")
    if fields is not None and not isinstance(fields, dict):
        raise DecodeError("bad_member", f"member `output_fields`: expected an object, found {excerpt(fields)}")
    if tags is not None and not (isinstance(tags, list) and all(map(is_text, tags))):
        raise DecodeError("bad_member", f"member `tags`: expected a list of strings, found {excerpt(tags)}")
    source, hostname, output, message = (_to_string(members, member) for member in _STRINGS)
    return _Document(time, rule, priority, source, hostname, output, message, fields, tags)


def _to_string(members: Mapping[str, object], member: str) -> str | None:
    value = members.get(member)
    if value is None or is_text(value):
        return value
    raise DecodeError("bad_member", f"member `{member}`: expected a string, found {excerpt(value)}")


def _to_priority(word: str) -> Priority:
    priority = Priority.from_label(word)
    if priority is Priority.UNKNOWN:
        raise _bad_priority(word)
    return priority


def _to_fields(values: dict[str, object] | None, opened: int) -> Mapping[str, str]:
    if not values:
        return {}
    fields = JsonFields(values)
    # Texts take a tenth of the memory of the lists that they stand for.
    return fields if opened <= _PLAIN_BRACKETS else fields.to_dict()


def _bad_rule(value: object) -> DecodeError:
    return DecodeError("bad_rule", f"member `rule`: expected the rule's name, found {excerpt(value)}")


def _bad_priority(value: object) -> DecodeError:
    return DecodeError(
        "bad_priority",
        f"member `priority`: expected one of Falco's eight words, Emergency to Debug, found {excerpt(value)}",
    )


def _bad_time(value: object) -> DecodeError:
    return DecodeError(
        "bad_time",
        "member `time`: expected an RFC 3339 time between 1970 and 2262 such as 2024-10-05T18:29:39.273467556Z, "
        f"found {excerpt(value)}",
    )


def output_of_document(output: str) -> str:
    """Return the output text out of the alert's JSON document (Falco with json_output).

    Falco writes the document compactly and ``output`` before ``output_fields``;
    quotes inside strings are escaped, so the first match is the member itself.
    """
    start = output.find(_OUTPUT_MEMBER)
    try:
        if start >= 0:
            text: str = JSON.raw_decode(output, start + len(_OUTPUT_MEMBER) - 1)[0]
            return without_surrogates(text)
        document = to_document(output)
    except (DecodeError, ValueError):
        return output
    text = document.get("output") or document.get("message") or ""
    return text if "rule" in document and is_text(text) else output


_ALIKE = AlikeMessages(_read_alert)
