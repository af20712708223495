"""The part of the overview about incidents and ATT&CK."""

from __future__ import annotations

from typing import Any

from dashboards.generator import promql
from dashboards.generator.panels import columns, rows, stacked_bars, tiles
from dashboards.generator.style import (
    BAD_GROUND,
    NO_GROUND,
    Properties,
    bar_column,
    column,
    hidden,
    link,
    links,
    thresholds,
    verdict_colors,
)
from exporter.catalog.attack import attack_table


def judged(verdict: str) -> str:
    """Return a selector of events of one verdict."""
    return f'{promql.RULE_FILTER}, verdict="{verdict}"'


NOT_BY_HOST = "Verdicts are counted by rule: the choice of hosts and namespaces changes nothing here."


TO_INCIDENT = link("The incident's page", '${reports_url}/incidents/${__data.fields["Incident"]}')
_NOT_FILTERED = "Incidents have alerts of several rules and hosts: the choices above change nothing here."


def open_incidents() -> Any:
    """Return how many incidents are open over time."""
    panel = stacked_bars(
        "Open incidents by verdict",
        "Alerts that belong together, likely attacks at the bottom; an incident stays open while alerts can still be "
        f"added to it. {_NOT_FILTERED}",
        empty="No open incidents in this time range",
    )
    for index, (verdict, properties) in enumerate(verdict_colors()):
        counted = f'sum by (verdict) (max_over_time(falco_incidents_open{{verdict="{verdict}"}}[$__interval]))'
        panel.with_target(promql.over_time(counted, "{{verdict}}", chr(65 + index)))
        panel.override_by_name(verdict, properties)
    return panel


def attack_incidents() -> Any:
    """Return the incidents that are likely attacks."""
    began = (
        "max by (incident, subject, place) (last_over_time(falco_incident_start_timestamp_seconds[$__range])) * 1000"
    )
    panel = rows(
        "Incidents: likely attacks",
        "Each incident that was open in the time range and is a likely attack, the latest first. Click one for its page: "
        f"order of events, what is known, and one list of steps. {_NOT_FILTERED}",
        empty="No incident that is a likely attack in this time range",
    )
    return columns(
        panel.with_target(promql.instant(began)),
        {
            "subject": ("What", column(width=130)),
            "place": ("Where", [*column(wrap=True), links(TO_INCIDENT)]),
            "Value": ("Began", column(width=170, unit="dateTimeAsIso")),
            "incident": ("Incident", [*column(width=165), links(TO_INCIDENT)]),
        },
        sort=("Began", True),
    )


def tactics() -> Any:
    """Return the matrix."""
    panel = tiles(
        "ATT&CK matrix: likely attacks by tactic",
        "Events whose signs say attack, by the tactics of their rules, in the order of the matrix; a rule of two tactics "
        f"counts in both. {NOT_BY_HOST}",
    ).thresholds(thresholds((None, NO_GROUND), (1, BAD_GROUND)))
    events = promql.events_in_range("rule, source", judged("attack"), metric=promql.VERDICT_EVENTS)
    for index, tactic in enumerate(attack_table().tactics.values()):
        info = promql.rule_info("rule, source", f'mitre_tactic=~"(.*,)?{tactic}(,.*)?"')
        panel.with_target(
            promql.at_end(f"sum(({events}) * on (rule, source) {info}) or vector(0)", chr(65 + index), tactic)
        )
    return panel


def attack(kind: str) -> Any:
    """Return events by tactic or by technique."""
    label = f"mitre_{kind}"
    info = promql.rule_info(f"rule, source, {label}", f'{label}!=""')
    info = f"topk by (rule, source) (1, {info})"  # a new version may have other techniques: one answer for each rule
    events = promql.events_in_range("rule, source")
    first = f'label_replace(({events}) * on (rule, source) group_left ({label}) {info}, "{kind}", "$1", "{label}", "([^,]+).*")'
    heading = kind.capitalize()
    panel = rows(
        f"ATT&CK {kind}s",
        f"Events by MITRE ATT&CK {kind}, the first one of each rule; a rule can stand for several. "
        "Rules without one (your own, Falco's internal ones) are not among them.",
        empty=f"No events of rules with an ATT&CK {kind}",
    )
    shown: dict[str, tuple[str, Properties]] = {kind: (heading, []), "Value": ("Events", bar_column(width=160))}
    by = kind
    if kind == "technique":  # T1059.004 is at /techniques/T1059/004
        by = "technique, page"
        first = f'label_replace({first}, "page", "$1", "technique", "(.*)")'
        first = f'label_replace({first}, "page", "$1/$2", "technique", "(T[0-9]+)[.]([0-9]+)")'
        page = link("Read about it at MITRE", "https://attack.mitre.org/techniques/${__data.fields.page}")
        shown |= {kind: (heading, [links(page)]), "page": ("page", hidden())}
    panel.with_target(promql.instant(f"sum by ({by}) ({first})"))
    return columns(panel, shown, sort=("Events", True))
