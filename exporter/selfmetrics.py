"""The exporter's own metrics: how it is doing, not what Falco said.

Owns every ``falco_exporter_…`` metric and Falco's version. Refuses the
process-wide registry: the caller brings one, so that two exporters, or two
tests, never share a counter.
"""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

from exporter import __version__


class _Families:
    """Makes metrics in one registry, from name, help and the names of labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self._registry)

    def gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(name, says, labels, registry=self._registry)

    def summary(self, name: str, says: str, *labels: str) -> Summary:
        return Summary(name, says, labels, registry=self._registry)


class SelfMetrics:
    """Every metric about the exporter, registered in one registry.

    Attributes are prometheus_client metrics; parts keep the labelled child
    (``metrics.alerts_received.labels(target)``) rather than look it up per alert.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        make = _Families(registry)
        self._falco_versions: dict[str, tuple[str, str, str]] = {}
        self._register_build_info(make)
        self._register_sources(make)
        self._register_log_records(make)
        self._register_delivery(make)
        self._register_web(make)

    def received_from(self, target: str) -> int:
        """Return how many alerts a source has received since the start, those that could not be read included."""
        return int(total_of(self.alerts_received, target))

    def unreadable_from(self, target: str) -> int:
        """Return how many of them could not be read."""
        return int(total_of(self.decode_errors, target))

    def set_falco_version(self, target: str, version: str, engine_version: str) -> None:
        """Show one target's Falco version instead of the one shown before."""
        labels = (target, version, engine_version)
        shown = self._falco_versions.get(target)
        if shown is not None and shown != labels:
            self.falco_version_info.remove(*shown)
        self._falco_versions[target] = labels
        self.falco_version_info.labels(*labels).set(1)

    def set_addresses(self, external_url: str, grafana_url: str) -> None:
        """Show where people reach the report pages and Grafana, for links in dashboards and alerts."""
        self.addresses_info.labels(external_url.rstrip("/"), grafana_url.rstrip("/")).set(1)

    def losses(self) -> dict[str, float]:
        """Return how much was lost since the start, by what it is; nothing that is 0."""
        counters = {
            "messages that could not be read as alerts": self.decode_errors,
            "gaps in the followed file": self.file_gaps,
            "log records dropped before they were sent": self.log_records_dropped,
            "log records refused by the collector": self.log_records_failed,
        }
        return {what: lost for what, counter in counters.items() if (lost := total_of(counter))}

    def _register_build_info(self, make: _Families) -> None:
        info = make.gauge(
            "falco_exporter_build_info",
            "Always 1; the labels say which exporter runs on which Python.",
            "version",
            "python_version",
        )
        info.labels(__version__, platform.python_version()).set(1)
        self.addresses_info = make.gauge(
            "falco_exporter_addresses_info",
            "Always 1; the labels are web.external_url and web.grafana_url, for links in dashboards and alerts.",
            "external_url",
            "grafana_url",
        )

    def _register_sources(self, make: _Families) -> None:
        self.source_up = make.gauge(
            "falco_exporter_source_up", "1 while the source of alerts is connected, 0 while it is not.", "target"
        )
        self.source_reconnects = make.counter(
            "falco_exporter_source_reconnects_total", "Reconnections of a source.", "target"
        )
        self.alerts_received = make.counter(
            "falco_exporter_alerts_received_total",
            "Alerts received from a source, those that could not be decoded included.",
            "target",
        )
        self.decode_errors = make.counter(
            "falco_exporter_decode_errors_total",
            "Messages of a source that could not be read as an alert, by reason.",
            "target",
            "reason",
        )
        self.alerts_not_judged = make.counter(
            "falco_exporter_alerts_not_judged_total",
            "Events counted as undecided without being judged, in a flood of alerts that all differ.",
        )
        self.lines_without_alert = make.counter(
            "falco_exporter_lines_without_alert_total",
            "Lines of a followed log that are not alerts: what Falco writes about itself, and others' lines around it.",
            "target",
        )
        self.file_gaps = make.counter(
            "falco_exporter_file_gaps_total",
            "Rotations of a followed file in which lines that had not been read yet were lost.",
            "target",
        )
        self.falco_version_info = make.gauge(
            "falco_version_info",
            "Always 1; the labels say which Falco and which rules engine a target runs.",
            "target",
            "version",
            "engine_version",
        )

    def _register_log_records(self, make: _Families) -> None:
        self.log_records_exported = make.counter(
            "falco_exporter_log_records_exported_total", "Log records that the OTLP endpoint accepted.", "endpoint"
        )
        self.records_without_advice = make.counter(
            "falco_exporter_log_records_without_advice_total",
            "Log records made without advice, in a flood of alerts that all differ.",
        )
        self.log_records_failed = make.counter(
            "falco_exporter_log_records_failed_total",
            "Log records that the OTLP endpoint refused for good, by reason.",
            "endpoint",
            "reason",
        )
        self.log_records_dropped = make.counter(
            "falco_exporter_log_records_dropped_total",
            "Log records dropped before they were sent, by reason.",
            "endpoint",
            "reason",
        )
        self.queue_records = make.gauge("falco_exporter_queue_records", "Log records waiting for delivery.", "endpoint")
        self.queue_bytes = make.gauge(
            "falco_exporter_queue_bytes", "Bytes of the log records waiting for delivery.", "endpoint"
        )
        self.queue_oldest_timestamp = make.gauge(
            "falco_exporter_queue_oldest_timestamp_seconds",
            "When the oldest waiting log record was queued, seconds since 1970; 0 when none waits.",
            "endpoint",
        )

    def _register_web(self, make: _Families) -> None:
        self.scrape_duration = make.summary(
            "falco_exporter_scrape_duration_seconds",
            "Time spent rendering /metrics, in seconds; the scrape under way is not in it.",
        )
        self.http_rejected = make.counter(
            "falco_exporter_http_rejected_total",
            "HTTP connections and requests that were refused or cut, by listener and reason.",
            "listener",
            "reason",
        )
        self.web_config_current = make.gauge(
            "falco_exporter_web_config_current",
            "1 while the web configuration file in force is the newest one, 0 while the newest cannot be used.",
        )
        self.web_config_current.set(1)

    def _register_delivery(self, make: _Families) -> None:
        self.log_records_truncated = make.counter(
            "falco_exporter_log_records_truncated_total",
            "Log records that were cut because they were above the size or attribute limit.",
            "endpoint",
        )
        self.alerts_grouped = make.counter(
            "falco_exporter_alerts_grouped_total", "Alerts merged into a grouped record.", "endpoint"
        )
        self.alerts_filtered = make.counter(
            "falco_exporter_alerts_filtered_total",
            "Alerts of which no log record is sent because a route drops them, by route; metrics and pages have them.",
            "route",
        )
        self.export_retries = make.counter(
            "falco_exporter_log_export_retries_total",
            "Requests that the OTLP endpoint did not take and that are sent again, by reason.",
            "endpoint",
            "reason",
        )
        self.queue_limit_bytes = make.gauge(
            "falco_exporter_queue_limit_bytes", "Maximum bytes of log records that may wait for delivery.", "endpoint"
        )
        self.queue_durable = make.gauge(
            "falco_exporter_queue_durable",
            "1 while the queue is on disk, 0 while it is in memory and would be lost with the process.",
            "endpoint",
        )
        self.queue_refused_bytes = make.gauge(
            "falco_exporter_queue_refused_bytes",
            "Bytes of the batches that the OTLP endpoint refused for good and that are set aside.",
            "endpoint",
        )
        self.delivery_failing_timestamp = make.gauge(
            "falco_exporter_delivery_failing_since_timestamp_seconds",
            "When the current delivery failure began, seconds since 1970; 0 while delivery works.",
            "endpoint",
        )


