"""The judge: from an alert to its judgement.

Owns the judgements that are given again to alerts that differ in nothing that
a sign looks at. Refuses to ask signs one by one (``plan.py`` asks all at once)
and to weigh (``weighing.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from exporter.alert import Alert, Form, absent_values
from exporter.allowance import Allowance
from exporter.kept import Bound, Kept
from exporter.verdict.atoms import OF_ALERT
from exporter.verdict.facts import Facts
from exporter.verdict.judgement import Judgement, Matched, Verdict
from exporter.verdict.language import Language
from exporter.verdict.outcome import outcome_of
from exporter.verdict.plan import SHAPES_KEPT, Plan, Plans, Shape
from exporter.verdict.sign import Sign
from exporter.verdict.weighing import weigh

KEPT_JUDGEMENTS = 2_048
KEPT_CHARACTERS = 4_000_000
KEPT_WEIGHED = 2_048
"""Sets of answers whose verdict is remembered, some 600 bytes each."""
KEY_LIMIT_CHARACTERS = 8_192
READ_CHARACTERS = 4_096
"""How much of a value signs read, three quarters from its beginning and one from its end: senders choose its length."""
PLANS_KEPT = 4_096
"""Rules whose signs are remembered: senders make up names."""


class _Weighed(NamedTuple):
    """What signs come to that bear out the same."""

    verdict: Verdict
    signs: Sequence[Sign]
    """Those that speak for the verdict first, the heaviest first."""


class _Like:
    """Alerts of one rule and source with the same fields."""

    __slots__ = ("judgements", "plan", "shape", "values")

    def __init__(self, plan: Plan, shape: Shape) -> None:
        self.plan = plan
        self.shape = shape
        self.values = shape.values
        self.judgements: dict[Any, Judgement] = {}
        """Those that were given, by the values that they depend on."""


class _Kind:
    """Alerts of one rule and source."""

    __slots__ = ("forms", "more", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.more = (*plan.of_alert, *([_tags_of] if plan.by_tags else []))
        """Readers of what a judgement depends on besides output fields."""
        self.forms: Kept[Form, _Like] = Kept(SHAPES_KEPT)


def _tags_of(alert: Alert) -> tuple[str, ...]:
    return tuple(alert.tags)


class Judge:
    """Judges alerts by its signs. Safe from any thread."""

    def __init__(
        self, signs: Iterable[Sign], language: Language, own: Callable[[Alert], Iterable[Sign]] = lambda _: ()
    ) -> None:
        """Judge by the signs, and by those that ``own`` gives for an alert's rule; it is asked once per rule."""
        self.signs = tuple(signs)
        self._own = own
        self._lists = {name: frozenset(items) for name, items in language.lists.items()}
        self._made = Plans(self.signs, language.macros, self._lists)
        self._lock = threading.Lock()
        self._kinds: Kept[tuple[str, str], _Kind] = Kept(PLANS_KEPT)
        self._weighed: Kept[tuple[Any, ...], _Weighed] = Kept(KEPT_WEIGHED)
        self._given: Bound[Any, Judgement] = Bound(KEPT_JUDGEMENTS, KEPT_CHARACTERS)
        """How many judgements are kept to be given again."""

    def judge(self, alert: Alert) -> Judgement:
        """Return the alert's verdict, its outcome, and every sign that it bears out."""
        noted = alert.judgement_by(self)
        if noted is not None:
            return noted  # type: ignore[return-value] # noted below
        like, key = self._like(alert)
        judgement = like.judgements.get(key) or self._judge(alert, like, key)
        alert.note_judgement(self, judgement)
        return judgement

    def judge_within(self, alert: Alert, allowance: Allowance) -> Judgement | None:
        """Return the same; None where it is unlike every recent alert and the allowance is spent."""
        noted = alert.judgement_by(self)
        if noted is not None:
            return noted  # type: ignore[return-value] # noted below
        like, key = self._like(alert)
        judgement = like.judgements.get(key)
        if judgement is None:
            if not allowance.permits():
                return None
            begun = allowance.begin()
            judgement = self._judge(alert, like, key)
            allowance.end(begun)
        alert.note_judgement(self, judgement)
        return judgement

    def _like(self, alert: Alert) -> tuple[_Like, Any]:
        """Return what is kept for alerts like this one, and what those have in common that get the same judgement."""
        kind = self._kinds.get((alert.rule, alert.source)) or self._make_kind(alert)
        form = alert.form
        like = kind.forms.get(form) or self._make_like(kind, form)
        key = like.values(alert.fields)
        return like, (key, *[read(alert) for read in kind.more]) if kind.more else key

    def _judge(self, alert: Alert, like: _Like, key: Any) -> Judgement:
        plan = like.plan
        facts = Facts(reader_of(alert), self._lists)
        weighed = self._weigh(alert, plan, plan.atoms(alert, like.shape, facts))
        signs = [
            Matched(sign.side, sign.weight, sign.forgeable, sign.say.render(facts), sign.about)
            for sign in weighed.signs
        ]
        judgement = Judgement(weighed.verdict, outcome_of(facts), tuple(signs))
        size = _characters_of(key)
        if size <= KEY_LIMIT_CHARACTERS:
            size += sum(len(span.text) for sign in signs for span in sign.text)
            self._given.keep(like.judgements, key, judgement, size)
        return judgement

    def _make_kind(self, alert: Alert) -> _Kind:
        own = tuple(self._own(alert))
        with self._lock:
            plan = self._made.plan_for(alert, own)
        kind = _Kind(plan)
        if len(alert.rule) + len(alert.source) <= KEY_LIMIT_CHARACTERS:
            self._kinds.keep((alert.rule, alert.source), kind)
        return kind

    def _make_like(self, kind: _Kind, form: Form) -> _Like:
        like = _Like(kind.plan, kind.plan.shape(form))
        if form.is_kept:
            kind.forms.keep(form, like)
        return like

    def _weigh(self, alert: Alert, plan: Plan, atoms: int) -> _Weighed:
        """Return what the signs come to whose atoms these are."""
        key = (plan, atoms, tuple(alert.tags) if plan.by_tags else ())
        is_kept = _characters_of(key[2]) <= KEY_LIMIT_CHARACTERS
        weighed = self._weighed.get(key)
        if weighed is None:
            signs = plan.bear_out(atoms, alert)
            verdict = weigh(signs)
            signs.sort(key=lambda sign: (sign.side != verdict, -sign.weight, sign.side, sign.place))
            weighed = _Weighed(verdict, signs)
            if is_kept:
                self._weighed.keep(key, weighed)
        return weighed


def _characters_of(key: Any) -> int:
    """Return about how much text a key holds, however deep; each part counts something."""
    return len(key) if isinstance(key, str) else 1 + sum(map(_characters_of, key)) if isinstance(key, tuple) else 1


def reader_of(alert: Alert) -> Callable[[str], str | None]:
    """Return the alert's fields as signs see them: ``alert.…`` for what every alert has."""
    fields = alert.all_fields()

    def read(field: str) -> str | None:
        of_alert = OF_ALERT.get(field)
        if of_alert is not None:
            return of_alert(alert)
        value = fields.get(field)
        if value is None or value in absent_values(field):
            return None
        if len(value) > READ_CHARACTERS:
            return f"{value[: READ_CHARACTERS // 4 * 3]}{value[-(READ_CHARACTERS // 4) :]}"
        return value

    return read
