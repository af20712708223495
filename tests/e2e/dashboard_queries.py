"""The dashboards' JSON as tests see it: panels, queries with values in place of variables, names in queries."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
VICTORIALOGS = "victoriametrics-logs-datasource"
EXPORTERS = {
    "counted": "falco_",
    "events": "falco_events_total",
    "host_events": "falco_events_total",
    "namespace_events": "falco_events_total",
}
"""Which metrics the panels ask where no recording rules are."""
RECORDED = {
    "counted": "falco:",
    "events": "falco:rule_events_total",
    "host_events": "falco:host_events_total",
    "namespace_events": "falco:namespace_events_total",
}
"""Which ones where they are, with all hosts and namespaces."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::([\w:]+))?\}|\$(\w+)")
_REGEX = re.compile(r"[\\^$*+?.()|\[\]{}/]")
"""What Grafana escapes in the format ``regex``."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`', re.DOTALL)


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    dashboard: str
    panel: str
    ref: str
    language: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel} {self.ref}"


def documents() -> dict[str, dict[str, Any]]:
    """Return every dashboard by file name."""
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels, those within rows too, rows and texts aside."""
    found = document["panels"] + [inner for panel in document["panels"] for inner in panel.get("panels", ())]
    return [panel for panel in found if panel["type"] not in {"row", "text"}]


def queries(language: str | None = None) -> list[Query]:
    """Return every query of every dashboard and of its marks, or those of one language: promql, logql, logsql."""
    languages = {"prometheus": "promql", "loki": "logql", VICTORIALOGS: "logsql"}
    found = [
        Query(
            name,
            panel["title"],
            target["refId"],
            languages[panel["datasource"]["type"]],
            target["expr"],
            bool(target.get("instant")) or target.get("queryType") == "instant",
        )
        for name, document in documents().items()
        for panel in panels(document)
        for target in panel["targets"]
    ]
    found += [
        Query(name, mark["name"], "mark", "promql", mark["expr"], instant=False)
        for name, document in documents().items()
        for mark in document["annotations"]["list"]
    ]
    return [query for query in found if language in {None, query.language}]


def filled(expr: str, **values: str) -> str:
    """Return the query with values for its variables: those of Grafana, then what is given, then All.

    Each value is written as Grafana writes it in the format that the query names. A value of All is never escaped.
    """
    began = time.time() - 600
    built_in = {
        "__range": "10m",
        "__interval": "15s",
        "__rate_interval": "20s",
        "__from": str(int(began * 1000)),
        "search": "",
        "service": "falco",
        "alert": "",
        **EXPORTERS,
    }
    known = built_in | values

    def write(found: re.Match[str]) -> str:
        name, shape = found[1] or found[3], found[2] or ""
        if name not in known:
            return ".*"
        if shape == "date:seconds":
            return str(int(known[name]) // 1000)
        return _REGEX.sub(r"\\\g<0>", known[name]) if shape == "regex" else known[name]

    return _VARIABLE.sub(write, expr)


def without_strings(expr: str) -> str:
    """Return a query without what is quoted, so that only names and words are left."""
    return _STRING.sub('""', expr)


def selectors(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric of a PromQL expression with the labels that its matchers name."""
    bare = without_strings(filled(expr))
    for name, matchers in re.findall(r"\b((?:falco|process)_\w+)\b(?:\{([^}]*)\})?", bare):
        yield name, set(re.findall(r"(\w+)\s*[=!]", matchers))


def grouped_labels(expr: str) -> set[str]:
    """Return the labels that a PromQL expression groups or joins by."""
    lists = re.findall(r"\b(?:by|on|group_left|ignoring|without)\s*\(([^)]*)\)", without_strings(filled(expr)))
    return {label.strip() for names in lists for label in names.split(",") if label.strip()}
