"""Falco rule detail: one rule, what it means, how often and where it fires, and how to tune it."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.loki import Dataquery
from grafana_foundation_sdk.models.loki import LokiQueryType

from dashboards.generator import logql, promql, variables
from dashboards.generator.board import RULE, Board
from dashboards.generator.overview import MEMORY, OPEN
from dashboards.generator.panels import LOKI, columns, log_lines, markdown, number, rows, stacked_bars
from dashboards.generator.style import (
    BAD,
    PLAIN,
    bar_column,
    column,
    link,
    links,
    priority_colors,
    priority_column,
    prop,
)

_RULE = f"{promql.THIS_RULE}, {promql.PLACE}"
_LOKI_RULE = logql.STREAM + " | security_rule_name=`${rule:raw}`"
_QUIET = "This rule had no event in this time range"


def rule_detail() -> Board:
    """Return the dashboard."""
    board = Board(RULE, "One rule: what it means, how often and where it fires, which values vary, how to tune it.")
    board.variables(
        variables.prometheus(),
        variables.data_source("loki", "loki", "Loki"),
        variables.label_values("rule", "Rule", "label_values(falco_rule_events_total, rule)", many=False),
        variables.host(),
        variables.namespace(),
        variables.reports_url(),
        variables.hidden_text("service", "The service.name of the exporter's records", "falco"),
        *variables.recorded("events"),
    )
    board.mark("Exporter started", promql.starts(), "Exporter started", "{{instance}}", color=PLAIN)
    board.mark(
        "Incident", promql.INCIDENT_STARTS, "Likely attack: an incident began", "{{subject}} {{place}}", color=BAD
    )
    board.line(4, *[(panel, 6) for panel in _numbers()])
    board.line(6, (_meaning(), 24))
    board.line(9, (_over_time(), 24))
    board.line(9, (_where("Hosts", "hostname"), 8), (_where("Namespaces", "k8s_ns_name"), 8), (_varying(), 8))
    board.line(4, (_tuning(), 24))
    board.folded(
        "From the log records (needs Loki)",
        (8, [(_values(one, title, field), 6) for one, title, field in _FIELDS]),
        (12, [(_latest(), 12), (_exception(), 12)]),
    )
    return board


def _numbers() -> list[Any]:
    last = promql.not_in_future(f"max({promql.last_event(promql.THIS_RULE, MEMORY)})")
    before = f"sum({promql.events_before_range('rule', _RULE, metric=promql.EVENTS)})"
    return [
        number("Events", "Events of this rule on the chosen hosts and namespaces in the time range.").with_target(
            promql.at_end(f"sum({promql.events_in_range('rule', _RULE)}) or vector(0)")
        ),
        number("In the same time before", "For comparison: events in a time as long, just before it.")
        .decimals(0)
        .with_target(promql.at_end(f"{before} or vector(0)")),
        number(
            "Last event",
            "How long ago the rule's latest event happened, on any host.",
            unit="dateTimeFromNow",
            empty="No event yet",
        ).with_target(promql.at_end(last)),
        number(
            "Hosts",
            "How many hosts it fired on; with cloud, audit and identity sources, the hosts that Falco runs on. One host: an "
            "incident; all of them at once: a rollout or a wrong rule.",
        ).with_target(
            promql.at_end(
                f"count({promql.events_in_range('hostname', _RULE, metric=promql.PLACED_EVENTS)}) or vector(0)"
            )
        ),
    ]


def _meaning() -> Any:
    labels = "priority, source, maturity, mitre_tactic, mitre_technique, summary, impact, mitigation, runbook"
    panel = rows(
        "What it means, and the first step against it",
        "From the exporter's catalog of advice: in general words, without any alert's values. The report of each alert has "
        "them, with every command.",
        empty="This rule had no event in this time range",
    )
    panel.with_target(promql.instant(promql.rule_info(f"rule, {labels}", promql.THIS_RULE)))
    return columns(
        panel,
        {
            "priority": ("Priority", priority_column()),
            "source": ("Source", column(width=110)),
            "mitre_technique": ("ATT&CK", column(width=110, wrap=True)),
            "summary": ("What happened", column(wrap=True)),
            "impact": ("What may follow", column(wrap=True)),
            "mitigation": ("First step", column(wrap=True)),
            "runbook": ("Read on", [*column(width=80), links(link("Open", "${__value.raw}")), prop("mappings", OPEN)]),
        },
    )


def _over_time() -> Any:
    panel = stacked_bars("Events over time", "Events of this rule per bar, by priority.", empty=_QUIET)
    panel.with_target(promql.over_time(promql.events_per_step("priority", _RULE), "{{priority}}"))
    for name, properties in priority_colors():
        panel.override_by_name(name, properties)
    return panel


def _where(title: str, label: str) -> Any:
    selector = _RULE + (', k8s_ns_name!=""' if label == "k8s_ns_name" else "")
    panel = rows(
        title,
        f"Events of this rule by {title.lower()[:-1]} in the time range.",
        empty=_QUIET if label == "hostname" else "No events of this rule with a Kubernetes namespace",
    )
    panel.with_target(
        promql.instant(f"topk(25, {promql.events_in_range(label, selector, metric=promql.PLACED_EVENTS)})")
    )
    return columns(
        panel,
        {label: (title[:-1], column(wrap=True)), "Value": ("Events", bar_column(width=140))},
        sort=("Events", True),
    )


def _varying() -> Any:
    """How many different values each label had: what varies tells a flood of one thing from many things."""
    panel = rows(
        "What varies",
        "How many different values each label had in the time range. One host and one namespace with many events: one noisy "
        "thing to tune; many of both: something is spreading, or the rule is too broad. Labels that you add with "
        "metrics.extra_labels can be compared in the same way.",
        empty=_QUIET,
    )
    counts = " or ".join(
        f'label_replace(count({promql.events_in_range(label, _RULE, metric=promql.PLACED_EVENTS)}), "label", "{title}", "", "")'
        for label, title in (("hostname", "hosts"), ("k8s_ns_name", "namespaces (none counts as one)"))
    )
    panel.with_target(promql.instant(counts))
    return columns(
        panel, {"label": ("Label", column(wrap=True)), "Value": ("Different values", column(width=140, align="right"))}
    )


def _tuning() -> Any:
    return markdown(
        "### Expected here?\n"
        "Each report of this rule has a section *Tune Falco* with an exception for exactly that alert, in Falco's current "
        "syntax and for the hook that this rule has: "
        "[its recent report pages](${reports_url}/reports?rule=${rule:percentencode}), or in a terminal\n"
        '`falco-report-exporter catalog show "${rule:raw}"`. Put it into a file under `/etc/falco/rules.d/` (or the '
        "chart's `customRules`), check it with `falco -V`, and keep it as narrow as it is."
    )


_FIELDS = (
    ("Process", "Processes", "process_executable_name"),
    ("Container", "Containers", "container_name"),
    ("User", "Users", "user_name"),
    ("File", "Files", "file_path"),
)


def _values(one: str, title: str, field: str) -> Any:
    panel = rows(
        title,
        f"Alerts of this rule by {one.lower()} in the time range, from the log records. One value with nearly all alerts is "
        "a candidate for an exception; many different ones are not.",
        empty="No log records of this rule, or none with this field",
        source=LOKI,
    )
    query = f'topk(15, sum by ({field}) (count_over_time({_LOKI_RULE} | {field}!="" [$__range])))'
    panel.with_target(Dataquery().expr(query).query_type(LokiQueryType.INSTANT).ref_id("A").datasource(LOKI))
    return columns(
        panel,
        {field: (one, column(wrap=True)), "Value #A": ("Alerts", bar_column(width=110))},
        sort=("Alerts", True),
    )


def _latest() -> Any:
    panel = log_lines(
        "Latest alerts",
        "The latest alerts of this rule: time, host and Falco's own line. Open one for its attributes.",
        empty="No log records of this rule in this time range",
        source=LOKI,
    )
    panel.show_time(True)
    kept = logql.keep(["host_name", "severity_text", "detected_level", "log_record_uid", "falco_report_url"])
    return panel.with_target(logql.query(f"{_LOKI_RULE}{kept}", lines=50))


def _exception() -> Any:
    panel = log_lines(
        "Tuning, for the latest alert",
        "What to write into Falco's rules if the latest alert was benign: for exactly its values, in Falco's own syntax. "
        "Read the alert first: an exception that fits an attack hides it.",
        empty="The latest alert of this rule has no exception: it is a likely attack, its fields do not tell it apart well "
        "enough, or log records are sent without advice (otlp.advice)",
        source=LOKI,
    )
    text = "{{ range fromJson .falco_report_tuning }}{{ . }}\\n\\n{{ end }}"
    kept = logql.keep(["severity_text", "detected_level"])
    query = f'{_LOKI_RULE} | falco_report_tuning!="" | line_format "{text}"{kept}'
    return panel.with_target(logql.query(query, lines=1))
