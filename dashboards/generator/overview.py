"""Falco overview: what is happening, from Prometheus alone."""

from __future__ import annotations

from typing import Any

from dashboards.generator import promql, variables
from dashboards.generator.board import OVERVIEW, REPORTS, RULE, Board
from dashboards.generator.panels import columns, merged, number, rows, stacked_bars, tiles
from dashboards.generator.style import (
    BAD,
    GOOD,
    SEVERE,
    VERDICT_WORDS,
    Properties,
    bar_column,
    column,
    hidden,
    link,
    links,
    priority_colors,
    priority_column,
    prop,
    thresholds,
    verdict_colors,
)
from exporter.catalog.attack import attack_table
from exporter.render import palette

_RULE_FIELD = '${__data.fields["Rule"]:percentencode}'
KEPT = "${priority:queryparam}&${source:queryparam}&${host:queryparam}&${namespace:queryparam}&${__url_time_range}"
TO_RULE = link("What this rule means", f"/d/{RULE}?var-rule={_RULE_FIELD}&{KEPT}&${{datasource:queryparam}}")
TO_REPORTS = link("Its alerts, each with the report (Loki)", f"/d/{REPORTS}?var-rule={_RULE_FIELD}&{KEPT}")
TO_PAGES = link("Its recent report pages", f"${{reports_url}}/reports?rule={_RULE_FIELD}")
RULE_LINKS = links(TO_RULE, TO_REPORTS, TO_PAGES)
MEMORY = "7d"
"""How far back a rule counts as seen before: a week, so that weekly jobs are not new each week."""


def overview() -> Board:
    """Return the dashboard."""
    board = Board(OVERVIEW, "What Falco sees: likely attacks first, then how much, which rules, where, and what to do.")
    board.variables(
        variables.prometheus(),
        variables.priority(),
        variables.source(),
        variables.host(),
        variables.namespace(),
        variables.reports_url(),
    )
    board.line(4, *[(panel, 3) for panel in (*_verdict_numbers(), *_numbers())])
    board.line(9, (_verdicts_over_time(), 11), (_likely_attacks(), 13))
    board.line(7, (_open_incidents(), 8), (_attack_incidents(), 16))
    board.line(5, (_tactics(), 24))
    board.line(9, (_over_time(), 11), (_severe(), 13))
    board.line(10, (_top_rules(), 10), (_top("Hosts", "hostname"), 7), (_top("Namespaces", "k8s_ns_name"), 7))
    board.line(9, (_new_rules(), 12), (_loud_rules(), 12))
    board.line(8, (_attack("tactic"), 8), (_attack("technique"), 8), (_sources(), 8))
    board.line(18, (_rules(), 24))
    return board


def _judged(verdict: str) -> str:
    return f'{promql.RULE_FILTER}, verdict="{verdict}"'


_NOT_BY_HOST = "Verdicts are counted by rule: the choice of hosts and namespaces changes nothing here."


def _verdict_numbers() -> list[Any]:
    meanings = {
        "attack": "Events whose signs say attack: escalate these first.",
        "undecided": "Events whose signs do not decide: somebody has to answer a question.",
        "benign": "Events whose signs say benign: confirm, then close.",
        "test": "Events that look like a test of Falco: confirm, then close.",
    }
    return [
        number(VERDICT_WORDS[verdict], f"{meaning} In the time range. {_NOT_BY_HOST}", filled=True)
        .thresholds(thresholds((None, "transparent"), (1, palette.VERDICTS[verdict].light)))
        .with_target(
            promql.at_end(
                f"sum({promql.events_in_range('rule', _judged(verdict), metric=promql.VERDICT_EVENTS)}) or vector(0)"
            )
        )
        for verdict, meaning in meanings.items()
    ]


def _verdicts_over_time() -> Any:
    panel = stacked_bars(
        "Events by verdict",
        f"Events per bar, likely attacks at the bottom. Click a verdict in the legend to see it alone. {_NOT_BY_HOST}",
        empty="No events of the chosen priorities and sources in this time range",
    )
    for index, (verdict, properties) in enumerate(verdict_colors()):
        counted = promql.events_per_step("verdict", _judged(verdict), metric=promql.VERDICT_EVENTS)
        panel.with_target(promql.over_time(counted, "{{verdict}}", chr(65 + index)))
        panel.override_by_name(verdict, properties)
    return panel


def _likely_attacks() -> Any:
    counted = promql.events_in_range("rule, priority, outcome", _judged("attack"), metric=promql.VERDICT_EVENTS)
    panel = rows(
        "Likely attacks",
        "Rules with events whose signs say attack, in the time range, whatever Falco's priority; what succeeded first. "
        f"Click a rule for its meaning or its reports. {_NOT_BY_HOST}",
        empty="No likely attack in this time range",
    )
    return columns(
        panel.with_target(promql.instant(f"topk(25, {counted})")),
        {
            "rule": ("Rule", [*column(wrap=True), RULE_LINKS]),
            "outcome": ("Outcome", column(width=110)),
            "priority": ("Priority", priority_column()),
            "Value": ("Events", column(width=85, align="right")),
        },
        sort=("Events", True),
    )


