"""Falco overview: what is happening, from Prometheus only."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.common import TableSortByFieldState, VizTextDisplayOptions

from dashboards.generator import promql, variables
from dashboards.generator.board import OVERVIEW, REPORTS, RULE, Board
from dashboards.generator.overview_attack import NOT_BY_HOST, attack, attack_incidents, judged, open_incidents, tactics
from dashboards.generator.panels import columns, merged, number, rows, stacked_bars, tiles
from dashboards.generator.style import (
    BAD,
    BAD_GROUND,
    GOOD_GROUND,
    NO_GROUND,
    PLAIN,
    SEVERE,
    VERDICT_WORDS,
    bar_column,
    column,
    count_column,
    link,
    links,
    priority_colors,
    priority_column,
    prop,
    thresholds,
    verdict_colors,
)
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
        *variables.recorded("events", "host_events", "namespace_events"),
    )
    board.mark("Exporter started", promql.starts(), "Exporter started", "{{instance}}", color=PLAIN)
    board.mark(
        "Incident", promql.INCIDENT_STARTS, "Likely attack: an incident began", "{{subject}} {{place}}", color=BAD
    )
    board.line(4, (_verdict_numbers(), 11), *zip(_numbers(), (3, 4, 3, 3), strict=True))
    board.line(9, (_verdicts_over_time(), 11), (_likely_attacks(), 13))
    board.line(7, (open_incidents(), 8), (attack_incidents(), 16))
    board.line(6, (tactics(), 24))
    board.line(9, (_over_time(), 11), (_severe(), 13))
    board.line(10, (_hosts(), 13), (_namespaces(), 11))
    board.line(9, (_top_rules(), 8), (_new_rules(), 8), (_loud_rules(), 8))
    board.line(8, (attack("tactic"), 8), (attack("technique"), 8), (_sources(), 8))
    board.line(18, (_rules(), 24))
    return board


def _verdict_numbers() -> Any:
    panel = tiles(
        "Verdicts",
        "Events in the time range by what their signs say. Likely attack: escalate first. Undecided: somebody has to answer "
        f"a question. Likely benign and test: confirm, then close. {NOT_BY_HOST}",
    ).text(VizTextDisplayOptions().title_size(14).value_size(36))
    for index, (verdict, words) in enumerate(VERDICT_WORDS.items()):
        counted = promql.events_in_range("rule", judged(verdict), metric=promql.VERDICT_EVENTS)
        panel.with_target(promql.at_end(f"sum({counted}) or vector(0)", chr(65 + index), words))
        steps = [{"color": NO_GROUND, "value": None}, {"color": palette.VERDICTS[verdict].light, "value": 1}]
        panel.override_by_name(words, [prop("thresholds", {"mode": "absolute", "steps": steps})])
    return panel


def _verdicts_over_time() -> Any:
    panel = stacked_bars(
        "Events by verdict",
        f"Events per bar, likely attacks at the bottom. Click a verdict in the legend to see only that one. {NOT_BY_HOST}",
        empty="No events of the chosen priorities and sources in this time range",
    )
    for index, (verdict, properties) in enumerate(verdict_colors()):
        counted = promql.events_per_step("verdict", judged(verdict), metric=promql.VERDICT_EVENTS)
        panel.with_target(promql.over_time(counted, "{{verdict}}", chr(65 + index)))
        panel.override_by_name(verdict, properties)
    return panel


def _likely_attacks() -> Any:
    counted = promql.events_in_range("rule, priority, outcome", judged("attack"), metric=promql.VERDICT_EVENTS)
    panel = rows(
        "Likely attacks",
        "Rules with events whose signs say attack, in the time range, whatever Falco's priority; what succeeded first. "
        f"Click a rule for its meaning or its reports. {NOT_BY_HOST}",
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


def _numbers() -> list[Any]:
    severe = f'{promql.FILTER}, priority=~"{SEVERE}"'
    last = promql.not_in_future(f"max({promql.last_event(promql.RULE_FILTER, MEMORY)})")
    return [
        number(
            "Events", "Events of the chosen priorities, sources, hosts and namespaces in the time range."
        ).with_target(promql.at_end(f"sum({promql.events_in_range('rule')}) or vector(0)")),
        number("Critical and above", "Of these, the events of priority Critical, Alert or Emergency.")
        .thresholds(thresholds((None, NO_GROUND), (1, BAD_GROUND)))
        .with_target(promql.at_end(f"sum({promql.events_in_range('rule', severe)}) or vector(0)")),
        number(
            "Last event",
            "How long ago the latest event of the chosen priorities and sources happened, on any host. "
            "Long silence can mean that Falco does not run: see Exporter health.",
            unit="dateTimeFromNow",
            empty="No event yet",
        ).with_target(promql.at_end(last)),
        number(
            "Sources up",
            "Share of the exporter's sources of alerts that are connected. Below 100 %: something is not watched; "
            "Exporter health says which.",
            unit="percentunit",
            empty="No exporter in this Prometheus",
        )
        .thresholds(thresholds((None, BAD_GROUND), (1, GOOD_GROUND)))
        .with_target(promql.at_end("avg(falco_exporter_source_up)")),
    ]


def _over_time() -> Any:
    panel = stacked_bars(
        "Events by priority",
        "Events per bar, most severe priority at the bottom. Click a priority in the legend to see only that one.",
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
    last = promql.not_in_future(f"max by (rule, priority) ({promql.last_event(selector, MEMORY)})")
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
            "Value": ("Events", column(width=80, align="right")),
        },
        sort=("Events", True),
    )


def _only(variable: str, other: str) -> dict[str, object]:
    """Return the link that chooses a row's host or namespace."""
    return link(
        "Show only this one",
        f"/d/{OVERVIEW}?var-{variable}=${{__value.raw:percentencode}}&${{priority:queryparam}}&${{source:queryparam}}"
        f"&${{{other}:queryparam}}&${{datasource:queryparam}}&${{__url_time_range}}",
    )


