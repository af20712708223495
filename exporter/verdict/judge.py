"""The judge: from an alert to its judgement.

Owns the judgements that are given again to alerts that differ in nothing that
a sign looks at. Refuses to ask signs one by one (``plan.py`` asks all at once)
and to weigh (``weighing.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from exporter.alert import Alert, absent_values, set_form, set_noted
from exporter.allowance import Allowance
from exporter.form import Form
from exporter.kept import Bound, Kept
from exporter.likeness import LIKENESSES, LIKENESSES_BYTES, Likeness
from exporter.verdict.atoms import OF_ALERT
from exporter.verdict.facts import Facts
from exporter.verdict.judgement import UNDECIDED, Judgement, Matched, Verdict
from exporter.verdict.language import Language
from exporter.verdict.outcome import outcome_of
from exporter.verdict.plan import Plan, Plans
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
FORMS_KEPT, FORMS_CHARACTERS = 2_048, 2_000_000
"""Sets of fields that are remembered, of all rules together, and characters of their names."""
LATEST_CHARACTERS = 2_048
"""Of names, and of a judgement and the values that it depends on: a rule's latest are found without a look-up."""


_Noted = tuple[object, Judgement, bool]
"""What an alert has of its judge: the judge, the judgement, and whether both it and its key are short."""
_NOTHING: _Noted = (None, UNDECIDED, True)


class _Weighed(NamedTuple):
    """What signs come to that bear out the same."""

    verdict: Verdict
    signs: Sequence[Sign]
    """Those that speak for the verdict first, the heaviest first."""


class _Like:
    """Alerts of one rule and source with the same fields."""

    __slots__ = ("form", "judgements", "latest", "more", "names", "plan", "shape", "values")

    def __init__(self, kind: _Kind, form: Form) -> None:
        self.form = form
        self.names = form.names
        self.plan = kind.plan
        self.more = kind.more
        self.shape = kind.plan.shape(form)
        self.values = self.shape.values
        self.judgements: dict[Any, _Noted] = {}
        """Those that were given, by the values that they depend on."""
        self.latest: tuple[Any, _Noted] = (None, _NOTHING)
        """The values of the latest alert that was not like the one before it, and what it was given."""

    def key(self, alert: Alert) -> Any:
        """Return what alerts have in common that get the same judgement."""
        key = self.values(alert.fields)
        return (key, *[read(alert) for read in self.more]) if self.more else key


