"""Escaping: the one way in which a value from outside gets into any text.

Owns one function for each place a value can land in. Every function takes
the raw value and returns text that is inert there; a value that a place
cannot hold raises ``Unembeddable``. Refuses to know what the value means.

Values come from attackers: file names, command lines, user agents, audit
bodies. What a person reads never holds control characters, bidirectional
overrides or invisible characters; what a parser reads is quoted by that
parser's own rules.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import quote

from exporter.errors import ExporterError

_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@%+=^-]*\Z")
_ASCII_PRINTABLE = re.compile(r"[ -~]*\Z")
_WORD = re.compile(r"[A-Za-z0-9_./:@+-]+\Z")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HIDDEN_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u034f")
_LABEL_LIMIT_CHARACTERS = 512


class Unembeddable(ExporterError):  # noqa: N818 - said of the value, not a failure
    """This value cannot stand in this place without changing what the text means."""


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _HIDDEN_LETTERS


def _escape_hidden(character: str) -> str:
    code = ord(character)
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if short:
        return short
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(value: str) -> str:
    """Return the value as one line in which every hidden character shows as a backslash escape.

    Hidden are control, format (zero-width, bidirectional), surrogate, private
    and unassigned characters and line separators (Unicode categories C*, Zl, Zp).
    """
    if _ASCII_PRINTABLE.match(value):
        return value
    return "".join(_escape_hidden(c) if _is_hidden(c) else c for c in value)


def visible_block(text: str) -> str:
    """Like ``visible`` for text of several lines: line feeds stay."""
    return "\n".join(visible(line) for line in text.split("\n"))


def terminal(value: str) -> str:
    """Return the value fit for a terminal: no escape sequence survives."""
    return visible(value)


def html(value: str) -> str:
    """Return the value fit for HTML text and for a quoted attribute."""
    shown = visible(value)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        shown = shown.replace(character, entity)
    return shown


def markdown_text(value: str) -> str:
    """Return the value as Markdown text that shows literally (CommonMark, section 2.4: backslash escapes)."""
    escaped = re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~&$:@^=\"'])", r"\\\1", visible(value))
    return re.sub(r"(?i)\b(www)(\\\.)", r"\1&#46;", escaped)


def markdown_code(value: str) -> str:
    """Return the value as a Markdown code span (CommonMark, section 6.1); fit for a table cell."""
    shown = visible(value).replace("|", "\\|") if "|" in value else visible(value)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest or shown[:1] in {" ", ""} or shown[-1:] == " " else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def markdown_block(text: str, language: str = "") -> str:
    """Return text of several lines as a fenced code block that the text cannot close."""
    shown = visible_block(text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", shown)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


@lru_cache(maxsize=4096)
def shell_word(value: str) -> str:
    """Return the value as one word for bash.

    Plain values stay readable; others are quoted as by ``shlex.quote``;
    hidden characters use bash's ``$'…'`` (bash manual, 3.1.2.4), so that what
    is pasted is what was read.
    """
    if not value:
        return "''"
    if _PLAIN.match(value):
        return value if value[0] not in "~=" else shlex.quote(value)
    if not any(_is_hidden(c) for c in value):
        return shlex.quote(value)
    return "$'" + "".join(_ansi_c(c) for c in value) + "'"


def _ansi_c(character: str) -> str:
    if character in "'\\":
        return "\\" + character
    if not _is_hidden(character):
        return character
    code = ord(character)
    if code == 0 or 0xD800 <= code <= 0xDFFF:
        # No process argument can hold either.
        return "?"
    if code < 0x80:
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\{code:03o}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def nested_shell_word(value: str) -> str:
    """Return the value as one word for a POSIX sh that is itself an argument (``sh -c '…'``)."""
    if any(_is_hidden(c) for c in value):
        raise Unembeddable("POSIX sh has no notation for hidden characters")
    return shlex.quote(value)


def json_string(value: str) -> str:
    """Return the value as a JSON string literal, quotes included (RFC 8259), ASCII only."""
    return json.dumps(value.encode("utf-8", "replace").decode())


def _double_quoted(value: str, byte_escape: str) -> str:
    return (
        '"'
        + "".join(
            "\\" + c if c in '"\\' else c if " " <= c <= "~" else _code_escape(ord(c), byte_escape)
            for c in value.encode("utf-8", "replace").decode()
        )
        + '"'
    )


def _code_escape(code: int, byte_escape: str) -> str:
    if code < 0x100:
        return f"{byte_escape}{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def yaml_scalar(value: str) -> str:
    """Return the value as a double-quoted YAML scalar (YAML 1.2, 7.3.1), quotes included, ASCII only."""
    return _double_quoted(value, "\\x")


def toml_string(value: str) -> str:
    """Return the value as a TOML basic string (TOML 1.0, String), quotes included, ASCII only."""
    return _double_quoted(value, "\\u00")


def falco_string(value: str) -> str:
    """Return the value as a quoted string of a Falco condition inside a YAML block scalar.

    Falco's filter grammar takes backslash escapes in quoted strings; it has
    none for most control characters, which raise ``Unembeddable``.
    """
    if any(_is_hidden(c) for c in value):
        raise Unembeddable("a Falco condition has no notation for hidden characters")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def plain_word(value: str) -> str:
    """Return the value unchanged for formats without quoting (audit rules, nftables, sudoers, INI, units).

    Raises ``Unembeddable`` for anything but letters, digits and ``_./:@+-``.
    """
    if not _WORD.match(value) or value.startswith("-"):
        raise Unembeddable("the format has no quoting and the value is not a plain word")
    return value


def query_string(value: str) -> str:
    """Return the value as a double-quoted string of a query language with JSON's escapes.

    Serves Google's Logging query language, Okta's SCIM filters and jq.
    """
    return json_string(value)


def regular_expression(value: str) -> str:
    """Return the value so that a regular expression (ERE or PCRE) matches it literally."""
    if any(_is_hidden(c) for c in value):
        raise Unembeddable("grep has no notation for hidden characters")
    return re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", value)


def url_part(value: str) -> str:
    """Return the value percent-encoded for a URL's path segment or query (RFC 3986)."""
    return quote(value.encode("utf-8", "replace"), safe="")


def label_value(value: str) -> str:
    """Return the value fit for a Prometheus label: valid UTF-8, visible, at most 512 characters."""
    if len(value) > _LABEL_LIMIT_CHARACTERS:
        value = value[: _LABEL_LIMIT_CHARACTERS - 1] + "…"
    return visible(value)


def valid_text(value: str) -> str:
    """Return the value as text that UTF-8 can hold: lone surrogates become U+FFFD."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return value


LANGUAGES: Mapping[str, Callable[[str], str]] = {
    "gcl": query_string,
    "scim": query_string,
    "jq": query_string,
    "json": json_string,
    "regex": regular_expression,
    "url": url_part,
    "sh": nested_shell_word,
}
"""Languages that stand inside one shell word (``%[gcl:…]`` in the catalog)."""

FORMATS: Mapping[str, Callable[[str], str]] = {
    "yaml": yaml_scalar,
    "json": json_string,
    "falco": falco_string,
    "toml": toml_string,
    "text": visible,
}
"""File formats that have a quoting; every other format takes plain words alone."""
