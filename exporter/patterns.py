"""Regular expressions that an operator sets and that run over what attackers choose.

Owns the engine: RE2, whose time is linear in the text, where Python's own can
take for ever (``(a+)+$``). What RE2 lacks, look-around and back-references, is
refused at the start. ``\\d``, ``\\w`` and ``\\b`` know ASCII only.
"""

from __future__ import annotations

import re2

MATCH_LIMIT = 100
"""Matches in one text that are replaced one by one; a text with more is replaced whole."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class Pattern:
    """One expression. Raises ValueError, saying why, for what is not one or matches the empty text."""

    def __init__(self, text: str) -> None:
        try:
            self._compiled = re2.compile(text, _OPTIONS)
        except (re2.error, UnicodeEncodeError) as exc:
            raise ValueError(f"{text!r} is not a valid regular expression (RE2): {_why(exc)}") from exc
        if self._compiled.search("") is not None:
            raise ValueError(
                f"{text!r} matches the empty text, which is everywhere; make it match at least one character"
            )

    def replaced(self, text: str, mask: str) -> str:
        """Return the text with each match replaced by the mask."""
        text = _encodable(text)
        if self._compiled.search(text) is None:
            return text
        parts: list[str] = []
        end = 0
        for count, match in enumerate(self._compiled.finditer(text)):
            if count == MATCH_LIMIT:
                return mask
            parts += (text[end : match.start()], mask)
            end = match.end()
        return "".join((*parts, text[end:]))


def _why(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(error)
    if "(?" in text or "invalid escape sequence" in text:
        text += "; look-around and back-references are not supported"
    return text


def _encodable(text: str) -> str:
    """Return the text without lone surrogates, which no UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
