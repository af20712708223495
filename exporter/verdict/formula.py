"""A sign's condition as a question to an alert's atoms.

Owns the translation: negations go down to the atoms, so that *not* is asked of
an atom's own bits; macros are put in place, each translated once. What is left
is *all of these bits* and *any of these bits*, two operations on one integer
for most of a condition. The answer is that of ``falco/evaluation.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from exporter.falco.condition import And, Comparison, Macro, Node, Not
from exporter.verdict.atoms import BITS, DENIED, HOLDS, NOT, Atoms, Group

Question = Callable[[int], bool]
"""From an alert's atoms, as bits, to whether the condition holds."""


class _Part(NamedTuple):
    """All of the bits and of the parts, or any of them."""

    every: bool
    bits: int
    parts: tuple[_Part, ...]
    groups: frozenset[Group]


class Formulas:
    """Translates conditions of signs. Not safe from several threads."""

    def __init__(self, atoms: Atoms, macros: Mapping[str, Node]) -> None:
        self._atoms = atoms
        self._macros = macros
        self._known: dict[tuple[str, bool, bool], _Part] = {}

    def translate(self, node: Node, *, absent_is_unknown: bool) -> tuple[Question, frozenset[Group]]:
        """Return the question, and the groups whose bits it looks at.

        It is True where the condition holds, with absent fields leaving
        comparisons open or making them false.
        """
        part = self._part(node, absent_is_unknown, True)
        return _question(part), part.groups

    def _part(self, node: Node, is_open: bool, wanted: bool) -> _Part:
        """Return what makes the condition true, or false where that is wanted."""
        if isinstance(node, Not):
            return self._part(node.child, is_open, not wanted)
        if isinstance(node, Macro):
            key = node.name, is_open, wanted
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._part(self._macros[node.name], is_open, wanted)
            return known
        if isinstance(node, Comparison):
            number, group = self._atoms.add(node)
            place = HOLDS if wanted else DENIED if is_open else NOT
            return _Part(True, 1 << number * BITS + place, (), frozenset((group,)))
        return _joined(
            [self._part(child, is_open, wanted) for child in node.children], every=isinstance(node, And) is wanted
        )


def _joined(children: list[_Part], *, every: bool) -> _Part:
    """Join the parts; those that are of the same kind, and single bits, become part of the whole."""
    bits = 0
    parts: list[_Part] = []
    for child in children:
        is_bit = not child.parts and child.bits.bit_count() == 1
        if is_bit or child.every is every:
            bits |= child.bits
            parts += child.parts
        else:
            parts.append(child)
    return _Part(every, bits, tuple(parts), frozenset[Group]().union(*(child.groups for child in children)))


def _question(part: _Part) -> Question:
    bits, parts = part.bits, tuple(map(_question, part.parts))
    if not parts:
        return (lambda atoms: atoms & bits == bits) if part.every else (lambda atoms: atoms & bits != 0)

    def all_hold(atoms: int) -> bool:
        if atoms & bits != bits:
            return False
        for holds in parts:  # noqa: SIM110 - a generator costs more than the parts
            if not holds(atoms):
                return False
        return True

    def any_holds(atoms: int) -> bool:
        if atoms & bits:
            return True
        for holds in parts:  # noqa: SIM110
            if holds(atoms):
                return True
        return False

    return all_hold if part.every else any_holds
