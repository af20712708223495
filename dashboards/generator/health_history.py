"""The part of the health dashboard about the history on disk and incidents."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from dashboards.generator.panels import with_limit
from dashboards.generator.promql import ask
from dashboards.generator.readings import Lines, Number
from dashboards.generator.style import BAD_GROUND, DOUBTFUL_GROUND, GOOD_GROUND, NO_GROUND

_HISTORY_OFF = "The history is off"
_INCIDENTS_OFF = "Incidents are off"
_HISTORY = "falco_exporter_history"
_UNWRITTEN = f"max({ask(f'{_HISTORY}_failing')})"
_NONE_IS_GOOD = ((None, NO_GROUND), (1, BAD_GROUND))

HISTORY_NUMBERS = (
    Number(
        title="Alerts kept",
        says="Alerts in the histories on disk: what report pages, digest and tune know. Off: history.directory is not set.",
        query=f"sum({ask(f'{_HISTORY}_alerts')})",
        empty=_HISTORY_OFF,
    ),
    Number(
        title="History written",
        says="Whether alerts can be written to the history. No: the exporter's log and landing page say why (disk full, "
        "directory read-only); metrics and log records go on.",
        query=_UNWRITTEN,
        grounds=((None, GOOD_GROUND), (1, BAD_GROUND)),
        empty=_HISTORY_OFF,
        words=("yes", "no"),
    ),
    Number(
        title="Alerts not kept",
        says="Alerts in the time range that are not in the history, because it could not be written or took too long. They "
        "are counted and delivered all the same.",
        query=f"sum(increase({ask(f'{_HISTORY}_dropped_total')}[$__range])) or 0 * {_UNWRITTEN}",
        grounds=_NONE_IS_GOOD,
        empty=_HISTORY_OFF,
        is_count=True,
    ),
    Number(
        title="Damaged files",
        says="Times in the time range that the history's file was damaged, set aside and replaced by a new one. Any: look at the disk; "
        "docs/history.md says how to read what was set aside.",
        query=f"sum(increase({ask(f'{_HISTORY}_set_aside_total')}[$__range]))",
        grounds=_NONE_IS_GOOD,
        empty=_HISTORY_OFF,
        is_count=True,
    ),
    Number(
        title="Not yet found",
        says="Alerts of the histories that the search does not find yet; they are being indexed. Growing: the disk is slow.",
        query=f"sum({ask(f'{_HISTORY}_unindexed_alerts')})",
        empty=_HISTORY_OFF,
    ),
    Number(
        title="Alerts not joined",
        says="Alerts in the time range that were not joined to an incident, in a flood of alerts that are all unlike each "
        "other. Each has its report, and pages by itself if it is a likely attack.",
        query=f"sum(increase({ask('falco_exporter_incidents_skipped_total')}[$__range]))",
        grounds=((None, NO_GROUND), (1, DOUBTFUL_GROUND)),
        empty=_INCIDENTS_OFF,
        is_count=True,
    ),
)
INCIDENTS = Lines(
    title="Incidents",
    says="Incidents that can still grow; those given up before their time because there were too many, and likely attacks "
    "that nobody is paged for one by one. The last two are 0 except in a flood: raise incidents.limit, or tune the rule "
    "that floods.",
    queries=(
        ("open", f"sum({ask('falco_incidents_open')})"),
        ("given up", f"sum(increase({ask('falco_exporter_incidents_evicted_total')}[$__rate_interval]))"),
        ("attacks without a page", f"sum({ask('falco_incidents_without_series')})"),
    ),
    empty=f"{_INCIDENTS_OFF} (incidents.window_seconds is 0)",
)


def history_size() -> timeseries.Panel:
    """Return bytes on disk over time."""
    return with_limit(
        Lines(
            title="Size of the history",
            says="Bytes on disk, and the limit (history.limit_bytes). At the limit the oldest alerts go, which is normal; "
            "where they go too early, raise it.",
            queries=(
                ("{{instance}}", f"sum by (instance) ({ask('falco_exporter_history_bytes')})"),
                ("limit", f"max({ask('falco_exporter_history_limit_bytes')})"),
            ),
            unit="bytes",
            empty=f"{_HISTORY_OFF}: set --history.directory",
        ).panel()
    )
