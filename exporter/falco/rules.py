"""Rules as Falco holds them after loading: the types, and what becomes of a condition.

Owns the pasting of exceptions and lists into a condition's text, and of
macros into its tree, exactly as Falco does it (falcosecurity/falco,
``userspace/engine/rule_loader_compiler.cpp``). Pasting is textual: that is
how a value can add operators, and why ``exceptions.py`` quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.falco.nodes import LIST_OPERATORS, MODIFIERS, And, Macro, Node, Not, Or, walk
from exporter.falco.parser import parse
from exporter.falco.tokens import ConditionError

_BLANKS = " \t\n\r"
_DELIMITERS = _BLANKS + "(),="
_MACRO_DEPTH_LIMIT = 20


@dataclass(frozen=True, slots=True)
class RuleException:
    """One of a rule's exceptions."""

    name: str
    fields: str | tuple[str, ...] | None
    """One field (``values`` are then its values), several, or None where only values are appended."""
    comps: str | tuple[str, ...] | None
    """Operators; None for Falco's own: ``in`` for one field, ``=`` for several."""
    values: tuple[str | tuple[str | tuple[str, ...], ...], ...]
    """For one field its values; else rows with a value, or a list of them, per field."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the files leave it."""

    name: str
    condition: str
    output: str
    priority: str
    """As written, e.g. ``WARNING``."""
    source: str
    file: str
    """Name of the file that defines it."""
    desc: str = ""
    tags: tuple[str, ...] = ()
    exceptions: tuple[RuleException, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """A macro."""

    name: str
    condition: str
    visible_until: int
    """Macros defined after this step are not seen by it."""
    step: int


@dataclass(frozen=True, slots=True)
class NamedList:
    """A list."""

    name: str
    items: tuple[str, ...]
    visible_until: int
    step: int


@dataclass(slots=True)
class Rules:
    """What rules files define, in the order of their first definition."""

    rules: dict[str, Rule] = field(default_factory=dict)
    macros: dict[str, NamedCondition] = field(default_factory=dict)
    lists: dict[str, NamedList] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Items that Falco would refuse to load, each named with its file and line."""

    def list_items(self) -> dict[str, tuple[str, ...]]:
        """Return each list's items as Falco pastes them: lists among them that it sees are taken apart once."""
        return {
            found.name: tuple(value for item in found.items for value in self._taken_apart(item, found.visible_until))
            for found in self.lists.values()
        }

    def _taken_apart(self, item: str, visible_until: int) -> tuple[str, ...]:
        inner = self.lists.get(item)
        return inner.items if inner is not None and inner.step < visible_until else (item,)

    def pasted(self, rule: str) -> str:
        """Return the rule's condition with exceptions and lists pasted in. Raises ConditionError."""
        found = self.rules[rule]
        return paste_lists(paste_exceptions(found.condition, found.exceptions), self.list_items())[0]

    def condition(self, rule: str) -> Node:
        """Return the rule's whole condition, macros put in. Raises ConditionError where Falco would not load it."""
        lists = self.list_items()
        macros = {name: parse(paste_lists(macro.condition, lists)[0]) for name, macro in self.macros.items()}
        return put_in_macros(parse(self.pasted(rule)), macros)


def quote_item(item: str) -> str:
    """Return a value as Falco pastes it: in quotes where it holds a space and does not begin with one of them."""
    return f'"{item}"' if " " in item and item[0] not in "\"'" else item


def _row(names: Sequence[str], comps: Sequence[str], row: object) -> str:
    if not isinstance(row, tuple) or len(row) != len(names):
        raise ConditionError(f"found {row!r}, expected a list of {len(names)} values, one per field of the exception")
    parts: list[str] = []
    for name, operator, value in zip(names, comps, row, strict=True):
        if isinstance(value, tuple):
            text = f"({', '.join(map(quote_item, value))})"
        elif takes_list(operator):
            text = value if value.startswith("(") else f"({value})"
        else:
            text = quote_item(value)
        parts.append(f" {name} {operator} {text}")
    return f"({' and '.join(parts)})"


def takes_list(operator: str) -> bool:
    """Whether the operator compares with a list in brackets."""
    return operator in LIST_OPERATORS or operator.rpartition(" ")[2] in MODIFIERS


def paste_exceptions(condition: str, exceptions: Sequence[RuleException]) -> str:
    """Return the condition with ``and not (…)`` for each exception that has values. Raises ConditionError."""
    if not exceptions:
        return condition
    parts = [f"({condition})"]
    for exception in exceptions:
        if not exception.values or exception.fields is None:
            continue
        if isinstance(exception.fields, str):
            if not all(isinstance(value, str) for value in exception.values):
                raise ConditionError(f"exception {exception.name}: expected a list of strings for its one field")
            items = ", ".join(quote_item(str(value)) for value in exception.values)
            parts.append(f"({exception.fields} {exception.comps or 'in'} ({items}))")
            continue
        comps = exception.comps or ("=",) * len(exception.fields)
        if len(comps) != len(exception.fields):
            raise ConditionError(f"exception {exception.name}: fields and comps differ in number")
        parts.append(f"({' or '.join(_row(exception.fields, comps, row) for row in exception.values)})")
    return " and not ".join(parts)


def paste_lists(text: str, lists: Mapping[str, Sequence[str]]) -> tuple[str, frozenset[str]]:
    """Return the text with each list's name replaced by its items, and the names that were found.

    The name counts wherever blanks, brackets, commas or ``=`` stand around
    it, within quotes too.
    """
    used: set[str] = set()
    for name, items in lists.items():
        pasted = _paste_list(text, name, ", ".join(map(quote_item, items)))
        if pasted is not None:
            text = pasted
            used.add(name)
    return text, frozenset(used)


def _paste_list(text: str, name: str, items: str) -> str | None:
    used = False
    start = text.find(name)
    while start != -1:
        end = start + len(name)
        if (start == 0 or text[start - 1] in _DELIMITERS) and (end >= len(text) or text[end] in _DELIMITERS):
            start, end = _without_blanks(text, start, end)
            if not items and start > 0 and text[start - 1] == ",":
                start -= 1
            elif not items and text[end : end + 1] == ",":
                end += 1
            before = text[:start] + " " if start else ""
            text = f"{before}{items} {text[end:]}"
            start += len(items) + 1
            used = True
        start = text.find(name, start + 1)
    return text if used else None


def _without_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and text[start - 1] in _BLANKS:
        start -= 1
    while end < len(text) and text[end] in _BLANKS:
        end += 1
    return start, end


def put_in_macros(node: Node, macros: Mapping[str, Node], *, depth: int = 0) -> Node:
    """Return the condition with the macros' conditions in their place. Raises ConditionError for an unknown one."""
    if isinstance(node, Macro):
        if node.name not in macros:
            raise ConditionError(f"macro {node.name} is defined nowhere")
        if depth >= _MACRO_DEPTH_LIMIT:
            raise ConditionError(f"macro {node.name} leads back to itself, or through more than {depth} macros")
        return put_in_macros(macros[node.name], macros, depth=depth + 1)
    if isinstance(node, Not):
        return Not(put_in_macros(node.child, macros, depth=depth))
    if isinstance(node, And | Or):
        return type(node)(tuple(put_in_macros(child, macros, depth=depth) for child in node.children))
    return node


def macros_in(node: Node) -> Iterator[str]:
    """Yield the names of the macros that the condition uses directly."""
    return (found.name for found in walk(node) if isinstance(found, Macro))
