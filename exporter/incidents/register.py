"""The register of incidents: takes alerts as they come, knows what is open and what has ended.

Owns the lock, the window's clock, what is kept of incidents that have ended,
and what changes are told. Memory is bounded by facts, incidents and bytes;
what goes before its time is counted.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.config.model import Incidents as Settings
from exporter.incidents.clouds import SOURCES
from exporter.incidents.fact import FACT_ALERTS_LIMIT, Fact, Group, Traits
from exporter.incidents.incident import (
    NAME_CHARACTERS,
    Incident,
    TacticsOf,
    incident_of,
    is_incident,
    name_of,
    verdict_of,
)
from exporter.incidents.joining import FACTS_LIMIT, Joiner
from exporter.incidents.state import State, head_of
from exporter.incidents.traits import TraitsOf
from exporter.verdict.judgement import VERDICTS, Judgement, Verdict

PLACES_LIMIT = 10_000
"""Alerts, times two, of which it is remembered where they belong."""
MANY_FACTS, JUDGED_EACH = 64, 16
"""A group of so many facts has its verdict worked out for one new fact in so many, and for each likely attack."""
JOINED_LIMIT, JOINED_SIZE_BYTES = 100_000, 256 * 1024 * 1024
"""Incidents of alerts that are all there, and the memory of their alerts."""
_BATCH = 500
FUTURE_NS = 60 * 1_000_000_000
"""An alert from further ahead does not make the others old."""
_NS = 1_000_000_000

_Place = tuple[int, str, str]


class Bounds(NamedTuple):
    """How much is kept at once."""

    facts: int = FACTS_LIMIT
    """Facts that can still be joined."""
    size_bytes: int = 32 * 1024 * 1024
    """Memory of the alerts that incidents keep, as these estimate it themselves."""


class Change(NamedTuple):
    """What became of an incident."""

    kind: str
    """``opened``, ``risen`` (its verdict is graver now), ``ended``, or ``merged`` (it became a part of another)."""
    incident: Incident
    """As it is now; of one that was merged, the incident that it is a part of."""
    merged_id: str = ""
    """What an incident was called that is a part of this one now; empty for other changes."""


class Incidents:
    """Safe from any thread. ``judge`` and ``tactics_of`` have to be, too."""

    def __init__(
        self,
        settings: Settings,
        *,
        judge: Callable[[Alert], Judgement | None],
        tactics_of: TacticsOf,
        allowance: Allowance | None = None,
        clock: Callable[[], float] = time.time,
        bounds: Bounds | None = None,
    ) -> None:
        """``judge`` gives None for an alert that it cannot judge just now; ``clock`` gives seconds since 1970."""
        bounds = bounds or Bounds()
        self._size_limit_bytes = bounds.size_bytes
        self.window_ns = int(settings.window_seconds * _NS)
        self._limit = settings.limit
        self._tells = settings.records
        self._judge = judge
        self._tactics_of = tactics_of
        self._clock = clock
        self._allowance = allowance
        self._traits_of = TraitsOf(allowance)
        self.skipped = 0
        """Alerts that were not joined because there was no time to."""
        self.attacks_outside = 0
        """Likely attacks among these."""
        self._joiner = Joiner(self.window_ns, facts_limit=bounds.facts)
        self._founders: OrderedDict[str, Fact] = OrderedDict()
        """Each name that was given out, with a fact of the group that has it."""
        self._places: tuple[dict[_Place, Fact | str], dict[_Place, Fact | str]] = ({}, {})
        """Where alerts belong; an identifier once somebody asked."""
        self._newest_ns = 0
        self._swept = clock()
        self._grown = 0
        """Bytes of alerts that were kept since the bounds were looked at."""
        self._forgotten = 0
        self._opened: Counter[Verdict] = Counter()
        self._changed: dict[int, Group] = {}
        """Groups of which something was told since ``states`` was asked, by their address."""
        self._lock = threading.RLock()

    def take(self, alerts: Iterable[Alert]) -> list[Change]:
        """Join the alerts; return what became of incidents by it, in order."""
        changes: list[Change] = []
        with self._lock:
            now = self._clock()
            for alert in alerts:
                self._look_at(alert, now, changes)
            if self._grown > self._size_limit_bytes // 8:
                self._bound()
            if now - self._swept > self.window_ns / _NS / 8:
                changes += self._sweep(now)
        return changes

    def _look_at(self, alert: Alert, now: float, changes: list[Change]) -> Fact | None:
        """Join an alert; return the fact that it belongs to, None where it joins nothing."""
        judgement = self._judge(alert)
        is_benign = judgement is not None and judgement.verdict == "benign"
        if is_benign and alert.source not in SOURCES:
            return None
        fact = None
        traits = None if judgement is None else self._traits_of(alert, judgement)
        if traits is None:
            self.skipped += 1
            self.attacks_outside += judgement is not None and judgement.verdict == "attack"
        elif is_benign:
            self._joiner.see(traits)
        elif traits.fact is None and self._allowance is not None:
            begun = self._allowance.begin()
            fact = self._take(alert, traits, now, changes)
            self._allowance.end(begun)
        else:
            fact = self._take(alert, traits, now, changes)
        if self._joiner.parted:
            parted, self._joiner.parted = self._joiner.parted, []
            for group in parted:
                self._judge_group(group, changes)
        return fact

    def _take(self, alert: Alert, traits: Traits, now: float, changes: list[Change]) -> Fact:
        time_ns = alert.time_ns
        if self._newest_ns < time_ns < int(now * _NS) + FUTURE_NS:
            self._newest_ns = time_ns
        fact = self._joiner.add(alert, traits)
        if fact.count <= FACT_ALERTS_LIMIT:
            self._grown += alert.size_bytes
        self._remember(alert, fact)
        group = fact.group
        group.touched = now
        group.view = None
        if self._joiner.merged:
            self._tell_merged(changes)
        if group.shown == "attack":
            # Nothing is graver.
            if not group.is_open:
                self._reopen(group)
        elif group.judged_facts != len(group.facts) or group.shown is None:
            if len(group.facts) < MANY_FACTS or len(group.facts) % JUDGED_EACH == 0 or fact.verdict == "attack":
                self._judge_group(group, changes)
        elif not group.is_open:
            self._reopen(group)
        return fact

    def _reopen(self, group: Group) -> None:
        group.is_open, group.view = True, None
        self._changed[id(group)] = group

    def _judge_group(self, group: Group, changes: list[Change]) -> None:
        group.judged_facts = len(group.facts)
        if not is_incident(group):
            return
        verdict, _ = verdict_of(group.facts, self._tactics_of)
        if group.shown is None or not group.is_open:
            self._open(group, verdict, changes)
        elif VERDICTS.index(verdict) < VERDICTS.index(group.shown):
            group.shown = verdict
            self._opened[verdict] += 1
            self._tell("risen", group, changes)

    def _open(self, group: Group, verdict: Verdict, changes: list[Change]) -> None:
        is_first = group.shown is None
        group.is_open, group.shown = True, verdict
        self._founders[name_of(group)] = group.first
        if is_first:
            self._opened[verdict] += 1
            self._tell("opened", group, changes)
        if len(self._founders) > self._limit:
            self._bound()

    def _tell(self, kind: str, group: Group, changes: list[Change]) -> None:
        self._changed[id(group)] = group
        if self._tells:
            changes.append(Change(kind, self._seen(group)))

    def _tell_merged(self, changes: list[Change]) -> None:
        merged, self._joiner.merged = self._joiner.merged, []
        for name, group in merged:
            self._changed[id(group)] = group
            if self._tells:
                changes.append(Change("merged", self._seen(group), name))

    def _seen(self, group: Group) -> Incident:
        return incident_of(group, self._tactics_of)

    def _remember(self, alert: Alert, fact: Fact) -> None:
        newer = self._places[0]
        if len(newer) >= PLACES_LIMIT:
            self._places = ({}, newer)
            newer = self._places[0]
        newer[alert.time_ns, alert.rule, alert.hostname] = fact

    def id_of(self, alert: Alert) -> str:
        """Return the identifier of the incident that the alert belongs to, or that it would begin.

        Empty for a benign alert and for one that came too long ago. The answer stays the same, so that a record that
        is made again has the same bytes: where two incidents turn out to be one, both identifiers lead to it.
        """
        place = (alert.time_ns, alert.rule, alert.hostname)
        with self._lock:
            for places in self._places:
                found = places.get(place)
                if isinstance(found, Fact):
                    found = places[place] = name_of(found.group)
                if found is not None:
                    return found
        return ""

    def states(self) -> list[State]:
        """Return what was told since the last call, for ``restore`` after a restart."""
        with self._lock:
            changed, self._changed = self._changed, {}
            found = []
            for group in changed.values():
                # What became a part of another group is told of by that one.
                if group.shown is not None and group.first.group is group:
                    name, first_ns = name_of(group), group.first.first_ns
                    found += [State(each, name, group.shown, group.is_open, first_ns) for each in sorted(group.names)]
            return found

    def restore(
        self, alerts: Iterable[Alert], told: Iterable[State], *, judge: Callable[[Alert], Judgement]
    ) -> list[Change]:
        """Join alerts from before the start, in the order in which they came; return what nobody was told yet.

        ``told`` are the ``states`` of then; where there are none nothing is told. ``judge`` judges every alert.
        """
        known = {state.id: state for state in told}
        with self._lock:
            limited = self._judge, self._allowance, self._traits_of
            self._judge, self._allowance, self._traits_of = judge, None, TraitsOf()
            try:
                for alert in alerts:
                    fact = self._look_at(alert, min(self._clock(), alert.time_ns / _NS), [])
                    if fact is not None and (name := alert.uid[:NAME_CHARACTERS]) in known:
                        fact.group.names.add(name)
                        self._founders[name] = fact
                    if self._grown > self._size_limit_bytes // 8:
                        self._bound()
            finally:
                self._judge, self._allowance, self._traits_of = limited
            self._opened.clear()
            self._changed.clear()
            for state in known.values():
                if state.leads_to in self._founders and state.id not in self._founders:
                    fact = self._founders[state.id] = self._founders[state.leads_to]
                    fact.group.names.add(state.id)
            changes = [change for group in self._groups() for change in self._untold(group, known)]
            changes += self._sweep(self._clock())
            return changes if known else []

    def _untold(self, group: Group, known: Mapping[str, State]) -> list[Change]:
        """Call a group what it was called before; return what became of it since it was told of."""
        changes: list[Change] = []
        states = [known[name] for name in group.names if name in known]
        if not states:
            self._tell("opened", group, changes)
            return changes
        state = head_of(states)
        if group.name != state.id:
            made, group.name = group.name, state.id
            if made not in known:
                group.names.discard(made)
                self._founders.pop(made, None)
        group.view = None
        assert group.shown is not None
        if VERDICTS.index(group.shown) < VERDICTS.index(state.verdict):
            self._tell("risen", group, changes)
        if not state.is_open and self._is_over(group, self._clock()):
            group.is_open = False
        return changes

    def sweep(self) -> list[Change]:
        """End what nothing can be added to any more; return the changes."""
        with self._lock:
            return self._sweep(self._clock())

    def _sweep(self, now: float) -> list[Change]:
        self._swept = now
        changes: list[Change] = []
        window_seconds = self.window_ns / _NS
        for group in self._groups():
            if group.is_open and self._is_over(group, now):
                group.is_open = False
                group.view = None
                self._tell("ended", group, changes)
        self._joiner.expire(before_ns=self._newest_ns - 2 * self.window_ns, touched_before=now - 2 * window_seconds)
        return changes

    def _is_over(self, group: Group, now: float) -> bool:
        """Whether nothing can be added any more."""
        return self._newest_ns - group.last_ns > self.window_ns or now - group.touched > self.window_ns / _NS

    def _groups(self) -> list[Group]:
        found = {id(fact.group): fact.group for fact in self._founders.values()}
        return [group for group in found.values() if group.shown is not None]

    def _bound(self) -> None:
        """Give up the oldest incidents where there are too many or they are too large; those that ended first."""
        self._grown = 0
        groups = sorted(self._groups(), key=lambda group: (group.is_open, group.last_ns))
        excess = len(groups) - self._limit
        sizes = {id(fact): fact.size for group in groups for fact in group.facts}
        sizes |= {id(fact): fact.size for fact in self._joiner.facts}
        size = sum(sizes.values())
        for number, group in enumerate(groups):
            if number >= excess and size <= self._size_limit_bytes:
                return
            size -= sum(fact.size for fact in group.facts)
            self._forget(group)
        while size > self._size_limit_bytes and len(self._joiner):
            size -= next(iter(self._joiner.facts)).size
            self._joiner.evict()
        self._places, self._traits_of = ({}, {}), TraitsOf(self._allowance)

    def _forget(self, group: Group) -> None:
        self._forgotten += 1
        for fact in group.facts:
            self._joiner.forget(fact)
        for name in [name for name, fact in self._founders.items() if fact.group is group]:
            del self._founders[name]

    def find(self, name: str) -> Incident | None:
        """Return the incident with this identifier, or the one that it became a part of; None where none is kept."""
        with self._lock:
            fact = self._founders.get(name)
            if fact is None:
                fact = next((each for each in self._founders.values() if name in each.group.names), None)
            return None if fact is None else self._seen(fact.group)

    def all(self) -> list[Incident]:
        """Return every incident kept, the one with the latest alert first."""
        with self._lock:
            found = [self._seen(group) for group in self._groups()]
        return sorted(found, key=lambda incident: (-incident.last_ns, incident.id))

    def counts(self) -> Mapping[Verdict, int]:
        """Return how many incidents are open, by verdict."""
        with self._lock:
            counted = Counter(group.shown for group in self._groups() if group.is_open)
        return {verdict: counted[verdict] for verdict in VERDICTS}

    def open_attacks(self) -> list[Incident]:
        """Return the open incidents that are likely attacks, the one with the latest alert first."""
        with self._lock:
            found = [self._seen(group) for group in self._groups() if group.is_open and group.shown == "attack"]
        return sorted(found, key=lambda incident: (-incident.last_ns, incident.id))

    @property
    def opened(self) -> Mapping[Verdict, int]:
        """How many incidents came to each verdict since the start."""
        with self._lock:
            return {verdict: self._opened[verdict] for verdict in VERDICTS}

    @property
    def evicted(self) -> int:
        """Facts and incidents that were given up before their time, because there were too many."""
        with self._lock:
            return self._forgotten + self._joiner.evicted


def join_all(
    alerts: Iterable[Alert], window_seconds: float, *, judge: Callable[[Alert], Judgement], tactics_of: TacticsOf
) -> list[Incident]:
    """Return the incidents of alerts that are all there, by time; those that end within the window are open."""
    ordered = sorted(alerts, key=lambda alert: (alert.time_ns, alert.uid))
    return join_in_order(ordered, window_seconds, judge=judge, tactics_of=tactics_of)


def join_in_order(
    alerts: Iterable[Alert], window_seconds: float, *, judge: Callable[[Alert], Judgement], tactics_of: TacticsOf
) -> list[Incident]:
    """Return the incidents of alerts that come in order of their time, as ``join_all``, without keeping every alert."""
    moment_ns = 0
    settings = Settings(window_seconds, JOINED_LIMIT)
    register = Incidents(
        settings,
        judge=judge,
        tactics_of=tactics_of,
        clock=lambda: moment_ns / _NS,
        bounds=Bounds(size_bytes=JOINED_SIZE_BYTES),
    )
    waiting = iter(alerts)
    while batch := list(itertools.islice(waiting, _BATCH)):
        moment_ns = batch[-1].time_ns
        register.take(batch)
    register.sweep()
    return sorted(register.all(), key=lambda incident: (incident.first_ns, incident.id))
