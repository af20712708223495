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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from exporter import escaping
from exporter.catalog.shell_places import PLACE, PROGRAM, TEXT, check_places
from exporter.errors import CatalogError
from exporter.falco.snippet import STAND_IN, value_writers
from exporter.prose import Absent, Lookup, Place, ProseTemplate, nothing, split_places

__all__ = ["Absent", "CommandTemplate", "ContentTemplate", "LanguageWord", "Lookup", "Place", "ProseTemplate"]

_CONTENT_LIMIT_CHARACTERS = 4096
_LANGUAGE = re.compile(r"%\[([a-z]+):((?:%\{[^}]*\}|\[(?:%\{[^}]*\}|[^\[\]])*\]|[^\[\]])*)\]")
PLACEHOLDER = re.compile(rf"%\{{[^}}]*\}}|{_LANGUAGE.pattern}")
"""What stands for a value in an author's command: a field, or a word in another language."""


def _fields(parts: list[str | Place]) -> frozenset[str]:
    return frozenset(field for part in parts if isinstance(part, Place) for field in part.fields)


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
        self._constant = None if self.fields else self._render(nothing)

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
            raise CatalogError(f"%[{match[1]}:…] is not a language; expected text or {', '.join(escaping.LANGUAGES)}")
        parts += split_places(text[end : match.start()])
        parts.append(_language_word(match[1], match[2]))
        end = match.end()
    parts += split_places(text[end:])
    if any(isinstance(part, str) and re.search(r"%\[[a-z]+:", part) for part in parts):
        raise CatalogError("%[…: is not closed; expected %[LANGUAGE:text], brackets inside it in pairs")
    return parts


def _language_word(language: str, text: str) -> LanguageWord:
    parts = split_places(text)
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
        self._parts = tuple(split_places(self.text))
        self.fields = _fields(list(self._parts))
        if file_format in _QUOTING:
            _refuse_quoted(self._parts, _QUOTING[file_format], f"format {file_format}")
        if file_format == "falco":
            stood_in = "".join([part if isinstance(part, str) else STAND_IN for part in self._parts])
            self._writers = value_writers(stood_in) if self.fields else ()
        else:
            escape = escaping.FORMATS.get(file_format, escaping.plain_word)
            self._writers = (escape,) * sum(isinstance(part, Place) for part in self._parts)

    def render(self, lookup: Lookup) -> str:
        """Return the content. Raises Absent, and Unembeddable where the format cannot hold a value."""
        if not self.fields:
            return self.text
        writers = iter(self._writers)
        return "".join(
            [part if isinstance(part, str) else next(writers)(_bounded(part.value(lookup))) for part in self._parts]
        )


def _bounded(value: str) -> str:
    if len(value) > _CONTENT_LIMIT_CHARACTERS:
        raise escaping.Unembeddable(f"the value has {len(value)} characters, too many for a file to copy")
    return value
