"""Variables of the dashboards. The same thing has the same name everywhere, so that links carry it along."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.models.dashboard import (
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.generator.panels import PROMETHEUS
from dashboards.generator.promql import PLACE
from dashboards.generator.style import PRIORITIES, VERDICT_WORDS, VERDICTS
from exporter.event_sources import EVENT_SOURCES

ALL_OPTION = VariableOption(text="All", value="$__all", selected=True)
ALL = VariableOption(text=["All"], value=["$__all"], selected=True)
SOURCES = tuple(EVENT_SOURCES)


def data_source(name: str, plugin: str, label: str) -> DatasourceVariable:
    """A choice of data sources of one kind."""
    return DatasourceVariable(name).label(label).type(plugin).multi(False).include_all(False)


def priority() -> CustomVariable:
    """Priorities by name, most severe first."""
    names = [name for name, _ in PRIORITIES]
    options = [ALL_OPTION, *[VariableOption(text=name, value=name, selected=False) for name in names]]
    return (
        CustomVariable("priority")
        .label("Priority")
        .values(", ".join(names))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
        .options(options)
    )


def verdict() -> CustomVariable:
    """Verdicts, most severe first."""
    options = [
        ALL_OPTION,
        *[VariableOption(text=VERDICT_WORDS[name], value=name, selected=False) for name, _ in VERDICTS],
    ]
    return (
        CustomVariable("verdict")
        .label("Verdict")
        .values(", ".join([f"{VERDICT_WORDS[name]} : {name}" for name, _ in VERDICTS]))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
        .options(options)
    )


def open_choice(name: str, label: str, description: str, values: tuple[str, ...] = ()) -> CustomVariable:
    """A choice whose values the data source cannot list: All, what is known, what a link brings or somebody types."""
    options = [ALL_OPTION, *[VariableOption(text=value, value=value, selected=False) for value in values]]
    return (
        CustomVariable(name)
        .label(label)
        .description(description)
        .values(", ".join(values))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
        .options(options)
    )


def label_values(name: str, label: str, query: str, *, many: bool = True, hide: bool = False) -> QueryVariable:
    """Values of a label in Prometheus, those of the time range."""
    variable = (
        QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(many)
        .include_all(many)
    )
    if many:
        variable.all_value(".*").current(ALL)
    return variable.hide(VariableHide.HIDE_VARIABLE) if hide else variable


def text(name: str, label: str, description: str, default: str = "") -> TextBoxVariable:
    """Free text."""
    return TextBoxVariable(name).label(label).description(description).default_value(default)


def hidden_text(name: str, description: str, default: str = "") -> TextBoxVariable:
    """Text that only links set."""
    return text(name, name, description, default).hide(VariableHide.HIDE_VARIABLE)


def prometheus() -> DatasourceVariable:
    """Where the exporter's metrics are."""
    return data_source("datasource", "prometheus", "Prometheus")


def source() -> QueryVariable:
    """Event sources that had events."""
    return label_values("source", "Source", "label_values(falco_events_total, source)")


def host() -> QueryVariable:
    """Hosts that had events."""
    return label_values("host", "Host", "label_values(falco_events_total, hostname)")


def namespace() -> QueryVariable:
    """Kubernetes namespaces that had events; All has events without one too."""
    return label_values("namespace", "Namespace", 'label_values(falco_events_total{k8s_ns_name!=""}, k8s_ns_name)')


def reports_url() -> QueryVariable:
    """The address of the report pages, as the exporter knows it (web.external_url)."""
    query = 'label_values(falco_exporter_addresses_info{external_url!=""}, external_url)'
    return label_values("reports_url", "Report pages", query, many=False, hide=True)


_RECORDED = {
    "events": ("falco:rule_events_total", PLACE, "falco_events_total"),
    "host_events": ("falco:host_events_total", "k8s_ns_name=~`${namespace:regex}`", "falco_events_total"),
    "namespace_events": ("falco:namespace_events_total", "hostname=~`${host:regex}`", "falco_events_total"),
}
"""Recorded sums, what they must have every value of, and what is counted where they have not."""


def recorded(*names: str) -> list[QueryVariable]:
    """Which metrics the panels ask: recorded sums where they cover the time range and every choice, else the exporters'.

    A sum has no label for a host that is chosen, so it is not found then; with All, it is.
    """
    found = [_first_of("counted", "falco:rule_events_total", "falco_")]
    return found + [
        _first_of(name, f"{metric}{{{chosen}}}", other)
        for name, (metric, chosen, other) in _RECORDED.items()
        if name in names
    ]


def _first_of(name: str, sums: str, other: str) -> QueryVariable:
    """Return a hidden variable: the metric of the sums, or another; ``counted`` is how both begin."""
    there = f"topk(1, {sums} offset $__range and {sums})"
    query = f'query_result({there} or on () label_replace(vector(0), "__name__", "{other}", "", ""))'
    taken = r"/^(falco[:_])/" if name == "counted" else r"/^([\w:]+)/"
    variable = (
        QueryVariable(name)
        .datasource(PROMETHEUS)
        .query(query)
        .regex(taken)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(False)
        .include_all(False)
    )
    return variable.hide(VariableHide.HIDE_VARIABLE)
