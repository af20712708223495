"""The part of the health dashboard about what the exporter costs, and where it reached a limit."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from dashboards.generator.health_delivery import A_SECOND
from dashboards.generator.health_numbers import NO_EXPORTER
from dashboards.generator.promql import ask
from dashboards.generator.readings import Lines
from dashboards.generator.style import BAD, prop

_OF_EXPORTERS = "and on (job, instance) falco_exporter_build_info"
"""Of every process that Prometheus knows, the exporters."""
_SCRAPE = "falco_exporter_scrape_duration_seconds"

PROCESSOR = Lines(
    title="Processor time",
    says="Share of one core. Idle it stays near 0.01; a flood of alerts costs some tens of microseconds each.",
    queries=(("{{instance}}", f"rate({ask('process_cpu_seconds_total')}[$__rate_interval]) {_OF_EXPORTERS}"),),
    unit="percentunit",
    empty=NO_EXPORTER,
)
MEMORY = Lines(
    title="Resident memory",
    says="Bounded whatever comes in: capped series, rings and queues. Above 300 MB: look for a raised limit among the settings, "
    "or report it.",
    queries=(("{{instance}}", f"{ask('process_resident_memory_bytes')} {_OF_EXPORTERS}"),),
    unit="bytes",
    empty=NO_EXPORTER,
)
SCRAPE = Lines(
    title="Time of a scrape",
    says="How long an answer to Prometheus takes to make. Above 0.5 s: fewer labels (metrics.extra_labels) or a lower "
    "metrics.series_limit.",
    queries=(
        (
            "{{instance}}",
            f"rate({ask(f'{_SCRAPE}_sum')}[$__rate_interval]) / rate({ask(f'{_SCRAPE}_count')}[$__rate_interval])",
        ),
    ),
    unit="s",
    empty=NO_EXPORTER,
)
REFUSED = Lines(
    title="HTTP requests refused",
    says="Per second, by listener and reason. unauthorized: a wrong password; wrong_path, cross_site: posts that "
    "are not Falco's, or Falco set up wrongly; connection_limit, request_timeout, idle: slow or greedy peers.",
    queries=(
        (
            "{{listener}}: {{reason}}",
            f"sum by (listener, reason) (rate({ask('falco_exporter_http_rejected_total')}[$__rate_interval])) > 0",
        ),
    ),
    unit=A_SECOND,
    empty="No request was refused in this time range",
)


def series() -> timeseries.Panel:
    """Return how many series there are, and what did not fit."""
    overflowed = f"increase({ask('falco_exporter_series_overflow_total')}[$__rate_interval])"
    panel = Lines(
        title="Series of falco_events_total",
        says="Series kept, and events that went into the overflow series because the table was full. Any overflow: raise "
        "metrics.series_limit, or drop a label that changes too often.",
        queries=(
            ("series: {{instance}}", f"sum by (instance) ({ask('falco_exporter_series')})"),
            ("overflowed events", f"sum({overflowed}) > 0"),
        ),
        empty=NO_EXPORTER,
    ).panel()
    return panel.override_by_name("overflowed events", [prop("color", {"mode": "fixed", "fixedColor": BAD})])
