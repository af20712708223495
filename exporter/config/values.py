"""From text to typed values.

Owns what each kind of setting looks like as text; refuses to know where the
text came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def from_text(text: str, kind: type, choices: tuple[str, ...] = ()) -> Any:
    """Return the value that the text stands for. Raises ValueError saying what was found and expected."""
    text = text.strip()
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(f"found {text!r}, expected true or false")
    if kind in {int, float}:
        return _number(text, kind)
    if kind is Path:
        return Path(text).expanduser() if text else None
    if choices and text not in choices:
        raise ValueError(f"found {text!r}, expected one of: {', '.join(choice for choice in choices if choice)}")
    return text


def _number(text: str, kind: type) -> Any:
    try:
        value = kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ValueError(f"found {text!r}, expected {expected}") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"found {text!r}, expected a number of 0 or more")
    return value


def items_from_text(text: str, kind: type, separator: str = ",") -> tuple[Any, ...]:
    """Return the values of a list whose items the separator parts."""
    return tuple(from_text(item, kind) for item in text.split(separator) if item.strip())
