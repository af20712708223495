"""The Prometheus sink: counts alerts, shows them when scraped.

Owns the hot path (one look-up and a few additions an alert) and what is
remembered between scrapes. Refuses to format anything while alerts come in:
``families.py`` makes the metrics of it, once a scrape.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from exporter.alert import Alert, Priority
from exporter.config.model import Metrics
from exporter.kept import Kept
from exporter.likeness import LIKENESSES, Likeness
from exporter.sinks.prometheus import families
from exporter.sinks.prometheus.labels import label_names
from exporter.sinks.prometheus.legacy import LegacyEvents
from exporter.sinks.prometheus.rules import Describe, RuleInfos
from exporter.sinks.prometheus.series import Key, Rule, RuleTable, Series, SeriesTable
from exporter.verdict.judgement import Judgement

DELAY_BUCKETS_SECONDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
    86400.0,
)
UNKNOWN_RULES_LIMIT = 1_000
"""Rules that are in no catalog and in no rules file: senders make up names."""
KEPT_ALERT_BYTES = 32_768
"""Largest alert that is kept per rule until the next scrape; a larger one's uid is worked out at once."""

WAITING_ALERTS, WAITING_BYTES = 32, 65_536
"""Alerts, and bytes of their messages, that are counted together where they come singly: less for each."""


class KnownRule(NamedTuple):
    """A rule that is known before its first event."""

    rule: str
    priority: Priority
    source: str
    begins_at_zero: bool = True
    """Whether its series exists before its first event."""
    covered: bool | None = None
    """Whether the catalog has an entry for it; None for rules of no rules file."""