TO_INCIDENT = link("The incident's page", '${reports_url}/incidents/${__data.fields["Incident"]}')
_NOT_FILTERED = "Incidents have alerts of several rules and hosts: the choices above change nothing here."


def _open_incidents() -> Any:
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


def _attack_incidents() -> Any:
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


def _tactics() -> Any:
    panel = tiles(
        "ATT&CK matrix: likely attacks by tactic",
        "Events whose signs say attack, by the tactics of their rules, in the order of the matrix; a rule of two tactics "
        f"counts in both. {_NOT_BY_HOST}",
    ).thresholds(thresholds((None, "transparent"), (1, palette.VERDICTS["attack"].light)))
    events = promql.events_in_range("rule, source", _judged("attack"), metric=promql.VERDICT_EVENTS)
    for index, tactic in enumerate(attack_table().tactics.values()):
        info = promql.rule_info("rule, source", f'mitre_tactic=~"(.*,)?{tactic}(,.*)?"')
        panel.with_target(
            promql.at_end(f"sum(({events}) * on (rule, source) {info}) or vector(0)", chr(65 + index), tactic)
        )
    return panel


def _numbers() -> list[Any]:
    severe = f'{promql.FILTER}, priority=~"{SEVERE}"'
    last = f"max(last_over_time(falco_rule_last_event_timestamp_seconds{{{promql.RULE_FILTER}}}[{MEMORY}])) * 1000"
    return [
        number(
            "Events", "Events of the chosen priorities, sources, hosts and namespaces in the time range."
        ).with_target(promql.at_end(f"sum({promql.events_in_range('rule')}) or vector(0)")),
        number("Critical and above", "Of these, the events of priority Critical, Alert or Emergency.")
        .thresholds(thresholds((None, GOOD), (1, BAD)))
        .with_target(promql.at_end(f"sum({promql.events_in_range('rule', severe)}) or vector(0)")),
        number(
            "Last event",
            "How long ago the latest event of the chosen priorities and sources happened, on any host. "
            "Long silence can mean that Falco does not run: see Exporter health.",
            unit="dateTimeFromNow",
            empty="No event yet",
        ).with_target(promql.at_end(last)),
        number(
            "Sources connected",
            "Share of the exporter's sources of alerts that are connected. Below 100 %: something is not watched; "
            "Exporter health says which.",
            unit="percentunit",
            empty="No exporter in this Prometheus",
        )
        .thresholds(thresholds((None, BAD), (1, GOOD)))
        .with_target(promql.at_end("avg(falco_exporter_source_up)")),
    ]


def _over_time() -> Any:
    panel = stacked_bars(
        "Events by priority",
        "Events per bar, gravest priority at the bottom. Click a priority in the legend to see it alone.",
        empty="No events of the chosen priorities, sources, hosts and namespaces in this time range",
    )
    for index, (name, properties) in enumerate(priority_colors()):
        selector = f'{promql.FILTER}, priority="{name}"'
        panel.with_target(
            promql.over_time(promql.events_per_step("priority", selector), "{{priority}}", chr(65 + index))
        )
        panel.override_by_name(name, properties)
    return panel


def _severe() -> Any:
    selector = f'{promql.RULE_FILTER}, priority=~"{SEVERE}"'
    seen = f"last_over_time(falco_rule_last_event_timestamp_seconds{{{selector}}}[{MEMORY}])"
    last = f"max by (rule, priority) ({seen}) * 1000"
    panel = rows(
        "Last events, critical and above",
        "Rules of priority Critical, Alert and Emergency, the latest event of the last 7 days first. "
        "Click a rule for its meaning or its reports.",
        empty="No event of priority Critical or above in 7 days",
    )
    return columns(
        panel.with_target(promql.instant(last)),
        {
            "Value": ("Latest", column(width=150, unit="dateTimeFromNow")),
            "priority": ("Priority", priority_column()),
            "rule": ("Rule", [*column(wrap=True), RULE_LINKS]),
        },
        sort=("Latest", True),
    )


def _top_rules() -> Any:
    panel = rows(
        "Rules", "Rules by events in the time range. Click one for its meaning or its reports.", empty="No events"
    )
    panel.with_target(promql.instant(f"topk(25, {promql.events_in_range('rule, priority')})"))
    return columns(
        panel,
        {
            "rule": ("Rule", [*column(wrap=True), RULE_LINKS]),
            "priority": ("Priority", priority_column()),
            "Value": ("Events", bar_column(width=200)),
        },
        sort=("Events", True),
    )


