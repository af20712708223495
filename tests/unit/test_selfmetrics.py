"""The exporter's own metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from exporter import __version__
from exporter.selfmetrics import DeliveryMetrics, SelfMetrics


def test_a_new_version_replaces_the_old_one_of_its_target_alone() -> None:
    """After an upgrade of one Falco only its new version is shown; the other target's stays."""
    registry = CollectorRegistry()
    metrics = SelfMetrics(registry)
    metrics.set_falco_version("a", "0.42.0", "0.57.0")
    metrics.set_falco_version("b", "0.42.0", "0.57.0")
    metrics.set_falco_version("a", "0.43.1", "0.58.0")
    metrics.set_falco_version("a", "0.43.1", "0.58.0")
    (info,) = (family for family in registry.collect() if family.name == "falco_version_info")
    shown = {(sample.labels["target"], sample.labels["version"]) for sample in info.samples}
    assert shown == {("a", "0.43.1"), ("b", "0.42.0")}


def test_every_metric_is_the_exporters_and_explains_itself() -> None:
    """Names begin with the exporter's prefix, but for Falco's version, and each has a help text."""
    registry = CollectorRegistry()
    SelfMetrics(registry)
    families = list(registry.collect())
    assert all(family.documentation.endswith(".") for family in families)
    assert {family.name for family in families if not family.name.startswith("falco_exporter_")} == {
        "falco_version_info"
    }


def test_two_registries_share_nothing() -> None:
    """Two exporters in one process count apart."""
    first, second = CollectorRegistry(), CollectorRegistry()
    DeliveryMetrics(SelfMetrics(first), "soc").exported.inc()
    DeliveryMetrics(SelfMetrics(second), "soc")
    assert first.get_sample_value("falco_exporter_log_records_exported_total", {"endpoint": "soc"}) == 1
    assert second.get_sample_value("falco_exporter_log_records_exported_total", {"endpoint": "soc"}) == 0


def test_the_build_is_shown() -> None:
    """The version that runs is a label."""
    registry = CollectorRegistry()
    SelfMetrics(registry)
    (info,) = (family for family in registry.collect() if family.name == "falco_exporter_build_info")
    assert [sample.labels["version"] for sample in info.samples] == [__version__]


def test_addresses_are_labels_without_a_slash_at_the_end() -> None:
    """Dashboards and alerts append paths to both addresses."""
    registry = CollectorRegistry()
    SelfMetrics(registry).set_addresses("https://reports.example.org/", "https://grafana.example.org/falco/")
    labels = {"external_url": "https://reports.example.org", "grafana_url": "https://grafana.example.org/falco"}
    assert registry.get_sample_value("falco_exporter_addresses_info", labels) == 1
