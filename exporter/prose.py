"""Prose: an author's sentence with places for an alert's values.

Owns spans, which keep the author's words apart from an alert's values until a
renderer escapes both, and the sentences that make them (their notation is in
``catalog/template.py``). Refuses commands and file contents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.errors import CatalogError
from exporter.nouns import stand_in
from exporter.shown import shown


class Span(NamedTuple):
    """A piece of prose."""

    kind: str
    """``text``: the author's words; ``code``: the author's literal; ``value``: taken from the alert, hostile."""
    text: str
    """Not escaped for anything."""


Prose = tuple[Span, ...]


def to_plain(prose: Prose) -> str:
    """Return prose as one plain line, code and values as they are: not escaped for any target."""
    return "".join([span.text for span in prose])


Lookup = Callable[[str], str | None]
"""From a field's name to its value, None where it is absent."""

_FIELD = r"[a-z][A-Za-z0-9_.]*(?:\[[^\[\]{}|]*\])?"
_LITERAL = r"'[^'{}|]*'"
_PLACE = re.compile(rf"%\{{((?:{_FIELD}|{_LITERAL})(?:\|(?:{_FIELD}|{_LITERAL}))*)\}}")
_BROKEN_PLACE = re.compile(r"%\{[^}]*\}?")


OWN_WORDS = frozenset({"alert.in"})
"""Derived fields whose values are the program's own words, never an alert's."""


def nothing(_: str) -> None:
    """Look up a field of no alert."""
    return


class Absent(Exception):  # noqa: N818 - not an error: the template does not fit this alert
    """A field that the template needs is absent from this alert."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a value: the first of these fields that is present, else the author's own words."""

    fields: tuple[str, ...]
    literal: str | None = None
    """What stands here where no field is present; None: nothing does."""
    alone: bool = False
    """In a command: starts a word, so that a value with a leading dash could be taken for an option."""

    def find(self, lookup: Lookup) -> str | None:
        """Return the value, None where it is absent."""
        for field in self.fields:
            value = lookup(field)
            if value is not None:
                return value
        return None

    def find_shown(self, lookup: Lookup) -> str | None:
        """Return the value as a sentence shows it, None where it is absent."""
        for field in self.fields:
            value = lookup(field)
            if value is not None:
                return shown(field, value)
        return None

    @property
    def text(self) -> str:
        """The place as it is written."""
        return "%{" + "|".join([*self.fields, *([f"'{self.literal}'"] if self.literal is not None else ())]) + "}"

    def value(self, lookup: Lookup) -> str:
        """Return the value or the literal. Raises Absent."""
        value = self.find(lookup)
        if value is None:
            value = self.literal
        if value is None:
            raise Absent(self.fields[0])
        return value


def split_places(text: str) -> list[str | Place]:
    """Return the author's words and the places among them, in order. Raises CatalogError for a broken place."""
    parts: list[str | Place] = []
    end = 0
    for match in _PLACE.finditer(text):
        parts += [text[end : match.start()], _place(match[1])]
        end = match.end()
    parts.append(text[end:])
    for part in parts:
        if isinstance(part, str) and (broken := _BROKEN_PLACE.search(part)):
            raise CatalogError(f"{broken[0]!r} is not a placeholder; expected %{{field}} or %{{field|other.field}}")
    return [part for part in parts if part != ""]


def _place(text: str) -> Place:
    *fields, last = text.split("|")
    if any(field.startswith("'") for field in fields):
        raise CatalogError(f"%{{{text}}}: words in quotes stand last; nothing after them could ever show")
    if last.startswith("'"):
        return Place(tuple(fields), last[1:-1])
    return Place((*fields, last))


class ProseTemplate:
    """Prose with values; renders to spans, whose escaping is the renderer's."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        pieces = _with_hosts(_optional(self.text))
        self._pieces = tuple((optional, tuple(_prose_parts(piece))) for optional, piece in pieces)
        self.fields = frozenset(
            field for _, parts in self._pieces for part in parts if isinstance(part, Place) for field in part.fields
        )
        self._constant: Prose | None = None
        self._constant = None if self.fields else self.render(nothing)

    @property
    def length(self) -> int:
        """Characters of the author's own words, placeholders left out."""
        return sum(len(part.text) for _, parts in self._pieces for part in parts if isinstance(part, Span))

    @property
    def unguarded(self) -> tuple[Place, ...]:
        """Places outside of ``[[…]]`` without words of their own for a value that is absent."""
        return tuple(
            part
            for optional, parts in self._pieces
            for part in parts
            if not optional and isinstance(part, Place) and part.literal is None
        )

    def render(self, lookup: Lookup) -> Prose:
        """Return the spans. A noun stands in for a value that is absent outside ``[[…]]``."""
        if self._constant is not None:
            return self._constant
        spans: list[Span] = []
        for optional, parts in self._pieces:
            piece = []
            for part in parts:
                if isinstance(part, Span):
                    piece.append(part)
                elif (value := part.find_shown(lookup)) is not None:
                    piece.append(Span("text" if OWN_WORDS.issuperset(part.fields) else "value", value))
                elif part.literal is not None:
                    piece.append(Span("text", part.literal))
                elif optional:
                    break
                else:
                    piece.append(Span("text", _stand_in(part.fields[0], (*spans, *piece))))
            else:
                spans += piece
        return tuple(spans)


def _stand_in(field: str, before: Sequence[Span]) -> str:
    """A noun; with a capital where a sentence begins."""
    words = stand_in(field)
    begins = not before or (before[-1].kind == "text" and before[-1].text.endswith((". ", "? ", "! ")))
    return words[0].upper() + words[1:] if begins else words


def _optional(text: str) -> list[tuple[bool, str]]:
    pieces: list[tuple[bool, str]] = []
    for index, piece in enumerate(re.split(r"(\[\[|\]\])", text)):
        if piece in {"[[", "]]"}:
            if (piece == "[[") != (index % 4 == 1):
                raise CatalogError("[[ and ]] do not pair; expected [[text with %{field}]], not nested")
        elif piece:
            pieces.append((index % 4 == 2, piece))
    if text.count("[[") != text.count("]]"):
        raise CatalogError("[[ without ]]; expected [[text with %{field}]]")
    return pieces


_PLACE_OF_ALERT = "%{alert.place}"
_ITS_HOST = " on %{alert.place_host}"


def _with_hosts(pieces: list[tuple[bool, str]]) -> Iterator[tuple[bool, str]]:
    """Yield the pieces; a container's host stands beside the container, as a value of its own."""
    for optional, piece in pieces:
        if optional or _PLACE_OF_ALERT not in piece:
            yield optional, piece
            continue
        before, *others = piece.split(_PLACE_OF_ALERT)
        yield False, before
        for after in others:
            yield False, _PLACE_OF_ALERT
            yield True, _ITS_HOST
            yield False, after


def _prose_parts(text: str) -> list[Span | Place]:
    parts: list[Span | Place] = []
    for part in split_places(text):
        if isinstance(part, Place):
            parts.append(part)
            continue
        for index, piece in enumerate(part.split("`")):
            if piece:
                parts.append(Span("code" if index % 2 else "text", piece))
        if part.count("`") % 2:
            raise CatalogError(
                f"a backtick without its pair near {part.strip()[:40]!r}; placeholders need no backticks"
            )
    return parts
