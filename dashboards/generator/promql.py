"""PromQL that several panels need: events counted exactly, filters, legends.

Counters of rules that Falco's own files do not have begin with their first
event, and a newly started exporter may have counted before its first scrape.
``increase`` misses both, so it is never used alone here.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

EVENTS = "falco_events_total"
RULE_EVENTS = "falco_rule_events_total"
VERDICT_EVENTS = "falco_verdict_events_total"
FILTER = 'priority=~"$priority", source=~"$source", hostname=~"$host", k8s_ns_name=~"$namespace"'
RULE_FILTER = 'priority=~"$priority", source=~"$source"'


def events_in_range(by: str, selector: str = FILTER, *, metric: str = EVENTS) -> str:
    """Return events in the time range by labels; whole numbers above 0.

    A series that was not there when the range began counts with all it has;
    the others with their increase.
    """
    counter = f"{metric}{{{selector}}}"
    return f"round(sum by ({by}) (({counter} unless {counter} offset $__range) or increase({counter}[$__range]))) > 0"


def events_before_range(by: str, selector: str = RULE_FILTER, *, metric: str = RULE_EVENTS) -> str:
    """Return events in a time as long as the range, just before it."""
    return f"round(sum by ({by}) (increase({metric}{{{selector}}}[$__range] offset $__range)))"


def events_per_step(by: str, selector: str = FILTER, *, metric: str = EVENTS) -> str:
    """Return events per bar of a graph, exactly: two looks at the counter, no extrapolation.

    Below 0 means that the exporter was restarted, and a series that was not
    there before is new: both count with all they have.
    """
    counter = f"{metric}{{{selector}}}"
    return f"sum by ({by}) ((({counter} - {counter} offset $__interval) >= 0) or {counter})"


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
