"""What a digest says, counted from the history.

Owns every number in it. Rules are compared with the time of the same length
before, where the history reaches back that far; else nothing is called new.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exporter.alert import Alert
from exporter.catalog.attack import attack_table
from exporter.catalog.catalog import Catalog
from exporter.history.history import History
from exporter.incidents.batch import join_in_order
from exporter.incidents.clouds import SOURCES
from exporter.incidents.incident import Incident, TacticsOf
from exporter.incidents.tactics import tactics_by_rule
from exporter.verdict.judgement import VERDICTS, Judgement

RULES_SHOWN = 10
NOISY_SHOWN = 5
INCIDENTS_SHOWN = 5
BARS = 28
GROWN_TIMES = 2
"""A rule has grown when it has at least so many times the alerts of before, and ``GROWN_ALERTS`` more."""
GROWN_ALERTS = 10
INCIDENT_ALERTS = 50_000
"""Alerts, benign ones left out, that incidents are made of; of more the latest."""
PAGE_INCIDENT_ALERTS = 10_000
"""The same for a page, which somebody waits for."""
_HOUR_NS = 3_600_000_000_000
_BUCKETS = (1, 2, 3, 6, 12, 24, 48, 168, 336, 720)
"""Lengths of a bar in hours."""


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule's alerts."""

    rule: str
    source: str
    alerts: int
    before: int | None
    """Alerts in the time before; None where the history does not reach back."""
    verdicts: Mapping[str, int]

    @property
    def is_new(self) -> bool:
        """Whether it fired now and not in the time before."""
        return self.before == 0

    @property
    def has_grown(self) -> bool:
        """Whether it fired far more than before."""
        return bool(self.before) and self.alerts >= max(
            GROWN_TIMES * (self.before or 0), (self.before or 0) + GROWN_ALERTS
        )


@dataclass(frozen=True, slots=True)
class Noise:
    """A rule whose alerts are mostly not attacks, and where they come from."""

    rule: str
    alerts: int
    place: str
    """The place that most of them come from."""
    principal: str
    """Who most of them at that place are by; empty where they name nobody, or where the place is that one."""
    share: float
    """The part of the rule's alerts that is from there, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Tactic:
    """One tactic of ATT&CK, and what of it was seen."""

    name: str
    rules: int
    """Rules with a technique of it that fired."""
    alerts: int
    attacks: int
    """Those of them that are likely attacks."""
    covered: int
    """Rules with a technique of it that the catalog has advice for."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the chart."""

    time_ns: int
    """Its beginning."""
    verdicts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything that the page says."""

    since_ns: int
    until_ns: int
    kept_since_ns: int
    """The first alert that the history has; 0 where it is empty."""
    alerts: int
    before: int | None
    verdicts: Mapping[str, int]
    verdicts_before: Mapping[str, int] | None
    bar_hours: int
    bars: Sequence[Bar]
    rules: Sequence[RuleLine]
    """Every rule that fired, the most frequent first."""
    silent: Sequence[tuple[str, int]]
    """Rules that fired in the time before and not now, with how often."""
    noise: Sequence[Noise]
    tactics: Sequence[Tactic]
    incidents: Sequence[Incident]
    """The most severe first."""
    incidents_are_partial: bool
    losses: Mapping[str, int]

    @property
    def new(self) -> Sequence[RuleLine]:
        """Rules that did not fire in the time before."""
        return [line for line in self.rules if line.is_new]

    @property
    def grown(self) -> Sequence[RuleLine]:
        """Rules that fired far more than in the time before, those that grew most first."""
        found = [line for line in self.rules if line.has_grown]
        return sorted(found, key=lambda line: (-line.alerts / (line.before or 1), line.rule))

    @property
    def incidents_by_verdict(self) -> Mapping[str, int]:
        """How many incidents there are of each verdict."""
        counted = Counter(incident.verdict for incident in self.incidents)
        return {verdict: counted[verdict] for verdict in VERDICTS}


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the digest knows besides the history."""

    judge: Callable[[Alert], Judgement]
    tactics_of: TacticsOf
    covered: Sequence[tuple[str, str]]
    """Rules that the catalog has advice for, with their sources."""
    window_seconds: float
    """Within it alerts belong to one incident (``incidents.window_seconds``); 0 for no incidents."""


def knowledge_of(catalog: Catalog, window_seconds: float) -> Knowledge:
    """Return what the digest takes from the catalog."""
    covered = [(entry.rule, entry.source) for entry in catalog.entries]
    return Knowledge(catalog.judge.judge, tactics_by_rule(catalog), covered, window_seconds)


