"""Evaluating a condition against one event's fields.

Owns what a comparison means. Values are texts in Falco's notation (``"0"``,
``"true"``, ``"192.0.2.7"``), for alerts carry no types. So:

- ``<``, ``<=``, ``>``, ``>=`` compare numbers, hexadecimal ones too; a value
  that is no number fits none of them;
- ``=`` and ``in`` compare texts, and numbers where the author wrote a bare
  hexadecimal one;
- ``fd.net`` and its kin (``fd.snet``, …) compare an address with networks, and
  take it from ``fd.ip`` and its kin where the event has no such field;
- a list's text, ``(a,b)``, is its elements for ``in`` (all) and ``intersects`` (any).

A field that is absent makes the comparison false, as in Falco, or, in
Kleene's three-valued logic, unknown: an alert carries the fields that its
rule prints, and what it does not print may have held anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporter.falco.comparisons import operands, test
from exporter.falco.nodes import Call, Comparison, Macro, Node, Not, Or, Value, Values, fields_of
from exporter.falco.parser import parse
from exporter.falco.tokens import ConditionError

Lookup = Callable[[str], str | None]
"""From a field's name, its argument in brackets, to its value in Falco's notation; None where it is absent."""
Evaluation = Callable[[Lookup], bool | None]
_MACRO_DEPTH_LIMIT = 20


def compile_condition(
    condition: str | Node, *, absent_is_unknown: bool = False, macros: Mapping[str, Node] | None = None
) -> Evaluation:
    """Return a function from an event's fields to whether the condition holds.

    With ``absent_is_unknown`` it answers None where absent fields leave it
    open (Kleene's logic: *false and unknown* is false, *true or unknown*
    true); else an absent field makes its comparison false, as in Falco, and
    the answer is never None. Raises ConditionError for what does not parse, a
    macro that is not among ``macros``, a pattern that cannot be read, and the
    transformer ``getopt``.
    """
    node = parse(condition) if isinstance(condition, str) else condition
    return _Compiler(macros or {}, None if absent_is_unknown else False).node(node, 0)


class _Compiler:
    def __init__(self, macros: Mapping[str, Node], absent: bool | None) -> None:
        self.macros = macros
        self.absent = absent

    def node(self, node: Node, depth: int) -> Evaluation:
        if isinstance(node, Comparison):
            return self.comparison(node)
        if isinstance(node, Macro):
            if node.name not in self.macros:
                raise ConditionError(f"macro {node.name} is not known")
            if depth >= _MACRO_DEPTH_LIMIT:
                raise ConditionError(f"macro {node.name} leads back to itself, or through more than {depth} macros")
            return self.node(self.macros[node.name], depth + 1)
        if isinstance(node, Not):
            return _negation(self.node(node.child, depth))
        children = tuple(self.node(child, depth) for child in node.children)
        return _joined(children, decisive=isinstance(node, Or))

    def comparison(self, node: Comparison) -> Evaluation:
        absent = self.absent
        if node.operator == "exists":
            keys = [field.key for field in fields_of(node.left)]
            return lambda lookup: True if all(lookup(key) is not None for key in keys) else absent
        left = operands(node.left)
        if isinstance(node.right, Call):
            right = operands(node.right)
            return lambda lookup: _late(node, left(lookup), right(lookup), absent)
        values = node.right.items if isinstance(node.right, Values) else (node.right,)
        fits = test(node, tuple(value for value in values if value is not None))

        def holds(lookup: Lookup) -> bool | None:
            value = left(lookup)
            return absent if value is None else fits(value)

        return holds


def _late(node: Comparison, left: str | None, right: str | None, absent: bool | None) -> bool | None:
    """Compare two values of the event with one another."""
    if left is None or right is None:
        return absent
    return test(node, (Value(right),))(left)


def _negation(child: Evaluation) -> Evaluation:
    def holds(lookup: Lookup) -> bool | None:
        found = child(lookup)
        return None if found is None else not found

    return holds


def _joined(children: tuple[Evaluation, ...], *, decisive: bool) -> Evaluation:
    """And (decided by one false child) or or (decided by one true child)."""

    def holds(lookup: Lookup) -> bool | None:
        answer: bool | None = not decisive
        for child in children:
            found = child(lookup)
            if found is decisive:
                return decisive
            if found is None:
                answer = None
        return answer

    return holds
