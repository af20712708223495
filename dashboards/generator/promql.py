"""PromQL that several panels need: events counted over restarts, filters, legends.

Counters of rules that Falco's own files do not have begin with their first
event, and a newly started exporter may have counted before its first scrape.
``increase`` misses both, so it is never used alone here.

Values of variables stand in backquotes and name their format: Grafana then
escapes what a regular expression would read, and quotes and backslashes are
themselves.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

EVENTS = "falco_events_total"
RULE_EVENTS = "falco_rule_events_total"
VERDICT_EVENTS = "falco_verdict_events_total"
PRIORITY = "priority=~`${priority:regex}`"
RULE_FILTER = f"{PRIORITY}, source=~`${{source:regex}}`"
PLACE = "hostname=~`${host:regex}`, k8s_ns_name=~`${namespace:regex}`"
FILTER = f"{RULE_FILTER}, {PLACE}"
THIS_RULE = "rule=`${rule:raw}`"


def events_in_range(by: str, selector: str = FILTER, *, metric: str = EVENTS) -> str:
    """Return events in the time range by labels; whole numbers above 0.

    A series that was not there when the range began counts with what it began
    with, and then with its increase. One that ended within the range counts
    too. Where Prometheus could not ask the exporter just when the range began,
    the count is too high, never too low.
    """
    return f"round(sum by ({by}) ({_counted(f'{metric}{{{selector}}}')})) > 0"


def events_before_range(by: str, selector: str = RULE_FILTER, *, metric: str = RULE_EVENTS) -> str:
    """Return events in a time as long as the range, just before it."""
    return f"round(sum by ({by}) ({_counted(f'{metric}{{{selector}}}', ' @ ${__from:date:seconds}')}))"


def _counted(counter: str, at: str = "") -> str:
    """Return each series' events in the range that ends now, or at a moment."""
    there = f"0 * last_over_time({counter}[$__range]{at})"
    began = f"min_over_time({counter}[$__range]{at}) unless {counter}{at} offset $__range"
    return f"(increase({counter}[$__range]{at}) or {there}) + (({began}) or {there})"


def events_per_step(by: str, selector: str = FILTER, *, metric: str = EVENTS) -> str:
    """Return events per bar of a graph, exactly: looks at the counter, no extrapolation.

    Below 0 means that the exporter was restarted: what it had reached within
    the bar and what it has now both count. A series that was not there before
    is new and counts with all it has, one that is gone with all it had.
    """
    counter = f"{metric}{{{selector}}}"
    before, reached = f"{counter} offset $__interval", f"max_over_time({counter}[$__interval])"
    restarted = f"{counter} + clamp_min({reached} - {before}, 0)"
    gone = f"clamp_min({reached} - {before}, 0) or {reached}"
    return f"sum by ({by}) ((({counter} - {before}) >= 0) or ({restarted}) or {counter} or {gone})"


def rule_info(by: str, selector: str, *, window: str = "$__range") -> str:
    """Return what the catalog says of rules: as exposed now, else as last seen within a window.

    After a restart the exporter exposes a rule again only with its next event.
    """
    info = f"falco_rule_info{{{selector}}}"
    now = f"max by ({by}) ({info})"
    return f"({now} or (max by ({by}) (last_over_time({info}[{window}])) unless on (rule) {now}))"


def instant(expr: str, ref: str = "A", legend: str = "") -> Dataquery:
    """A query at the end of the range, as a table."""
    query = Dataquery().expr(expr).instant().ref_id(ref).format(PromQueryFormat.TABLE)
    return query.legend_format(legend) if legend else query


def at_end(expr: str, ref: str = "A", legend: str = "__auto") -> Dataquery:
    """A query at the end of the range, as series."""
    return Dataquery().expr(expr).instant().ref_id(ref).legend_format(legend)


def over_time(expr: str, legend: str, ref: str = "A") -> Dataquery:
    """A query over the range."""
    return Dataquery().expr(expr).range().ref_id(ref).legend_format(legend)
