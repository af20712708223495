"""The metrics about alerts, as Prometheus sees them: names, HELP, labels.

Owns the exposition's content; refuses to count anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UntypedMetricFamily,
)
from prometheus_client.samples import Exemplar, Sample

from exporter.escaping import label_value
from exporter.sinks.prometheus.series import OVERFLOW, Key, Labels, Rule, label_texts

RULE_LABELS = ("rule", "priority", "source")
VERDICT_LABELS = (*RULE_LABELS, "verdict", "outcome")
HOST_VERDICT_LABELS = ("hostname", "priority", "source", "verdict")
EVENT_LABELS = ("rule", "priority", "source", "hostname", "k8s_ns_name")
INFO_LABELS = (
    *RULE_LABELS,
    "maturity",
    "mitre_tactic",
    "mitre_technique",
    "summary",
    "impact",
    "mitigation",
    "runbook",
)


Counts = Iterable[tuple[Labels, int]]


@dataclass(frozen=True, slots=True)
class RuleTotals:
    """One rule's totals at the time of a scrape."""

    count: int
    latest_ns: int
    exemplar_ns: int
    uid: str
    verdicts: Sequence[tuple[tuple[str, str], int]]
    """Verdict and outcome, and how many events had them."""


RuleRows = Sequence[tuple[Key, RuleTotals]]


def snapshot(key: Key, rule: Rule) -> RuleTotals:
    """Copy a rule's totals and work out the uid of its last alert, once."""
    if rule.last_alert is not None:
        rule.exemplar_uid = "" if key[0] == OVERFLOW else rule.last_alert.uid
        rule.last_alert = None
    return RuleTotals(
        rule.count,
        rule.latest_ns,
        rule.exemplar_ns,
        rule.exemplar_uid,
        sorted((pair, count[0]) for pair, count in rule.verdicts.items()),
    )


def rule_events(rules: RuleRows) -> Metric:
    """Events by rule; each rule known beforehand starts at 0."""
    family = CounterMetricFamily("falco_rule_events", "Events by rule; known rules start at 0.", labels=RULE_LABELS)
    for key, totals in rules:
        exemplar = (
            Exemplar({"uid": totals.uid}, 1.0, totals.exemplar_ns / 1e9) if totals.uid else None  # 1: one event
        )
        family.add_metric(label_texts(key), totals.count, exemplar=exemplar)
    return family


def verdict_events(rules: RuleRows) -> Metric:
    """Events by rule, verdict and outcome; a series begins with its first event."""
    family = CounterMetricFamily(
        "falco_verdict_events",
        "Events by rule, likely verdict (attack, undecided, benign, test) and outcome (succeeded, refused, unknown).",
        labels=VERDICT_LABELS,
    )
    for key, totals in rules:
        for pair, count in totals.verdicts:
            family.add_metric([*label_texts(key), *pair], count)
    return family


def host_verdict_events(counts: Counts) -> Metric:
    """Events by host and verdict; a series begins with its first event."""
    family = CounterMetricFamily("falco_host_verdict_events", "Events by host, priority, source and likely verdict.")
    family.samples = [Sample("falco_host_verdict_events_total", labels, count) for labels, count in counts]
    return family


def events(counts: Counts, *, typed: bool) -> Metric:
    """Events by rule, host, namespace and the operator's labels.

    Untyped where falco-exporter's ``falco_events`` is also shown: OpenMetrics
    knows the counter ``falco_events_total`` by that name too.
    """
    text = "Events by rule, host, Kubernetes namespace and the labels added by a setting."
    family: Metric = CounterMetricFamily("falco_events", text)
    if not typed:
        family = UntypedMetricFamily("falco_events_total", text)
    family.samples = [Sample("falco_events_total", labels, count) for labels, count in counts]
    return family


def last_events(rules: RuleRows) -> Metric:
    """When each rule's latest event happened."""
    family = GaugeMetricFamily(
        "falco_rule_last_event_timestamp_seconds",
        "When the rule's latest event happened, seconds since 1970; only rules that had one.",
        labels=RULE_LABELS,
    )
    for key, totals in rules:
        if totals.latest_ns:
            family.add_metric(label_texts(key), totals.latest_ns / 1e9)
    return family


def rule_info(rules: Iterable[tuple[Key, tuple[str, ...]]]) -> Metric:
    """What each rule seen means."""
    family = GaugeMetricFamily(
        "falco_rule_info",
        "Always 1; the labels say what a rule means and the first step against it. Only rules that have fired.",
        labels=INFO_LABELS,
    )
    for key, texts in rules:
        family.add_metric([*label_texts(key), *texts], 1)
    return family


def rule_covered(covered: Mapping[tuple[str, str], bool]) -> Metric:
    """Whether the catalog knows the rules of the rules files, by rule and source."""
    family = GaugeMetricFamily(
        "falco_catalog_rule_covered",
        "1 where the catalog has advice of its own for a rule of metrics.rules_files, else 0; without files: absent.",
        labels=("rule", "source"),
    )
    for key, answer in sorted(covered.items()):
        family.add_metric([label_value(part) for part in key], int(answer))
    return family


def delay(bounds: Sequence[float], cumulative: Sequence[int], total_seconds: float) -> Metric:
    """From the event's time to the moment it counted here."""
    family = HistogramMetricFamily(
        "falco_event_delay_seconds", "Time from Falco's event to its count here, seconds; 0 where clocks disagree."
    )
    names = [*(str(bound) for bound in bounds), "+Inf"]
    family.add_metric([], list(zip(names, cumulative, strict=True)), total_seconds)
    return family


def table(series: int, overflow_total: int, evicted_total: int) -> Iterator[Metric]:
    """How full the table of ``falco_events_total`` is."""
    yield GaugeMetricFamily("falco_exporter_series", "Series of falco_events_total, overflow aside.", value=series)
    yield CounterMetricFamily(
        "falco_exporter_series_overflow",
        "Events counted in falco_events_total's overflow series because the table was full.",
        value=overflow_total,
    )
    yield CounterMetricFamily(
        "falco_exporter_series_evicted",
        "Series of falco_events_total forgotten because they were idle.",
        value=evicted_total,
    )


def legacy_events(counts: Counts) -> Metric:
    """Show falco-exporter's metric."""
    family = UntypedMetricFamily("falco_events", "Events, with the labels of falco-exporter.")
    family.samples = [Sample("falco_events", labels, count) for labels, count in counts]
    return family
