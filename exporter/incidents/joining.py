"""Who belongs to whom: alerts joined by what they share, within a window of time.

Owns the partition. It is a function of the set of alerts, not of the order in
which they come: two alerts belong together where a chain of pairs leads from
one to the other, and whether a pair is joined depends on the two alerts, the
time between them and which addresses many people share. Bounded, whatever
comes: the oldest go first, counted. Refuses threads and clocks.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.alert import Alert
from exporter.incidents.addresses import Addresses
from exporter.incidents.fact import FACT_ALERTS_LIMIT, GRAVE, Fact, Group, Mark, Traits
from exporter.incidents.incident import release
from exporter.incidents.tie import EIGHTH, WHOLE, Key, Tie, may_join

FACTS_LIMIT = 20_000
"""Facts that can still be joined."""
GROUP_FACTS_LIMIT = 512
"""Facts of one group; what comes after counts in the group and ties nothing further."""
PEERS_LIMIT = 32
"""Facts with one tie that a new fact is compared with, the latest first."""
ADDRESS_TIES = ("address", "near address")
"""Kinds of ties that hold only where not many people come from the address."""


class Joiner:
    """Joins alerts. ``window_ns`` is the longest time between two alerts that the strongest ties bridge."""

    def __init__(self, window_ns: int, *, facts_limit: int = FACTS_LIMIT) -> None:
        self._eighth_ns = window_ns // WHOLE
        self._facts_limit = facts_limit
        self._by_key: dict[Key, list[Fact]] = {}
        self._by_mark: dict[Mark, Fact] = {}
        self._live: dict[Fact, None] = {}
        """Facts that can be joined, in the order of arrival."""
        self._addresses = Addresses()
        self._latest_first_ns = 0
        """When the latest fact began, by its first alert's time."""
        self._crowded: set[Key] = set()
        """Keys that have or had more facts than are compared, or one that grew without being compared."""
        self.merged: list[tuple[str, Group]] = []
        """Incidents that became part of another since somebody last looked: the identifier, and the group now."""
        self.parted: list[Group] = []
        """Groups that were one and fell apart since somebody last looked."""
        self.evicted = 0
        """Facts that were given up before their time, because there were too many."""

    def __len__(self) -> int:
        return len(self._live)

    def see(self, traits: Traits) -> None:
        """Learn from an alert that joins nothing (a benign one) who comes from its address."""
        self._note_address(traits, benign=True)

    def add(self, alert: Alert, traits: Traits) -> Fact:
        """Take an alert with its traits; return the fact that it belongs to, and by it the group."""
        if traits.address:
            self._note_address(traits, benign=False)
        if not traits.ties:
            return Fact(alert, traits)
        fact = traits.fact
        if fact is None or not fact.is_live:
            fact = self._by_mark.get(traits.mark)
        time_ns = alert.time_ns
        if fact is None or not fact.is_near(time_ns, self._eighth_ns):
            fact = traits.fact = self._new(alert, traits)
            return fact
        brings_near = self._may_bring_near(fact, time_ns)
        fact.take(alert)
        if brings_near:
            self._connect(fact)
        traits.fact = fact
        return fact

    def add_again(self, time_ns: int, traits: Traits) -> Fact | None:
        """Count an alert where that is all that ``add`` would do; None, and nothing done, where it may do more."""
        fact = traits.fact
        if fact is None or fact.count < FACT_ALERTS_LIMIT or not fact.is_live or traits.address:
            return None
        last_ns = fact.last_ns
        if time_ns > last_ns:
            if (
                time_ns > last_ns + self._eighth_ns
                or self._latest_first_ns > last_ns + EIGHTH * self._eighth_ns
                or self._crowded
                or not self._addresses.knows_all
            ):
                return None
            fact.last_ns = time_ns
        elif time_ns < fact.first_ns:
            return None
        fact.count += 1
        return fact

    def _may_bring_near(self, fact: Fact, time_ns: int) -> bool:
        """Whether an alert of this time may bring the fact so near to another that the two are to be compared.

        Two facts are compared when they come near each other, and nothing that decides changes afterwards. Not where
        the alert is within its fact's time, nor where it is behind it and no fact began so long after the fact's last
        alert that it is out of every tie's reach yet. Where a key has more facts than are compared, or an address was
        forgotten, they are compared each time.
        """
        if fact.first_ns <= time_ns <= fact.last_ns:
            return False
        if time_ns < fact.first_ns or self._latest_first_ns > fact.last_ns + EIGHTH * self._eighth_ns:
            return True
        if not self._addresses.knows_all:
            return True
        return bool(self._crowded) and any(tie.key in self._crowded for tie in fact.ties)

    def _note_address(self, traits: Traits, *, benign: bool) -> None:
        address, principal = traits.address, traits.principal
        if address and principal and self._addresses.note(address, principal, benign=benign):
            # What this address held together may hold no more.
            facts = [fact for kind in ADDRESS_TIES for fact in self._by_key.get((kind, address), ())]
            for group in {id(fact.group): fact.group for fact in facts}.values():
                self._regroup(group)

    def _new(self, alert: Alert, traits: Traits) -> Fact:
        fact = Fact(alert, traits)
        self._latest_first_ns = max(self._latest_first_ns, alert.time_ns)
        self._connect(fact)
        group = fact.group
        if len(group.facts) > GROUP_FACTS_LIMIT:
            group.facts.discard(fact)
            group.overflow += 1
            self.evicted += 1
            heir = self._peer_of(fact)
            self._crowded.update(tie.key for tie in heir.ties)
            heir.stretch(alert.time_ns)
            return heir
        self._by_mark[fact.mark] = fact
        self._live[fact] = None
        fact.is_live = True
        for tie in fact.ties:
            peers = self._by_key.setdefault(tie.key, [])
            peers.append(fact)
            if len(peers) > PEERS_LIMIT:
                self._crowded.add(tie.key)
        if len(self._live) > self._facts_limit:
            self.evict()
        return fact

    def _peer_of(self, fact: Fact) -> Fact:
        """Return a fact of the same group that shares a tie with this one, so that what shares it still finds one."""
        group = fact.group
        for tie in fact.ties:
            for other in self._by_key.get(tie.key, ())[: -PEERS_LIMIT - 1 : -1]:
                if other.group is group:
                    return other
        return next(iter(group.facts))

    def evict(self) -> None:
        """Give up the oldest fact that can still be joined."""
        self.forget(next(iter(self._live)))
        self.evicted += 1

    def _connect(self, fact: Fact) -> None:
        """Make one group of the fact's own and of each that it shares a tie with."""
        for tie in fact.ties:
            peers = self._by_key.get(tie.key)
            if peers is None:
                continue
            for other in peers[: -PEERS_LIMIT - 1 : -1]:
                mine, theirs = fact.group, other.group
                if theirs is not mine and self._joins(tie, fact, other):
                    if len(theirs.facts) > len(mine.facts):
                        mine, theirs = theirs, mine
                    if lost := mine.absorb(theirs):
                        self.merged.append((lost, mine))

    def _joins(self, tie: Tie, fact: Fact, other: Fact) -> bool:
        theirs = next(each for each in other.ties if each.key == tie.key)
        grave = (fact.verdict in GRAVE) + (other.verdict in GRAVE)
        reach_ns = min(tie.eighths, theirs.eighths) * self._eighth_ns
        if grave < max(tie.needs, theirs.needs) or fact.gap_ns(other) > reach_ns or not may_join(tie, theirs):
            return False
        return tie.key[0] not in ADDRESS_TIES or not self._addresses.is_shared(tie.key[1])

    def _regroup(self, group: Group) -> None:
        """Join the group's facts anew. The one that gave the name keeps it, with what can be joined no longer."""
        facts = sorted(group.facts, key=lambda fact: fact.age)
        for fact in facts:
            fact.group = Group(fact)
            fact.group.touched = group.touched
        for fact in facts:
            if fact.is_live:
                self._connect(fact)
        heir = group.namer.group
        for fact in facts:
            if not fact.is_live and fact.group is not heir:
                heir.absorb(fact.group)
        heir.name, heir.names, heir.overflow = group.name, group.names, group.overflow
        heir.is_open, heir.shown = group.is_open, group.shown
        self.parted += {id(fact.group): fact.group for fact in facts}.values()

    def expire(self, *, before_ns: int, touched_before: float = float("-inf")) -> None:
        """Forget every fact whose last alert is older, or whose group nothing came to since that time."""
        for fact in [fact for fact in self._live if fact.last_ns < before_ns or fact.group.touched < touched_before]:
            self.forget(fact)

    def forget(self, fact: Fact) -> None:
        """Join nothing to the fact any more."""
        if not fact.is_live:
            return
        del self._live[fact]
        fact.is_live = False
        for tie in fact.ties:
            peers = self._by_key.get(tie.key)
            if peers is not None and fact in peers:
                peers.remove(fact)
                if not peers:
                    del self._by_key[tie.key]
                    self._crowded.discard(tie.key)
        if self._by_mark.get(fact.mark) is fact:
            del self._by_mark[fact.mark]
        self.let_go(fact.group)

    @staticmethod
    def let_go(group: Group) -> None:
        """Release a group that nothing can be joined to and that is no incident: its name is what is left of it."""
        if group.shown is None and not any(fact.is_live for fact in group.facts):
            release(group)

    @property
    def facts(self) -> Iterable[Fact]:
        """Every fact that can still be joined, the oldest first."""
        return self._live
