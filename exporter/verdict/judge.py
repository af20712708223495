"""The judge: from an alert to its judgement.

Owns how signs are weighed against each other, and the judgements that are
given again to alerts that differ in nothing that a sign looks at. Refuses to
vote: what decides is one sign heavy enough, or few about different things,
and a sign that an intruder could have forged clears nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from exporter.alert import Alert
from exporter.verdict.facts import Facts
from exporter.verdict.judgement import Judgement, Matched, Side, Verdict
from exporter.verdict.language import Language
from exporter.verdict.outcome import OUTCOME_FIELDS, outcome_of
from exporter.verdict.sign import DECISIVE, HARD, Sign

KEPT_JUDGEMENTS = 2_048
KEPT_CHARACTERS = 4_000_000
KEY_LIMIT_CHARACTERS = 8_192
PLANS_KEPT = 1_024
"""Rules whose signs are remembered: senders make up names."""
MARGIN = 4
"""By how much benign signs must outweigh those for an attack that do not decide by themselves."""

_Found = list[tuple[Sign, Matched]]


class _Plan:
    """The signs that one rule's alerts are asked about."""

    __slots__ = ("count", "fields", "getter", "kept", "names", "signs", "used")

    def __init__(self, signs: tuple[Sign, ...]) -> None:
        self.signs = signs
        self.used = frozenset(OUTCOME_FIELDS).union(*(sign.fields for sign in signs))
        self.names: frozenset[str] = frozenset()
        self.count = -1
        self.fields: tuple[str, ...] = ()
        self.getter: Callable[[Mapping[str, str]], Any] | None = None
        self.kept: dict[Any, Judgement] = {}

    def key(self, fields: dict[str, str]) -> Any:
        """Return what two alerts of the rule have in common that get the same judgement."""
        if fields.keys() != self.names:
            # Another set of fields: what was kept for the former one is of no use.
            self.names = frozenset(fields)
            self.fields = tuple(sorted(self.names & self.used))
            self.getter = itemgetter(*self.fields) if self.fields else None
            self.kept = {}
        return self.getter(fields) if self.getter is not None else ()


class Judge:
    """Judges alerts by its signs. Safe from any thread: what is kept is only added to or replaced whole."""

    def __init__(
        self, signs: Iterable[Sign], language: Language, own: Callable[[Alert], Iterable[Sign]] = lambda _: ()
    ) -> None:
        """Judge by the signs, and by those that ``own`` gives for an alert's rule; it is asked once per rule."""
        self.signs = tuple(signs)
        self._own = own
        self._lists = {name: frozenset(items) for name, items in language.lists.items()}
        self._plans: dict[tuple[str, str, tuple[str, ...]], _Plan] = {}
        self._kept_count = 0
        self._kept_characters = 0

    def judge(self, alert: Alert) -> Judgement:
        """Return the alert's verdict, its outcome, and every sign that it bears out."""
        plan = self._plan_for(alert)
        key = plan.key(alert.all_fields())
        judgement = plan.kept.get(key)
        if judgement is None:
            judgement = self._judge(alert, plan.signs)
            self._keep(plan, key, judgement)
        return judgement

    def _plan_for(self, alert: Alert) -> _Plan:
        names = (alert.rule, alert.source, tuple(alert.tags))
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= PLANS_KEPT:
                self._forget()
            plan = self._plans[names] = _Plan(
                tuple(sign for sign in (*self.signs, *self._own(alert)) if sign.scope.holds(alert))
            )
        return plan

    def _keep(self, plan: _Plan, key: Any, judgement: Judgement) -> None:
        size = sum(map(len, key)) if isinstance(key, tuple) else len(key)
        if size > KEY_LIMIT_CHARACTERS:
            return
        if self._kept_count >= KEPT_JUDGEMENTS or self._kept_characters + size > KEPT_CHARACTERS:
            self._forget()
        self._kept_count += 1
        self._kept_characters += size + sum(len(span.text) for sign in judgement.signs for span in sign.text)
        plan.kept[key] = judgement

    def _forget(self) -> None:
        self._plans = {}
        self._kept_count = self._kept_characters = 0

    def _judge(self, alert: Alert, signs: Sequence[Sign]) -> Judgement:
        facts = Facts(_reader(alert), self._lists)
        found = [
            (sign, Matched(sign.side, sign.weight, sign.forgeable, sign.say.render(facts)))
            for sign in signs
            if sign.holds(facts) is True
        ]
        verdict = weigh([sign for sign, _ in found])
        found.sort(key=lambda pair: (pair[0].side != verdict, -pair[0].weight, pair[0].side, pair[0].place))
        return Judgement(verdict, outcome_of(facts), tuple(matched for _, matched in found))


def weigh(signs: Sequence[Sign]) -> Verdict:
    """Return the verdict of the signs that matched.

    A side decides from weight 4 on. Signs about one thing count once. Benign
    and test need a sign that cannot be forged. A proven test wins over attack
    signs, which every test imitates; a hard attack sign wins over all benign
    ones; otherwise two sides that could each decide leave it undecided, and
    weaker attack signs want benign ones that outweigh them by 4.
    """
    attack, benign, test = (_total(signs, side) for side in ("attack", "benign", "test"))
    if test >= DECISIVE and _firm(signs, "test"):
        return "test"
    if any(sign.side == "attack" and sign.weight >= HARD for sign in signs):
        return "attack"
    clears = benign >= DECISIVE and _firm(signs, "benign")
    if attack >= DECISIVE:
        return "undecided" if clears or test >= DECISIVE else "attack"
    if clears and benign - attack >= MARGIN - (attack == 1):
        return "benign"
    return "undecided"


def _total(signs: Sequence[Sign], side: Side) -> int:
    """Add up one side's weights; of signs about one thing the heaviest counts."""
    total = 0
    heaviest: dict[str, int] = {}
    for sign in signs:
        if sign.side == side:
            if sign.about:
                heaviest[sign.about] = max(heaviest.get(sign.about, 0), sign.weight)
            else:
                total += sign.weight
    return total + sum(heaviest.values())


def _firm(signs: Sequence[Sign], side: Side) -> bool:
    return any(sign.side == side and not sign.forgeable for sign in signs)


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
        return of_alert[field] if field in of_alert else alert.get(field)

    return read