def _hosts() -> Any:
    host = f"{promql.RULE_FILTER}, hostname=~`${{host:regex}}`"
    panel = merged(
        rows(
            "Hosts",
            "Hosts by events whose signs say attack, then by undecided ones, by priority Critical and above, and by all, in "
            "the time range. Click one to see only that one. Alerts of cloud, audit and identity sources count for the host that "
            "Falco runs on: Falco names no other.",
            empty="No events",
        )
    )
    # Verdicts are not counted by namespace: of hosts that have events in the chosen ones.
    chosen = f"group by (hostname) (last_over_time({promql.HOST_EVENTS}{{{promql.FILTER}}}[$__range]))"
    severe = f'{promql.FILTER}, priority=~"{SEVERE}"'
    panel.with_target(promql.instant(f"topk(50, {promql.events_in_range('hostname', metric=promql.HOST_EVENTS)})", "A"))
    for ref, verdict in (("B", "attack"), ("C", "undecided")):
        judged_so = promql.events_in_range(
            "hostname", f'{host}, verdict="{verdict}"', metric=promql.HOST_VERDICT_EVENTS
        )
        panel.with_target(promql.instant(f"topk(50, ({judged_so}) and ({chosen}))", ref))
    panel.with_target(
        promql.instant(f"topk(50, {promql.events_in_range('hostname', severe, metric=promql.HOST_EVENTS)})", "D")
    )
    columns(
        panel,
        {
            "hostname": ("Host", [*column(wrap=True), links(_only("host", "namespace"))]),
            "Value #B": ("Likely attacks", count_column("attack", width=130)),
            "Value #C": ("Undecided", count_column("undecided", width=112)),
            "Value #D": ("Critical", column(width=90, align="right")),
            "Value #A": ("Events", column(width=85, align="right")),
        },
    )
    return panel.sort_by(
        [
            TableSortByFieldState().display_name(name).desc(True)
            for name in ("Likely attacks", "Undecided", "Critical", "Events")
        ]
    )


def _namespaces() -> Any:
    selector = promql.FILTER + ', k8s_ns_name!=""'
    panel = merged(
        rows(
            "Namespaces",
            "Kubernetes namespaces by events of priority Critical and above, then by all, in the time range. Click one to "
            "see only that one. Events outside Kubernetes are not among them, and verdicts are not counted by namespace.",
            empty="No events with a Kubernetes namespace",
        )
    )
    counted = promql.events_in_range("k8s_ns_name", selector, metric=promql.NAMESPACE_EVENTS)
    severe = promql.events_in_range("k8s_ns_name", f'{selector}, priority=~"{SEVERE}"', metric=promql.NAMESPACE_EVENTS)
    panel.with_target(promql.instant(f"topk(50, {counted})", "A"))
    panel.with_target(promql.instant(f"({severe}) or 0 * ({counted})", "B"))
    return columns(
        panel,
        {
            "k8s_ns_name": ("Namespace", [*column(wrap=True), links(_only("namespace", "host"))]),
            "Value #B": ("Critical", column(width=75, align="right")),
            "Value #A": ("Events", column(width=75, align="right")),
        },
        sort=("Critical", True),
    )


def _new_rules() -> Any:
    seen = promql.not_in_future(f"max by (rule, priority) ({promql.last_event(promql.RULE_FILTER, '$__range')})")
    before = f"max by (rule, priority) (last_over_time({promql.RULE_INFO}[{MEMORY}] offset $__range))"
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
            "Value #B": ("Events", column(width=70, align="right")),
            "Value #A": ("Times", [*column(width=80, align="right"), prop("unit", "suffix:×"), prop("decimals", 0)]),
        },
        sort=("Times", True),
    )


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
            "Every rule that fired in the time range: what happened in general, what may follow, what to do first. "
            "Rules that the catalog does not have are without words here; their reports have advice all the same. "
            "Click a rule for its details, its alerts or its report pages (these need web.external_url).",
            empty="No rule fired in this time range",
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