class PrometheusSink(Collector):
    """Counts alerts in plain dictionaries; a collector in the registry it is given.

    ``rules`` start at 0 where they say so, so that ``increase()`` sees their first event.
    ``describe`` gives what ``falco_rule_info`` says of a rule, by its name and
    source; None for nothing. ``judge`` gives each alert of a batch the judgement
    that it is counted under. Without ``judge`` there are no such counts. Raises
    ConfigError for labels that cannot be.
    """

    name = "prometheus"

    def __init__(
        self,
        settings: Metrics,
        *,
        registry: CollectorRegistry,
        rules: Iterable[KnownRule],
        describe: Describe,
        judge: Callable[[Sequence[Alert]], Iterable[Judgement]] | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._extra_fields = settings.extra_labels
        names = families.EVENT_LABELS + label_names(settings.extra_labels, families.EVENT_LABELS)
        known = tuple(rules)
        self._rules = RuleTable(
            [found[:3] for found in known if found.begins_at_zero],
            limit=UNKNOWN_RULES_LIMIT,
            reserved=[(found.rule, found.source) for found in known],
        )
        covered = {(found.rule, found.source): found.covered for found in known if found.covered is not None}
        self._covered = families.rule_covered(covered)
        self._rule_infos = RuleInfos(describe)
        self._events = SeriesTable(names, limit=settings.series_limit, idle_seconds=settings.series_idle_seconds)
        self._host_verdicts = SeriesTable(
            families.HOST_VERDICT_LABELS,
            limit=settings.series_limit,
            idle_seconds=settings.series_idle_seconds,
            sweeps=False,
        )
        self._alike: Kept[Likeness | None, Series] = Kept(LIKENESSES)
        """Series by what alerts have in common; emptied whenever one may be forgotten."""
        self._is_timeless = "evt.time" not in settings.extra_labels
        self._legacy = LegacyEvents(settings) if settings.legacy_falco_events else None
        self._delay_bounds_ns = [int(seconds * 1e9) for seconds in DELAY_BUCKETS_SECONDS]
        self._delay_counts = [0] * (len(DELAY_BUCKETS_SECONDS) + 1)
        self._delay_sum_ns = 0
        self._judge = judge
        self._clock_ns = clock_ns
        self._waiting: list[tuple[int, Sequence[Alert]]] = []
        """Batches that are not counted yet, and when they came."""
        self._waiting_alerts = self._waiting_bytes = 0
        self._lock = threading.Lock()
        registry.register(self)

    def start(self) -> None:
        """Nothing to open."""

    def room(self) -> int:
        """Counting never waits."""
        return 1_000_000

    def close(self, deadline_seconds: float) -> None:
        """Nothing is held; the last scrape may still come."""

    def write(self, alerts: Sequence[Alert]) -> None:
        """Count the batch: a large one now, small ones together, at the latest when somebody asks."""
        with self._lock:
            self._waiting.append((self._clock_ns(), alerts))
            self._waiting_alerts += len(alerts)
            for alert in alerts:
                self._waiting_bytes += len(alert.received) or WAITING_BYTES
            if self._waiting_alerts >= WAITING_ALERTS or self._waiting_bytes > WAITING_BYTES:
                self._count_waiting()

    def _count_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._waiting_alerts = self._waiting_bytes = 0
        for now_ns, alerts in waiting:
            # Judged first: the judge takes all fields out, and a dictionary is quicker to ask.
            self._count(alerts, [None] * len(alerts) if self._judge is None else self._judge(alerts), now_ns)
            if self._legacy is not None:
                self._legacy.count(alerts, now_ns)

    def _count(self, alerts: Sequence[Alert], judgements: Iterable[Judgement | None], now_ns: int) -> None:
        # One function, since every call costs 5 % of it.
        find_alike, find = self._alike.get, self._events.series.get
        bounds, delays, extra = self._delay_bounds_ns, self._delay_counts, self._extra_fields
        for alert, judgement in zip(alerts, judgements, strict=True):
            likeness = alert.known_likeness
            series = find_alike(likeness)
            if series is None:
                key: Key = (alert.rule, alert.priority, alert.source, alert.hostname, alert.namespace)
                if extra:
                    key += tuple([alert.get(field) or "" for field in extra])
                series = find(key) or self._admit(key, now_ns)
                if likeness is not None:
                    self._keep_alike(likeness, series)
            series.count += 1
            series.seen_ns = now_ns
            rule = series.rule or self._rule_for(alert, series)
            rule.count += 1
            if judgement is not None:
                if judgement is not series.judgement:
                    self._note(judgement, series, rule, alert, now_ns)
                series.verdict_count[0] += 1
                host_verdict = series.host_verdict
                host_verdict.count += 1
                host_verdict.seen_ns = now_ns
            time_ns = alert.time_ns
            if time_ns > rule.latest_ns:  # noqa: PLR1730 - max() costs three times as much
                rule.latest_ns = time_ns
            rule.exemplar_ns = time_ns
            if alert.size_bytes <= KEPT_ALERT_BYTES:
                rule.last_alert = alert
            else:
                rule.last_alert, rule.exemplar_uid = None, alert.uid
            delay_ns = now_ns - time_ns
            if delay_ns < 0:  # noqa: PLR1730
                delay_ns = 0
            delays[bisect_left(bounds, delay_ns)] += 1
            self._delay_sum_ns += delay_ns

    def _keep_alike(self, likeness: Likeness, series: Series) -> None:
        """Let alerts that differ in their time only be found without their labels; the overflow counts each anew."""
        if likeness.comes_again and self._is_timeless and series is not self._events.overflow:
            self._alike.keep(likeness, series)

    def _admit(self, key: Key, now_ns: int) -> Series:
        evicted = self._events.evicted_total
        series = self._events.admit(key, now_ns)
        if self._events.evicted_total != evicted:
            self._alike.clear()
        return series

    def _rule_for(self, alert: Alert, series: Series) -> Rule:
        rule = self._rules.admit((alert.rule, alert.priority, alert.source))
        if series is not self._events.overflow:
            series.rule = rule
        return rule

    def _note(self, judgement: Judgement, series: Series, rule: Rule, alert: Alert, now_ns: int) -> None:
        """Let a series know what counts its events of this judgement: its rule's counter, and that of its host.

        The overflow's series is one of many rules and hosts, and is told anew each time.
        """
        labels: Key = (alert.hostname, alert.priority, alert.source, judgement.verdict)
        series.host_verdict = self._host_verdicts.series.get(labels) or self._host_verdicts.admit(labels, now_ns)
        series.verdict_count = rule.verdicts.setdefault((judgement.verdict, judgement.outcome), [0])
        if series is not self._events.overflow:
            series.judgement = judgement

    def collect(self) -> Iterable[Metric]:
        """Make every metric of what was counted; series idle for too long are forgotten first."""
        with self._lock:
            self._count_waiting()
            now_ns = self._clock_ns()
            self._events.evict_idle(now_ns)
            self._alike.clear()
            self._host_verdicts.evict_idle(now_ns)  # After the series above, each of which counts in one of these.
            host_verdicts = self._host_verdicts.counts()
            events = self._events.counts()
            table = (len(self._events.series), self._events.overflow_total, self._events.evicted_total)
            rules = [(key, families.snapshot(key, rule)) for key, rule in self._rules.rules.items()]
            delays, delay_sum_ns = list(accumulate(self._delay_counts)), self._delay_sum_ns
            legacy = self._legacy.counts(now_ns) if self._legacy is not None else None
        yield families.rule_events(rules)
        yield families.events(events, typed=legacy is None)
        if self._judge is not None:
            yield families.verdict_events(rules)
            yield families.host_verdict_events(host_verdicts)
        yield families.last_events(rules)
        yield families.rule_info([(key, self._rule_infos.labels(key)) for key, rule in rules if rule.count])
        if self._covered.samples:
            yield self._covered
        yield families.delay(DELAY_BUCKETS_SECONDS, delays, delay_sum_ns / 1e9)
        yield from families.table(*table)
        if legacy is not None:
            yield families.legacy_events(legacy)
