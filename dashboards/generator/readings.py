"""Panels that differ in their words and queries only: one number, and lines over time.

Owns these two forms. A panel with more to it (columns, a colour of its own) is
built from ``panels.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from dashboards.generator import promql
from dashboards.generator.panels import number, time_series
from dashboards.generator.style import NO_GROUND, thresholds

Grounds = tuple[tuple[float | None, str], ...]
"""From which value on a number has which ground; None: from the start."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number at the end of the time range."""

    title: str
    says: str
    """What it counts, and what to do when it is red."""
    query: str
    grounds: Grounds = ((None, NO_GROUND),)
    unit: str = "short"
    empty: str = "0"
    """What is shown where there is no data."""
    is_count: bool = False
    """Whether it is shown without decimals, which `increase` would give it."""
    words: tuple[str, ...] = ()
    """What is shown instead of 0, 1, …"""

    def panel(self) -> stat.Panel:
        """Return the panel."""
        panel = number(self.title, self.says, unit=self.unit, empty=self.empty)
        panel.thresholds(thresholds(*self.grounds))
        if self.is_count:
            panel.decimals(0)
        if self.words:
            words = {str(index): ValueMappingResult(text=text, index=index) for index, text in enumerate(self.words)}
            panel.mappings([ValueMap(options=words)])
        return panel.with_target(promql.at_end(self.query))


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines over time."""

    title: str
    says: str
    queries: tuple[tuple[str, str], ...]
    """Legend and query of each."""
    unit: str = "short"
    empty: str

    def panel(self) -> timeseries.Panel:
        """Return the panel."""
        panel = time_series(self.title, self.says, unit=self.unit, empty=self.empty)
        for index, (legend, query) in enumerate(self.queries):
            panel.with_target(promql.over_time(query, legend, chr(ord("A") + index)))
        return panel
