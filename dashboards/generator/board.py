"""A dashboard: its head, its variables, and panels placed line by line.

Owns uids, links between the dashboards and the grid. Refuses gaps: the panels
of a line fill Grafana's 24 columns.
"""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, GridPos

COLUMNS = 24
TAG = "falco"
SCHEMA_VERSION = 39
"""Grafana 10.4's: the oldest that the dashboards are for. Newer ones migrate it when it is loaded."""
OVERVIEW = "falco-overview"
REPORTS = "falco-alert-reports"
REPORTS_VICTORIALOGS = "falco-alert-reports-vlogs"
RULE = "falco-rule-detail"
HEALTH = "falco-exporter-health"
TITLES = {
    OVERVIEW: "Falco overview",
    REPORTS: "Falco alert reports",
    REPORTS_VICTORIALOGS: "Falco alert reports (VictoriaLogs)",
    RULE: "Falco rule detail",
    HEALTH: "Falco exporter health",
}
_LINKED = {
    OVERVIEW: ("Overview", "What is happening: events, rules, hosts, techniques"),
    REPORTS: ("Alert reports", "Single alerts with the whole report (needs Loki)"),
    RULE: ("Rule detail", "One rule: meaning, rate, where it fires, tuning"),
    HEALTH: ("Exporter health", "Sources, delivery, drops, cost"),
}


COMPUTED = frozenset({"counted", "events", "host_events", "namespace_events"})
"""Hidden variables that say which metrics the panels ask."""
_MANY_CHOICES = frozenset({REPORTS, REPORTS_VICTORIALOGS, RULE})
"""Dashboards whose choices leave no room for a button for each other one on a screen of 1,280 pixels."""


class Board:
    """A dashboard under construction."""

    def __init__(self, uid: str, purpose: str, *, time_from: str = "now-6h") -> None:
        self._uid = uid
        self._y = 0
        self._id = 0
        self._marks: list[dict[str, object]] = []
        self._builder = (
            Dashboard(TITLES[uid])
            .uid(uid)
            .description(purpose)
            .tags([TAG])
            .timezone("browser")
            .time(time_from, "now")
            .refresh("1m")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .editable()
        )
        if uid in _MANY_CHOICES:
            self._builder.link(_all_dashboards())
            return
        for other, (title, tooltip) in _LINKED.items():
            if other != uid:
                self._builder.link(_dashboard_link(other, title, tooltip))

    def mark(self, name: str, query: str, title: str, text: str, *, color: str) -> Board:
        """Mark moments in every graph: the values of a Prometheus query, milliseconds since 1970."""
        self._marks.append(  # As Grafana saves it: the SDK's builder does not know all of it.
            {
                "name": name,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "enable": True,
                "iconColor": color,
                "expr": query,
                "step": "60s",
                "titleFormat": title,
                "textFormat": text,
                "useValueForTime": True,
            }
        )
        return self

    def variables(self, *variables: Any) -> Board:
        """Add variables, in the order in which they are shown."""
        for variable in variables:
            self._builder.with_variable(variable)
        return self

    def line(self, height: int, *panels: tuple[Any, int]) -> Board:
        """Add panels side by side, each with its width; the widths make 24.

        Raises:
            ValueError: the widths do not make 24.
        """
        if sum(width for _, width in panels) != COLUMNS:
            raise ValueError(f"{self._uid}, y {self._y}: widths make {sum(w for _, w in panels)}, expected {COLUMNS}")
        x = 0
        for panel, width in panels:
            self._place(panel, GridPos(h=height, w=width, x=x, y=self._y))
            x += width
        self._y += height
        return self

    def columns(self, *stacks: tuple[int, list[tuple[Any, int]]]) -> Board:
        """Add stacks of panels side by side: a stack has a width and panels with heights; all are equally high.

        Raises:
            ValueError: widths do not make 24, or heights differ.
        """
        heights = {sum(height for _, height in panels) for _, panels in stacks}
        if len(heights) != 1 or sum(width for width, _ in stacks) != COLUMNS:
            raise ValueError(f"{self._uid}, y {self._y}: heights {heights} differ or widths do not make {COLUMNS}")
        x = 0
        for width, panels in stacks:
            y = self._y
            for panel, height in panels:
                self._place(panel, GridPos(h=height, w=width, x=x, y=y))
                y += height
            x += width
        self._y += heights.pop()
        return self

    def heading(self, title: str) -> Board:
        """Add a row's heading; what follows belongs to it."""
        self._id += 1
        self._builder.with_row(Row(title).id(self._id).grid_pos(GridPos(h=1, w=COLUMNS, x=0, y=self._y)))
        self._y += 1
        return self

    def folded(self, title: str, *lines: tuple[int, list[tuple[Any, int]]]) -> Board:
        """Add a row that is closed until a reader opens it: lines, each with its height and its panels with widths."""
        self._id += 1
        row = Row(title).id(self._id).collapsed(True).grid_pos(GridPos(h=1, w=COLUMNS, x=0, y=self._y))
        self._y += 1
        y = self._y
        for height, panels in lines:
            x = 0
            for panel, width in panels:
                self._id += 1
                row.with_panel(panel.id(self._id).grid_pos(GridPos(h=height, w=width, x=x, y=y)))
                x += width
            y += height
        self._builder.with_row(row)
        return self

    def _place(self, panel: Any, position: GridPos) -> None:
        self._id += 1
        self._builder.with_panel(panel.id(self._id).grid_pos(position))

    def to_json(self) -> str:
        """Return the dashboard as Grafana imports it."""
        document: dict[str, Any] = json.loads(json.dumps(self._builder.build(), cls=JSONEncoder))
        document["annotations"] = {"list": self._marks}
        for variable in document["templating"]["list"]:
            if variable["name"] in COMPUTED:  # Worked out anew on each dashboard, not taken along by a link.
                variable["skipUrlSync"] = True
        document["schemaVersion"] = SCHEMA_VERSION
        document["version"] = 1
        document.pop("id", None)
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _all_dashboards() -> DashboardLink:
    """One button that opens the list of the others, known by their tag."""
    link = DashboardLink("Falco dashboards").type(DashboardLinkType.DASHBOARDS).icon("dashboard").tags([TAG])
    link.tooltip("Overview, rule detail, exporter health").as_dropdown(True).url("")
    return link.include_vars(True).keep_time(True).target_blank(False)


def _dashboard_link(uid: str, title: str, tooltip: str) -> DashboardLink:
    return (
        DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .icon("dashboard")
        .tooltip(tooltip)
        .url(f"/d/{uid}")
        .include_vars(True)
        .keep_time(True)
        .target_blank(False)
        .as_dropdown(False)
        .tags([])
    )
