"""What is told of incidents: which groups count as one, how they are called, and what became of them.

Owns names, changes and what is kept for a restart. Refuses threads, clocks and
bounds (``register.py``), and who belongs to whom (``joining.py``).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from exporter.alert import Alert
from exporter.incidents.fact import Fact, Group
from exporter.incidents.incident import (
    NAME_CHARACTERS,
    Incident,
    TacticsOf,
    incident_of,
    is_incident,
    name_of,
    release,
    verdict_of,
)
from exporter.incidents.state import State, head_of
from exporter.verdict.judgement import VERDICTS, Verdict

MANY_FACTS, JUDGED_EACH = 64, 16
"""A group of so many facts has its verdict worked out for one new fact in so many, and for each likely attack."""


class Change(NamedTuple):
    """What became of an incident."""

    kind: str
    """``opened``, ``risen`` (its verdict is more severe now), ``ended``, or ``merged`` (part of another now)."""
    incident: Incident
    """As it is now; of one that was merged, the incident that it is a part of."""
    merged_id: str = ""
    """What an incident was called that is a part of this one now; empty for other changes."""


class Ledger:
    """Called by one thread at a time. ``tells`` says whether changes are asked for."""

    def __init__(self, tactics_of: TacticsOf, *, tells: bool) -> None:
        self._tactics_of = tactics_of
        self._tells = tells
        self._founders: OrderedDict[str, Fact] = OrderedDict()
        """Each name that was given out, with a fact of the group that has it."""
        self.opened: Counter[Verdict] = Counter()
        """How many incidents came to each verdict since the start."""
        self._known: Mapping[str, State] = {}
        """What was told before a restart, by name, while the alerts of then are joined again."""
        self._changed: dict[int, Group] = {}
        """Groups of which something was told since ``states`` was asked, by their address."""
        self._forgotten: list[Group] = []
        """Groups that are kept until then only."""

    def __len__(self) -> int:
        """Return how many names were given out."""
        return len(self._founders)

    def note(self, fact: Fact, changes: list[Change]) -> bool:
        """Look at the group of a fact that an alert came to; True where it is an incident from now on, or again."""
        group = fact.group
        shown = group.shown
        is_judged = group.judged_facts == len(group.facts)
        if shown is None and is_judged and fact.count > 2:
            # A second alert of a fact can make an incident of it, a third cannot.
            return False
        if shown != "attack" and not (is_judged and shown):
            is_due = len(group.facts) < MANY_FACTS or len(group.facts) % JUDGED_EACH == 0 or fact.verdict == "attack"
            return is_due and self.judge(group, changes)
        # Nothing is more severe, or nothing is new.
        if not group.is_open:
            group.is_open, group.view = True, None
            self._changed[id(group)] = group
        return False

    def judge(self, group: Group, changes: list[Change]) -> bool:
        """Work out the group's verdict; True where it is an incident from now on, or again."""
        group.judged_facts = len(group.facts)
        if not is_incident(group):
            return False
        verdict, _ = verdict_of(group.facts, self._tactics_of)
        if group.shown is None or not group.is_open:
            self._open(group, verdict, changes)
            return True
        if VERDICTS.index(verdict) < VERDICTS.index(group.shown):
            group.shown = verdict
            self.opened[verdict] += 1
            self._tell("risen", group, changes)
        return False

    def part(self, groups: Iterable[Group], changes: list[Change]) -> bool:
        """Groups that were one fell apart; True where one is an incident from now on, or again.

        Each name goes with the alert that it was made of.
        """
        has_opened = False
        for group in groups:
            for name in list(group.names):
                fact = self._founders.get(name)
                if fact is not None and fact.group is not group and name != group.name:
                    group.names.discard(name)
                    fact.group.names.add(name)
            has_opened |= self.judge(group, changes)
        return has_opened

    def _open(self, group: Group, verdict: Verdict, changes: list[Change]) -> None:
        is_first = group.shown is None
        group.is_open, group.shown = True, verdict
        name_of(group)
        if self._known and group.name not in self._known:
            self._call_as_before(group)
        self._founders[group.name] = group.namer
        if is_first:
            self.opened[verdict] += 1
            self._tell("opened", group, changes)

    def _call_as_before(self, group: Group) -> None:
        """Give the group a name that one of its alerts gave before the restart, where one did.

        It decides which part goes on as what the group was, where it falls apart.
        """
        states = [self._known[name] for name in group.names if name in self._known]
        if states:
            group.names.discard(group.name)
            group.name = head_of(states).id

    def end(self, group: Group, changes: list[Change]) -> None:
        """Nothing can be added to the group any more."""
        group.is_open = False
        group.view = None
        self._tell("ended", group, changes)

    def merge(self, merged: Iterable[tuple[str, Group]], changes: list[Change]) -> None:
        """Incidents, by their names, became part of these groups."""
        for name, group in merged:
            self._changed[id(group)] = group
            if self._tells:
                changes.append(Change("merged", self.seen(group), name))

    def _tell(self, kind: str, group: Group, changes: list[Change]) -> None:
        self._changed[id(group)] = group
        if self._tells:
            changes.append(Change(kind, self.seen(group)))

    def seen(self, group: Group) -> Incident:
        """Return the group as others see it."""
        return incident_of(group, self._tactics_of)

    def groups(self) -> list[Group]:
        """Return every group that is an incident."""
        found = {id(fact.group): fact.group for fact in self._founders.values()}
        return [group for group in found.values() if group.shown is not None]

    def find(self, name: str) -> Group | None:
        """Return the group of this name, or the one that it became a part of; None where there is none."""
        fact = self._founders.get(name)
        if fact is None:
            fact = next((each for each in self._founders.values() if name in each.group.names), None)
        return None if fact is None or not fact.group.facts else fact.group

    def forget(self, group: Group) -> None:
        """Keep no name of the group."""
        for name in [name for name, fact in self._founders.items() if fact.group is group]:
            del self._founders[name]
        self._forgotten.append(group)

    def states(self) -> list[State]:
        """Return what was told since the last call, for ``recall`` after a restart."""
        changed, self._changed = self._changed, {}
        found = []
        # What became a part of another group is told of by that one, whether or not anything was told of it since.
        heads = {id(head): head for head in (group.first.group for group in changed.values())}
        for group in heads.values():
            if group.shown is not None:
                name, first_ns = name_of(group), group.first.first_ns
                found += [State(each, name, group.shown, group.is_open, first_ns) for each in sorted(group.names)]
        forgotten, self._forgotten = self._forgotten, []
        for group in forgotten:
            release(group)
        return found

    def expect(self, known: Mapping[str, State]) -> None:
        """Alerts from before a restart come next, until ``recall``; ``known`` is what was told then, by name."""
        self._known = known

    def rename(self, alert: Alert, fact: Fact) -> None:
        """Give the fact's group the name that this alert gave to one before the restart, where it gave one."""
        name = alert.uid[:NAME_CHARACTERS]
        if name in self._known:
            fact.group.names.add(name)
            self._founders[name] = fact

    def recall(self, is_over: Callable[[Group], bool]) -> list[Change]:
        """Take up what was told before a restart; return what became of incidents since.

        ``is_over`` says whether nothing can be added to a group any more.
        """
        known, self._known = self._known, {}
        self.opened.clear()
        self._changed.clear()
        for state in known.values():
            if state.leads_to in self._founders and state.id not in self._founders:
                fact = self._founders[state.id] = self._founders[state.leads_to]
                fact.group.names.add(state.id)
        return [change for group in self.groups() for change in self._untold(group, known, is_over)]

    def _untold(self, group: Group, known: Mapping[str, State], is_over: Callable[[Group], bool]) -> list[Change]:
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
        if not state.is_open and is_over(group):
            group.is_open = False
        return changes
