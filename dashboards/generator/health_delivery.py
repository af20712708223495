"""The part of the health dashboard about log records on their way to the collector."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import timeseries

from dashboards.generator.panels import with_limit
from dashboards.generator.promql import ask
from dashboards.generator.readings import Lines

A_SECOND = "suffix:/s"
_RECORDS_OFF = "Log records are off: set --otlp.endpoint"


def _rate(metric: str) -> str:
    return f"rate({ask(metric)}[$__rate_interval])"


DELIVERED = Lines(
    title="Log records delivered",
    says="Log records a second that the collector accepted, and tries that it did not take and that are repeated. Tries without "
    "deliveries: the collector is away or refuses; /readyz says what it answered.",
    queries=(
        ("accepted", f"sum({_rate('falco_exporter_log_records_exported_total')})"),
        ("repeated: {{reason}}", f"sum by (reason) ({_rate('falco_exporter_log_export_retries_total')}) > 0"),
    ),
    unit=A_SECOND,
    empty=_RECORDS_OFF,
)
LOST = Lines(
    title="Log records lost, by reason",
    says="Per second. full: the queue reached its limit; age: older than queue.limit_age_seconds; damaged: the disk spoilt "
    "them; shutdown: in memory at the end; others: what the collector answered when it refused a batch for good.",
    queries=(
        ("dropped: {{reason}}", f"sum by (reason) ({_rate('falco_exporter_log_records_dropped_total')}) > 0"),
        ("refused: {{reason}}", f"sum by (reason) ({_rate('falco_exporter_log_records_failed_total')}) > 0"),
    ),
    unit=A_SECOND,
    empty="No log record was lost in this time range",
)


def waiting() -> timeseries.Panel:
    """Return bytes in the queue over time."""
    return with_limit(
        Lines(
            title="Queue",
            says="Bytes that wait for the collector, and the limit. Near the limit: bring the collector back; what happens "
            "at the limit is the setting queue.when_full.",
            queries=(
                ("{{instance}}", f"sum by (instance) ({ask('falco_exporter_queue_bytes')})"),
                ("limit", f"max({ask('falco_exporter_queue_limit_bytes')})"),
            ),
            unit="bytes",
            empty=_RECORDS_OFF,
        ).panel()
    )


def oldest() -> Any:
    """Return how long the oldest record has waited."""
    oldest_seconds = ask("falco_exporter_queue_oldest_timestamp_seconds")
    age = f"max by (instance) ((time() - ({oldest_seconds} > 0)) or 0 * {oldest_seconds})"
    panel = Lines(
        title="Age of the oldest waiting record",
        says="How late the collector is. Rising in a straight line: nothing is delivered at all.",
        queries=(("{{instance}}", age),),
        unit="s",
        empty=_RECORDS_OFF,
    ).panel()
    return panel.axis_soft_max(10)
