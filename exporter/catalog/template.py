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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter import escaping
from exporter.catalog.advice import Prose, Span
from exporter.catalog.shell_places import PLACE, PROGRAM, TEXT, check_places
from exporter.errors import CatalogError

_CONTENT_LIMIT_CHARACTERS = 4096
Lookup = Callable[[str], str | None]
"""From a field's name to its value, None where it is absent."""

_FIELD = r"[a-z][A-Za-z0-9_.]*(?:\[[^\[\]{}|]*\])?"
_PLACE = re.compile(r"%\{(" + _FIELD + r"(?:\|" + _FIELD + r")*)\}")
_BROKEN_PLACE = re.compile(r"%\{[^}]*\}?")
_LANGUAGE = re.compile(r"%\[([a-z]+):((?:%\{[^}]*\}|\[(?:%\{[^}]*\}|[^\[\]])*\]|[^\[\]])*)\]")


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

    def find(self, lookup: Lookup) -> str | None:
        """Return the value, None where it is absent."""
        for field in self.fields:
            value = lookup(field)
            if value is not None:
                return value
        return None

    def value(self, lookup: Lookup) -> str:
        """Return the value. Raises Absent."""
        value = self.find(lookup)
        if value is None:
            raise Absent(self.fields[0])
        return value


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
            piece = []
            for part in parts:
                if isinstance(part, Span):
                    piece.append(part)
                elif (value := part.find(lookup)) is not None:
                    piece.append(Span("value", value))
                elif optional:
                    break
                else:
                    piece.append(Span("text", f"(no {part.fields[0]})"))
            else:
                spans += piece
        return tuple(spans)


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


@dataclass(frozen=True, slots=True)
class LanguageWord:
    """One shell word in another language: values are escaped for it, the whole is then quoted."""

    language: str
    parts: tuple[str | Place, ...]
    alone: bool = False
    """As of ``Place``."""

    def value(self, lookup: Lookup) -> str:
        """Return the word before the shell's quoting. Raises Absent and Unembeddable."""
        escape = escaping.LANGUAGES.get(self.language, escaping.valid_text)
        return "".join([part if isinstance(part, str) else escape(_argument(part, lookup)) for part in self.parts])


class CommandTemplate:
    """A command line for bash; every value becomes quoted."""

    def __init__(self, text: str) -> None:
        self.text = text.strip("\n").rstrip()
        parts = _command_parts(self.text)
        places = [part for part in parts if not isinstance(part, str)]
        if places:
            alone = iter(check_places("".join(map(_stand_in, parts))))
            parts = [part if isinstance(part, str) else replace(part, alone=next(alone)) for part in parts]
        self._parts = tuple(parts)
        self.fields = frozenset().union(
            *(_fields(list(part.parts) if isinstance(part, LanguageWord) else [part]) for part in places)
        )
        self._constant = None if self.fields else self._render(_nothing)

    def render(self, lookup: Lookup) -> str:
        """Return the command. Raises Absent, and Unembeddable where a value would change its meaning."""
        return self._render(lookup) if self._constant is None else self._constant

    def _render(self, lookup: Lookup) -> str:
        return "".join(
            [part if isinstance(part, str) else escaping.shell_word(_argument(part, lookup)) for part in self._parts]
        )


def _argument(part: Place | LanguageWord, lookup: Lookup) -> str:
    value = part.value(lookup)
    if part.alone and value.startswith("-") and (isinstance(part, Place) or isinstance(part.parts[0], Place)):
        raise escaping.Unembeddable("the value starts with a dash and could be taken for an option")
    return value


def _command_parts(text: str) -> list[str | Place | LanguageWord]:
    parts: list[str | Place | LanguageWord] = []
    end = 0
    for match in _LANGUAGE.finditer(text):
        if match[1] not in escaping.LANGUAGES and match[1] != "text":
            raise CatalogError(f"%[{match[1]}:…] is no language; expected text or {', '.join(escaping.LANGUAGES)}")
        parts += _split(text[end : match.start()])
        parts.append(_language_word(match[1], match[2]))
        end = match.end()
    parts += _split(text[end:])
    if any(isinstance(part, str) and re.search(r"%\[[a-z]+:", part) for part in parts):
        raise CatalogError("%[…: is not closed; expected %[LANGUAGE:text], brackets inside it in pairs")
    return parts


def _language_word(language: str, text: str) -> LanguageWord:
    parts = _split(text)
    if not parts:
        raise CatalogError(f"%[{language}:] is empty")
    if language == "sh":
        alone = iter(check_places("".join(map(_stand_in, parts))))
        parts = [part if isinstance(part, str) else replace(part, alone=next(alone)) for part in parts]
    elif language in _QUOTING:
        _refuse_quoted(parts, _QUOTING[language], f"%[{language}:…]")
    return LanguageWord(language, tuple(parts))


def _stand_in(part: str | Place | LanguageWord) -> str:
    if isinstance(part, str):
        return _STAND_INS.sub("x", part)
    if isinstance(part, LanguageWord):
        return {"sh": PROGRAM, "text": TEXT}.get(part.language, PLACE)
    return PLACE


_STAND_INS = re.compile(f"[{PLACE}{PROGRAM}{TEXT}]")
_QUOTE = re.compile(r"\\.|(?<!\w)['\"]|['\"](?!\w)", re.DOTALL)
"""A quote that may begin or end a string; the apostrophe in *don't* is none."""
_QUOTING: Mapping[str, str] = {
    "gcl": '"', "scim": '"', "jq": '"', "json": '"', "yaml": "\"'", "toml": "\"'", "falco": "\"'",
}  # fmt: skip
"""Languages and formats whose values bring their own quotes, with the quotes that a value must not stand in."""


def _refuse_quoted(parts: Sequence[str | Place], quotes: str, where: str) -> None:
    """Refuse a placeholder inside the author's quotes: its own quotes would end them."""
    open_quote = ""
    for part in parts:
        if not isinstance(part, str):
            if open_quote:
                raise CatalogError(f"a placeholder stands inside {open_quote} quotes; in {where} it brings its own")
            continue
        for match in _QUOTE.finditer(part):
            if open_quote:
                open_quote = "" if match[0] == open_quote else open_quote
            elif match[0] in quotes:
                open_quote = match[0]


class ContentTemplate:
    """A file's content; every value is quoted for the file's format."""

    def __init__(self, text: str, file_format: str) -> None:
        self.text = text.rstrip("\n")
        self._parts = tuple(_split(self.text))
        self._escape: Callable[[str], str] = escaping.FORMATS.get(file_format, escaping.plain_word)
        self.fields = _fields(list(self._parts))
        if file_format in _QUOTING:
            _refuse_quoted(self._parts, _QUOTING[file_format], f"format {file_format}")

    def render(self, lookup: Lookup) -> str:
        """Return the content. Raises Absent, and Unembeddable where the format cannot hold a value."""
        if not self.fields:
            return self.text
        return "".join([p if isinstance(p, str) else self._escape(_bounded(p.value(lookup))) for p in self._parts])


def _bounded(value: str) -> str:
    if len(value) > _CONTENT_LIMIT_CHARACTERS:
        raise escaping.Unembeddable(f"the value has {len(value)} characters, too many for a file to copy")
    return value
