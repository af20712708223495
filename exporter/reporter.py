"""From alert to report with one catalog: matching, judging, names and links, ready for every sink.

Owns what is looked up once per rule and kept, and the advice that is given
again: alerts come in bursts that differ in little but their time. Refuses to
render.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.catalog.advice import Advice
from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.catalog.remembered import KEY_LIMIT_CHARACTERS, RememberedEntry
from exporter.derived import DERIVED, OF_HEADER, OF_SECOND, READS, lookup_of
from exporter.kept import Recent
from exporter.prose import Prose
from exporter.report import Report, make_advice
from exporter.verdict.judgement import Judgement

PLANS_KEPT = 1_024
ADVICE_KEPT, ADVICE_KEPT_BYTES = 1_024, 6 * 1024 * 1024
"""Recent advice, twice that at most."""
_ADVICE_BYTES, _VALUE_MENTIONS = 2_048, 16
"""About what advice takes by itself, and how often it names each value, which may be an attacker's."""
_UID = "alert.uid"
"""Put in at the last moment (``catalog.uid``)."""

Key = tuple[str | int | None, ...]


@dataclass(slots=True)
class _Plan:
    """What is known of one entry before an alert comes."""

    entry: Entry
    remembered: RememberedEntry
    maturity: str
    fields: tuple[str, ...]
    """Output fields that the advice depends on, by themselves or by what follows from them."""
    of_header: bool
    """Whether it also depends on the alert's rule, priority, source or host."""
    of_second: bool
    """Whether it also depends on the alert's time, to the second."""
    of_alert: bool
    """Whether it depends on more, so that no two alerts share it."""

    def key(self, alert: Alert, judgement: Judgement, *, is_brief: bool) -> Key | None:
        """What two alerts have in common that get the same advice; None for advice that is not kept.

        Entry and judgement count by their identity: what is kept keeps both, so that their ids are never another's.
        """
        if self.of_alert:
            return None
        values = [id(self), id(judgement), is_brief, *map(alert.all_fields().get, self.fields)]
        if self.of_header:
            values += (alert.rule, int(alert.priority), alert.source, alert.hostname)
        if self.of_second:
            values.append(alert.time_ns // 1_000_000_000)
        return tuple(values)

    def advice(self, alert: Alert, judgement: Judgement, *, is_brief: bool) -> Advice:
        """Make the alert's advice."""
        render = self.remembered.render_brief if is_brief else self.remembered.render
        return make_advice(alert, render, self.maturity, judgement)


class _Kept(NamedTuple):
    """Advice that is given again."""

    advice: Advice
    plan: _Plan
    """What its key names by identity."""
    size_bytes: int
    """About what it takes in memory."""


class Gist(NamedTuple):
    """An alert in a line: the beginning of its report."""

    what: Prose
    """What happened and where, as in the report's title."""
    summary: Prose


class Reporter:
    """Makes reports. Safe from any thread: what is kept is only ever added to or replaced whole."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._plans: Recent[int, _Plan] = Recent(PLANS_KEPT)
        self._matched: Recent[tuple[str, str], _Plan] = Recent(PLANS_KEPT)
        self._kept: Recent[Key, _Kept] = Recent(ADVICE_KEPT, ADVICE_KEPT_BYTES, size=attrgetter("size_bytes"))

    def report_for(self, alert: Alert) -> Report:
        """Return the alert's report: its rule's own advice, or general advice composed from its facts."""
        return Report(alert, self.advice_for(alert))

    def gist_for(self, alert: Alert) -> Gist:
        """Return what a list says of the alert, at a tenth of what its advice costs."""
        entry, lookup = self._plan_for(alert).entry, lookup_of(alert)
        return Gist(entry.what.render(lookup), entry.summary.render(lookup))

    def advice_for(self, alert: Alert) -> Advice:
        """Return the alert's advice, the very same object for alerts that get the same.

        It holds ``UID_SENTINEL`` where ``names_uid``; ``Report`` puts the uid in.
        """
        return self._advice_for(alert, is_brief=False)

    def brief_advice_for(self, alert: Alert) -> Advice:
        """Return the same without what brief reports leave out: benign cases, changes, recommendations, tuning."""
        return self._advice_for(alert, is_brief=True)

    def advice_within(self, alert: Alert, allowance: Allowance, *, is_brief: bool) -> Advice | None:
        """Return advice as the two above do; None where it would have to be made and the allowance is spent."""
        judgement = self.catalog.judge.judge_within(alert, allowance)
        if judgement is None:
            return None
        key = self._plan_for(alert).key(alert, judgement, is_brief=is_brief)
        known = self._kept.get(key) if key else None
        if known is not None:
            return known.advice
        if not allowance.permits():
            return None
        begun = allowance.begin()
        advice = self._advice_for(alert, is_brief=is_brief)
        allowance.end(begun)
        return advice

    def is_same_within_second(self, alert: Alert) -> bool:
        """Say whether alerts of the same second that differ in nothing but their time get the very same advice."""
        return not self._plan_for(alert).of_alert and self.catalog.judge.is_timeless(alert)

    def _advice_for(self, alert: Alert, *, is_brief: bool) -> Advice:
        plan, judgement = self._plan_for(alert), self.catalog.judge.judge(alert)
        key = plan.key(alert, judgement, is_brief=is_brief)
        if key is None:
            return plan.advice(alert, judgement, is_brief=is_brief)
        known = self._kept.get(key)
        if known is not None:
            return known.advice
        advice = plan.advice(alert, judgement, is_brief=is_brief)
        characters = sum([len(value) for value in key if isinstance(value, str)])
        if characters <= KEY_LIMIT_CHARACTERS:
            self._kept.keep(key, _Kept(advice, plan, _ADVICE_BYTES + _VALUE_MENTIONS * characters))
        return advice

    def _plan_for(self, alert: Alert) -> _Plan:
        names = (alert.rule, alert.source)
        plan = self._matched.get(names)
        if plan is None:
            plan = self._plan_of(self.catalog.advice_for(alert))
            # General advice depends on more of the alert than the two names. An entry is found by its rule whatever
            # the source, which is the sender's choice.
            if not plan.entry.composed and sum(map(len, names)) <= KEY_LIMIT_CHARACTERS:
                self._matched.keep(names, plan)
        return plan

    def _plan_of(self, entry: Entry) -> _Plan:
        # The plan keeps its entry, so that the id is never another's.
        plan = self._plans.get(id(entry))
        if plan is None or plan.entry is not entry:
            plan = self._make_plan(entry)
            # Senders choose the names of rules that have no entry.
            if len(entry.rule) + len(entry.source) <= KEY_LIMIT_CHARACTERS:
                self._plans.keep(id(entry), plan)
        return plan

    def _make_plan(self, entry: Entry) -> _Plan:
        facts = None if entry.composed else self.catalog.facts(entry.rule)
        used = entry.fields_used() - {_UID}
        plain = used - DERIVED.keys() - {"evt.time"}
        return _Plan(
            entry,
            RememberedEntry(entry),
            facts.maturity if facts else "",
            fields=tuple(sorted(plain.union(*(READS.get(name, ()) for name in used)))),
            of_header=bool(used & (OF_HEADER | {"evt.hostname"})),
            of_second=bool(used & OF_SECOND),
            of_alert="evt.time" in used,
        )
