"""Counters by labels, capped.

Owns what keeps the number of series bounded whatever the alerts hold: label
values are cleaned before they become a series, a full table counts in one
overflow series, and a series idle for long is forgotten. Refuses to know
which labels there are, and any exposition format.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from exporter.alert import Alert, Priority
from exporter.escaping import label_value

OVERFLOW = "_overflow"
"""The value of every label of the series that counts what a full table could not take."""

Key = tuple[str | int, ...]
"""Label values in order; an integer is a priority."""

SWEEP_PAUSE_NS = 10_000_000_000

_PRIORITIES = {int(priority): priority.label for priority in Priority}


def clean(key: Key) -> Key:
    """Return the key with every text fit for a label: valid, visible, of limited length."""
    return tuple(label_value(part) if isinstance(part, str) else part for part in key)


def label_texts(key: Key) -> list[str]:
    """Return the label values as text: priorities by their name."""
    return [part if isinstance(part, str) else _PRIORITIES[part] for part in key]


class Labels(dict[str, str]):
    """A series' labels, which know their text in an exposition: they are shown far more often than made."""

    __slots__ = ("text",)

    def __init__(self, names: Iterable[str], values: Iterable[str]) -> None:
        super().__init__(zip(names, values, strict=True))
        self.text = "{" + ",".join([f'{name}="{_escape(self[name])}"' for name in sorted(self)]) + "}"
        """Sorted by name, as prometheus_client writes them."""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class Rule:
    """One rule's totals; never forgotten, so that they never go down."""

    __slots__ = (
        "count",
        "exemplar_ns",
        "exemplar_uid",
        "last_alert",
        "latest_ns",
        "verdicts",
    )

    def __init__(self) -> None:
        self.count = 0
        self.latest_ns = 0
        """The latest event's time, nanoseconds since 1970; 0 when there was none."""
        self.exemplar_ns = 0
        self.last_alert: Alert | None = None
        """The last alert, whose uid is worked out once it is asked for; None when ``exemplar_uid`` holds it."""
        self.exemplar_uid = ""
        self.verdicts: dict[tuple[str, str], list[int]] = {}
        """Events by verdict and outcome, at most twelve pairs; each count in a list of its own."""


class RuleTable:
    """The totals of every rule: those that begin at 0, others as they come, up to a limit.

    ``reserved`` are names and sources of rules that are let in whatever the
    limit: nobody who makes up names can keep them out.
    """

    def __init__(self, known: Iterable[Key], *, limit: int, reserved: Collection[tuple[str, str]] = ()) -> None:
        self.rules: dict[Key, Rule] = {key: Rule() for key in sorted({clean(key) for key in known})}
        self._reserved = frozenset(reserved)
        self._room = limit
        self._overflow = Rule()

    def admit(self, key: Key) -> Rule:
        """Return the totals for a rule's labels; the overflow's when the table is full."""
        key = clean(key)
        rule = self.rules.get(key)
        if rule is not None:
            return rule
        if (key[0], key[2]) not in self._reserved:
            if self._room <= 0:
                return self.rules.setdefault((OVERFLOW,) * len(key), self._overflow)
            self._room -= 1
        rule = self.rules[key] = Rule()
        return rule


class Series:
    """One counter."""

    __slots__ = ("count", "host_verdict", "judgement", "labels", "rule", "seen_ns", "verdict_count")
    host_verdict: Series
    """Counts its host's events of the last event's verdict; set with the first judgement."""
    verdict_count: list[int]
    """Counts its rule's events of the last event's verdict and outcome; set with the first judgement."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        """Made once, since every scrape shows them."""
        self.count = 0
        self.seen_ns = 0
        """When it last counted, nanoseconds since 1970."""
        self.rule: Rule | None = None
        """The totals of the same rule; None where series of several rules are one."""
        self.judgement: object = None
        """The last event's: alerts that repeat are given the same. None in the overflow's series."""


class SeriesTable:
    """Every series of one metric.

    ``sweeps`` says whether a full table forgets idle series by itself; one whose series others hold on to must not.
    """

    def __init__(self, label_names: Sequence[str], *, limit: int, idle_seconds: float, sweeps: bool = True) -> None:
        self.series: dict[Key, Series] = {}
        """By clean labels. The hot path looks here first: a key that is clean is found as it came."""
        self.overflow = Series(Labels(label_names, [OVERFLOW] * len(label_names)))
        """Counts what found the table full."""
        self.overflow_total = 0
        """Alerts counted in the overflow series."""
        self.evicted_total = 0
        """Series forgotten because they were idle."""
        self._label_names = tuple(label_names)
        self._limit = limit
        self._idle_ns = int(idle_seconds * 1e9)
        self._sweeps = sweeps
        self._swept_ns = 0

    def admit(self, key: Key, now_ns: int) -> Series:
        """Return the series for labels that were not found as they came: cleaned, new, or the overflow."""
        key = clean(key)
        series = self.series.get(key)
        if series is not None:
            return series
        if self._is_full(now_ns):
            self.overflow_total += 1
            return self.overflow
        series = self.series[key] = Series(Labels(self._label_names, label_texts(key)))
        return series

    def evict_idle(self, now_ns: int) -> None:
        """Forget the series that have not counted for longer than the limit."""
        self._swept_ns = now_ns
        if not self._idle_ns:
            return
        oldest = now_ns - self._idle_ns
        idle = [key for key, series in self.series.items() if series.seen_ns < oldest]
        for key in idle:
            del self.series[key]
        self.evicted_total += len(idle)

    def _is_full(self, now_ns: int) -> bool:
        if len(self.series) < self._limit:
            return False
        if self._sweeps and now_ns - self._swept_ns > SWEEP_PAUSE_NS:
            self.evict_idle(now_ns)
        return len(self.series) >= self._limit

    def counts(self) -> list[tuple[Labels, int]]:
        """Return labels and count of every series, the overflow's last."""
        counts = [(series.labels, series.count) for series in self.series.values()]
        if self.overflow.count:
            counts.append((self.overflow.labels, self.overflow.count))
        return counts
