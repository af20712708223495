r"""The words of a condition, as falcosecurity/libs lexes them (``userspace/libsinsp/filter/parser.cpp``).

Owns a cursor over the text. What surprises in Falco and is kept:

- blanks are space, tab, backspace, carriage return and line feed;
- a bare value ends at a blank, a bracket, a quote, a comma or ``=``;
- a quoted value ends at the first such quote without a backslash before it,
  and a backslash's own backslash is not seen: ``"a\\"`` is not closed;
- ``and``, ``or``, ``in``, ``exists`` need no blank after them to be read;
- NUL ends the text.
"""

from __future__ import annotations

import re

from exporter.errors import ExporterError

_BLANK = " \t\b\r\n"
_QUOTED = {quote: re.compile(rf"{quote}([^\0]*?)(?<!\\){quote}") for quote in "\"'"}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", " ": "\\", "\\": "\\", "/": "/"}
"""What a backslash before this character means; before a blank, a backslash (libs keeps it for an old rule)."""
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|[^x]|x)", re.DOTALL)
FIELD = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*(?:\.[a-zA-Z]+[a-zA-Z0-9_]*)+")
OPENING = re.compile(r"\(")
KEYWORD = re.compile(r"(?:and|or|not)(?![a-zA-Z0-9])")
IDENTIFIER = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*")
BARE = re.compile(r"[^()\"' \t\n\v\f\r=,\0]+")
ARGUMENT = re.compile(r"[^\]\[\"' \t\n\v\f\r\0]+")
NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[+-]?[0-9]+\.?[0-9]*(?:[eE][+-][0-9]+)?")
NOT = re.compile(r"not[ \t\n\v\f\r]+")


class ConditionError(ExporterError):
    """Falco would not load the condition; the text says what was expected where."""


class Tokens:
    """A cursor over a condition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, expected: str) -> ConditionError:
        """Return an error that says where the cursor stands."""
        found = repr(self.text[self.at : self.at + 30]) if self.at < len(self.text) else "the end"
        before = self.text[max(0, self.at - 30) : self.at].strip()
        return ConditionError(f"found {found}{f' after {before!r}' if before else ''}, expected {expected}")

    def blank(self) -> bool:
        """Skip blanks; return whether there were any."""
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in _BLANK:
            self.at += 1
        return self.at > start

    def take(self, word: str) -> bool:
        """Skip the word where it stands here, whatever follows it; return whether it did."""
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def take_any(self, words: tuple[str, ...], *, blank_after: bool = False) -> str | None:
        """Skip the first of the words that stands here and return it."""
        start = self.at
        for word in words:
            if self.take(word) and (not blank_after or self.blank()):
                return word
            self.at = start
        return None

    def expect(self, word: str) -> None:
        """Skip the word. Raises ConditionError where another stands."""
        if not self.take(word):
            raise self.fail(repr(word))

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Skip what the pattern matches here and return it."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def sees(self, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern matches here."""
        return pattern.match(self.text, self.at) is not None

    def quoted(self) -> str | None:
        """Skip a quoted value and return it unescaped; None where none stands or it is not closed."""
        quote = self.text[self.at : self.at + 1]
        found = _QUOTED[quote].match(self.text, self.at) if quote in _QUOTED else None
        if found is None:
            return None
        value = self._unescaped(found[1], quote)
        self.at = found.end()
        return value

    def _unescaped(self, text: str, quote: str) -> str:
        escapes = {**_ESCAPES, quote: quote}

        def meaning(found: re.Match[str]) -> str:
            if found[1]:
                return bytes.fromhex(found[1]).decode("latin-1") if found[1] < "80" else chr(0xDC00 + int(found[1], 16))
            if found[0][1:] not in escapes:
                raise self.fail(f"one of the escapes \\b \\f \\n \\r \\t \\\\ \\/ \\{quote} \\xHH, not {found[0]}")
            return escapes[found[0][1:]]

        unescaped = _ESCAPE.sub(meaning, text)
        if "\\x" not in text:
            return unescaped
        # Bytes above 7F are parts of a character; surrogates stood for them (PEP 383).
        return unescaped.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
