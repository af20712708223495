"""The judge: from an alert to its judgement.

Owns which signs an alert is asked about, and the judgements that are given
again to alerts that differ in nothing that a sign looks at. Refuses to weigh
(see ``weighing.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from exporter.alert import Alert
from exporter.verdict.facts import Facts
from exporter.verdict.judgement import Judgement, Matched
from exporter.verdict.language import Language
from exporter.verdict.outcome import OUTCOME_FIELDS, outcome_of
from exporter.verdict.sign import Sign
from exporter.verdict.weighing import weigh

KEPT_JUDGEMENTS = 2_048
KEPT_CHARACTERS = 4_000_000
KEY_LIMIT_CHARACTERS = 8_192
READ_CHARACTERS = 4_096
"""How much of a value signs read, three quarters from its beginning and one from its end: senders choose its length."""
PLANS_KEPT = 1_024
"""Rules whose signs are remembered: senders make up names."""
SHAPES_KEPT = 16
"""Sets of fields that one rule's alerts come with."""


class _Shape:
    """One set of fields that alerts of a rule come with, and which of their values a judgement depends on."""

    __slots__ = ("names", "values")

    def __init__(self, names: frozenset[str], used: frozenset[str]) -> None:
        self.names = names
        wanted = sorted(names & used)
        self.values: Callable[[Mapping[str, str]], Any] = itemgetter(*wanted) if wanted else _nothing


def _nothing(_: Mapping[str, str]) -> tuple[()]:
    return ()


class _Plan:
    """The signs that one rule's alerts are asked about. Safe from any thread: shapes are replaced, not changed."""

    __slots__ = ("_latest", "_shapes", "_used", "by_tags", "signs")

    def __init__(self, signs: tuple[Sign, ...]) -> None:
        self.signs = signs
        self.by_tags = any(sign.scope.tags for sign in signs)
        self._used = frozenset(OUTCOME_FIELDS).union(*(sign.fields for sign in signs))
        self._latest = _Shape(frozenset(), self._used)
        self._shapes: dict[frozenset[str], _Shape] = {}

    def shape(self, fields: dict[str, str]) -> _Shape:
        """Return the shape of an alert with these fields."""
        latest = self._latest
        if fields.keys() == latest.names:
            return latest
        names = frozenset(fields)
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) >= SHAPES_KEPT:
                self._shapes = {}
            shape = self._shapes[names] = _Shape(names, self._used)
        self._latest = shape
        return shape


class Judge:
    """Judges alerts by its signs. Safe from any thread: what is kept is only added to or replaced whole."""

    def __init__(
        self, signs: Iterable[Sign], language: Language, own: Callable[[Alert], Iterable[Sign]] = lambda _: ()
    ) -> None:
        """Judge by the signs, and by those that ``own`` gives for an alert's rule; it is asked once per rule."""
        self.signs = tuple(signs)
        self._own = own
        self._lists = {name: frozenset(items) for name, items in language.lists.items()}
        self._macro = language.evaluate_macro
        self._plans: dict[tuple[str, str], _Plan] = {}
        self._kept: dict[tuple[Any, ...], Judgement] = {}
        self._kept_characters = 0

    def judge(self, alert: Alert) -> Judgement:
        """Return the alert's verdict, its outcome, and every sign that it bears out."""
        plan = self._plans.get((alert.rule, alert.source)) or self._plan_for(alert)
        fields = alert.all_fields()
        shape = plan.shape(fields)
        key: tuple[Any, ...] = (shape, shape.values(fields))
        if plan.by_tags:
            key += (tuple(alert.tags),)
        judgement = self._kept.get(key)
        if judgement is None:
            judgement = self._judge(alert, plan.signs)
            self._keep(key, judgement)
        return judgement

    def _plan_for(self, alert: Alert) -> _Plan:
        if len(self._plans) >= PLANS_KEPT:
            self._plans = {}
        signs = tuple(sign for sign in (*self.signs, *self._own(alert)) if sign.scope.holds(alert))
        plan = self._plans[alert.rule, alert.source] = _Plan(signs)
        return plan

    def _keep(self, key: tuple[Any, ...], judgement: Judgement) -> None:
        values = key[1]
        size = len(values) if isinstance(values, str) else sum(map(len, values))
        if size > KEY_LIMIT_CHARACTERS:
            return
        size += sum(len(span.text) for sign in judgement.signs for span in sign.text)
        if len(self._kept) >= KEPT_JUDGEMENTS or self._kept_characters + size > KEPT_CHARACTERS:
            self._kept = {}
            self._kept_characters = 0
        self._kept_characters += size
        self._kept[key] = judgement

    def _judge(self, alert: Alert, signs: Sequence[Sign]) -> Judgement:
        facts = Facts(_reader(alert), self._lists, self._macro)
        found = [
            (sign, Matched(sign.side, sign.weight, sign.forgeable, sign.say.render(facts)))
            for sign in signs
            if sign.scope.has_tag(alert) and sign.holds(facts) is True
        ]
        verdict = weigh([sign for sign, _ in found])
        found.sort(key=lambda pair: (pair[0].side != verdict, -pair[0].weight, pair[0].side, pair[0].place))
        return Judgement(verdict, outcome_of(facts), tuple(matched for _, matched in found))


def _reader(alert: Alert) -> Callable[[str], str | None]:
    """Return the alert's fields as signs see them: ``alert.…`` for what every alert has."""
    of_alert = {
        "alert.rule": alert.rule,
        "alert.source": alert.source,
        "alert.priority": alert.priority.label,
        "alert.hostname": alert.hostname or None,
        "alert.on_host": "yes" if alert.fields.get("container.id") == "host" else None,
    }

    def read(field: str) -> str | None:
        if field in of_alert:
            return of_alert[field]
        value = alert.get(field)
        if value is not None and len(value) > READ_CHARACTERS:
            return f"{value[: READ_CHARACTERS // 4 * 3]}{value[-(READ_CHARACTERS // 4) :]}"
        return value

    return read
