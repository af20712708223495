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

COUNTED = "${counted:raw}"
"""How names of metrics begin: ``falco_``, or ``falco:`` where recording rules keep their sums (``recordings.py``)."""
RULE_EVENTS = f"{COUNTED}rule_events_total"
VERDICT_EVENTS = f"{COUNTED}verdict_events_total"
HOST_VERDICT_EVENTS = f"{COUNTED}host_verdict_events_total"
RULE_INFO = f"{COUNTED}rule_info"
LAST_EVENT = f"{COUNTED}rule_last_event_timestamp_seconds"
PLACED_EVENTS = "falco_events_total"
"""Events with all their labels."""
EVENTS = "${events:raw}"
"""Events of the chosen hosts and namespaces by rule, priority and source: all that are chosen from, or recorded sums."""
HOST_EVENTS = "${host_events:raw}"
"""The same by host, of the chosen namespaces."""
NAMESPACE_EVENTS = "${namespace_events:raw}"
"""The same by namespace, of the chosen hosts."""
PRIORITY = "priority=~`${priority:regex}`"
RULE_FILTER = f"{PRIORITY}, source=~`${{source:regex}}`"
PLACE = "hostname=~`${host:regex}`, k8s_ns_name=~`${namespace:regex}`"
FILTER = f"{RULE_FILTER}, {PLACE}"
OWN = "job=~`${job:regex}`, instance=~`${instance:regex}`"
"""The chosen exporters, in the dashboard of their health."""
THIS_RULE = "rule=`${rule:raw}`"


def ask(metric: str) -> str:
    """Return a selector of a metric of the chosen exporters."""
    return f"{metric}{{{OWN}}}"


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
    return f"round(sum by ({by}) ({_counted(f'{metric}{{{selector}}}', ' offset $__range')}))"


def _counted(counter: str, earlier: str = "") -> str:
    """Return what was counted in the range, or in one that lies earlier by an offset: growth, and what series began with."""
    at_start = f"{counter} offset $__range"
    if earlier:  # PromQL adds offsets only by a subquery; this one looks once, at a whole second.
        at_start = f"last_over_time(({at_start})[1s:1s]{earlier})"
    began = f"min_over_time({counter}[$__range]{earlier}) unless {at_start}"
    grown = f"increase({counter}[$__range]{earlier})"
    return f'label_replace({grown}, "counted", "grown", "", "") or ({began})'


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


def last_event(selector: str, window: str) -> str:
    """Return when rules last had an event, seconds since 1970, as last seen within a window."""
    return f"last_over_time({LAST_EVENT}{{{selector}}}[{window}])"


def not_in_future(seconds: str) -> str:
    """Return moments as milliseconds: now where a host's clock is ahead, lest an event be said to happen in an hour."""
    return f"clamp_max({seconds}, time()) * 1000"


def rule_info(by: str, selector: str, *, window: str = "$__range") -> str:
    """Return what the catalog says of rules: as exposed now, else as last seen within a window.

    After a restart the exporter exposes a rule again only with its next event.
    """
    info = f"{RULE_INFO}{{{selector}}}"
    now = f"max by ({by}) ({info})"
    return f"({now} or (max by ({by}) (last_over_time({info}[{window}])) unless on (rule) {now}))"


def starts(selector: str = "") -> str:
    """Return when each exporter started, milliseconds since 1970, for a quarter of an hour after it did."""
    started = (
        f"(process_start_time_seconds{{{selector}}} > time() - 900) and on (job, instance) falco_exporter_build_info"
    )
    return f"max by (instance) ({started}) * 1000"


INCIDENT_STARTS = "max by (incident, subject, place) (falco_incident_start_timestamp_seconds) * 1000"
"""When each incident that is a likely attack began, milliseconds since 1970."""


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