def total_of(counter: Counter, target: str | None = None) -> float:
    """Return what a counter has counted under all of its labels, or under those of one target."""
    return sum(
        sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and target in {None, sample.labels.get("target")}
    )


class HistoryMetrics:
    """The metrics of the history on disk; there are none without one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.dropped = make.counter(
            "falco_exporter_history_dropped_total",
            "Alerts that arrived and are not in the history, by reason; metrics and log records have them.",
            "reason",
        )
        self.expired = make.counter(
            "falco_exporter_history_expired_total",
            "Alerts that left the history because of history.limit_bytes or history.limit_age_seconds.",
        )
        self.set_aside = make.counter(
            "falco_exporter_history_set_aside_total",
            "Damaged history files that were set aside and replaced by a new one.",
        )
        self.failing = make.gauge(
            "falco_exporter_history_failing", "1 while alerts cannot be written to the history, 0 while they can."
        )
        self.alerts = make.gauge("falco_exporter_history_alerts", "Alerts in the history.")
        self.unindexed = make.gauge(
            "falco_exporter_history_unindexed_alerts", "Alerts in the history that search does not find yet."
        )
        self.bytes = make.gauge("falco_exporter_history_bytes", "Bytes that the history holds on disk.")
        self.limit_bytes = make.gauge("falco_exporter_history_limit_bytes", "Maximum bytes that the history may hold.")

    def losses(self) -> dict[str, float]:
        """Return how many alerts the history lost since the start, under what that is; nothing where there is none."""
        lost = total_of(self.dropped)
        return {"alerts that are not in the history": lost} if lost else {}


class DeliveryMetrics:
    """The metrics of delivery to one endpoint."""

    def __init__(self, metrics: SelfMetrics, endpoint: str) -> None:
        self._metrics = metrics
        self._endpoint = endpoint
        self.exported = metrics.log_records_exported.labels(endpoint)
        self.truncated = metrics.log_records_truncated.labels(endpoint)
        self.grouped = metrics.alerts_grouped.labels(endpoint)
        self.queue_records = metrics.queue_records.labels(endpoint)
        self.queue_bytes = metrics.queue_bytes.labels(endpoint)
        self.queue_oldest_timestamp = metrics.queue_oldest_timestamp.labels(endpoint)
        self.queue_limit_bytes = metrics.queue_limit_bytes.labels(endpoint)
        self.queue_durable = metrics.queue_durable.labels(endpoint)
        self.queue_refused_bytes = metrics.queue_refused_bytes.labels(endpoint)
        self.failing_timestamp = metrics.delivery_failing_timestamp.labels(endpoint)

    def failed(self, reason: str) -> Counter:
        """Return the counter of records that were refused for good, for one reason."""
        return self._metrics.log_records_failed.labels(self._endpoint, reason)

    def dropped(self, reason: str) -> Counter:
        """Return the counter of records that were dropped, for one reason."""
        return self._metrics.log_records_dropped.labels(self._endpoint, reason)

    def retries(self, reason: str) -> Counter:
        """Return the counter of requests that are sent again, for one reason."""
        return self._metrics.export_retries.labels(self._endpoint, reason)
