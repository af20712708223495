"""The Prometheus sink: what it counts, what it shows, what bounds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.alert import Alert, Priority
from exporter.config.model import Metrics
from exporter.errors import ConfigError
from exporter.sinks.prometheus.series import OVERFLOW
from exporter.sinks.prometheus.sink import UNKNOWN_RULES_LIMIT, KnownRule, PrometheusSink
from exporter.verdict.judgement import UNDECIDED, VERDICTS, Judgement
from tests.hostile import hostile_alerts, huge_values

NOW_NS = 1_800_000_000_000_000_000
GOLDEN = Path(__file__).with_name("golden_metrics.txt")
KNOWN = KnownRule("Clear Log Activities", Priority.WARNING, "syscall")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@dataclass(frozen=True)
class Description:
    """What the catalog would say."""

    maturity: str
    tactics: tuple[str, ...]
    techniques: tuple[str, ...]
    summary: str
    impact: str
    mitigation: str
    runbook: str


def describe(rule: str, source: str) -> Description | None:
    if rule != KNOWN.rule:
        return None
    return Description(
        maturity="stable",
        tactics=("Defense Evasion",),
        techniques=("T1070",),
        summary="A log file was emptied.",
        impact="Traces may be gone.",
        mitigation="Look who did it.",
        runbook="https://example.org/rule",
    )


def make_sink(clock: Clock | None = None, **settings: Any) -> tuple[PrometheusSink, CollectorRegistry]:
    registry = CollectorRegistry()
    sink = PrometheusSink(
        Metrics(**settings), registry=registry, rules=[KNOWN], describe=describe, clock_ns=clock or Clock()
    )
    return sink, registry


def make_alert(rule: str = KNOWN.rule, *, host: str = "node-1", age_seconds: float = 0.02, **fields: str) -> Alert:
    return Alert(
        time_ns=NOW_NS - int(age_seconds * 1e9),
        rule=rule,
        priority=Priority.WARNING,
        source="syscall",
        hostname=host,
        raw_output="18:29:39.273467556: Warning Log files were tampered",
        fields={name.replace("__", "."): value for name, value in fields.items()},
        tags=("T1070", "mitre_defense_evasion"),
    )


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def rule_total(
    registry: CollectorRegistry, rule: str, priority: str = "Warning", source: str = "syscall"
) -> float | None:
    return sample(registry, "falco_rule_events_total", rule=rule, priority=priority, source=source)


def samples(registry: CollectorRegistry, name: str) -> list[Any]:
    return [found for metric in registry.collect() for found in metric.samples if found.name == name]


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


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({"k8s__ns__name": "<NA>"}, ""),
        ({"k8s__ns__name": ""}, ""),
        ({"ka__target__namespace": "payments"}, "payments"),
        ({"k8s__ns__name": "web", "ka__target__namespace": "payments"}, "web"),
    ],
)
def test_the_namespace_is_the_pods_or_the_audited_objects(fields: dict[str, str], namespace: str) -> None:
    """An absent namespace is an empty label; Kubernetes audit alerts name it in another field."""
    sink, registry = make_sink()
    sink.write([make_alert(**fields)])
    assert [found.labels["k8s_ns_name"] for found in samples(registry, "falco_events_total")] == [namespace]


def test_an_operators_label_comes_from_any_field() -> None:
    """The label's name is the field's with underscores, its value the field's or empty where absent."""
    sink, registry = make_sink(extra_labels=("k8s.pod.name", "proc.aname[2]"))
    sink.write([make_alert(k8s__pod__name="web-1")])
    (found,) = samples(registry, "falco_events_total")
    assert found.labels["k8s_pod_name"] == "web-1"
    assert found.labels["proc_aname_2_"] == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("k8s.ns.name",), "k8s_ns_name"),
        (("proc.name", "proc_name"), "already taken by the field proc.name"),
        (("hostname",), "always has"),
        (("proc name",), "expected the names of Falco output fields"),
        (("",), "found ''"),
        (("__name__",), "found '__name__'"),
        (("le",), "found 'le'"),
        (('a"} 1\nx{b="',), "expected the names"),
    ],
)
def test_a_label_that_cannot_be_is_refused_at_the_start(fields: tuple[str, ...], expected: str) -> None:
    """Names that are none, reserved or taken raise ConfigError, which says what was found."""
    with pytest.raises(ConfigError, match=r"metrics\.extra_labels") as caught:
        make_sink(extra_labels=fields)
    assert expected in str(caught.value)


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


def test_falco_exporters_metric_is_as_it_was() -> None:
    """Numeric priority, tags between commas, fields as Falco wrote them."""
    sink, registry = make_sink(legacy_falco_events=True)
    sink.write([make_alert(k8s__ns__name="web", k8s__pod__name="<NA>"), make_alert()])
    labels = {
        "rule": KNOWN.rule,
        "priority": "4",
        "hostname": "node-1",
        "source": "syscall",
        "tags": ",T1070,mitre_defense_evasion,",
    }
    assert sample(registry, "falco_events", **labels, k8s_ns_name="web", k8s_pod_name="<NA>") == 1
    assert sample(registry, "falco_events", **labels, k8s_ns_name="", k8s_pod_name="") == 1
    list(parse_openmetrics(generate_openmetrics(registry).decode()))


def test_falco_exporters_metric_is_off_by_default() -> None:
    """Two names for the same count confuse whoever does not need the old one."""
    sink, registry = make_sink()
    sink.write([make_alert()])
    assert not samples(registry, "falco_events")


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


def test_events_are_counted_by_verdict_and_outcome() -> None:
    """Each verdict of a rule has a series of its own, which begins with its first event."""
    registry = CollectorRegistry()
    signs = iter([Judgement("attack", "refused", ()), Judgement("benign", "succeeded", ()), UNDECIDED, UNDECIDED])
    sink = PrometheusSink(
        Metrics(), registry=registry, rules=[KNOWN], describe=describe, judge=lambda _: next(signs), clock_ns=Clock()
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
        judge=judge,
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
        judge=lambda _: Judgement("attack", "unknown", ()),
        clock_ns=Clock(),
    )
    sink.write([make_alert(f"made up {n}") for n in range(UNKNOWN_RULES_LIMIT + 3)])
    overflow = [s for s in samples(registry, "falco_verdict_events_total") if s.labels["rule"] == OVERFLOW]
    assert [(s.value, s.labels["verdict"]) for s in overflow] == [(3, "attack")]


def test_an_event_that_there_was_no_time_to_judge_is_undecided() -> None:
    """It is never taken for benign."""
    registry = CollectorRegistry()
    sink = PrometheusSink(Metrics(), registry=registry, rules=[KNOWN], describe=describe, judge=lambda _: None)
    sink.write([make_alert()])
    (sample,) = samples(registry, "falco_verdict_events_total")
    assert (sample.labels["verdict"], sample.labels["outcome"], sample.value) == ("undecided", "unknown", 1)
