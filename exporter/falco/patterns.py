"""Falco's patterns: ``glob`` and ``iglob`` (fnmatch(3)), ``regex`` (RE2), ``pmatch`` (path prefixes).

Owns their translation into functions. No pattern makes matching take more
than a time in proportion to the value's length and the pattern's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

import re2

from exporter.falco.tokens import ConditionError

_RE2 = re2.Options()
_RE2.log_errors = False
_CLASS = re.compile(r"\[:(\w+):\]")
_CLASSES = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\s", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip


_escaped = lru_cache(maxsize=256)(re2.escape)
"""For single characters: most patterns consist of the same few."""


def glob(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return whether a whole value matches fnmatch(3)'s pattern: ``*``, ``?``, ``[…]`` and backslashes."""
    pieces: list[str] = []
    stars = [0]
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            stars.append(len(pieces))
        elif character == "?":
            pieces.append(".")
        elif character == "[" and (end := _closing(pattern, at)):
            pieces.append(_bracket(pattern[at:end]))
            at = end + 1
        elif character == "\\" and at < len(pattern):
            pieces.append(re.escape(pattern[at]))
            at += 1
        else:
            pieces.append(re.escape(character))
    fixed = ["".join(pieces[start:end]) for start, end in zip(stars, [*stars[1:], len(pieces)], strict=True)]
    # What stands between two stars is taken at its first place for good: no value makes this slow.
    expression = fixed[0] + "".join(f"(?>.*?{part})" for part in fixed[1:-1] if part)
    if len(fixed) > 1:
        expression += f".*{fixed[-1]}"
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if ignore_case else re.NOFLAG)
    compiled = _compiled(expression, flags, pattern)
    return lambda value: compiled.fullmatch(value) is not None


def glob_to_re2(pattern: str, *, component: bool = False) -> str | None:
    """Return an RE2 expression for the values that the pattern matches, without anchors; None for one with brackets.

    With ``component`` it is for the parts of a path, which hold no slash and are not empty.
    """
    if "[" in pattern:
        return None
    stars, question = ("[^/]*", "[^/]") if component else ("(?s:.*)", "(?s:.)")
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\" and at < len(pattern):
            pieces.append(_escaped(pattern[at]))
            at += 1
        else:
            pieces.append({"*": stars, "?": question}.get(character) or _escaped(character))
    return "[^/]+" if component and set(pieces) == {stars} else "".join(pieces)


def glob_literal(value: str, *, bracketed: Collection[int] = ()) -> str:
    """Return the pattern that matches this value only; at the places ``bracketed`` a character stands in brackets."""
    return "".join(
        [
            ("[\\\\]" if character == "\\" else f"[{character}]")
            if character in "*?[\\" or place in bracketed
            else character
            for place, character in enumerate(value)
        ]
    )


def _closing(pattern: str, at: int) -> int:
    """Return where the bracket that opened just before ``at`` closes, 0 where it does not."""
    start = at + (pattern[at : at + 1] in {"!", "^"})
    end = start + (pattern[start : start + 1] == "]")
    while end < len(pattern) and pattern[end] != "]":
        named = _CLASS.match(pattern, end)
        end = named.end() if named else end + 1 + (pattern[end] == "\\")
    return end if end < len(pattern) else 0


def _bracket(body: str) -> str:
    negated = body[:1] in {"!", "^"}
    body = body[1:] if negated else body
    parts: list[str] = []
    at = 0
    while at < len(body):
        named = _CLASS.match(body, at)
        if named:
            parts.append(_CLASSES.get(named[1], ""))
            at = named.end()
        elif body[at] == "-" and 0 < at < len(body) - 1:
            parts.append("-")
            at += 1
        else:
            at += body[at] == "\\"
            parts.append(re.escape(body[at : at + 1]))
            at += 1
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def regex(pattern: str) -> Callable[[str], bool]:
    """Return whether a whole value matches the regular expression, in RE2, as in Falco."""
    try:
        compiled = re2.compile(pattern, _RE2)
    except (re2.error, UnicodeEncodeError) as exc:
        raise ConditionError(f"{pattern!r} cannot be read as a pattern: {exc}") from exc
    return lambda value: compiled.fullmatch(_encodable(value)) is not None


def _encodable(text: str) -> str:
    """Return the text without lone surrogates, which no UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _compiled(expression: str, flags: re.RegexFlag, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, flags)
    except (re.error, RecursionError, OverflowError) as exc:
        raise ConditionError(f"{pattern!r} cannot be read as a pattern: {exc}") from exc


def path_prefix(paths: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a path lies at or below one of these; each of their components may be a glob pattern."""
    prefixes = [[glob(component) for component in _components(path)] for path in paths]

    def matches(value: str) -> bool:
        components = _components(value)
        return any(
            len(prefix) <= len(components) and all(map(lambda fits, part: fits(part), prefix, components))
            for prefix in prefixes
        )

    return matches


def path_prefix_to_re2(paths: Sequence[str]) -> str | None:
    """Return an RE2 expression, without anchors, for what ``path_prefix`` matches; None for patterns with brackets."""
    prefixes = []
    for path in paths:
        components = [glob_to_re2(component, component=True) for component in _components(path)]
        if None in components:
            return None
        prefixes.append("/+".join(filter(None, components)))
    below = "(?:/(?s:.*))?"
    return "|".join([f"/*{prefix}{below}" if prefix else "(?s:.*)" for prefix in prefixes])


def _components(path: str) -> list[str]:
    return [component for component in path.split("/") if component]
