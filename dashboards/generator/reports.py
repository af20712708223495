"""Falco alert reports: single alerts, and the chosen one's whole report; for Loki, and for VictoriaLogs by the same code.

Owns what is shown and in which order. How it is asked for is the backend's:
``logql.py`` and ``logsql.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.loki import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig
from grafana_foundation_sdk.models.loki import LokiQueryType

from dashboards.generator import logql, logsql, variables
from dashboards.generator.board import REPORTS, REPORTS_VICTORIALOGS, RULE, Board
from dashboards.generator.panels import LOKI, by_word, columns, document, log_lines, rows, stacked_bars
from dashboards.generator.style import (
    BAD,
    VERDICTS,
    bar_column,
    column,
    hidden,
    link,
    links,
    priority_column,
    prop,
    verdict_colors,
    verdict_column,
)

HEADER = (
    ("Verdict", "falco.verdict"),
    ("Outcome", "falco.outcome"),
    ("Rule", "security_rule.name"),
    ("Priority", "falco.priority"),
    ("Source", "falco.source"),
    ("Host", "host.name"),
    ("Maturity", "falco.rule.maturity"),
    ("Techniques", "falco.report.attack.technique.ids"),
    ("Process", "process.executable.path"),
    ("Command line", "process.command_line"),
    ("User", "user.name"),
    ("File", "file.path"),
    ("Container", "container.name"),
    ("Image", "container.image.name"),
    ("Namespace", "k8s.namespace.name"),
    ("Pod", "k8s.pod.name"),
    ("Client", "client.address"),
    ("Region", "cloud.region"),
    ("Alerts joined", "falco.group.count"),
    ("Report page", "falco.report.url"),
)
"""The reference report's header and the facts that an alert may have; absent ones take no line (with Loki)."""
TEXTS = (
    ("In short", "falco.report.pager"),
    ("Summary of detected activity", "falco.report.summary"),
    ("Possible impact", "falco.report.impact"),
)
LISTS = (
    ("Signs", "falco.signs"),
    ("Mitigation: commands", "falco.report.mitigation.commands"),
    ("Mitigation: configuration changes", "falco.report.mitigation.configuration"),
    ("Mitigation: further recommendations", "falco.report.mitigation.recommendations"),
    ("Tuning Falco, if this is benign", "falco.report.tuning"),
    ("References", "falco.report.references"),
)
TABLE = (
    "log.record.uid",
    "falco.verdict",
    "falco.priority",
    "security_rule.name",
    "host.name",
    "k8s.namespace.name",
    "container.id",
    "user.name",
    "falco.report.summary",
)
RELATED = ("log.record.uid", "falco.verdict", "falco.priority", "security_rule.name")
MARKDOWN = "falco.report.markdown"
_EVERYTHING = "&".join(
    [
        *(f"var-{name}=$__all" for name in ("verdict", "priority", "source", "host", "namespace")),
        "var-rule=&var-search=",
    ]
)
"""A link's part that resets every filter; Grafana keeps what an address does not name."""
ALERT_LIMIT, RELATED_LIMIT = 200, 50


@dataclass(frozen=True)
class Backend:
    """What differs between log stores."""

    uid: str
    variable: str
    plugin: str
    label: str
    source: DataSourceRef
    name: Callable[[str], str]
    """The store's name for an attribute."""
    over_time: Callable[[], Any]
    alerts: Callable[[Sequence[str]], Any]
    """The alerts that the variables leave, with these attributes."""
    report: Callable[[], Any]
    """The chosen alert's brief report, the record's own Markdown."""
    text: Callable[[], Any]
    """The chosen alert's parts as plain text."""
    hosts: Callable[[], Any] | None
    """Likely attacks by host; None where the store cannot be asked in one table."""
    related: Callable[[str, str, Sequence[str]], Any]
    """Alerts whose attribute equals a variable, with these attributes."""