class _Kind:
    """Alerts of one rule and source."""

    __slots__ = ("forms", "is_timeless", "latest", "more", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.is_timeless = "evt.time" not in plan.used
        """Whether an alert's time has no part in its judgement."""
        self.more = (*plan.of_alert, *([_tags_of] if plan.by_tags else []))
        """Readers of what a judgement depends on besides output fields."""
        self.forms: dict[Form, _Like] = {}
        self.latest: _Like | None = None
        """The latest alert's: those of one rule mostly have the same fields."""


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
        self._given: Bound[Any, _Noted] = Bound(KEPT_JUDGEMENTS, KEPT_CHARACTERS)
        """How many judgements are kept to be given again."""
        self._formed: Bound[Form, _Like] = Bound(FORMS_KEPT, FORMS_CHARACTERS)
        """How many sets of fields are."""
        self._alike: Kept[Likeness | None, tuple[object, ...]] = Kept(LIKENESSES, LIKENESSES_BYTES)
        """Judgements that an alert's time has no part in."""

    def judge(self, alert: Alert) -> Judgement:
        """Return the alert's verdict, its outcome, and every sign that it bears out."""
        noted = alert.noted
        if noted is not None and noted[0] is self:
            return noted[1]  # type: ignore[return-value] # a judgement
        like = self._like(alert)
        key = like.key(alert)
        given = like.judgements.get(key) or self._judge(alert, like, key)
        set_noted(alert, given)
        return given[1]

    def judge_within(self, alert: Alert, allowance: Allowance) -> Judgement | None:
        """Return the same; None where it is unlike every recent alert and the allowance is spent."""
        noted = alert.noted
        if noted is not None and noted[0] is self:
            return noted[1]  # type: ignore[return-value] # a judgement
        like = self._like(alert)
        key = like.key(alert)
        given = like.judgements.get(key)
        if given is None:
            if not allowance.permits():
                return None
            begun = allowance.begin()
            given = self._judge(alert, like, key)
            allowance.end(begun)
        elif given[2]:
            like.latest = (key, given)
        set_noted(alert, given)
        return given[1]

    def judge_all_within(
        self, alerts: Iterable[Alert], allowance: Allowance, left_out: Callable[[], None]
    ) -> list[Judgement]:
        """Return each alert's judgement as ``judge_within`` does; UNDECIDED for those of which it calls ``left_out``.

        For many alerts that repeat this is the quick way: one is compared with those that it differs from in its time
        only, then with the one before it of the same rule.
        """
        find, find_alike = self._kinds.get, self._alike.get
        judgements: list[Judgement] = []
        for alert in alerts:
            # One function, since every call costs a twentieth of it.
            likeness = alert.known_likeness
            alike = find_alike(likeness)
            if alike is not None:
                set_noted(alert, alike)
                judgements.append(alike[1])  # type: ignore[arg-type] # a judgement
                continue
            fields = alert.fields
            if type(fields) is not dict:
                fields = alert.all_fields()
            kind = find((alert.rule, alert.source))
            like = None if kind is None else kind.latest
            if like is not None and tuple(fields) == like.names:
                key, given = like.latest
                values = like.values(fields)
                if (values if not like.more else (values, *[read(alert) for read in like.more])) == key:
                    set_form(alert, like.form)
                    set_noted(alert, given)
                    judgements.append(given[1])
                    self._keep_alike(alert)
                    continue
            judgement = self.judge_within(alert, allowance)
            if judgement is None:
                left_out()
                judgement = UNDECIDED
            else:
                self._keep_alike(alert)
            judgements.append(judgement)
        return judgements

    def _keep_alike(self, alert: Alert) -> None:
        """Keep what the alert was given for those that differ from it in their time only, where that has no part."""
        likeness = alert.known_likeness
        if likeness is not None and likeness.comes_again and alert.noted is not None and self.is_timeless(alert):
            self._alike.keep(likeness, alert.noted, likeness.size_bytes)

    def is_timeless(self, alert: Alert) -> bool:
        """Say whether the alert's time has no part in its judgement."""
        kind = self._kinds.get((alert.rule, alert.source)) or self._make_kind(alert)
        return kind.is_timeless

    def _like(self, alert: Alert) -> _Like:
        """Return what is kept for alerts like this one."""
        kind = self._kinds.get((alert.rule, alert.source)) or self._make_kind(alert)
        form = alert.form
        like = kind.forms.get(form)
        if like is None:
            like = _Like(kind, form)
            if not form.is_kept:
                return like
            self._formed.keep(kind.forms, form, like, form.characters)
        if form.characters <= LATEST_CHARACTERS:
            kind.latest = like
        return like

    def _judge(self, alert: Alert, like: _Like, key: Any) -> _Noted:
        plan = like.plan
        facts = Facts(reader_of(alert), self._lists)
        weighed = self._weigh(alert, plan, plan.atoms(alert, like.shape, facts))
        signs = [
            Matched(sign.side, sign.weight, sign.forgeable, sign.say.render(facts), sign.about)
            for sign in weighed.signs
        ]
        of_key = _characters_of(key)
        size = of_key + sum([len(span.text) for sign in signs for span in sign.text])
        given = (self, Judgement(weighed.verdict, outcome_of(facts), tuple(signs)), size <= LATEST_CHARACTERS)
        if of_key <= KEY_LIMIT_CHARACTERS:
            self._given.keep(like.judgements, key, given, size)
        return given

    def _make_kind(self, alert: Alert) -> _Kind:
        own = tuple(self._own(alert))
        with self._lock:
            plan = self._made.plan_for(alert, own)
        kind = _Kind(plan)
        if len(alert.rule) + len(alert.source) <= KEY_LIMIT_CHARACTERS:
            self._kinds.keep((alert.rule, alert.source), kind)
        return kind

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
