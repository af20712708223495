"""Falco exporter health: is everything watched, delivered and cheap? Each panel says what to do when it is red."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.common import LineInterpolation
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, ValueMap, ValueMappingResult

from dashboards.generator import promql, variables
from dashboards.generator.board import HEALTH, Board
from dashboards.generator.health_history import history_numbers, history_size, incidents
from dashboards.generator.panels import columns, number, rows, time_series, with_limit
from dashboards.generator.promql import ask
from dashboards.generator.style import (
    BAD,
    BAD_GROUND,
    DOUBTFUL_GROUND,
    GOOD_GROUND,
    NO_GROUND,
    PLAIN,
    column,
    prop,
    thresholds,
)

_NO_EXPORTER = "No exporter in this Prometheus"
_A_SECOND = "suffix:/s"
_YES_NO = ValueMap(options={"0": ValueMappingResult(text="no", index=0), "1": ValueMappingResult(text="yes", index=1)})


def health() -> Board:
    """Return the dashboard."""
    board = Board(HEALTH, "Is everything watched, counted and delivered, and what does it cost?", time_from="now-3h")
    board.variables(
        variables.prometheus(),
        variables.label_values("job", "Job", "label_values(falco_exporter_build_info, job)"),
        variables.label_values(
            "instance", "Exporter", 'label_values(falco_exporter_build_info{job=~"$job"}, instance)'
        ),
    )
    board.mark("Exporter started", promql.starts(promql.OWN), "Exporter started", "{{instance}}", color=PLAIN)
    board.line(4, *[(panel, 4) for panel in _numbers()])
    board.heading("Sources")
    board.line(8, (_sources(), 16), (_connected(), 8))
    board.line(8, (_received(), 12), (_delay(), 12))
    board.heading("Delivery of log records")
    board.line(8, (_delivered(), 12), (_waiting(), 12))
    board.line(8, (_lost(), 12), (_oldest(), 12))
    board.heading("History and incidents")
    board.line(4, *[(panel, 4) for panel in history_numbers()])
    board.line(8, (history_size(), 12), (incidents(), 12))
    board.heading("Cost and limits")
    board.line(8, (_processor(), 8), (_memory(), 8), (_scrape(), 8))
    board.line(8, (_series(), 12), (_refused(), 12))
    return board


def _numbers() -> list[Any]:
    lost = " + ".join(
        f"(sum(increase({ask(f'falco_exporter_log_records_{kind}_total')}[$__range])) or vector(0))"
        for kind in ("dropped", "failed")
    )
    lost = f"({lost}) and on () max({ask('falco_exporter_queue_limit_bytes')})"
    return [
        number(
            "Exporters up",
            "Exporters that Prometheus can scrape, of those it knows. Red: `systemctl status` or `kubectl describe pod` "
            "on the one that is missing in the table below; nothing of its Falco is seen meanwhile.",
            unit="percentunit",
            empty=_NO_EXPORTER,
        )
        .thresholds(thresholds((None, BAD_GROUND), (1, GOOD_GROUND)))
        .with_target(
            promql.at_end(
                f"avg(up{{{promql.OWN}}} and on (job, instance) last_over_time(falco_exporter_build_info{{{promql.OWN}}}[1d]))"
            )
        ),
        number(
            "Sources connected",
            "Sources of alerts that are connected. Red: the exporter's log and /readyz say what is wrong and what to do; "
            "`falco-report-exporter check` tries each source.",
            unit="percentunit",
            empty=_NO_EXPORTER,
        )
        .thresholds(thresholds((None, BAD_GROUND), (1, GOOD_GROUND)))
        .with_target(promql.at_end(f"avg({ask('falco_exporter_source_up')})")),
        number(
            "Delay, 99 of 100",
            "Time from Falco's event to its count here, for 99 of 100 alerts of the last 5 minutes. Red, above 5 s: the "
            "exporter is slower than Falco, or the clocks of the two differ.",
            unit="s",
            empty="No alerts in 5 minutes",
        )
        .thresholds(thresholds((None, NO_GROUND), (1, DOUBTFUL_GROUND), (5, BAD_GROUND)))
        .with_target(
            promql.at_end(
                f"histogram_quantile(0.99, sum by (le) (rate({ask('falco_event_delay_seconds_bucket')}[5m])))"
            )
        ),
        number(
            "Records waiting",
            "Log records that wait for the collector. A few are normal. Growing: see Delivery below; the collector is away, "
            "slow or refuses.",
            empty="Log records are off",
        )
        .thresholds(thresholds((None, NO_GROUND), (10_000, DOUBTFUL_GROUND), (100_000, BAD_GROUND)))
        .with_target(promql.at_end(f"sum({ask('falco_exporter_queue_records')})")),
        number(
            "Records lost",
            "Log records dropped or refused for good in the time range. Red: the table of reasons below says why; refused "
            "batches are kept in the queue's directory.",
            empty="Log records are off",
        )
        .decimals(0)
        .thresholds(thresholds((None, NO_GROUND), (1, BAD_GROUND)))
        .with_target(promql.at_end(lost)),
        number(
            "Queue on disk",
            "Whether waiting log records survive the end of the process. No: --queue.directory is not set, or its disk is full "
            "or read-only; the exporter's log says which.",
            empty="Log records are off",
        )
        .mappings([_YES_NO])
        .thresholds(thresholds((None, DOUBTFUL_GROUND), (1, GOOD_GROUND)))
        .with_target(promql.at_end(f"min({ask('falco_exporter_queue_durable')})")),
    ]


def _sources() -> Any:
    panel = rows(
        "Sources of alerts",
        "Each source of each exporter: connected or not, the Falco behind it, alerts, reconnects and undecodable messages in "
        "the time range. Not connected: the exporter's log has one line that says what to do. Connected without alerts, "
        "where Falco posts them: nobody has posted; compare Falco's http_output.url with what `check` says.",
        empty=_NO_EXPORTER,
    )
    panel.with_target(promql.instant(f"max by (instance, target) ({ask('falco_exporter_source_up')})", "A"))
    panel.with_target(promql.instant(f"max by (instance, target, version) ({ask('falco_version_info')})", "B"))
    panel.with_target(
        promql.instant(
            f"round(sum by (instance, target) (increase({ask('falco_exporter_source_reconnects_total')}[$__range])))",
            "C",
        )
    )
    panel.with_target(
        promql.instant(
            f"round(sum by (instance, target) (increase({ask('falco_exporter_decode_errors_total')}[$__range])))", "D"
        )
    )
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel.with_target(
        promql.instant(
            f"round(sum by (instance, target) (increase({ask('falco_exporter_alerts_received_total')}[$__range])))",
            "E",
        )
    )
    state = {"0": ("away", BAD_GROUND), "1": ("connected", GOOD_GROUND)}
    mapped = {value: {"text": text, "color": color, "index": int(value)} for value, (text, color) in state.items()}
    return columns(
        panel,
        {
            "instance": ("Exporter", column(width=125)),
            "target": ("Source", column(wrap=True)),
            "Value #A": (
                "State",
                [
                    prop("mappings", [{"type": "value", "options": mapped}]),
                    prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
                    prop("custom.width", 90),
                ],
            ),
            "Value #E": ("Alerts", column(width=75, align="right")),
            "version": ("Falco", column(width=66)),
            "Value #C": ("Reconnects", column(width=92, align="right")),
            "Value #D": ("Undecodable", column(width=108, align="right")),
        },
        sort=("State", False),
    )


def _connected() -> Any:
    panel = time_series(
        "Connected over time",
        "1 while a source is connected. Gaps at each restart of Falco are normal; long ones mean that nobody watches.",
        empty=_NO_EXPORTER,
    )
    panel.max(1).decimals(0).line_interpolation(LineInterpolation.STEP_AFTER)
    return panel.with_target(promql.over_time(f"max by (target) ({ask('falco_exporter_source_up')})", "{{target}}"))


def _received() -> Any:
    panel = time_series(
        "Alerts received",
        "Alerts a second, by source. Silence where there was a flow: look whether Falco runs, and whether a second gRPC client "
        "takes alerts away (Falco gives each alert to one client only).",
        unit=_A_SECOND,
        empty=_NO_EXPORTER,
    )
    rate = f"sum by (target) (rate({ask('falco_exporter_alerts_received_total')}[$__rate_interval]))"
    return panel.with_target(promql.over_time(rate, "{{target}}"))


def _delay() -> Any:
    panel = time_series(
        "Delay from event to metric",
        "Half and 99 of 100 alerts are counted within this time of Falco's event. Polling adds up to 0.05 s. Seconds and "
        "more: the exporter was away and catches up, or clocks differ.",
        unit="s",
        empty="No alerts in this time range",
    )
    for ref, quantile, legend in (("A", 0.5, "half"), ("B", 0.99, "99 of 100")):
        buckets = f"sum by (le) (rate({ask('falco_event_delay_seconds_bucket')}[$__rate_interval]))"
        panel.with_target(promql.over_time(f"histogram_quantile({quantile}, {buckets})", legend, ref))
    return panel


def _delivered() -> Any:
    panel = time_series(
        "Log records delivered",
        "Log records a second that the collector accepted, and tries that it did not take and that are repeated. Tries without "
        "deliveries: the collector is away or refuses; /readyz says what it answered.",
        unit=_A_SECOND,
        empty="Log records are off: set --otlp.endpoint",
    )
    panel.with_target(
        promql.over_time(
            f"sum(rate({ask('falco_exporter_log_records_exported_total')}[$__rate_interval]))", "accepted", "A"
        )
    )
    panel.with_target(
        promql.over_time(
            f"sum by (reason) (rate({ask('falco_exporter_log_export_retries_total')}[$__rate_interval])) > 0",
            "repeated: {{reason}}",
            "B",
        )
    )
    return panel


def _waiting() -> Any:
    panel = time_series(
        "Queue",
        "Bytes that wait for the collector, and the limit. Near the limit: bring the collector back; what happens at the "
        "limit is the setting queue.when_full.",
        unit="bytes",
        empty="Log records are off: set --otlp.endpoint",
    )
    panel.with_target(promql.over_time(f"sum by (instance) ({ask('falco_exporter_queue_bytes')})", "{{instance}}", "A"))
    panel.with_target(promql.over_time(f"max({ask('falco_exporter_queue_limit_bytes')})", "limit", "B"))
    return with_limit(panel)


def _lost() -> Any:
    panel = time_series(
        "Log records lost, by reason",
        "Per second. full: the queue reached its limit; age: older than queue.limit_age_seconds; damaged: the disk spoilt "
        "them; shutdown: in memory at the end; others: what the collector answered when it refused a batch for good.",
        unit=_A_SECOND,
        empty="No log record was lost in this time range",
    )
    panel.with_target(
        promql.over_time(
            f"sum by (reason) (rate({ask('falco_exporter_log_records_dropped_total')}[$__rate_interval])) > 0",
            "dropped: {{reason}}",
            "A",
        )
    )
    panel.with_target(
        promql.over_time(
            f"sum by (reason) (rate({ask('falco_exporter_log_records_failed_total')}[$__rate_interval])) > 0",
            "refused: {{reason}}",
            "B",
        )
    )
    return panel


def _oldest() -> Any:
    panel = time_series(
        "Age of the oldest waiting record",
        "How late the collector is. Rising in a straight line: nothing is delivered at all.",
        unit="s",
        empty="Log records are off: set --otlp.endpoint",
    )
    oldest = ask("falco_exporter_queue_oldest_timestamp_seconds")
    age = f"max by (instance) ((time() - ({oldest} > 0)) or 0 * {oldest})"
    return panel.axis_soft_max(10).with_target(promql.over_time(age, "{{instance}}"))


def _processor() -> Any:
    panel = time_series(
        "Processor time",
        "Share of one core. Idle it stays near 0.01; a flood of alerts costs some tens of microseconds each.",
        unit="percentunit",
        empty=_NO_EXPORTER,
    )
    rate = f"rate({ask('process_cpu_seconds_total')}[$__rate_interval])"
    own = f"{rate} and on (job, instance) falco_exporter_build_info"
    return panel.with_target(promql.over_time(own, "{{instance}}"))


def _memory() -> Any:
    panel = time_series(
        "Resident memory",
        "Bounded whatever comes in: capped series, rings and queues. Above 300 MB: look for a raised limit among the settings, "
        "or report it.",
        unit="bytes",
        empty=_NO_EXPORTER,
    )
    own = f"{ask('process_resident_memory_bytes')} and on (job, instance) falco_exporter_build_info"
    return panel.with_target(promql.over_time(own, "{{instance}}"))


def _scrape() -> Any:
    panel = time_series(
        "Time of a scrape",
        "How long an answer to Prometheus takes to make. Above 0.5 s: fewer labels (metrics.extra_labels) or a lower "
        "metrics.series_limit.",
        unit="s",
        empty=_NO_EXPORTER,
    )
    mean = (
        f"rate({ask('falco_exporter_scrape_duration_seconds_sum')}[$__rate_interval])"
        f" / rate({ask('falco_exporter_scrape_duration_seconds_count')}[$__rate_interval])"
    )
    return panel.with_target(promql.over_time(mean, "{{instance}}"))


def _series() -> Any:
    panel = time_series(
        "Series of falco_events_total",
        "Series kept, and events that went into the overflow series because the table was full. Any overflow: raise "
        "metrics.series_limit, or drop a label that changes too often.",
        empty=_NO_EXPORTER,
    )
    panel.with_target(
        promql.over_time(f"sum by (instance) ({ask('falco_exporter_series')})", "series: {{instance}}", "A")
    )
    panel.with_target(
        promql.over_time(
            f"sum(increase({ask('falco_exporter_series_overflow_total')}[$__rate_interval])) > 0",
            "overflowed events",
            "B",
        )
    )
    panel.override_by_name("overflowed events", [prop("color", {"mode": "fixed", "fixedColor": BAD})])
    return panel


def _refused() -> Any:
    panel = time_series(
        "HTTP requests refused",
        "Per second, by listener and reason. unauthorized: a wrong password; wrong_path, cross_site: posts that "
        "are not Falco's, or Falco set up wrongly; connection_limit, request_timeout, idle: slow or greedy peers.",
        unit=_A_SECOND,
        empty="No request was refused in this time range",
    )
    rate = f"sum by (listener, reason) (rate({ask('falco_exporter_http_rejected_total')}[$__rate_interval])) > 0"
    return panel.with_target(promql.over_time(rate, "{{listener}}: {{reason}}"))
