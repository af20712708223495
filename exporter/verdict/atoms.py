"""Atoms: every comparison that signs are made of, each answered once for an alert.

Owns the atoms' bits, and which answers are kept. Atoms that depend on the same
output fields make one group, whose bits are a pure function of these fields'
values: an alert with a new command line asks only about command lines again.
Refuses to know what signs make of the answers (``formula.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeGuard

from exporter.alert import Alert
from exporter.falco.condition import (
    Comparison,
    Evaluation,
    Field,
    Value,
    Values,
    address_of,
    compile_condition,
    fields_of,
)
from exporter.falco.nodes import Operand
from exporter.falco.together import Together
from exporter.kept import Kept
from exporter.verdict.facts import Facts, source_fields

BITS = 4
"""Bits of an atom. At most two of the three that are used are set."""
HOLDS, DENIED, NOT = 0, 1, 2
"""It holds; it does not, though its field is there; it does not, whether or not its field is there."""
MASKS_KEPT = 128
"""Of a group, of values with at most ``KEPT_CHARACTERS``: senders choose them."""
KEPT_CHARACTERS = 512

OF_ALERT: Mapping[str, Callable[[Alert], str | None]] = {
    "alert.rule": lambda alert: alert.rule,
    "alert.source": lambda alert: alert.source,
    "alert.priority": lambda alert: alert.priority.label,
    "alert.hostname": lambda alert: alert.hostname or None,
    "alert.on_host": lambda alert: "yes" if alert.fields.get("container.id") == "host" else None,
    "evt.time": lambda alert: alert.get("evt.time"),
    "evt.hostname": lambda alert: alert.get("evt.hostname"),
}
"""What every alert has, although it does not list it among its fields."""
IN_FIELDS: Mapping[str, frozenset[str]] = {
    "alert.rule": frozenset(),
    "alert.source": frozenset(),
    "alert.on_host": frozenset({"container.id"}),
}
"""Those of them that say nothing beyond the rule, the source and these output fields."""

Inputs = str | None | tuple[str | None, ...]
"""The values of the fields that a group depends on, as received; None for a missing one. Of one field, its own."""


def inputs_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the output fields that a comparison depends on, sorted; names of ``OF_ALERT`` among them."""
    found: set[str] = set()
    for side in (comparison.left, comparison.right):
        for field in fields_of(side):
            found.update(source_fields(field.key))
            if address := address_of(field):
                found.add(address)
    return tuple(sorted(found))


class Group:
    """The atoms that depend on the same output fields. Safe from any thread."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        """The output fields."""
        self.of_alert = not OF_ALERT.keys().isdisjoint(names)
        self._atoms: list[tuple[int, Comparison]] = []
        self._asked: Asked | None = None
        self._lock = threading.Lock()

    def add(self, number: int, comparison: Comparison) -> None:
        """Add an atom; what was kept is forgotten."""
        with self._lock:
            self._atoms.append((number, comparison))
            self._asked = None

    @property
    def asked(self) -> Asked:
        """The atoms, ready to be asked."""
        asked = self._asked
        if asked is None:
            with self._lock:
                asked = self._asked = self._asked or Asked(self._atoms)
        return asked


class Asked:
    """A group's atoms, ready to be asked, with the bits for recent values."""

    def __init__(self, atoms: list[tuple[int, Comparison]]) -> None:
        together: dict[str, list[tuple[int, Comparison]]] = {}
        self._others: list[tuple[int, Evaluation]] = []
        for number, comparison in atoms:
            bit = 1 << number * BITS
            if _is_plain(comparison.left) and isinstance(comparison.right, Value | Values):
                together.setdefault(comparison.left.key, []).append((bit, comparison))
            else:
                self._others.append((bit, compile_condition(comparison, absent_is_unknown=True)))
        self._fields = [
            (field, sum(bit for bit, _ in comparisons), Together(comparisons))
            for field, comparisons in together.items()
        ]
        self.kept: Kept[Inputs, int] = Kept(MASKS_KEPT)
        """The bits of all atoms for recent values of the group's fields."""

    def ask(self, inputs: Inputs, facts: Facts) -> int:
        """Return the bits of all atoms, asked anew of the alert's facts, and keep them."""
        mask = 0
        for field, every, together in self._fields:
            value = facts(field)
            if value is None:
                mask |= every << NOT
            else:
                holds = together.fitting(value)
                mask |= holds | (every ^ holds) << DENIED | (every ^ holds) << NOT
        for bit, evaluation in self._others:
            answer = evaluation(facts)
            mask |= bit if answer else bit << NOT if answer is None else bit << NOT | bit << DENIED
        if _characters(inputs) <= KEPT_CHARACTERS:
            self.kept.keep(inputs, mask)
        return mask


def _characters(inputs: Inputs) -> int:
    if isinstance(inputs, tuple):
        return sum([len(value) for value in inputs if value is not None])
    return 0 if inputs is None else len(inputs)


def _is_plain(operand: Operand) -> TypeGuard[Field]:
    """Whether it is a field whose value is found under its own name."""
    return isinstance(operand, Field) and address_of(operand) is None


class Atoms:
    """All atoms, numbered as they come, in their groups."""

    def __init__(self) -> None:
        self._numbers: dict[Comparison, int] = {}
        self._groups: dict[tuple[str, ...], Group] = {}

    def add(self, comparison: Comparison) -> tuple[int, Group]:
        """Return the atom's number and group; the same for the same comparison. Not safe from several threads."""
        inputs = inputs_of(comparison)
        group = self._groups.get(inputs)
        if group is None:
            group = self._groups[inputs] = Group(inputs)
        number = self._numbers.get(comparison)
        if number is None:
            number = self._numbers[comparison] = len(self._numbers)
            group.add(number, comparison)
        return number, group
