"""What a condition is made of, and its text.

Owns the nodes that the parser makes, and printing them so that Falco reads
the same condition again. Refuses to read and to evaluate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.escaping import falco_literal

NUMBER_OPERATORS = ("<=", "<", ">=", ">")
"""Operators that take a bare number. Longest first, as the parser tries them."""
SYMBOL_OPERATORS = ("==", "=", "!=")
WORD_OPERATORS = (
    "glob", "iglob", "contains", "icontains", "bcontains", "startswith", "bstartswith", "endswith", "regex",
)  # fmt: skip
"""Operators that need a blank after them."""
LIST_OPERATORS = ("intersects", "in", "pmatch")
MODIFIERS = ("oneof", "anyof", "allof")
"""What may follow a symbol or word operator (libs 0.25), with a list after it."""
TRANSFORMERS = ("tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt")


@dataclass(frozen=True, slots=True)
class Field:
    """A field, e.g. ``proc.aname[2]``."""

    name: str
    argument: str | None = None
    """What stands in the brackets, unescaped; None without brackets."""

    @property
    def key(self) -> str:
        """The field as alerts name it, its argument in brackets."""
        return self.name if self.argument is None else f"{self.name}[{self.argument}]"


@dataclass(frozen=True, slots=True)
class Value:
    """A text or number that the author wrote."""

    text: str
    """Unescaped, without its quotes."""
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """Values in brackets."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A transformer around fields and values, e.g. ``tolower(proc.name)``; ``val(…)`` on the right-hand side."""

    transformer: str
    arguments: tuple[Operand, ...]
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class Operands:
    """A transformer's argument that is a list, e.g. in ``join("-", (proc.name, proc.pname))``."""

    items: tuple[Operand, ...]


Operand = Field | Value | Call | Operands


@dataclass(frozen=True, slots=True)
class Comparison:
    """``FIELD OPERATOR VALUE``."""

    left: Field | Call
    operator: str
    right: Value | Values | Call | None = None
    """None after ``exists``. A bare value after an operator for lists may name a list."""
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition."""

    child: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of these."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of these."""

    children: tuple[Node, ...]


Node = Comparison | Macro | Not | And | Or


def to_text(node: Node) -> str:
    """Return the condition's text. Raises Unembeddable for a value that Falco has no notation for."""
    if isinstance(node, And | Or):
        word = " and " if isinstance(node, And) else " or "
        return word.join(_in_brackets(child) for child in node.children)
    if isinstance(node, Not):
        return f"not {_in_brackets(node.child)}"
    return node.name if isinstance(node, Macro) else _comparison_text(node)


def _in_brackets(node: Node) -> str:
    return f"({to_text(node)})" if isinstance(node, And | Or | Not) else to_text(node)


def _comparison_text(node: Comparison) -> str:
    words = [_operand_text(node.left), node.operator, node.modifier or ""]
    right = "" if node.right is None else _operand_text(node.right)
    return " ".join(word for word in (*words, right) if word)


def _operand_text(operand: Operand | Values) -> str:
    if isinstance(operand, Value):
        return falco_literal(operand.text) if operand.quoted else operand.text
    if isinstance(operand, Field):
        return operand.name + _brackets(operand.argument)
    if isinstance(operand, Call):
        arguments = ", ".join(map(_operand_text, operand.arguments))
        return f"{operand.transformer}({arguments}){_brackets(operand.argument)}"
    return f"({', '.join(map(_operand_text, operand.items))})"


def _brackets(argument: str | None) -> str:
    if argument is None:
        return ""
    bare = argument and not any(character in "[]\"'" or character.isspace() for character in argument)
    return f"[{argument if bare else falco_literal(argument)}]"


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything beneath it that is a condition, in the order of the text."""
    stack = [node]
    while stack:
        found = stack.pop()
        yield found
        if isinstance(found, And | Or):
            stack += reversed(found.children)
        elif isinstance(found, Not):
            stack.append(found.child)


def fields_of(operand: Operand | Values | None) -> Iterator[Field]:
    """Yield the fields that one side of a comparison reads."""
    if isinstance(operand, Field):
        yield operand
    elif isinstance(operand, Call):
        for argument in operand.arguments:
            yield from fields_of(argument)
    elif isinstance(operand, Operands):
        for item in operand.items:
            yield from fields_of(item)
