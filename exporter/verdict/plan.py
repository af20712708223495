"""Plans: how all signs are asked about one alert at once.

Owns which signs are asked about alerts of a rule and source, and what of an
alert's fields they look at. Alerts of all rules that no sign names share one
plan. Refuses to weigh (``weighing.py``) and to word anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from exporter.alert import Alert
from exporter.falco.condition import Node
from exporter.form import Form
from exporter.kept import Kept
from exporter.verdict.atoms import IN_FIELDS, OF_ALERT, Atoms, Group
from exporter.verdict.facts import Facts
from exporter.verdict.formula import Formulas, Question
from exporter.verdict.outcome import OUTCOME_FIELDS
from exporter.verdict.sign import Sign

SHAPES_KEPT, SHAPES_CHARACTERS = 64, 65_536
"""Sets of fields that one plan's alerts come with, and characters of their names."""

Asked = tuple[Question, frozenset[Group]]
"""A sign's condition as a question to the atoms, and the groups of those that it looks at."""


def _nothing(_: Mapping[str, str]) -> tuple[()]:
    return ()


class Shape:
    """One set of fields that alerts of a plan come with, and what of it a judgement depends on."""

    __slots__ = ("absent", "groups", "single", "values")

    def __init__(self, form: Form, plan: Plan) -> None:
        names = frozenset(form.names)
        # The form's own objects, which its alerts' names are too: found without comparing letters.
        wanted = sorted([name for name in form.names if name in plan.used])
        self.values: Callable[[Mapping[str, str]], Any] = itemgetter(*wanted) if wanted else _nothing
        present = [group for group in plan.groups if group.of_alert or not names.isdisjoint(group.names)]
        self.single = [(group.names[0], group) for group in present if len(group.names) == 1 and not group.of_alert]
        """Groups of one field, with its name."""
        self.groups = [group for group in present if len(group.names) > 1 or group.of_alert]
        """The others that an alert can differ in."""
        nothing = Facts(lambda _: None, plan.lists)
        self.absent = 0
        """The bits of all other groups."""
        for group in plan.groups - set(present):
            self.absent |= group.asked.ask((None,) * len(group.names), nothing)


class Plan:
    """The signs that one kind of alert is asked about. Safe from any thread."""

    def __init__(self, signs: Sequence[Sign], asked: Sequence[Asked], lists: Mapping[str, frozenset[str]]) -> None:
        self.lists = lists
        self.by_tags = any(sign.scope.tags for sign in signs)
        used = frozenset(OUTCOME_FIELDS).union(*(sign.fields for sign in signs))
        self.used = used.union(*(IN_FIELDS[name] for name in IN_FIELDS.keys() & used))
        """Output fields that verdict, outcome and texts depend on."""
        self.of_alert = tuple(OF_ALERT[name] for name in sorted((OF_ALERT.keys() & used) - IN_FIELDS.keys()))
        """Readers of what they depend on besides, rule and source left out."""
        self.groups = frozenset[Group]().union(*(groups for _, groups in asked))
        self._questions = [(sign, question) for sign, (question, _) in zip(signs, asked, strict=True)]
        self._shapes: Kept[Form, Shape] = Kept(SHAPES_KEPT, SHAPES_CHARACTERS)

    def shape(self, form: Form) -> Shape:
        """Return the shape of an alert of this form."""
        shape = self._shapes.get(form)
        if shape is None:
            shape = Shape(form, self)
            if form.is_kept:
                self._shapes.keep(form, shape, form.characters)
        return shape

    def atoms(self, alert: Alert, shape: Shape, facts: Facts) -> int:
        """Return the bits of all atoms that the signs are made of."""
        read = alert.all_fields().get
        atoms = shape.absent
        for name, group in shape.single:
            asked = group.asked
            value = read(name)
            mask = asked.kept.get(value)
            atoms |= asked.ask(value, facts) if mask is None else mask
        for group in shape.groups:
            names = group.names
            inputs = _inputs(alert, names) if group.of_alert else tuple(map(read, names))
            asked = group.asked
            mask = asked.kept.get(inputs)
            atoms |= asked.ask(inputs, facts) if mask is None else mask
        return atoms

    def bear_out(self, atoms: int, alert: Alert) -> list[Sign]:
        """Return the signs that hold, in their order."""
        return [sign for sign, holds in self._questions if holds(atoms) and sign.scope.has_tag(alert)]


def _inputs(alert: Alert, names: Sequence[str]) -> tuple[str | None, ...]:
    read = alert.all_fields().get
    return tuple([OF_ALERT[name](alert) if name in OF_ALERT else read(name) for name in names])


class Plans:
    """Makes plans; alerts that the same signs are asked about get the same one. Not safe from several threads."""

    def __init__(self, signs: Sequence[Sign], macros: Mapping[str, Node], lists: Mapping[str, frozenset[str]]) -> None:
        self._signs = signs
        self._lists = lists
        self._formulas = Formulas(Atoms(), macros)
        self._asked: dict[int, tuple[Sign, Asked]] = {}
        """By the sign's identity; it is kept beside, so that its id is never another's."""
        self._named = {rule for sign in signs for rule in sign.scope.rules}
        self._sources = {source for sign in signs for source in sign.scope.sources}
        self._shared: dict[str | None, Plan] = {}

    def plan_for(self, alert: Alert, own: Iterable[Sign]) -> Plan:
        """Return the plan for alerts of this rule and source; ``own`` are signs of the rule beside the general ones."""
        own = tuple(own)
        if own or alert.rule in self._named:
            return self._make(alert, own)
        source = alert.source if alert.source in self._sources else None
        plan = self._shared.get(source)
        if plan is None:
            plan = self._shared[source] = self._make(alert, ())
        return plan

    def _make(self, alert: Alert, own: tuple[Sign, ...]) -> Plan:
        if not self._asked:
            for sign in self._signs:
                self._ask(sign)
        signs = [sign for sign in (*self._signs, *own) if sign.scope.holds(alert)]
        return Plan(signs, list(map(self._ask, signs)), self._lists)

    def _ask(self, sign: Sign) -> Asked:
        known = self._asked.get(id(sign))
        if known is None:
            asked = self._formulas.translate(sign.condition, absent_is_unknown=sign.absent_is_unknown)
            known = self._asked[id(sign)] = (sign, asked)
        return known[1]
