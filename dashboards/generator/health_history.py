"""The part of the health dashboard about the history on disk and incidents."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from dashboards.generator import promql
from dashboards.generator.panels import number, time_series, with_limit
from dashboards.generator.promql import ask
from dashboards.generator.style import BAD_GROUND, DOUBTFUL_GROUND, GOOD_GROUND, NO_GROUND, thresholds

_HISTORY_OFF = "The history is off"
_INCIDENTS_OFF = "Incidents are off"


def history_numbers() -> list[Any]:
    """Return what the history kept, and what it did not."""
    history = "falco_exporter_history"
    unwritten = f"max({ask(f'{history}_failing')})"
    return [
        number(
            "Alerts kept",
            "Alerts in the histories on disk: what report pages, digest and tune know. Off: history.directory is not set.",
            empty=_HISTORY_OFF,
        ).with_target(promql.at_end(f"sum({ask(f'{history}_alerts')})")),
        number(
            "History written",
            "Whether alerts can be written to the history. No: the exporter's log and landing page say why (disk full, "
            "directory read-only); metrics and log records go on.",
            empty=_HISTORY_OFF,
        )
        .mappings(
            [ValueMap(options={value: ValueMappingResult(text=text, index=int(value)) for value, text in _WRITTEN})]
        )
        .thresholds(thresholds((None, GOOD_GROUND), (1, BAD_GROUND)))
        .with_target(promql.at_end(unwritten)),
        number(
            "Alerts not kept",
            "Alerts in the time range that are not in the history, because it could not be written or took too long. They "
            "are counted and delivered all the same.",
            empty=_HISTORY_OFF,
        )
        .decimals(0)
        .thresholds(thresholds((None, NO_GROUND), (1, BAD_GROUND)))
        .with_target(promql.at_end(f"sum(increase({ask(f'{history}_dropped_total')}[$__range])) or 0 * {unwritten}")),
        number(
            "Damaged files",
            "Times in the time range that the history's file was damaged, set aside and begun anew. Any: look at the disk; "
            "docs/history.md says how to read what was set aside.",
            empty=_HISTORY_OFF,
        )
        .decimals(0)
        .thresholds(thresholds((None, NO_GROUND), (1, BAD_GROUND)))
        .with_target(promql.at_end(f"sum(increase({ask(f'{history}_set_aside_total')}[$__range]))")),
        number(
            "Not yet found",
            "Alerts of the histories that the search does not find yet; they are being indexed. Growing: the disk is slow.",
            empty=_HISTORY_OFF,
        ).with_target(promql.at_end(f"sum({ask(f'{history}_unindexed_alerts')})")),
        number(
            "Alerts not joined",
            "Alerts in the time range that were not joined to an incident, in a flood of alerts that are all unlike each "
            "other. Each has its report, and pages by itself if it is a likely attack.",
            empty=_INCIDENTS_OFF,
        )
        .decimals(0)
        .thresholds(thresholds((None, NO_GROUND), (1, DOUBTFUL_GROUND)))
        .with_target(promql.at_end(f"sum(increase({ask('falco_exporter_incidents_skipped_total')}[$__range]))")),
    ]


_WRITTEN = (("0", "yes"), ("1", "no"))


def history_size() -> Any:
    """Return bytes on disk over time."""
    panel = time_series(
        "Size of the history",
        "Bytes on disk, and the limit (history.limit_bytes). At the limit the oldest alerts go, which is normal; where they "
        "go too early, raise it.",
        unit="bytes",
        empty=f"{_HISTORY_OFF}: set --history.directory",
    )
    panel.with_target(
        promql.over_time(f"sum by (instance) ({ask('falco_exporter_history_bytes')})", "{{instance}}", "A")
    )
    panel.with_target(promql.over_time(f"max({ask('falco_exporter_history_limit_bytes')})", "limit", "B"))
    return with_limit(panel)


def incidents() -> Any:
    """Return incidents that can grow, and what a flood kept out."""
    panel = time_series(
        "Incidents",
        "Incidents that can still grow; those given up before their time because there were too many, and likely attacks "
        "that nobody is paged for one by one. The last two are 0 but in a flood: raise incidents.limit, or tune the rule "
        "that floods.",
        empty=f"{_INCIDENTS_OFF} (incidents.window_seconds is 0)",
    )
    panel.with_target(promql.over_time(f"sum({ask('falco_incidents_open')})", "open", "A"))
    evicted = f"sum(increase({ask('falco_exporter_incidents_evicted_total')}[$__rate_interval]))"
    panel.with_target(promql.over_time(evicted, "given up", "B"))
    return panel.with_target(
        promql.over_time(f"sum({ask('falco_incidents_without_series')})", "attacks without a page", "C")
    )
