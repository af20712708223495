"""The part of the health dashboard about the sources: connected, and how much comes how late."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.common import LineInterpolation

from dashboards.generator import promql
from dashboards.generator.health_delivery import A_SECOND
from dashboards.generator.health_numbers import NO_EXPORTER
from dashboards.generator.panels import columns, merged, rows
from dashboards.generator.promql import ask
from dashboards.generator.readings import Lines
from dashboards.generator.style import BAD_GROUND, DOUBTFUL_GROUND, GOOD_GROUND, Properties, column, prop

_COUNTED = (
    ("C", "falco_exporter_source_reconnects_total"),
    ("D", "falco_exporter_decode_errors_total"),
    ("E", "falco_exporter_alerts_received_total"),
)
RECEIVED = Lines(
    title="Alerts received",
    says="Alerts a second, by source. Silence where there was a flow: look whether Falco runs, and whether a second gRPC client "
    "takes alerts away (Falco gives each alert to one client only).",
    queries=(
        (
            "{{target}}",
            f"sum by (target) (rate({ask('falco_exporter_alerts_received_total')}[$__rate_interval]))",
        ),
    ),
    unit=A_SECOND,
    empty=NO_EXPORTER,
)


def sources() -> Any:
    """Return a row for each source."""
    panel = rows(
        "Sources of alerts",
        "Each source of each exporter: connected or not, the Falco behind it, alerts, reconnects and undecodable messages in "
        "the time range. Away: the exporter's log has one line that says what to do. No alert yet: none has come since the "
        "exporter's start; where Falco posts them, compare Falco's http_output.url with what `check` says.",
        empty=NO_EXPORTER,
    )
    panel.with_target(promql.instant(_state(), "A"))
    panel.with_target(promql.instant(f"max by (instance, target, version) ({ask('falco_version_info')})", "B"))
    for ref, metric in _COUNTED:
        counted = f"round(sum by (instance, target) (increase({ask(metric)}[$__range])))"
        panel.with_target(promql.instant(counted, ref))
    return columns(
        merged(panel),
        {
            "instance": ("Exporter", column(width=125)),
            "target": ("Source", column(wrap=True)),
            "Value #A": ("State", _state_column()),
            "Value #E": ("Alerts", column(width=75, align="right")),
            "version": ("Falco", column(width=66)),
            "Value #C": ("Reconnects", column(width=92, align="right")),
            "Value #D": ("Undecodable", column(width=108, align="right")),
        },
        sort=("State", False),
    )


def _state() -> str:
    """Return 0 for a source that is away, 1 for one that has sent alerts, 2 for one that is there and has sent none.

    A receiver is there as soon as its port is open, whether or not anybody ever posts.
    """
    there = f"max by (instance, target) ({ask('falco_exporter_source_up')})"
    silent = f"(max by (instance, target) ({ask('falco_exporter_alerts_received_total')}) == bool 0)"
    return f"{there} * (1 + {silent})"


def _state_column() -> Properties:
    states = (("away", BAD_GROUND), ("connected", GOOD_GROUND), ("no alert yet", DOUBTFUL_GROUND))
    mapped = {str(value): {"text": text, "color": color, "index": value} for value, (text, color) in enumerate(states)}
    return [
        prop("mappings", [{"type": "value", "options": mapped}]),
        prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        prop("custom.width", 105),
    ]


def connected() -> Any:
    """Return when each source was connected."""
    panel = Lines(
        title="Connected over time",
        says="1 while a source is connected. Gaps at each restart of Falco are normal; long ones mean that nobody watches.",
        queries=(("{{target}}", f"max by (target) ({ask('falco_exporter_source_up')})"),),
        empty=NO_EXPORTER,
    ).panel()
    return panel.max(1).decimals(0).line_interpolation(LineInterpolation.STEP_AFTER)


def _delay(quantile: float) -> str:
    buckets = f"sum by (le) (rate({ask('falco_event_delay_seconds_bucket')}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {buckets})"


DELAY = Lines(
    title="Delay from event to metric",
    says="Half and 99 of 100 alerts are counted within this time of Falco's event. Polling adds up to 0.05 s. Seconds and "
    "more: the exporter was away and catches up, or clocks differ.",
    queries=(("half", _delay(0.5)), ("99 of 100", _delay(0.99))),
    unit="s",
    empty="No alerts in this time range",
)
