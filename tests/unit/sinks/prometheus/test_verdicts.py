"""Events by verdict: of each rule, and of each host."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import Metrics
from exporter.sinks.prometheus.series import OVERFLOW
from exporter.sinks.prometheus.sink import UNKNOWN_RULES_LIMIT, PrometheusSink
from exporter.verdict.judgement import UNDECIDED, VERDICTS, Judgement
from tests.unit.sinks.prometheus.counting import KNOWN, Clock, describe, make_alert, samples


def test_events_are_counted_by_verdict_and_outcome() -> None:
    """Each verdict of a rule has a series of its own, which begins with its first event."""
    registry = CollectorRegistry()
    signs = iter([Judgement("attack", "refused", ()), Judgement("benign", "succeeded", ()), UNDECIDED, UNDECIDED])
    sink = PrometheusSink(
        Metrics(),
        registry=registry,
        rules=[KNOWN],
        describe=describe,
        judge=lambda alerts: [next(signs) for _ in alerts],
        clock_ns=Clock(),
    )
    assert samples(registry, "falco_verdict_events_total") == []
    sink.write([make_alert()] * 4)
    labels = {"rule": KNOWN.rule, "priority": "Warning", "source": "syscall"}
    found = {
        (sample.labels.pop("verdict"), sample.labels.pop("outcome")): (sample.value, sample.labels)
        for sample in samples(registry, "falco_verdict_events_total")
    }
    assert found == {
        ("attack", "refused"): (1, labels),
        ("benign", "succeeded"): (1, labels),
        ("undecided", "unknown"): (2, labels),
    }


def make_judged(clock: Clock | None = None, **settings: Any) -> tuple[PrometheusSink, CollectorRegistry]:
    """A sink whose alerts have the verdict that their field ``verdict`` says."""
    judgements = {verdict: Judgement(verdict, "unknown", ()) for verdict in VERDICTS}

    def judge(alert: Alert) -> Judgement:
        return next(found for verdict, found in judgements.items() if verdict == alert.get("verdict"))

    registry = CollectorRegistry()
    sink = PrometheusSink(
        Metrics(**settings),
        registry=registry,
        rules=[KNOWN],
        describe=describe,
        judge=lambda alerts: map(judge, alerts),
        clock_ns=clock or Clock(),
    )
    return sink, registry


def host_verdicts(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    found = samples(registry, "falco_host_verdict_events_total")
    assert all(set(each.labels) == {"hostname", "priority", "source", "verdict"} for each in found)
    return {(each.labels["hostname"], each.labels["verdict"]): each.value for each in found}


def test_events_are_counted_by_host_and_verdict() -> None:
    """Whatever the rule and the namespace: hosts can be ranked by what was likely an attack there."""
    sink, registry = make_judged()
    sink.write([make_alert(host="a", verdict="attack"), make_alert("Other", host="a", verdict="attack")])
    sink.write([make_alert(host="a", verdict="benign"), make_alert(host="a", verdict="attack", k8s__ns__name="web")])
    sink.write([make_alert(host="b", verdict="attack")])
    assert host_verdicts(registry) == {("a", "attack"): 3, ("a", "benign"): 1, ("b", "attack"): 1}


def test_events_of_made_up_hosts_go_to_one_overflow_series() -> None:
    """Every event counts, however many hosts somebody makes up, and those known before go on counting."""
    sink, registry = make_judged(series_limit=2)
    sink.write([make_alert(host=f"made-up-{number}", verdict="attack") for number in range(10)])
    sink.write([make_alert(host="made-up-1", verdict="attack"), make_alert(host="made-up-7", verdict="benign")])
    found = host_verdicts(registry)
    assert found == {("made-up-0", "attack"): 1, ("made-up-1", "attack"): 2, (OVERFLOW, OVERFLOW): 9}


def test_a_host_of_the_overflow_series_still_counts_by_its_verdict() -> None:
    """Labels of one's own fill the other table first; hosts are few."""
    sink, registry = make_judged(series_limit=2, extra_labels=("proc.name",))
    for number in range(5):
        sink.write([make_alert(host="a", verdict=verdict, proc__name=f"{number}") for verdict in ("attack", "benign")])
    assert host_verdicts(registry) == {("a", "attack"): 5, ("a", "benign"): 5}


def test_a_host_that_is_idle_is_forgotten_and_counts_anew() -> None:
    """No event counts in a series that nobody sees any more."""
    clock = Clock()
    sink, registry = make_judged(clock, series_idle_seconds=60)
    sink.write([make_alert(host=host, verdict="attack") for host in ("a", "b")])
    clock.now_ns += 50_000_000_000
    sink.write([make_alert("Other", host="b", verdict="attack")])
    clock.now_ns += 20_000_000_000
    assert host_verdicts(registry) == {("b", "attack"): 2}
    sink.write([make_alert(host=host, verdict="attack") for host in ("a", "b")])
    assert host_verdicts(registry) == {("a", "attack"): 1, ("b", "attack"): 3}


def test_rules_that_found_the_table_full_are_counted_by_verdict_too() -> None:
    """An attack under a made-up rule name is seen, in the overflow's series."""
    registry = CollectorRegistry()
    sink = PrometheusSink(
        Metrics(),
        registry=registry,
        rules=[],
        describe=describe,
        judge=lambda alerts: [Judgement("attack", "unknown", ())] * len(alerts),
        clock_ns=Clock(),
    )
    sink.write([make_alert(f"made up {n}") for n in range(UNKNOWN_RULES_LIMIT + 3)])
    overflow = [s for s in samples(registry, "falco_verdict_events_total") if s.labels["rule"] == OVERFLOW]
    assert [(s.value, s.labels["verdict"]) for s in overflow] == [(3, "attack")]