def loki_reports() -> Board:
    """Return the dashboard for Loki."""
    stream, name = logql.STREAM, logql.name

    def alerts(names: Sequence[str]) -> Any:
        kept = logql.keep([*map(name, names), "from_ms", "to_ms"])
        return logql.query(f"{stream}{logql.CHOSEN}{logql.around()}{kept}", lines=ALERT_LIMIT)

    def related(attribute: str, variable: str, names: Sequence[str]) -> Any:
        same = f' | {name(attribute)}=`${{{variable}:raw}}` | {name(attribute)}!=""'
        return logql.query(f"{stream}{same}{logql.keep(list(map(name, names)))}", lines=RELATED_LIMIT)

    chosen = f"{stream}{logql.ONE}"

    def report() -> Any:
        return logql.query(f"{chosen}{logql.keep([name(MARKDOWN)])}", lines=1)

    def text() -> Any:
        shown = logql.report_format(HEADER, TEXTS, LISTS)
        return logql.query(
            f"{chosen}{shown}{logql.keep(['severity_text', 'detected_level', 'log_record_uid'])}", lines=1
        )

    def hosts() -> Any:
        attacks = f'{stream}{logql.CHOSEN} | falco_verdict="attack" | host_name!=""'
        query = f"topk(25, sum by (host_name) (count_over_time({attacks} [$__range])))"
        return Dataquery().expr(query).query_type(LokiQueryType.INSTANT).ref_id("A")

    counted = f"sum by (falco_verdict) (count_over_time({stream}{logql.CHOSEN} [$__interval]))"
    return _board(
        Backend(
            uid=REPORTS,
            variable="loki",
            plugin="loki",
            label="Loki",
            source=LOKI,
            name=name,
            over_time=lambda: logql.metric(counted, "{{falco_verdict}}"),
            alerts=alerts,
            report=report,
            text=text,
            hosts=hosts,
            related=related,
        )
    )


def victorialogs_reports() -> Board:
    """Return the dashboard for VictoriaLogs."""
    stream = logsql.STREAM

    def alerts(names: Sequence[str]) -> Any:
        found = f"{stream}{logsql.CHOSEN}{logsql.keep(names)} | sort by (_time) desc limit {ALERT_LIMIT}"
        return logsql.Dataquery(found, lines=ALERT_LIMIT)

    def related(attribute: str, variable: str, names: Sequence[str]) -> Any:
        same = f"{stream} {attribute}:=`${{{variable}:raw}}` {attribute}:*"
        return logsql.Dataquery(
            f"{same}{logsql.keep(names)} | sort by (_time) desc limit {RELATED_LIMIT}", lines=RELATED_LIMIT
        )

    chosen = f"{stream}{logsql.ONE} | sort by (_time) desc limit 1"

    def report() -> Any:
        return logsql.Dataquery(f"{chosen}{logsql.keep([MARKDOWN])}", lines=1)

    def text() -> Any:
        return logsql.Dataquery(f"{chosen}{logsql.report_format(HEADER, TEXTS, LISTS)}", lines=1)

    counted = f"{stream}{logsql.CHOSEN} | stats by (falco.verdict) count() alerts"
    return _board(
        Backend(
            uid=REPORTS_VICTORIALOGS,
            variable="victorialogs",
            plugin=logsql.PLUGIN,
            label="VictoriaLogs",
            source=DataSourceRef(type_val=logsql.PLUGIN, uid="${victorialogs}"),
            name=lambda attribute: attribute,
            over_time=lambda: logsql.Dataquery(counted, "statsRange", legend="{{falco.verdict}}"),
            alerts=alerts,
            report=report,
            text=text,
            hosts=None,
            related=related,
        )
    )


