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
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import quote

from exporter.errors import ExporterError

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+-][A-Za-z0-9_./:@%+=-]*\Z")
_WORD = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@+-]*\Z")
_NAME = re.compile(r"[^\W_]+(?:(?: |[,;:/] ?|-(?=[^\W\d]))[^\W_]+)*\Z")
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and symbols that show nothing, although Unicode does not class them as format characters."""
_STRAY_MARKS = re.compile(rf"\A[{_MARKS}]+|[{_MARKS}]{{4,}}")
"""Marks that would land on what stands before the value, or pile up over the lines around it."""
_PRINTABLE_ASCII = bytes(range(0x20, 0x7F))
_PRINTABLE_LINES = _PRINTABLE_ASCII + b"\n\t"
_BEYOND_ASCII = re.compile("[^ -~]")
"""What may be hidden; most texts have little of it."""
_SHELL_LIMIT_CHARACTERS = 4096
_MARKDOWN_MEANING = re.compile(
    r"([\\`*\[\]<|~$^]|(?<![^\W_])_|_(?![^\W_])|&(?=#|\w+;)|\{(?=[{%#])|(?<=[A-Za-z]):(?=//))"
)
"""What CommonMark, GFM or a template language reads inside a line; an underscore inside a word means nothing."""
_WEB_ADDRESS = re.compile(r"https?://[^\s\"'<>\\]+\Z")
_LABEL_LIMIT_CHARACTERS = 512


class Unembeddable(ExporterError):  # noqa: N818 - said of the value, not a failure
    """This value cannot stand in this place without changing what the text means."""


def _is_hidden(character: str) -> bool:
    return not character.isprintable() or _UNSEEN.match(character) is not None


def has_hidden(value: str) -> bool:
    """Whether the value has characters that do not show, line feeds and tabs among them."""
    return not value.isprintable() or (not value.isascii() and _UNSEEN.search(value) is not None)


def _shown(found: re.Match[str]) -> str:
    return _escape_hidden(found[0]) if _is_hidden(found[0]) else found[0]


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
    and unassigned characters, every space and separator but the ASCII space
    (Unicode categories C* and Z*), what shows nothing, and combining marks
    that would fall on the text around the value. Not reversible: a value that
    holds a backslash escape reads the same.
    """
    if value.isascii() and not value.encode().translate(None, _PRINTABLE_ASCII):  # quicker than isprintable
        return value
    shown = value
    if not value.isascii():
        shown = _STRAY_MARKS.sub(lambda marks: "".join(map(_escape_hidden, marks[0])), value)
    return _BEYOND_ASCII.sub(_shown, shown) if has_hidden(shown) else shown


def shortened(value: str, limit_characters: int) -> str:
    """Return the value, cut where it is longer than the limit, saying how much was left out."""
    if len(value) <= limit_characters:
        return value
    return f"{value[:limit_characters]}… ({len(value) - limit_characters:,} more characters)"


def visible_block(text: str) -> str:
    """Like ``visible`` for an author's text of several lines: line feeds and tabs stay."""
    if text.isascii() and not text.encode().translate(None, _PRINTABLE_LINES):
        return text
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def terminal(value: str) -> str:
    """Return the value fit for a terminal: no escape sequence survives."""
    return visible(value)


def html(value: str) -> str:
    """Return the value fit for HTML text and for a quoted attribute; not for a script, a style or a URL."""
    return html_block(visible(value))


def html_block(text: str) -> str:
    """Return text of several lines fit for HTML's ``<pre>``: line feeds and tabs stay."""
    shown = visible_block(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        shown = shown.replace(character, entity)
    return shown


def web_address(url: str) -> str | None:
    """Return the address fit for a quoted ``href``; None for anything but ``http`` and ``https``."""
    return html(url) if _WEB_ADDRESS.match(url) else None


@lru_cache(maxsize=1024)
def markdown_prose(text: str, *, starts_line: bool = True) -> str:
    """Return an author's words as Markdown that shows them literally and still reads well unrendered.

    Escapes only what means something inside a line or at its start. An
    author's words are trusted not to hold mentions or bare domains, and kept, for they come again.
    """
    escaped = _MARKDOWN_MEANING.sub(r"\\\1", visible(text))
    escaped = re.sub(r"(?i)\b(www)\.", r"\1&#46;", escaped)
    return re.sub(r"\A( *)([-+#=:>]|\d+(?=[.)]))", _escape_start, escaped) if starts_line else escaped


def _escape_start(start: re.Match[str]) -> str:
    if start[2].isdigit():
        return f"{start[1]}{start[2][:-1]}&#{ord(start[2][-1])};"
    return f"{start[1]}\\{start[2]}"


def markdown_name(value: str) -> str:
    """Return a name from an alert for running text: as it is where it is words alone, else as a code span."""
    return value if _NAME.match(value) and not has_hidden(value) else markdown_code(value)


def markdown_code(value: str) -> str:
    """Return the value as a Markdown code span (CommonMark, section 6.1); not for a table's cell."""
    shown = visible(value)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0) if "`" in shown else 0
    fence = "`" * (longest + 1)
    padding = " " if longest or shown[:1] in {" ", ""} or shown[-1:] == " " else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def markdown_address(url: str) -> str:
    """Return a web address as a link's destination (CommonMark, section 6.3). Raises ``Unembeddable`` for others."""
    if web_address(url) is None:
        raise Unembeddable("only http and https addresses become links")
    if re.fullmatch(r"[A-Za-z0-9:/._~?#=%+,-]+", url):
        return url
    return "<" + visible(url).replace("&", "\\&") + ">"


