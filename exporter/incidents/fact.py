"""Facts and groups: what joining keeps of alerts.

Owns how alike alerts become one fact and two groups one. Refuses to decide
who belongs to whom (``joining.py``).
"""

from __future__ import annotations

from exporter.alert import Alert
from exporter.incidents.tie import ANY, EIGHTH, Key, Tie
from exporter.verdict.judgement import VERDICTS, Judgement, Verdict

GRAVE = frozenset({"attack", "test"})
FACT_ALERTS_LIMIT = 16
"""Alerts that are kept of one fact, the first ones."""
Mark = tuple[str, Verdict, tuple[Tie, ...]]
"""Rule, verdict and ties."""
_BETWEEN_TWO_THINGS = frozenset({"account", "address", "made", "near address", "workload"})
"""Kinds of ties that say nothing of two alerts of one kind."""
SAME = "same"
"""The kind of tie between alerts of one rule and verdict that share all else: one act, again and again."""


class Traits:
    """What alerts of one rule and verdict that differ in nothing joining looks at have in common."""

    __slots__ = ("address", "fact", "judgement", "mark", "principal", "ties")

    def __init__(
        self, rule: str, judgement: Judgement, ties: tuple[Tie, ...], *, address: str = "", principal: Key = ()
    ) -> None:
        self.judgement = judgement
        if any(tie.key[0] not in _BETWEEN_TWO_THINGS for tie in ties):
            ties = (*ties, _same(rule, judgement.verdict, ties))
        self.ties = ties
        self.address = address
        """The public address that a request came from; empty where there is none."""
        self.principal = principal
        """Who came from there; empty where nobody is named."""
        self.mark: Mark = (rule, judgement.verdict, ties)
        self.fact: Fact | None = None
        """The fact that the last one became."""


def _same(rule: str, verdict: Verdict, ties: tuple[Tie, ...]) -> Tie:
    parts = [part for tie in ties for part in (*tie.key, *tie.variant)]
    return Tie((SAME, rule, verdict, *parts), ANY, EIGHTH)


class Fact:
    """Alerts of one rule with the same verdict and the same ties, none far from the next."""

    __slots__ = (
        "alerts", "count", "first_ns", "group", "is_live", "judgement", "last_ns", "mark", "rule", "size", "source",
        "ties",
    )  # fmt: skip

    def __init__(self, alert: Alert, traits: Traits) -> None:
        self.rule, self.source = alert.rule, alert.source
        self.judgement = traits.judgement
        self.ties = traits.ties
        self.mark = traits.mark
        self.first_ns = self.last_ns = alert.time_ns
        self.count = 0
        self.alerts: list[Alert] = []
        self.size = 0
        """Bytes of memory that its alerts take, about."""
        self.is_live = False
        """Whether others can still be joined to it."""
        self.group = Group(self)
        self.take(alert)

    @property
    def verdict(self) -> Verdict:
        """The verdict of its alerts."""
        return self.judgement.verdict

    @property
    def alert(self) -> Alert:
        """The earliest of those kept; it stands for all."""
        return min(self.alerts, key=lambda alert: alert.time_ns)

    @property
    def age(self) -> tuple[int, str, str]:
        """What orders facts by time, the same however they came."""
        return self.first_ns, self.rule, self.verdict

    def take(self, alert: Alert) -> None:
        """Add an alert."""
        self.count += 1
        self.stretch(alert.time_ns)
        if len(self.alerts) < FACT_ALERTS_LIMIT:
            self.alerts.append(alert)
            self.size += alert.size_bytes

    def stretch(self, time_ns: int) -> None:
        """Reach to a time."""
        if time_ns > self.last_ns:
            self.last_ns = time_ns
        elif time_ns < self.first_ns:
            self.first_ns = time_ns

    def gap_ns(self, other: Fact) -> int:
        """Return the time between the two; 0 where they overlap."""
        return max(0, self.first_ns - other.last_ns, other.first_ns - self.last_ns)

    def is_near(self, time_ns: int, reach_ns: int) -> bool:
        """Whether a time is in the fact's, or so close to it."""
        return self.first_ns - reach_ns <= time_ns <= self.last_ns + reach_ns


class Group:
    """Facts that belong together."""

    __slots__ = ("facts", "is_open", "judged_facts", "name", "names", "overflow", "shown", "touched", "view")

    def __init__(self, fact: Fact) -> None:
        self.facts = {fact}
        self.overflow = 0
        """Alerts that were counted only, because there were too many facts."""
        self.name = ""
        """What it was called first; empty where nobody asked yet."""
        self.names: set[str] = set()
        """Everything that it, or a part of it, was ever called."""
        self.shown: Verdict | None = None
        """The verdict that was told last; None before it became an incident."""
        self.is_open = False
        self.judged_facts = 0
        """How many facts it had when its verdict was worked out."""
        self.view: object = None
        """What it was last seen as (``incident.Incident``); None once that is out of date."""
        self.touched = 0.0
        """When an alert came last, by the caller's clock."""

    @property
    def first(self) -> Fact:
        """The earliest fact."""
        return min(self.facts, key=lambda fact: fact.age)

    @property
    def namer(self) -> Fact:
        """The fact with the alert that the name was made of; the earliest where that alert is not kept."""
        facts = (fact for fact in self.facts if any(alert.uid.startswith(self.name) for alert in fact.alerts))
        return (self.name and next(facts, None)) or self.first

    @property
    def last_ns(self) -> int:
        """The time of its last alert."""
        return max(fact.last_ns for fact in self.facts)

    @property
    def count(self) -> int:
        """How many alerts it has."""
        return self.overflow + sum(fact.count for fact in self.facts)

    def absorb(self, other: Group) -> str:
        """Take everything that the other has; the more severe incident gives the name, of two alike the older one.

        Returns the identifier of an incident that is none by itself any more; empty where there was none.
        """
        mine, theirs = self.name, other.name
        if theirs and (not mine or other._precedence < self._precedence):
            self.name = theirs
        lost = (mine if self.name == theirs else theirs) if self.shown is not None and other.shown is not None else ""
        for fact in other.facts:
            fact.group = self
        self.facts |= other.facts
        self.overflow += other.overflow
        self.names |= other.names
        self.is_open = self.is_open or other.is_open
        if other.shown is not None and (self.shown is None or _rank(other.shown) < _rank(self.shown)):
            self.shown = other.shown
        self.judged_facts = 0
        self.view = None
        self.touched = max(self.touched, other.touched)
        return lost

    @property
    def _precedence(self) -> tuple[int, tuple[int, str, str]]:
        return len(VERDICTS) if self.shown is None else _rank(self.shown), self.first.age


def _rank(verdict: Verdict) -> int:
    return VERDICTS.index(verdict)
