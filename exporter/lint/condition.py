"""Falco's condition grammar, as far as one needs it to say that a condition loads.

Owns a parser after falcosecurity/libs (userspace/libsinsp/filter/parser.h) and
which comparison operators fit which kind of field (filter_compare.cpp).
Refuses to evaluate anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<symbol>==|!=|<=|>=|[()=<>,])
    |(?P<bare>[^()"'\s=,<>!\[\]]+(?:\[(?:"[^"]*"|[^\]"\s])*\])?))""",
    re.VERBOSE,
)
_FIELD = re.compile(r"[a-zA-Z]+\w*(?:\.[a-zA-Z]+\w*)+(?:\[[^\]]*\])?\Z")
_IDENTIFIER = re.compile(r"[a-zA-Z]+\w*\Z")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]+|[+-]?\d+\.?\d*(?:[eE][+-]\d+)?)\Z")
_TRANSFORMERS = frozenset({"tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt", "val"})
LIST_OPERATORS = frozenset({"in", "intersects", "pmatch"})
NUMBER_OPERATORS = frozenset({"<", "<=", ">", ">="})
STRING_OPERATORS = frozenset(
    {"==", "=", "!=", "glob", "iglob", "contains", "icontains", "bcontains", "startswith", "bstartswith", "endswith",
     "regex"}
)  # fmt: skip
_EQUALITY = frozenset({"=", "==", "!=", "in", "intersects", "exists"})
FITTING = {
    "string": STRING_OPERATORS - {"bcontains", "bstartswith"} | NUMBER_OPERATORS | LIST_OPERATORS | {"exists"},
    "number": _EQUALITY | NUMBER_OPERATORS,
    "bool": _EQUALITY,
    "ip": _EQUALITY,
    "buffer": _EQUALITY | {"contains", "bcontains", "startswith", "bstartswith", "endswith"},
    "list": frozenset({"in", "intersects", "exists"}),
}
"""Kind of a field's values to the operators that libsinsp compares them with."""


class ConditionError(ValueError):
    """The condition does not parse; the text says what was expected where."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``FIELD OPERATOR VALUES``."""

    field: str
    operator: str
    values: tuple[str, ...]
    """As written, quotes taken off; a bare identifier may name a list."""
    transformed: bool
    """Whether a transformer stands around the field."""


@dataclass(slots=True)
class Condition:
    """What a condition is made of."""

    comparisons: list[Comparison] = field(default_factory=list)
    macros: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    """Bare words in the place of values: lists or plain values, only the rules file tells."""


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.found = Condition()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def fail(self, expected: str) -> NoReturn:
        before = " ".join(self.tokens[max(0, self.at - 4) : self.at])
        raise ConditionError(f"found {self.peek() or 'the end'!r} after {before!r}, expected {expected}")

    def expect(self, token: str) -> None:
        if self.peek() != token:
            self.fail(repr(token))
        self.at += 1

    def disjunction(self) -> None:
        self.conjunction()
        while self.peek() == "or":
            self.at += 1
            self.conjunction()

    def conjunction(self) -> None:
        self.negation()
        while self.peek() == "and":
            self.at += 1
            self.negation()

    def negation(self) -> None:
        while self.peek() == "not":
            self.at += 1
        if self.peek() == "(":
            self.at += 1
            self.disjunction()
            self.expect(")")
        else:
            self.check()

    def check(self) -> None:
        token = self.peek()
        following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ""
        if token in _TRANSFORMERS and following == "(":
            self.comparison(self.transformed_field(), transformed=True)
        elif _FIELD.match(token):
            self.comparison(self.take(), transformed=False)
        elif _IDENTIFIER.match(token) and token not in {"and", "or", "not"}:
            self.found.macros.append(self.take())
        else:
            self.fail("a bracket, a field or a macro's name")

    def transformed_field(self) -> str:
        """``transformer(field)``, nested; further arguments may be values."""
        self.at += 1
        self.expect("(")
        following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ""
        if self.peek() in _TRANSFORMERS and following == "(":
            name = self.transformed_field()
        elif _FIELD.match(self.peek()):
            name = self.take()
        else:
            self.fail("a field")
        while self.peek() == ",":
            self.at += 1
            self.take()
        self.expect(")")
        return name

    def comparison(self, name: str, *, transformed: bool) -> None:
        operator = self.peek()
        if operator == "exists":
            self.at += 1
            self.found.comparisons.append(Comparison(name, operator, (), transformed))
            return
        if operator not in STRING_OPERATORS | NUMBER_OPERATORS | LIST_OPERATORS:
            self.fail(f"a comparison operator after {name}")
        self.at += 1
        if self.peek() in {"oneof", "anyof", "allof"}:
            self.at += 1
            values = self.values()
        elif operator in LIST_OPERATORS:
            values = self.values()
        else:
            values = (self.value(operator),)
        self.found.comparisons.append(Comparison(name, operator, values, transformed))

    def values(self) -> tuple[str, ...]:
        if self.peek() != "(":
            if not _IDENTIFIER.match(self.peek()):
                self.fail("a list in brackets or a list's name")
            self.found.lists.append(self.peek())
            return (self.take(),)
        self.at += 1
        found: list[str] = []
        while self.peek() != ")":
            if _IDENTIFIER.match(self.peek()):
                self.found.lists.append(self.peek())
            found.append(self.value("in"))
            if self.peek() != ",":
                break
            self.at += 1
        self.expect(")")
        return tuple(found)

    def value(self, operator: str) -> str:
        token = self.peek()
        if not token or token in {"(", ")", ",", "=", "<", ">"}:
            self.fail("a value; quote it where it holds blanks, brackets, commas or =")
        if operator in NUMBER_OPERATORS and not _NUMBER.match(token):
            self.fail("a number")
        self.at += 1
        return unquoted(token)


def unquoted(token: str) -> str:
    """Return a token without its quotes and backslashes."""
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token[:1] in {'"', "'"} else token


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    end = 0
    text = text.strip()
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            raise ConditionError(
                f"cannot be read from {text[end : end + 30]!r} on; quote values with special characters"
            )
        tokens.append(match["quoted"] or match["symbol"] or match["bare"])
        end = match.end()
    return tokens


def parse_condition(text: str) -> Condition:
    """Return what the condition is made of. Raises ConditionError."""
    parser = _Parser(text)
    if not parser.tokens:
        raise ConditionError("is empty")
    parser.disjunction()
    if parser.at < len(parser.tokens):
        parser.fail("'and', 'or' or the end")
    return parser.found
