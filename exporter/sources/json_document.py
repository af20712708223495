"""JSON text as members, or what it is instead.

Owns the reader that understands everything a sender may write (bytes that are
not UTF-8, lone surrogates, NaN), the limit of nesting and the naming of what is
no JSON object. Refuses to know what an alert is.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any, TypeGuard

from exporter.errors import DecodeError

NESTING_LIMIT = 64
"""Most arrays and objects inside one another; Falco nests two or three."""


class Number(str):
    """A number's own digits, apart from text that looks the same."""

    __slots__ = ()


JSON = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)
_SURROGATE = re.compile("[\ud800-\udfff]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_FALCO_LINE = re.compile(
    r"(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d[.\d]*\S*: "
    r"(?:Emergency|Alert|Critical|Error|Warning|Notice|Informational|Debug)\b"
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MARKS = {BYTE_ORDER_MARK: "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def is_text(value: object) -> TypeGuard[str]:
    """Whether a JSON value is a string, which a ``Number`` is not."""
    return type(value) is str  # pragma: no mutate (a changed copy would not tell mypy the type)


def check_nesting(text: bytes | str) -> None:
    """Raise DecodeError where arrays and objects are nested deeper than the limit, before any reader meets them.

    The readers' own limits are those of the stack at the moment: what one thread has read, another could not.
    """
    if isinstance(text, bytes):
        if text.count(b"[") + text.count(b"{") <= NESTING_LIMIT:
            return
        text = text.decode("latin-1")
    elif text.count("[") + text.count("{") <= NESTING_LIMIT:
        return
    brackets = _NOT_BRACKETS.sub("", _STRING.sub("", text))
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > NESTING_LIMIT:
        raise DecodeError(
            "nested", f"expected at most {NESTING_LIMIT} arrays and objects inside one another, found more"
        )


def to_document(text: bytes | str) -> dict[str, Any]:
    """Return the members of one JSON object; numbers are ``Number``, lone surrogates and bad bytes U+FFFD.

    Raises DecodeError naming what was found instead.
    """
    check_nesting(text)
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    try:
        document = JSON.decode(shown)
    except ValueError as exc:
        raise _no_document(text, exc) from exc
    if not isinstance(document, dict):
        raise DecodeError("malformed", f"expected one JSON object, found {excerpt(shown)}")
    return _clean(document) if not shown.isascii() or "\\u" in shown else document


def _no_document(text: bytes | str, error: ValueError) -> DecodeError:
    """Name what stands where a JSON object was expected."""
    body = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if not body:
        return DecodeError("empty", "expected one JSON object, found nothing: the body or line is empty")
    mark = next((name for mark, name in _MARKS.items() if body.startswith(mark)), "")
    if mark:
        return DecodeError(
            "malformed", f"expected one JSON object in UTF-8, found a byte order mark of {mark} and no JSON after it"
        )
    shown = body[:200].decode("utf-8", "replace")
    if _FALCO_LINE.match(shown):
        return DecodeError(
            "text",
            f"expected one JSON object, found Falco's alert as text ({excerpt(shown)}); "
            "set `json_output: true` in falco.yaml and restart Falco",
        )
    # Where nothing of it is JSON, the reader's own words add nothing.
    why = f": {error}" if getattr(error, "pos", 1) else ""
    return DecodeError("malformed", f"expected one JSON object, found {excerpt(shown)}{why}")


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON's escapes can spell but UTF-8 cannot."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _clean(value: Any) -> Any:
    """Replace lone surrogates everywhere in a parsed document, which is nested no deeper than the limit."""
    if is_text(value):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {without_surrogates(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def excerpt(value: object) -> str:
    """Show at most 60 characters of what was found, quoted so that it cannot harm a log."""
    if value is None:
        return "nothing"
    shown = ascii(value[:60] if isinstance(value, str) else value)
    return shown if len(shown) <= 60 else shown[:60] + "…"
