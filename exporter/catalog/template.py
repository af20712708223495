r"""Templates: an author's text with places for an alert's values.

Owns the notation and its compilation; every value passes through one function
of ``exporter.escaping``, chosen by where it lands. Refuses to know what an
entry is made of (see ``model.py``).

The notation, the same in prose, commands and file contents:

``%{proc.name}``
    the field's value, escaped for its place; ``%{proc.exepath|proc.name}``
    takes the first that is present.
``[[ in container %{container.name}]]`` (prose only)
    left out whole when a field in it is absent.
``%[gcl:protoPayload.methodName=%{gcp.methodName}]`` (commands only)
    one shell word in another language (``escaping.LANGUAGES``): values are
    escaped for that language, the whole is then quoted for the shell. In
    ``gcl``, ``scim``, ``jq`` and ``json`` a value brings its own quotes.
``` `literal` ``` (prose only)
    the author's literal, shown as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter import escaping
from exporter.catalog.advice import Prose, Span
from exporter.errors import CatalogError

Lookup = Callable[[str], str | None]
"""From a field's name to its value, None where it is absent."""

_FIELD = r"[a-z][A-Za-z0-9_.]*(?:\[[^\[\]{}|]*\])?"
_PLACE = re.compile(r"%\{(" + _FIELD + r"(?:\|" + _FIELD + r")*)\}")
_BROKEN_PLACE = re.compile(r"%\{[^}]*\}?")
_LANGUAGE = re.compile(r"%\[([a-z]+):((?:%\{[^}]*\}|\[[^\]]*\]|[^\]])*)\]")


def _nothing(_: str) -> None:
    return None


class Absent(Exception):  # noqa: N818 - not an error: the template does not fit this alert
    """A field that the template needs is absent from this alert."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a value: the first of these fields that is present."""

    fields: tuple[str, ...]
    alone: bool = False
    """In a command: starts a word, so that a value with a leading dash could be taken for an option."""

    def value(self, lookup: Lookup) -> str:
        """Return the value. Raises Absent."""
        for field in self.fields:
            value = lookup(field)
            if value is not None:
                return value
        raise Absent(self.fields[0])


def _split(text: str) -> list[str | Place]:
    parts: list[str | Place] = []
    end = 0
    for match in _PLACE.finditer(text):
        parts += [text[end : match.start()], Place(tuple(match[1].split("|")))]
        end = match.end()
    parts.append(text[end:])
    for part in parts:
        if isinstance(part, str) and (broken := _BROKEN_PLACE.search(part)):
            raise CatalogError(f"{broken[0]!r} is no placeholder; expected %{{field}} or %{{field|other.field}}")
    return [part for part in parts if part != ""]


def _fields(parts: list[str | Place]) -> frozenset[str]:
    return frozenset(field for part in parts if isinstance(part, Place) for field in part.fields)


class ProseTemplate:
    """Prose with values; renders to spans, whose escaping is the renderer's."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        self._pieces = tuple((optional, tuple(_prose_parts(piece))) for optional, piece in _optional(self.text))
        self.fields = frozenset(
            field for _, parts in self._pieces for part in parts if isinstance(part, Place) for field in part.fields
        )
        self._constant: Prose | None = None
        self._constant = None if self.fields else self.render(_nothing)

    @property
    def length(self) -> int:
        """Characters of the author's own words, placeholders left out."""
        return sum(len(part.text) for _, parts in self._pieces for part in parts if isinstance(part, Span))

    def render(self, lookup: Lookup) -> Prose:
        """Return the spans; absent fields outside ``[[…]]`` read ``(no FIELD)``."""
        if self._constant is not None:
            return self._constant
        spans: list[Span] = []
        for optional, parts in self._pieces:
            try:
                spans += [_span(part, lookup, strict=optional) for part in parts]
            except Absent:
                continue
        return tuple(spans)


