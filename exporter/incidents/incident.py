"""An incident as others see it: what is known of a group at one moment.

Owns when a group of alerts is an incident, its verdict and its identifier.
Refuses to know how the group came about (``joining.py``) and to advise
(``story.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.alert import Alert
from exporter.incidents.fact import GRAVE, SAME, Fact, Group
from exporter.incidents.tie import ANY, Key
from exporter.verdict.judgement import VERDICTS, Judgement, Verdict

NAME_CHARACTERS = 16
CHAIN_LENGTH = 3
"""As many tactics, each by a rule of its own, on one entity make an undecided incident a likely attack."""
_UNSHOWN = frozenset({SAME, "near address"})

TacticsOf = Callable[[str, str], Sequence[str]]
"""From a rule's name and source to its ATT&CK tactics."""


@dataclass(frozen=True, slots=True)
class Member:
    """Alerts of one rule with one verdict about the same things, folded."""

    alerts: tuple[Alert, ...]
    """The first ones, by time."""
    count: int
    """How many there were."""
    first_ns: int
    last_ns: int
    judgement: Judgement

    @property
    def alert(self) -> Alert:
        """The one that stands for all."""
        return self.alerts[0]


@dataclass(frozen=True, slots=True)
class Incident:
    """What belongs together."""

    id: str
    """Of 16 hexadecimal digits; the beginning of the uid of its first alert when it was named."""
    other_ids: tuple[str, ...]
    """What its parts were called before they turned out to be one."""
    verdict: Verdict
    raised_by: tuple[str, ...]
    """The tactics that made it a likely attack although no alert by itself is one; empty where none did."""
    is_open: bool
    """Whether it can still grow."""
    first_ns: int
    last_ns: int
    count: int
    """Alerts, those that are not kept included."""
    members: tuple[Member, ...]
    """By time."""
    entities: tuple[Key, ...]
    """What its alerts share, what most of them share first."""

    @property
    def first_text(self) -> str:
        """When its first alert happened, RFC 3339."""
        return time_text(self.first_ns)

    @property
    def last_text(self) -> str:
        """When its last alert happened, RFC 3339."""
        return time_text(self.last_ns)


def time_text(time_ns: int) -> str:
    """Return a time as RFC 3339, UTC, to the second."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_incident(group: Group) -> bool:
    """Whether the group is more than an alert: different ones belong together, or one is a likely attack.

    Something undecided that repeats is an incident where a container, session or the like says who did it.
    """
    one = next(iter(group.facts))
    if one.verdict == "attack":
        return True
    if len(group.facts) == 1:
        return one.count > 1 and _says_who(one)
    # Alike alerts are one fact or several, by the order in which they came.
    return any(fact.mark != one.mark for fact in group.facts) or _says_who(one)


def _says_who(fact: Fact) -> bool:
    """Whether something else than being alike ties the alerts of a fact to others like them."""
    ties = (tie for tie in fact.ties if tie.key[0] != SAME)
    return any(tie.needs == ANY or fact.verdict in GRAVE for tie in ties)


def name_of(group: Group) -> str:
    """Return the group's identifier, which it keeps from the first time that somebody asks."""
    if not group.name:
        first = group.first
        uids = [alert.uid for alert in first.alerts if alert.time_ns == first.alert.time_ns]
        group.name = min(uids)[:NAME_CHARACTERS]
        group.names.add(group.name)
    return group.name


def release(group: Group) -> None:
    """Keep only the name of a group that nothing comes to and nobody tells of.

    Facts and their group refer to each other, and the garbage collector looks for such circles after millions of
    allocations only (``memory.COLLECTION_THRESHOLD``): until then each would hold its alerts.
    """
    if group.facts:
        name_of(group)
        group.facts = set()
        group.view = None


def verdict_of(facts: Iterable[Fact], tactics_of: TacticsOf) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict of the facts together, and the tactics that raised it above its most severe alert's.

    A test imitates an attack, so that its tactics raise nothing.
    """
    facts = list(facts)
    verdicts = {fact.verdict for fact in facts}
    gravest = next(verdict for verdict in VERDICTS if verdict in verdicts)
    if gravest != "undecided" or "test" in verdicts:
        return gravest, ()
    raised = _chain(facts, tactics_of)
    return ("attack", raised) if raised else (gravest, ())


def _chain(facts: Sequence[Fact], tactics_of: TacticsOf) -> tuple[str, ...]:
    """The tactics that chain on one entity, by time; empty where they are too few."""
    if len(facts) < CHAIN_LENGTH:
        return ()
    by_key: dict[Key, list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: fact.age):
        for tie in fact.ties:
            if tie.needs == ANY and tie.key[0] != SAME:
                by_key.setdefault(tie.key, []).append(fact)
    for _, sharing in sorted(by_key.items()):
        tactics: dict[str, str] = {}
        for fact in sharing:
            new = [tactic for tactic in tactics_of(fact.rule, fact.source) if tactic not in tactics]
            if new and fact.rule not in tactics.values():
                tactics[new[0]] = fact.rule
        if len(tactics) >= CHAIN_LENGTH:
            return tuple(tactics)
    return ()


def incident_of(group: Group, tactics_of: TacticsOf) -> Incident:
    """Return the group as it is now, the very same object until something is added to it."""
    if not isinstance(group.view, Incident):
        group.view = _made(group, tactics_of)
    assert isinstance(group.view, Incident)
    return group.view


def _made(group: Group, tactics_of: TacticsOf) -> Incident:
    facts = sorted(group.facts, key=lambda fact: fact.age)
    verdict, raised_by = verdict_of(facts, tactics_of)
    name = name_of(group)
    return Incident(
        id=name,
        other_ids=tuple(sorted(group.names - {name})),
        verdict=verdict,
        raised_by=raised_by,
        is_open=group.is_open,
        first_ns=facts[0].first_ns,
        last_ns=group.last_ns,
        count=group.count,
        members=tuple([_member(fact) for fact in facts]),
        entities=_shared(facts),
    )


def _member(fact: Fact) -> Member:
    alerts = sorted(fact.alerts, key=lambda alert: (alert.time_ns, alert.raw_output, alert.hostname))
    return Member(tuple(alerts), fact.count, fact.first_ns, fact.last_ns, fact.judgement)


def _shared(facts: Sequence[Fact]) -> tuple[Key, ...]:
    """What the alerts share, by how many of them: how many facts there are depends on the order of arrival."""
    counts: dict[Key, int] = {}
    for fact in facts:
        for key in dict.fromkeys(tie.key for tie in fact.ties if tie.key[0] not in _UNSHOWN):
            counts[key] = counts.get(key, 0) + fact.count
    return tuple(sorted(counts, key=lambda key: (-counts[key], key)))
