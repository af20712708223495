"""What is the same in every dashboard: priorities, their order and colours, thresholds, cells.

Owns looks; refuses queries (see ``promql.py``, ``logql.py``, ``logsql.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Threshold, ThresholdsMode

from exporter.render import palette

PRIORITIES: tuple[tuple[str, str], ...] = tuple((name, tone.mark) for name, tone in palette.PRIORITIES.items())
"""Falco's priorities, most severe first, each with its colour; chosen to be told apart on dark and on light."""
VERDICTS: tuple[tuple[str, str], ...] = tuple((name, tone.mark) for name, tone in palette.VERDICTS.items())
"""The verdicts, most severe first, each with its colour."""
VERDICT_WORDS = {"attack": "Likely attack", "undecided": "Undecided", "benign": "Likely benign", "test": "Test"}
"""What a reader sees of each."""
SEVERE = "Emergency|Alert|Critical"
BAD, PLAIN = "#E02F44", "#3F8AE0"
"""For lines and bars."""
NO_GROUND = "transparent"
GOOD_GROUND, DOUBTFUL_GROUND, BAD_GROUND = (palette.VERDICTS[name].light for name in ("benign", "undecided", "attack"))
"""For numbers and words on a ground of their colour: dark enough for Grafana's white on it, on light pages too."""

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


def verdict_colors() -> Iterable[tuple[str, Properties]]:
    """Overrides for series that are named by verdict."""
    for name, color in VERDICTS:
        yield name, [fixed(color), prop("displayName", VERDICT_WORDS[name])]


def filled(words: Mapping[str, str], tones: Mapping[str, palette.Tone], width: int) -> Properties:
    """A table's column of words, each on a ground of its colour, dark enough for Grafana's white on it."""
    options = {
        name: {"text": words.get(name, name), "color": tone.light, "index": index}
        for index, (name, tone) in enumerate(tones.items())
    }
    return [
        prop("mappings", [{"type": "value", "options": options}]),
        prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        prop("custom.width", width),
    ]


def priority_column() -> Properties:
    """A table's column of priorities."""
    return filled({}, palette.PRIORITIES, 110)


def verdict_column() -> Properties:
    """A table's column of verdicts."""
    return filled(VERDICT_WORDS, palette.VERDICTS, 115)


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


def count_column(verdict: str, *, width: int) -> Properties:
    """A table's column of events of one verdict, on its colour's ground where there are any."""
    steps = [{"color": NO_GROUND, "value": None}, {"color": palette.VERDICTS[verdict].light, "value": 1}]
    return [
        *column(width=width, align="right"),
        prop("color", {"mode": "thresholds"}),
        prop("thresholds", {"mode": "absolute", "steps": steps}),
        prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    ]


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