def _board(backend: Backend) -> Board:
    board = Board(backend.uid, "Single alerts, and the whole report of the one that you choose.", time_from="now-3h")
    board.variables(
        variables.data_source(backend.variable, backend.plugin, backend.label),
        variables.verdict(),
        variables.priority(),
        variables.open_choice("source", "Source", "Falco's event source", variables.SOURCES),
        variables.open_choice("host", "Host", "Type a host's name, or come by a link"),
        variables.open_choice("namespace", "Namespace", "Type a Kubernetes namespace, or come by a link"),
        variables.text("rule", "Rule", "Part of a rule's name; empty: all"),
        variables.text("search", "Text", "Part of Falco's output; empty: all"),
        variables.text("alert", "Alert", "The chosen alert's uid; empty: the latest one"),
        variables.hidden_text("service", "The service.name of the exporter's records", "falco"),
        variables.hidden_text("same_host", "Host of the chosen alert"),
        variables.hidden_text("same_container", "Container of the chosen alert"),
        variables.hidden_text("same_user", "User of the chosen alert"),
    )
    if backend.hosts is None:
        board.line(6, (_over_time(backend), 24))
    else:
        board.line(7, (_over_time(backend), 17), (_hosts(backend, backend.hosts), 7))
    board.line(11, (_alerts(backend), 24))
    board.columns(
        (15, [(_report(backend), 33)]),
        (
            9,
            [
                (_related(backend, "host", "host.name", "same_host"), 11),
                (_related(backend, "container", "container.id", "same_container"), 11),
                (_related(backend, "user", "user.name", "same_user"), 11),
            ],
        ),
    )
    board.folded("The report as text, for Grafana older than 12.2", (30, [(_text(backend), 24)]))
    return board


def _over_time(backend: Backend) -> Any:
    panel = stacked_bars(
        "Alerts by verdict",
        "Log records per bar. Drag over a part of it to see only that time. An alert that was joined to a group "
        "(grouping.window_seconds) has no record of its own.",
        empty="No alert of this choice in this time range",
        source=backend.source,
    ).with_target(backend.over_time())
    for name, properties in verdict_colors():
        panel.override_by_name(name, properties)
    return by_word(panel, [name for name, _ in VERDICTS])


def _hosts(backend: Backend, query: Callable[[], Any]) -> Any:
    only = link(
        "Show only this one",
        f"/d/{backend.uid}?var-host=${{__value.raw:percentencode}}&${{verdict:queryparam}}&${{priority:queryparam}}"
        f"&${{source:queryparam}}&${{namespace:queryparam}}&${{{backend.variable}:queryparam}}&${{__url_time_range}}",
    )
    panel = rows(
        "Hosts by likely attacks",
        "Hosts by alerts whose signs say attack, in the time range. Click one to see only its alerts.",
        empty="No likely attack of this choice in this time range",
        source=backend.source,
    ).with_target(query())
    return columns(
        panel,
        {
            backend.name("host.name"): ("Host", [*column(wrap=True), links(only)]),
            "Value #A": ("Likely attacks", bar_column(BAD, width=130)),
        },
        sort=("Likely attacks", True),
    )


def _choose(backend: Backend, headings: dict[str, str], *, times: str = "${__url_time_range}") -> str:
    """Return the address that chooses a row's alert; headings are what the row's fields are called there."""

    def value(attribute: str) -> str:
        return f'${{__data.fields["{headings[attribute]}"]:percentencode}}'

    kept = (
        "${verdict:queryparam}&${priority:queryparam}&${source:queryparam}&${host:queryparam}&${namespace:queryparam}"
    )
    kept += f"&${{rule:queryparam}}&${{search:queryparam}}&${{{backend.variable}:queryparam}}"
    return (
        f"/d/{backend.uid}?var-alert={value('log.record.uid')}&var-same_host={value('host.name')}"
        f"&var-same_container={value('container.id')}&var-same_user={value('user.name')}&{kept}&{times}"
    )


def _table(backend: Backend, panel: Any, shown: dict[str, tuple[str, Any]]) -> Any:
    """Make a table of log lines: their attributes become columns, the line itself and its labels go."""
    panel.with_transformation(
        DataTransformerConfig(id_val="extractFields", options={"source": "labels", "format": "json"})
    )
    return columns(panel, {backend.name(name) if "." in name else name: how for name, how in shown.items()})