def _span(part: Span | Place, lookup: Lookup, *, strict: bool) -> Span:
    if isinstance(part, Span):
        return part
    try:
        return Span("value", part.value(lookup))
    except Absent:
        if strict:
            raise
        return Span("text", f"(no {part.fields[0]})")


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


def _prose_parts(text: str) -> list[Span | Place]:
    parts: list[Span | Place] = []
    for part in _split(text):
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


class CommandTemplate:
    """A command line for bash; every value becomes quoted."""

    def __init__(self, text: str) -> None:
        self.text = text.strip("\n").rstrip()
        self._parts: list[str | Place | tuple[str, tuple[str | Place, ...]]] = []
        end = 0
        for match in _LANGUAGE.finditer(self.text):
            if match[1] not in escaping.LANGUAGES and match[1] != "text":
                raise CatalogError(f"%[{match[1]}:…] is no language; expected one of {', '.join(escaping.LANGUAGES)}")
            self._add(self.text[end : match.start()])
            self._parts.append((match[1], tuple(_split(match[2]))))
            end = match.end()
        self._add(self.text[end:])
        _refuse_quoted_places(self._parts)
        self.fields = frozenset().union(
            *(
                _fields([part] if isinstance(part, Place) else list(part[1]))
                for part in self._parts
                if not isinstance(part, str)
            )
        )
        self._constant: str | None = None
        self._constant = None if self.fields else self.render(_nothing)

    def _add(self, text: str) -> None:
        for part in _split(text):
            before = self._parts[-1] if self._parts else " "
            if isinstance(part, Place) and isinstance(before, str) and before[-1:].isspace():
                written = "".join(p if isinstance(p, str) else "x" for p in self._parts)
                line = re.split(r"[|;&\n]", written)[-1]
                part = Place(part.fields, alone=" -- " not in line)
            self._parts.append(part)

    def render(self, lookup: Lookup) -> str:
        """Return the command. Raises Absent, and Unembeddable where a value would change its meaning."""
        if self._constant is not None:
            return self._constant
        return "".join([_word(part, lookup) for part in self._parts])


def _word(part: str | Place | tuple[str, tuple[str | Place, ...]], lookup: Lookup) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Place):
        value = part.value(lookup)
        if part.alone and value.startswith("-"):
            raise escaping.Unembeddable("the value starts with a dash and could be taken for an option")
        return escaping.shell_word(value)
    language, inner = part
    escape = escaping.LANGUAGES.get(language, escaping.valid_text)
    return escaping.shell_word("".join([p if isinstance(p, str) else escape(p.value(lookup)) for p in inner]))


def _refuse_quoted_places(parts: list[str | Place | tuple[str, tuple[str | Place, ...]]]) -> None:
    """A placeholder inside the author's quotes would end them: refuse it at load."""
    quote = ""
    for part in parts:
        if not isinstance(part, str):
            if quote:
                raise CatalogError(
                    f"a placeholder stands inside {quote} quotes; leave it bare (the renderer quotes it), "
                    "or write the whole word as %[LANGUAGE:…]"
                )
            continue
        escaped = False
        for character in part:
            if escaped:
                escaped = False
            elif character == "\\" and quote != "'":
                escaped = True
            elif quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character


class ContentTemplate:
    """A file's content; every value is quoted for the file's format."""

    def __init__(self, text: str, file_format: str) -> None:
        self.text = text.rstrip("\n")
        self._parts = tuple(_split(self.text))
        self._escape: Callable[[str], str] = escaping.FORMATS.get(file_format, escaping.plain_word)
        self.fields = _fields(list(self._parts))

    def render(self, lookup: Lookup) -> str:
        """Return the content. Raises Absent, and Unembeddable where the format cannot hold a value."""
        return "".join([p if isinstance(p, str) else self._escape(p.value(lookup)) for p in self._parts])


def lookup_in(values: Mapping[str, str]) -> Lookup:
    """Return a lookup over plain values, for tests and previews."""
    return values.get