def _top(title: str, label: str) -> Any:
    variable = {"hostname": "host", "k8s_ns_name": "namespace"}[label]
    others = {"hostname": "namespace", "k8s_ns_name": "host"}[label]
    heading = title[:-1]
    only = link(
        "Show only this one",
        f"/d/{OVERVIEW}?var-{variable}=${{__value.raw:percentencode}}&${{priority:queryparam}}&${{source:queryparam}}"
        f"&${{{others}:queryparam}}&${{datasource:queryparam}}&${{__url_time_range}}",
    )
    selector = promql.FILTER + (', k8s_ns_name!=""' if label == "k8s_ns_name" else "")
    panel = rows(
        title,
        f"{title} by events of priority Critical and above, then by all, in the time range. Click one to see it alone."
        + (" Events outside Kubernetes are not among them." if label == "k8s_ns_name" else ""),
        empty="No events" if label == "hostname" else "No events with a Kubernetes namespace",
    )
    counted = promql.events_in_range(label, selector)
    severe = promql.events_in_range(label, f'{selector}, priority=~"{SEVERE}"')
    merged(panel).with_target(promql.instant(f"topk(25, {counted})", "A"))
    panel.with_target(promql.instant(f"({severe}) or 0 * ({counted})", "B"))
    return columns(
        panel,
        {
            label: (heading, [*column(wrap=True), links(only)]),
            "Value #B": ("Critical", column(width=75, align="right")),
            "Value #A": ("Events", column(width=75, align="right")),
        },
        sort=("Critical", True),
    )


def _new_rules() -> Any:
    last = f"last_over_time(falco_rule_last_event_timestamp_seconds{{{promql.RULE_FILTER}}}[$__range])"
    seen = f"max by (rule, priority) ({last}) * 1000"
    before = f"max by (rule, priority) (last_over_time(falco_rule_info[{MEMORY}] offset $__range))"
    panel = rows(
        "Rules that are new",
        "Rules with an event in the time range and none in the week before it. After the first start of the exporter "
        "every rule is new. One that stays here deserves a look: something happens that did not happen before.",
        empty="No rule that was not seen in the week before this time range",
    )
    panel.with_target(promql.instant(f"({seen} unless {before}) > ${{__from}}"))
    return columns(
        panel,
        {
            "rule": ("Rule", [*column(wrap=True), RULE_LINKS]),
            "priority": ("Priority", priority_column()),
            "Value": ("Latest", column(width=140, unit="dateTimeFromNow")),
        },
        sort=("Latest", True),
    )


def _loud_rules() -> Any:
    now = promql.events_in_range("rule, priority", promql.RULE_FILTER, metric=promql.RULE_EVENTS)
    before = promql.events_before_range("rule, priority")
    ratio = f"(({now}) >= 10) / clamp_min(({before}) or 0 * ({now}), 1)"
    panel = merged(
        rows(
            "Rules that became louder",
            "Rules with at least 10 events in the time range and more than three times as many as in the same time "
            "before it. Hosts and namespaces are not told apart here.",
            empty="No rule has three times as many events as in the same time before",
        )
    )
    panel.with_target(promql.instant(f"topk(15, {ratio} > 3)", "A"))
    panel.with_target(promql.instant(f"({now}) and ({ratio} > 3)", "B"))
    return columns(
        panel,
        {
            "rule": ("Rule", [*column(wrap=True), RULE_LINKS]),
            "priority": ("Priority", priority_column()),
            "Value #B": ("Events", column(width=80, align="right")),
            "Value #A": (
                "Times as many",
                [*column(width=130, align="right"), prop("unit", "suffix:×"), prop("decimals", 0)],
            ),
        },
        sort=("Times as many", True),
    )


def _attack(kind: str) -> Any:
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


def _sources() -> Any:
    panel = rows(
        "Event sources",
        "Events by Falco's event source: system calls, Kubernetes audit, cloud plugins.",
        empty="No events",
    )
    panel.with_target(promql.instant(promql.events_in_range("source")))
    return columns(panel, {"source": ("Source", []), "Value": ("Events", bar_column(width=160))}, sort=("Events", True))


def _rules() -> Any:
    info_labels = "rule, priority, summary, impact, mitigation, mitre_technique, runbook"
    info = promql.rule_info(info_labels, promql.RULE_FILTER)
    panel = merged(
        rows(
            "What the rules mean, and the first step against them",
            "Every rule that had an event in the time range: what happened in general, what may follow, what to do first. "
            "Rules that the catalog does not have are without words here; their reports have advice all the same. "
            "Click a rule for its details, its alerts or its report pages (these need web.external_url).",
            empty="No rule had an event in this time range",
        )
    )
    panel.with_target(promql.instant(promql.events_in_range("rule, priority"), "A"))
    panel.with_target(
        promql.instant(f"{info} and on (rule, priority) ({promql.events_in_range('rule, priority')})", "B")
    )
    return columns(
        panel,
        {
            "rule": ("Rule", [*column(width=190, wrap=True), RULE_LINKS]),
            "priority": ("Priority", priority_column()),
            "Value #A": ("Events", column(width=75, align="right")),
            "summary": ("What happened", column(wrap=True)),
            "impact": ("What may follow", column(wrap=True)),
            "mitigation": ("First step", column(wrap=True)),
            "runbook": ("Read on", [*column(width=80), links(link("Open", "${__value.raw}")), prop("mappings", OPEN)]),
        },
        sort=("Events", True),
    )


OPEN = [{"type": "regex", "options": {"pattern": "https?://.*", "result": {"text": "open", "index": 0}}}]