def _alerts(backend: Backend) -> Any:
    headings = {
        "log.record.uid": "Id",
        "host.name": "Host",
        "container.id": "Container id",
        "user.name": "User",
    }
    here = link("Show its report below", _choose(backend, headings))
    zoom = 'from=${__data.fields["from_ms"]}&to=${__data.fields["to_ms"]}'
    near = link("Show its report, and half an hour around it", _choose(backend, headings, times=zoom))
    rule = link(
        "What this rule means", f'/d/{RULE}?var-rule=${{__data.fields["Rule"]:percentencode}}&${{__url_time_range}}'
    )
    panel = rows(
        "Alerts",
        f"The latest {ALERT_LIMIT} alerts of this choice. Click a rule to read its report below, or to see half an hour "
        "around it as well.",
        empty="No alert of this choice in this time range",
        source=backend.source,
    ).with_target(backend.alerts(TABLE))
    chooser = [near] if backend.variable == "loki" else []
    shown: dict[str, tuple[str, Any]] = {
        "Time": ("Time", [*column(width=160), prop("unit", "dateTimeAsIso")]),
        "falco.verdict": ("Verdict", verdict_column()),
        "falco.priority": ("Priority", priority_column()),
        "security_rule.name": ("Rule", [*column(width=190, wrap=True), links(here, *chooser, rule)]),
        "falco.report.summary": ("What happened", column(wrap=True)),
        "k8s.namespace.name": ("Namespace", column(width=100, wrap=True)),
        "host.name": ("Host", column(width=110, wrap=True)),
        "user.name": ("User", hidden()),
        "log.record.uid": ("Id", hidden()),
        "container.id": ("Container id", hidden()),
    }
    if backend.variable == "loki":
        shown |= {"from_ms": ("from_ms", hidden()), "to_ms": ("to_ms", hidden())}
    return _table(backend, panel, shown)


def _report(backend: Backend) -> Any:
    panel = rows(
        "Report",
        "The chosen alert's brief report; the latest alert's where none is chosen: verdict, signs, steps, impact. Values "
        "in commands are quoted. The report page has everything, and buttons that copy. Needs Grafana 12.2; older ones "
        "find the text below.",
        empty="No alert of this choice in this time range, or the chosen one is not in it",
        source=backend.source,
    ).with_target(backend.report())
    panel.with_transformation(
        DataTransformerConfig(id_val="extractFields", options={"source": "labels", "format": "json"})
    )
    return document(panel, backend.name(MARKDOWN))


def _text(backend: Backend) -> Any:
    return log_lines(
        "Report as text",
        "The chosen alert's report as one log line; the latest alert's where none is chosen. To copy it: open the line "
        "and copy it, or open the report page.",
        empty="No alert of this choice in this time range, or the chosen one is not in it",
        source=backend.source,
    ).with_target(backend.text())


def _related(backend: Backend, what: str, attribute: str, variable: str) -> Any:
    panel = rows(
        f"Same {what} ${variable}",
        f"The latest {RELATED_LIMIT} alerts with the chosen alert's {what}, of every rule and priority, in the time range. "
        "Choose “half an hour around it” above to have that as the time range.",
        empty=f"Choose an alert in the table above; alerts without a {what} have none here",
        source=backend.source,
    ).with_target(backend.related(attribute, variable, RELATED))
    here = link(
        "Show its report",
        f'/d/{backend.uid}?var-alert=${{__data.fields["Id"]:percentencode}}&{_EVERYTHING}'
        f"&${{{backend.variable}:queryparam}}&${{__url_time_range}}",
    )
    return _table(
        backend,
        panel,
        {
            "Time": ("Time", [*column(width=95), prop("unit", "time:HH:mm:ss")]),
            "falco.verdict": ("Verdict", verdict_column()),
            "security_rule.name": ("Rule", [*column(wrap=True), links(here)]),
            "log.record.uid": ("Id", hidden()),
        },
    )
