"""falco-exporter's metric, for dashboards that still read it."""

from __future__ import annotations

from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.unit.sinks.prometheus.counting import KNOWN, make_alert, make_sink, sample, samples


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
