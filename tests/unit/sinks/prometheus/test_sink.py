"""The Prometheus sink: what it counts, and what bounds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.alert import Alert, Priority
from exporter.config.model import Metrics
from exporter.sinks.prometheus.sink import UNKNOWN_RULES_LIMIT, KnownRule, PrometheusSink
from tests.unit.sinks.prometheus.counting import (
    KNOWN,
    Clock,
    describe,
    make_alert,
    make_sink,
    rule_total,
    sample,
    samples,
)


def test_a_known_rule_exists_at_0_before_its_first_event() -> None:
    """``increase()`` sees the first event, since the series was there before."""
    _, registry = make_sink()
    assert rule_total(registry, KNOWN.rule) == 0
    assert not samples(registry, "falco_rule_info")
    assert not samples(registry, "falco_rule_last_event_timestamp_seconds")


def test_events_count_by_rule_host_and_namespace() -> None:
    """Each alert counts once in the rule's total and once in its series."""
    sink, registry = make_sink()
    sink.write([make_alert(k8s__ns__name="web"), make_alert(k8s__ns__name="web"), make_alert(host="node-2")])
    assert rule_total(registry, KNOWN.rule) == 3
    labels = {"rule": KNOWN.rule, "priority": "Warning", "source": "syscall"}
    assert sample(registry, "falco_events_total", **labels, hostname="node-1", k8s_ns_name="web") == 2
    assert sample(registry, "falco_events_total", **labels, hostname="node-2", k8s_ns_name="") == 1


def test_a_full_table_counts_in_one_overflow_series() -> None:
    """Beyond the limit no series is made; the events still count, in the overflow and in their rule."""
    sink, registry = make_sink(series_limit=2)
    sink.write([make_alert(host=f"node-{number}") for number in range(5)])
    found = samples(registry, "falco_events_total")
    assert len(found) == 3
    assert set(found[-1].labels.values()) == {"_overflow"}
    assert found[-1].value == 3
    assert sample(registry, "falco_exporter_series_overflow_total") == 3
    assert sample(registry, "falco_exporter_series") == 2
    assert rule_total(registry, KNOWN.rule) == 5


def test_an_idle_series_goes_and_the_rules_total_stays() -> None:
    """Forgetting a series never lowers a rule's total, and makes room for others."""
    clock = Clock()
    sink, registry = make_sink(clock, series_limit=1, series_idle_seconds=60)
    sink.write([make_alert(host="old")])
    clock.now_ns += 61_000_000_000
    assert not samples(registry, "falco_events_total")
    sink.write([make_alert(host="new")])
    assert [found.labels["hostname"] for found in samples(registry, "falco_events_total")] == ["new"]
    assert sample(registry, "falco_exporter_series_evicted_total") == 1
    assert rule_total(registry, KNOWN.rule) == 2


def test_a_full_table_forgets_idle_series_without_a_scrape() -> None:
    """Room is made when it is needed, even if nobody scrapes."""
    clock = Clock()
    sink, registry = make_sink(clock, series_limit=1, series_idle_seconds=60)
    sink.write([make_alert(host="old")])
    clock.now_ns += 61_000_000_000
    sink.write([make_alert(host="new")])
    assert sample(registry, "falco_exporter_series_overflow_total") == 0


def test_idle_series_stay_where_the_setting_is_0() -> None:
    """0 means never."""
    clock = Clock()
    sink, registry = make_sink(clock, series_idle_seconds=0)
    sink.write([make_alert()])
    clock.now_ns += 10**18
    assert len(samples(registry, "falco_events_total")) == 1


def test_made_up_rule_names_are_capped_and_known_ones_are_not() -> None:
    """A sender that invents rules fills the overflow, not the memory."""
    sink, registry = make_sink()
    sink.write([make_alert(f"Rule {number}") for number in range(UNKNOWN_RULES_LIMIT + 50)])
    sink.write([make_alert()])
    assert rule_total(registry, "_overflow", "_overflow", "_overflow") == 50
    assert rule_total(registry, KNOWN.rule) == 1
    assert len(samples(registry, "falco_rule_events_total")) == UNKNOWN_RULES_LIMIT + 2


def test_a_known_rule_need_not_begin_at_0() -> None:
    """Its series comes with its first event, however full the table is, whatever its priority is by then."""
    registry = CollectorRegistry()
    quiet = KnownRule("Quiet", Priority.NOTICE, "syscall", begins_at_zero=False)
    sink = PrometheusSink(Metrics(), registry=registry, rules=[KNOWN, quiet], describe=describe, clock_ns=Clock())
    assert rule_total(registry, KNOWN.rule) == 0
    assert rule_total(registry, "Quiet") is None
    sink.write([make_alert(f"Rule {number}") for number in range(UNKNOWN_RULES_LIMIT + 50)])
    sink.write([make_alert("Quiet")])
    assert rule_total(registry, "Quiet") == 1


def repeated(**members: Any) -> Alert:
    """An alert of which it is known that others like it came before."""
    make_alert(**members).likeness  # noqa: B018 - asking makes it known
    alert = make_alert(**members)
    assert alert.likeness.comes_again
    return alert


def test_a_series_that_was_forgotten_begins_anew_for_alerts_like_its_last() -> None:
    """Whether a scrape forgot it, or a full table did."""
    clock = Clock()
    sink, registry = make_sink(clock, series_limit=2, series_idle_seconds=60)
    for _ in range(3):
        sink.write([repeated(host="again")])
    clock.now_ns += 61_000_000_000
    assert not samples(registry, "falco_events_total")
    sink.write([repeated(host="again")])
    assert [found.value for found in samples(registry, "falco_events_total")] == [1]
    clock.now_ns += 61_000_000_000
    sink.write([make_alert(host="one")])
    sink.write([make_alert(host="two")])
    sink.write([repeated(host="again")])
    found = {each.labels["hostname"]: each.value for each in samples(registry, "falco_events_total")}
    assert found == {"one": 1, "two": 1, "_overflow": 1}
    assert rule_total(registry, KNOWN.rule) == 7


def test_alerts_alike_count_by_a_label_of_their_time() -> None:
    """A label that differs although nothing else does."""
    sink, registry = make_sink(extra_labels=("evt.time",))
    for number in range(3):
        alert = replace(repeated(), time_ns=make_alert().time_ns + number)
        alert.likeness  # noqa: B018
        sink.write([alert])
    assert len(samples(registry, "falco_events_total")) == 3
