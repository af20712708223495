"""The words that signs are written in: Falco's fields, derived facts, lists and macros.

Owns compiling a sign's condition, and which fields it may name. Refuses to
know any particular sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from exporter.errors import CatalogError
from exporter.falco.condition import (
    And,
    Comparison,
    ConditionError,
    Evaluation,
    Field,
    Lookup,
    Macro,
    Node,
    Not,
    Or,
    Value,
    Values,
    address_of,
    compile_condition,
    fields_of,
    parse,
    walk,
)
from exporter.verdict.facts import DERIVED, source_fields

FIELD_CLASSES = frozenset(
    {
        "alert", "container", "ct", "ec2", "evt", "fd", "gcp", "github", "group", "jevt", "json", "k8s", "ka", "okta",
        "proc", "s3", "syslog", "thread", "user",
    }
)  # fmt: skip
"""First words of the fields that Falco and its official plugins know, and ``alert`` for what every alert has."""


MACRO, MACRO_OPEN = "alert.macro", "alert.macro.open"
"""A macro as a fact, worked out once an alert: with absent fields as false, and with them leaving it open."""


class Compiled(NamedTuple):
    """A condition, ready to be asked."""

    holds: Evaluation
    """From a field's name to its value, to True, False or, where absent fields leave it open, None."""
    fields: frozenset[str]
    """Every output field that the answer depends on."""
    node: Node
    """The condition with the items of lists in place and its macros by name."""


class Language:
    """Lists and macros by name. Macros may use those that were given before them."""

    def __init__(
        self, lists: Mapping[str, Iterable[str]] | None = None, macros: Mapping[str, str] | None = None
    ) -> None:
        self._written: dict[str, tuple[str, ...]] = {}
        self._lists: dict[str, tuple[str, ...]] | None = None
        self.macros: dict[str, Node] = {}
        self._evaluations: dict[str, Evaluation] = {}
        for name, items in (lists or {}).items():
            self.add_list(name, items)
        for name, condition in (macros or {}).items():
            self.add_macro(name, condition)

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """Items by list, those of lists that it names among them."""
        if self._lists is None:
            self._lists = {name: tuple(dict.fromkeys(self._items(name, ()))) for name in self._written}
        return self._lists

    def add_list(self, name: str, items: Iterable[str]) -> None:
        """Add a list; where there is one of that name, its items are added to it."""
        self._written[name] = (*self._written.get(name, ()), *items)
        self._lists = None

    def _items(self, name: str, within: tuple[str, ...]) -> Iterator[str]:
        for item in self._written[name]:
            if item in self._written and item not in within and item != name:
                yield from self._items(item, (*within, name))
            else:
                yield item

    def add_macro(self, name: str, condition: str) -> None:
        """Add a macro; where there is one of that name, either of the two conditions will do. Raises CatalogError."""
        node = self._node(condition)
        present = self.macros.get(name)
        if present is not None and self._uses(node, name):
            raise CatalogError(
                f"macro {name!r} uses itself; what is written here is added to that macro: leave the name out"
            )
        self.macros[name] = node if present is None else Or((present, node))
        self._evaluations = {}

    def _uses(self, node: Node, name: str) -> bool:
        """Whether the macro of this name is in the node, or in a macro that is."""
        found = [part.name for part in walk(node) if isinstance(part, Macro)]
        return name in found or any(self._uses(self.macros[each], name) for each in found)

    def compile(self, condition: str, *, absent_is_unknown: bool = True) -> Compiled:
        """Return the condition, compiled. Raises CatalogError that names what is wrong in it.

        What an absent field would have said stays open with ``absent_is_unknown``; else its comparison is
        false, as in Falco.
        """
        node = self._node(condition)
        fields = frozenset(name for field in self._fields(node) for name in source_fields(field))
        return Compiled(self._evaluation(node, MACRO_OPEN if absent_is_unknown else MACRO), fields, node)

    def evaluate_macro(self, field: str, facts: Lookup) -> str | None:
        """Return ``yes``, ``no`` or, where absent fields leave it open, None for ``macro[NAME]`` of ``facts``."""
        evaluation = self._evaluations.get(field)
        if evaluation is None:
            kind, _, name = field.partition("[")
            evaluation = self._evaluations[field] = self._evaluation(self.macros[name.removesuffix("]")], kind)
        answer = evaluation(facts)
        return None if answer is None else "yes" if answer else "no"

    def _evaluation(self, node: Node, kind: str) -> Evaluation:
        try:
            return compile_condition(_as_facts(node, kind), absent_is_unknown=kind == MACRO_OPEN)
        except ConditionError as exc:
            raise CatalogError(f"the condition cannot be evaluated: {exc}") from exc

    def _node(self, condition: str) -> Node:
        try:
            node = self._with_lists(parse(condition))
        except ConditionError as exc:
            raise CatalogError(f"the condition does not parse: {exc}") from exc
        for field in self._fields(node):
            self._check_field(field)
        return node

    def _check_field(self, field: str) -> None:
        name, _, argument = field.partition("[")
        if name in DERIVED:
            if name in {"image.in", "images.in"} and argument.removesuffix("]") not in self.lists:
                raise CatalogError(f"{field}: list {argument.removesuffix(']')!r} is not known")
        elif name.partition(".")[0] not in FIELD_CLASSES:
            raise CatalogError(f"{field}: neither a field of Falco nor a derived one; these are {', '.join(DERIVED)}")

    def _fields(self, node: Node) -> Iterable[str]:
        for part in walk(node):
            if isinstance(part, Comparison):
                for field in (*fields_of(part.left), *fields_of(part.right)):
                    yield field.key
                    if address := address_of(field):
                        yield address
            elif isinstance(part, Macro):
                if part.name not in self.macros:
                    known = ", ".join(sorted(self.macros)) or "none"
                    raise CatalogError(f"macro {part.name!r} is not known; expected one of: {known}")
                yield from self._fields(self.macros[part.name])

    def _with_lists(self, node: Node) -> Node:
        """Put the items of lists in the place of their names."""
        if isinstance(node, And | Or):
            return replace(node, children=tuple(map(self._with_lists, node.children)))
        if isinstance(node, Not):
            return Not(self._with_lists(node.child))
        if isinstance(node, Comparison) and node.operator == "exists" and isinstance(node.left, Field):
            # Whether a field is there is never open.
            return Comparison(Field("alert.has", node.left.key), "=", Value("yes"))
        if not isinstance(node, Comparison) or not isinstance(node.right, Values | Value):
            return node
        items = node.right.items if isinstance(node.right, Values) else (node.right,)
        if isinstance(node.right, Value) and node.operator not in {"in", "intersects", "pmatch"} and not node.modifier:
            return node
        found = tuple(
            Value(text, quoted=True) if item.text in self.lists and not item.quoted else item
            for item in items
            for text in (self.lists.get(item.text, (item.text,)) if not item.quoted else (item.text,))
        )
        return replace(node, right=Values(found))


def _as_facts(node: Node, kind: str) -> Node:
    """Put a fact in the place of each macro."""
    if isinstance(node, Macro):
        return Comparison(Field(kind, node.name), "=", Value("yes"))
    if isinstance(node, And | Or):
        return replace(node, children=tuple(_as_facts(child, kind) for child in node.children))
    return Not(_as_facts(node.child, kind)) if isinstance(node, Not) else node