def make_digest(
    history: History, since_ns: int, until_ns: int, known: Knowledge, *, incident_alerts: int = INCIDENT_ALERTS
) -> Digest:
    """Return the digest of a time; ``until_ns`` is not in it. Raises HistoryError."""
    oldest = history.oldest()
    kept_since_ns = oldest.time_ns if oldest else 0
    before_ns = since_ns - (until_ns - since_ns)
    is_known_before = oldest is not None and kept_since_ns <= max(before_ns, 0) + (until_ns - since_ns) // 10
    now = history.tally(("rule", "source", "verdict"), since_ns, until_ns)
    before = history.tally(("rule", "source", "verdict"), max(before_ns, 0), since_ns) if is_known_before else None
    rules = _rules(now, before)
    hours = _bar_hours(since_ns, until_ns)
    incidents, partial = _incidents(history, (since_ns, until_ns), known, incident_alerts)
    fired = {line.rule for line in rules}
    return Digest(
        since_ns=since_ns,
        until_ns=until_ns,
        kept_since_ns=kept_since_ns,
        alerts=sum(now.values()),
        before=None if before is None else sum(before.values()),
        verdicts=_by_verdict(now),
        verdicts_before=None if before is None else _by_verdict(before),
        bar_hours=hours,
        bars=_bars(history, since_ns, until_ns, hours),
        rules=rules,
        silent=_silent(before or Counter(), fired),
        noise=_noise(history, since_ns, until_ns, rules),
        tactics=_tactics(rules, known),
        incidents=incidents,
        incidents_are_partial=partial,
        losses=history.losses(since_ns, until_ns),
    )


def _by_verdict(counted: Counter[tuple[str, ...]]) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for (*_, verdict), count in counted.items():
        found[verdict] += count
    return {verdict: found[verdict] for verdict in VERDICTS}


def _rules(now: Counter[tuple[str, ...]], before: Counter[tuple[str, ...]] | None) -> list[RuleLine]:
    verdicts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (rule, source, verdict), count in now.items():
        verdicts[rule, source][verdict] += count
    earlier: Counter[tuple[str, str]] = Counter()
    for (rule, source, _), count in (before or Counter()).items():
        earlier[rule, source] += count
    lines = [
        RuleLine(rule, source, sum(counts.values()), None if before is None else earlier[rule, source],
                 {verdict: counts[verdict] for verdict in VERDICTS})
        for (rule, source), counts in verdicts.items()
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (-line.alerts, line.rule, line.source))


def _silent(before: Counter[tuple[str, ...]], fired: set[str]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for (rule, *_), count in before.items():
        if rule not in fired:
            counts[rule] += count
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _bar_hours(since_ns: int, until_ns: int) -> int:
    """Return the shortest length with which there are at most ``BARS`` bars, one of them cut."""
    hours = (until_ns - since_ns) / _HOUR_NS
    return next((length for length in _BUCKETS if hours <= length * (BARS - 1)), _BUCKETS[-1])


def _bars(history: History, since_ns: int, until_ns: int, hours: int) -> list[Bar]:
    length = hours * _HOUR_NS
    counted = history.tally(("verdict",), since_ns, until_ns, bucket_ns=length)
    first, last = since_ns // length, (until_ns - 1) // length
    numbers = range(max(first, last - 10 * BARS), last + 1)
    return [Bar(number * length, {verdict: counted[number, verdict] for verdict in VERDICTS}) for number in numbers]


def _noise(history: History, since_ns: int, until_ns: int, rules: Sequence[RuleLine]) -> list[Noise]:
    noisy = [line for line in rules if not line.verdicts["attack"] and line.alerts > 1]
    by_rule: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    wanted = {line.rule: line for line in noisy[:NOISY_SHOWN]}
    for (rule, place, principal), count in history.tally(("rule", "place", "principal"), since_ns, until_ns).items():
        if rule in wanted:
            by_rule[rule][place, principal] += count
    found = []
    for rule, line in wanted.items():
        (place, principal), count = min(by_rule[rule].items(), key=lambda item: (-item[1], item[0]))
        total = sum(by_rule[rule].values())
        found.append(Noise(rule, line.alerts, place, "" if principal == place else principal, count / total))
    return found


def _tactics(rules: Sequence[RuleLine], known: Knowledge) -> list[Tactic]:
    covered: Counter[str] = Counter()
    for rule, source in known.covered:
        covered.update(set(known.tactics_of(rule, source)))
    seen: defaultdict[str, list[RuleLine]] = defaultdict(list)
    for line in rules:
        for tactic in set(known.tactics_of(line.rule, line.source)):
            seen[tactic].append(line)
    return [
        Tactic(
            name,
            len(seen[tactic]),
            sum(line.alerts for line in seen[tactic]),
            sum(line.verdicts["attack"] for line in seen[tactic]),
            covered[tactic],
        )
        for tactic, name in attack_table().tactics.items()
        if covered[tactic] or seen[tactic]
    ]


def _incidents(history: History, span_ns: tuple[int, int], known: Knowledge, limit: int) -> tuple[list[Incident], bool]:
    if known.window_seconds <= 0:
        return [], False

    # What is benign begins no incident; in clouds it tells who is who.
    alerts, is_partial = history.latest(*span_ns, limit, also_benign_of=SOURCES)
    found = join_in_order(alerts, known.window_seconds, judge=known.judge, tactics_of=known.tactics_of)
    ordered = sorted(found, key=lambda each: (VERDICTS.index(each.verdict), -each.count, each.first_ns, each.id))
    return ordered, is_partial
