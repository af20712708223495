"""The register of incidents: takes alerts as they come, knows what is open and what has ended.

Owns the lock, the window's clock and the bounds: memory is bounded by facts,
incidents and bytes; what goes before its time is counted. What is told of
incidents is the ledger's.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.config.model import Incidents as Settings
from exporter.incidents.clouds import SOURCES
from exporter.incidents.fact import FACT_ALERTS_LIMIT, Fact, Group, Traits
from exporter.incidents.incident import Incident, TacticsOf
from exporter.incidents.joining import FACTS_LIMIT, Joiner
from exporter.incidents.ledger import Change, Ledger
from exporter.incidents.places import Places
from exporter.incidents.state import State
from exporter.incidents.traits import TraitsOf
from exporter.verdict.judgement import VERDICTS, Judgement, Verdict

FUTURE_NS = 60 * 1_000_000_000
"""An alert from further ahead does not make the others old."""
_NS = 1_000_000_000


class Bounds(NamedTuple):
    """How much is kept at once."""

    facts: int = FACTS_LIMIT
    """Facts that can still be joined."""
    size_bytes: int = 32 * 1024 * 1024
    """Memory of the alerts that incidents keep, as these estimate it themselves."""


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
        self._judge = judge
        self._ledger = Ledger(tactics_of, tells=settings.records)
        self._clock = clock
        self._allowance = allowance
        self._traits_of = TraitsOf(allowance)
        self.skipped = 0
        """Alerts that were not joined because there was no time to."""
        self.attacks_outside = 0
        """Likely attacks among these."""
        self._joiner = Joiner(self.window_ns, facts_limit=bounds.facts)
        self._places = Places()
        self._newest_ns = 0
        self._swept = clock()
        self._grown = 0
        """Bytes of alerts that were kept since the bounds were looked at."""
        self._forgotten = 0
        self._lock = threading.RLock()

    def take(self, alerts: Iterable[Alert]) -> list[Change]:
        """Join the alerts; return what became of incidents by it, in order."""
        changes: list[Change] = []
        with self._lock:
            now = self._clock()
            find_alike = self._traits_of.alike.get
            for alert in alerts:
                alike = find_alike(alert.known_likeness)
                if alike is None or not self._take_again(alert, alike, now, changes):
                    self._look_at(alert, now, changes)
            if self._grown > self._size_limit_bytes // 8:
                self._bound()
            if now - self._swept > self.window_ns / _NS / 8:
                changes += self._sweep(now)
        return changes

    def _take_again(self, alert: Alert, alike: tuple[Judgement, Traits], now: float, changes: list[Change]) -> bool:
        """Count an alert that is like many before it, as ``_look_at`` would; False where it may be more than that."""
        judgement, traits = alike
        noted = alert.noted
        if noted is None or noted[1] is not judgement:
            return False
        fact = self._joiner.add_again(alert.time_ns, traits)
        if fact is None:
            return False
        self._note_taken(alert, fact, now, changes)
        return True

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
            if self._ledger.part(parted, changes):
                self._bound_names()
        return fact

    def _take(self, alert: Alert, traits: Traits, now: float, changes: list[Change]) -> Fact:
        fact = self._joiner.add(alert, traits)
        if fact.count <= FACT_ALERTS_LIMIT:
            self._grown += alert.size_bytes
        self._note_taken(alert, fact, now, changes)
        if not fact.is_live:
            self._joiner.let_go(fact.group)
        return fact

    def _note_taken(self, alert: Alert, fact: Fact, now: float, changes: list[Change]) -> None:
        """Remember which fact an alert went to, and tell what became of incidents by it."""
        time_ns = alert.time_ns
        if self._newest_ns < time_ns < int(now * _NS) + FUTURE_NS:
            self._newest_ns = time_ns
        self._places.note(alert, fact)
        group = fact.group
        group.touched = now
        group.view = None
        if self._joiner.merged:
            merged, self._joiner.merged = self._joiner.merged, []
            self._ledger.merge(merged, changes)
        if self._ledger.note(fact, changes):
            self._bound_names()

    def _bound_names(self) -> None:
        if len(self._ledger) > self._limit:
            self._bound()

    def id_of(self, alert: Alert) -> str:
        """Return the identifier of the incident that the alert belongs to, or that it would begin.

        Empty for a benign alert and for one that came too long ago. The answer stays the same, so that a record that
        is made again has the same bytes: where two incidents turn out to be one, both identifiers lead to it.
        """
        with self._lock:
            return self._places.name_of(alert)

    def states(self) -> list[State]:
        """Return what was told since the last call, for ``restore`` after a restart."""
        with self._lock:
            return self._ledger.states()

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
            self._ledger.expect(known)
            try:
                for alert in alerts:
                    fact = self._look_at(alert, min(self._clock(), alert.time_ns / _NS), [])
                    if fact is not None:
                        self._ledger.rename(alert, fact)
                    if self._grown > self._size_limit_bytes // 8:
                        self._bound()
            finally:
                self._judge, self._allowance, self._traits_of = limited
            now = self._clock()
            changes = self._ledger.recall(lambda group: self._is_over(group, now))
            changes += self._sweep(now)
            return changes if known else []

    def sweep(self) -> list[Change]:
        """End what nothing can be added to any more; return the changes."""
        with self._lock:
            return self._sweep(self._clock())

    def _sweep(self, now: float) -> list[Change]:
        self._swept = now
        changes: list[Change] = []
        window_seconds = self.window_ns / _NS
        for group in self._ledger.groups():
            if group.is_open and self._is_over(group, now):
                self._ledger.end(group, changes)
        self._joiner.expire(before_ns=self._newest_ns - 2 * self.window_ns, touched_before=now - 2 * window_seconds)
        return changes

    def _is_over(self, group: Group, now: float) -> bool:
        """Whether nothing can be added any more."""
        return self._newest_ns - group.last_ns > self.window_ns or now - group.touched > self.window_ns / _NS

    def _bound(self) -> None:
        """Give up the oldest incidents where there are too many or they are too large; those that ended first."""
        self._grown = 0
        groups = sorted(self._ledger.groups(), key=lambda group: (group.is_open, group.last_ns))
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
        self._places, self._traits_of = Places(), TraitsOf(self._allowance)

    def _forget(self, group: Group) -> None:
        self._forgotten += 1
        for fact in group.facts:
            self._joiner.forget(fact)
        self._ledger.forget(group)

    def find(self, name: str) -> Incident | None:
        """Return the incident with this identifier, or the one that it became a part of; None where none is kept."""
        with self._lock:
            group = self._ledger.find(name)
            return None if group is None else self._ledger.seen(group)

    def all(self) -> list[Incident]:
        """Return every incident kept, the one with the latest alert first."""
        with self._lock:
            found = [self._ledger.seen(group) for group in self._ledger.groups()]
        return sorted(found, key=lambda incident: (-incident.last_ns, incident.id))

    def counts(self) -> Mapping[Verdict, int]:
        """Return how many incidents are open, by verdict."""
        with self._lock:
            counted = Counter(group.shown for group in self._ledger.groups() if group.is_open)
        return {verdict: counted[verdict] for verdict in VERDICTS}

    def open_attacks(self) -> list[Incident]:
        """Return the open incidents that are likely attacks, the one with the latest alert first."""
        with self._lock:
            found = [
                self._ledger.seen(group) for group in self._ledger.groups() if group.is_open and group.shown == "attack"
            ]
        return sorted(found, key=lambda incident: (-incident.last_ns, incident.id))

    @property
    def opened(self) -> Mapping[Verdict, int]:
        """How many incidents came to each verdict since the start."""
        with self._lock:
            return {verdict: self._ledger.opened[verdict] for verdict in VERDICTS}

    @property
    def evicted(self) -> int:
        """Facts and incidents that were given up before their time, because there were too many."""
        with self._lock:
            return self._forgotten + self._joiner.evicted
