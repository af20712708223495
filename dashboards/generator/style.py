"""What is the same in every dashboard: priorities, their order and colours, thresholds, cells.

Owns looks; refuses queries (see ``promql.py``, ``logql.py``, ``logsql.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Threshold, ThresholdsMode

PRIORITIES: tuple[tuple[str, str], ...] = (
    ("Emergency", "#B545C8"),
    ("Alert", "#E0347F"),
    ("Critical", "#E02F44"),
    ("Error", "#F2762E"),
    ("Warning", "#E5B10E"),
    ("Notice", "#3F8AE0"),
    ("Informational", "#46ABB8"),
    ("Debug", "#8C8F99"),
)
"""Falco's priorities, gravest first, each with its colour; chosen to be told apart on dark and on light."""
SEVERE = "Emergency|Alert|Critical"
GOOD, DOUBTFUL, BAD, PLAIN = "#56A64B", "#E5B10E", "#E02F44", "#3F8AE0"

Properties = list[DynamicConfigValue]


def prop(name: str, value: object) -> DynamicConfigValue:
    """One property of an override, by Grafana's name for it."""
    return DynamicConfigValue(id_val=name, value=value)


def fixed(color: str) -> DynamicConfigValue:
    """The property that gives a field one colour."""
    return prop("color", {"mode": "fixed", "fixedColor": color})


def priority_colors() -> Iterable[tuple[str, Properties]]:
    """Overrides for series that are named by priority."""
    for name, color in PRIORITIES:
        yield name, [fixed(color)]


def priority_mappings() -> list[dict[str, object]]:
    """Value mappings that colour a priority's word."""
    options = {name: {"color": color, "index": index} for index, (name, color) in enumerate(PRIORITIES)}
    return [{"type": "value", "options": options}]


def priority_column() -> Properties:
    """A table's column of priorities."""
    return [
        prop("mappings", priority_mappings()),
        prop("custom.cellOptions", {"type": "color-text"}),
        prop("custom.width", 110),
    ]


def column(*, width: int | None = None, unit: str = "", wrap: bool = False, align: str = "") -> Properties:
    """A table's column. ``wrap`` is written twice: Grafana from 12 on reads it beside the cell's type, 11 within."""
    found: Properties = []
    if width:
        found.append(prop("custom.width", width))
    if unit:
        found.append(prop("unit", unit))
    if align:
        found.append(prop("custom.align", align))
    if wrap:
        found.append(prop("custom.cellOptions", {"type": "auto", "wrapText": True}))
        found.append(prop("custom.wrapText", True))
    return found


def hidden() -> Properties:
    """A column that only links use; written twice, for Grafana to 11 and from 12 on."""
    return [prop("custom.hidden", True), prop("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False})]


def bar_column(color: str = PLAIN, *, width: int | None = None) -> Properties:
    """A table's column of numbers drawn as bars from 0."""
    found: Properties = [
        prop("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}),
        prop("min", 0),
        fixed(color),
    ]
    return [*found, prop("custom.width", width)] if width else found


def link(title: str, url: str) -> dict[str, object]:
    """A data link."""
    return {"title": title, "url": url}


def links(*found: dict[str, object]) -> DynamicConfigValue:
    """The property that gives a field its links."""
    return prop("links", list(found))


def thresholds(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    """Thresholds, lowest first; the first has no value."""
    found: Sequence[Threshold] = [Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(found))
