"""What each metric of a rule says: exemplar, times, delay, meaning, coverage; and their golden exposition."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.alert import Alert
from exporter.config.model import Metrics
from exporter.sinks.prometheus.sink import PrometheusSink
from tests.hostile import hostile_alerts, huge_values
from tests.unit.sinks.prometheus.counting import KNOWN, NOW_NS, Clock, describe, make_alert, make_sink, sample, samples

GOLDEN = Path(__file__).with_name("golden_metrics.txt")


def test_which_rules_the_catalog_covers() -> None:
    """A gauge per rule of the rules files; without files there is none."""
    registry = CollectorRegistry()
    rules = [KNOWN, KNOWN._replace(rule="Ours", covered=False), KNOWN._replace(rule="x\n\u202e", covered=True)]
    PrometheusSink(Metrics(), registry=registry, rules=rules, describe=describe, clock_ns=Clock())
    assert {found.labels["rule"]: found.value for found in samples(registry, "falco_catalog_rule_covered")} == {
        "Ours": 0,
        r"x\n\u202e": 1,
    }
    assert "falco_catalog_rule_covered" not in {metric.name for metric in make_sink()[1].collect()}


@pytest.mark.parametrize("length", [0, 10, 100_000])
@pytest.mark.parametrize("rule", [KNOWN.rule, "Rule \x1b" + "x" * 600])
def test_a_rules_exemplar_is_the_last_alerts_uid(length: int, rule: str) -> None:
    """The uid in the exemplar finds the alert's report and log record, whatever the message's length and the name."""
    sink, registry = make_sink()
    last = Alert(NOW_NS, rule, KNOWN.priority, "syscall", "node-1", "x", {"a": "b"}, (), b"x" * length)
    sink.write([make_alert(rule), last])
    (found,) = [each for each in samples(registry, "falco_rule_events_total") if each.value]
    assert found.exemplar.labels == {"uid": last.uid}
    assert found.exemplar.timestamp == NOW_NS / 1e9


def test_the_last_event_time_is_the_latest_whatever_the_order() -> None:
    """Falco does not send strictly in time order."""
    sink, registry = make_sink()
    sink.write([make_alert(age_seconds=1), make_alert(age_seconds=5)])
    labels = {"rule": KNOWN.rule, "priority": "Warning", "source": "syscall"}
    assert sample(registry, "falco_rule_last_event_timestamp_seconds", **labels) == NOW_NS / 1e9 - 1


def test_the_delay_is_a_histogram_and_never_negative() -> None:
    """A clock ahead of ours counts as no delay."""
    sink, registry = make_sink()
    sink.write([make_alert(age_seconds=-3), make_alert(age_seconds=0.02), make_alert(age_seconds=3600)])
    assert sample(registry, "falco_event_delay_seconds_bucket", le="0.005") == 1
    assert sample(registry, "falco_event_delay_seconds_bucket", le="0.025") == 2
    assert sample(registry, "falco_event_delay_seconds_bucket", le="300.0") == 2
    assert sample(registry, "falco_event_delay_seconds_count") == 3
    assert sample(registry, "falco_event_delay_seconds_sum") == pytest.approx(3600.02)


def test_rule_info_says_what_a_seen_rule_means() -> None:
    """The words come from the catalog; a rule that it does not know has empty labels."""
    sink, registry = make_sink()
    sink.write([make_alert(), make_alert("My Rule")])
    known, own = samples(registry, "falco_rule_info")
    assert known.labels["mitre_tactic"] == "Defense Evasion"
    assert known.labels["mitre_technique"] == "T1070"
    assert known.labels["mitigation"] == "Look who did it."
    assert own.labels["rule"] == "My Rule"
    assert own.labels["summary"] == ""


def _series(families: Iterable[Any]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [(found.name, tuple(sorted(found.labels.items()))) for family in families for found in family.samples]


@pytest.mark.parametrize("is_legacy", [False, True])
def test_hostile_alerts_make_a_valid_exposition(is_legacy: bool) -> None:
    """Nothing an attacker writes breaks a line, makes a series twice or is longer than the limit."""
    sink, registry = make_sink(extra_labels=("proc.cmdline",), legacy_falco_events=is_legacy)
    sink.write(hostile_alerts())
    sink.write(hostile_alerts())
    for series in (
        _series(parse_text(generate_latest(registry).decode())),
        _series(parse_openmetrics(generate_openmetrics(registry).decode())),
    ):
        assert len(series) == len(set(series))
        assert not {name for name, _ in series if "owned" in name}
    rows = samples(registry, "falco_events_total")
    assert sum(row.value for row in rows) == 2 * len(hostile_alerts())
    for row in rows:
        assert all(len(value) <= 512 * 10 and value.isprintable() for value in row.labels.values())


def test_huge_values_are_cut() -> None:
    """A megabyte in a label would reach every scrape; both of them count in one series."""
    sink, registry = make_sink()
    huge = huge_values()["huge word"]
    sink.write([make_alert(host=huge), make_alert(host=huge + "B")])
    (row,) = samples(registry, "falco_events_total")
    assert row.value == 2
    assert len(row.labels["hostname"]) <= 512


def test_the_exposition_is_the_golden_one() -> None:
    """Names, HELP, types and labels change only on purpose: dashboards depend on them."""
    sink, registry = make_sink(extra_labels=("k8s.pod.name",))
    sink.write([make_alert(k8s__ns__name="web", k8s__pod__name="web-1"), make_alert("My Rule", host="node-2")])
    assert generate_openmetrics(registry).decode() == GOLDEN.read_text(encoding="utf-8")