def markdown_block(text: str, language: str = "") -> str:
    """Return text of several lines as a fenced code block that the text cannot close."""
    shown = visible_block(text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", shown)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def shell_word(value: str) -> str:
    """Return the value as one word for bash.

    Plain values stay readable; others stand in single quotes;
    hidden characters use bash's ``$'…'`` (bash manual, 3.1.2.4), so that what
    is pasted is what was read. Raises ``Unembeddable`` for what no argument
    can hold (NUL, lone surrogates), and above 4,096 characters, Linux's longest path.
    """
    if len(value) > _SHELL_LIMIT_CHARACTERS:
        raise Unembeddable(f"the value has {len(value)} characters, too many to paste")
    return value if _PLAIN.match(value) else _quoted_word(value)


@lru_cache(maxsize=512)
def _quoted_word(value: str) -> str:
    """Quote; small, since what it holds is the attackers' choice."""
    if not has_hidden(value):
        # Not shlex.quote, which leaves bare what zsh (=ls) and braces (a,b) read.
        return "'" + value.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join([_ansi_c(c) for c in value]) + "'"


def _ansi_c(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character in "'!":
        # Octal: old readline takes \' for the end of the quotes and expands a ! after it.
        return f"\\{ord(character):03o}"
    if not _is_hidden(character):
        return character
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    if short:
        return short
    if character == "\0" or 0xD800 <= ord(character) <= 0xDFFF:
        raise Unembeddable("no process argument can hold NUL or a lone surrogate")
    # Bytes, for \u depends on the shell's locale; octal, for only it has a fixed length everywhere.
    return "".join([f"\\{byte:03o}" for byte in character.encode()])


def nested_shell_word(value: str) -> str:
    """Return the value as one word for a POSIX sh that is itself an argument (``sh -c '…'``)."""
    if has_hidden(value):
        raise Unembeddable("POSIX sh has no notation for hidden characters")
    return shlex.quote(value)


def json_string(value: str) -> str:
    """Return the value as a JSON string literal, quotes included (RFC 8259), ASCII only."""
    return json.dumps(value.encode("utf-8", "replace").decode())


def _double_quoted(value: str, byte_escape: str) -> str:
    if value.isascii() and value.isprintable():
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
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


_FALCO_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def falco_literal(value: str) -> str:
    r"""Return the value as a quoted text of a Falco condition, quotes included; not yet fit for YAML.

    Only escapes that every Falco knows (libs, ``filter/escaping.cpp``). A
    backslash at the end is written as backslash and blank, as Falco's own
    rules do, for it would take ``\\"`` for the quote's escape. Raises
    ``Unembeddable`` for NUL, which ends Falco's text.
    """
    if "\0" in value:
        raise Unembeddable("a Falco condition has no notation for NUL")
    text = "".join([_FALCO_ESCAPES.get(character, character) for character in value])
    return f'"{text[:-1]} "' if value.endswith("\\") else f'"{text}"'


def plain_word(value: str) -> str:
    """Return the value unchanged for formats without quoting (audit rules, nftables, sudoers, INI, units).

    Raises ``Unembeddable`` for anything but letters, digits and
    ``_./:@+-``, and for a first character of ``:@+-`` (options; inclusion and
    groups in sudoers).
    """
    if not _WORD.match(value):
        raise Unembeddable("the format has no quoting and the value is not a plain word")
    return value


def query_string(value: str) -> str:
    """Return the value as a double-quoted string of a query language with JSON's escapes.

    Serves Google's Logging query language, Okta's SCIM filters and jq.
    """
    return json_string(value)


def regular_expression(value: str) -> str:
    """Return the value so that a regular expression (BRE, ERE, PCRE, RE2) matches it literally.

    Not for inside brackets. Brackets rather than backslashes for what GNU's
    BRE makes special by a backslash.
    """
    if has_hidden(value):
        raise Unembeddable("grep has no notation for hidden characters")
    return re.sub(r"([|?+(){}])", r"[\1]", re.sub(r"([\\^$.*\[\]])", r"\\\1", value))


def url_part(value: str) -> str:
    """Return the value percent-encoded for a URL's path segment or query (RFC 3986)."""
    return quote(value.encode("utf-8", "replace"), safe="")


def label_value(value: str) -> str:
    """Return the value fit for a Prometheus label: valid UTF-8, visible, at most 512 characters."""
    shown = visible(value[: _LABEL_LIMIT_CHARACTERS + 1])
    return shown if len(shown) <= _LABEL_LIMIT_CHARACTERS else shown[: _LABEL_LIMIT_CHARACTERS - 1] + "…"


def valid_text(value: str) -> str:
    """Return the value as text that UTF-8 can hold: lone surrogates become U+FFFD."""
    if value.isascii():
        return value
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
    "toml": toml_string,
    "text": visible,
}
"""File formats that have one quoting; `falco` has several (``exporter/falco/snippet.py``), others take plain words."""
