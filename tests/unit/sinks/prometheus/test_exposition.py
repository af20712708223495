"""The exposition written here against prometheus_client's own."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.alert import Alert, Priority
from exporter.config.model import Metrics
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.prometheus.exposition import choose_exposition
from exporter.sinks.prometheus.sink import PrometheusSink
from tests.hostile import hostile_alerts

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
ACCEPTS = (
    "",
    "*/*",
    "text/plain;version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    OPENMETRICS,
    f"{OPENMETRICS};escaping=allow-utf-8,text/plain;q=0.5",
    f"{OPENMETRICS};escaping=dots",
    f"{OPENMETRICS};escaping=values",
)


def families(text: str) -> list[str]:
    """Return the exposition's families, sorted: their order is free."""
    return sorted(text.removesuffix("# EOF\n").split("# HELP "))


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("is_legacy", [False, True])
def test_the_bytes_are_prometheus_clients(accept: str, is_legacy: bool) -> None:
    """Family by family the same text, hostile labels and large counts included, and the same content type."""
    registry = CollectorRegistry()
    metrics = Metrics(extra_labels=("proc.cmdline",), legacy_falco_events=is_legacy, series_limit=150)
    sink = PrometheusSink(metrics, registry=registry, rules=[], describe=lambda rule, source: None)
    sink.write(hostile_alerts())
    often = Alert(0, "Often", Priority.DEBUG, "syscall", "node", "x", {}, ())
    sink.write([often])
    for series in sink._events.series.values():
        series.count *= 1_234_567
    encode, content_type = choose_encoder(accept)
    expose, ours = choose_exposition(accept)
    assert ours == content_type
    text = expose(registry).decode()
    assert families(text) == families(encode(registry).decode())
    assert text.endswith("# EOF\n") == (OPENMETRICS in accept)


def test_created_samples_are_left_out() -> None:
    """They would double every counter's series."""
    registry = CollectorRegistry()
    SelfMetrics(registry)
    Counter("a", "A.", registry=registry).inc()
    Histogram("b", "B.", registry=registry).observe(1)
    for accept in ACCEPTS:
        expose, _ = choose_exposition(accept)
        text = expose(registry).decode()
        assert "_created" not in text
        assert "b_count" in text or "escaping" in accept


@pytest.mark.parametrize("accept", [accept for accept in ACCEPTS if "dots" not in accept and "values" not in accept])
def test_constant_labels_are_on_every_sample_and_nothing_else_changes(accept: str) -> None:
    """cluster and owner stand on each series, small families and large; a metric's own label of that name counts."""
    registry = CollectorRegistry()
    sink = PrometheusSink(Metrics(), registry=registry, rules=[], describe=lambda rule, source: None)
    sink.write(hostile_alerts())
    Counter("a", "A.", ["owner"], registry=registry).labels("own").inc()
    labels = {"cluster": 'a"\\b\nc', "owner": "team"}
    plain, _ = choose_exposition(accept)
    expose, _ = choose_exposition(accept, labels)
    found = {parsed.name: parsed.samples for parsed in parse(expose(registry).decode(), accept)}
    expected = {parsed.name: parsed.samples for parsed in parse(plain(registry).decode(), accept)}
    assert found.keys() == expected.keys()
    for name, samples in expected.items():
        assert [sample.labels for sample in found[name]] == [{**labels, **sample.labels} for sample in samples]
        assert [sample.value for sample in found[name]] == [sample.value for sample in samples]


def parse(text: str, accept: str) -> list[Metric]:
    """Read an exposition back."""
    families = openmetrics_families if OPENMETRICS in accept else text_families
    return list(families(text))
