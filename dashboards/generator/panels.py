"""Panels as every dashboard has them: title, description, what is said when there is no data.

Owns the defaults of each panel type. Panels are placed by ``board.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common, logs, stat, table, text, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig, FieldColorModeId
from grafana_foundation_sdk.models.logs import Options as _LogsOptions  # noqa: F401 - registers the panel's options
from grafana_foundation_sdk.models.text import TextMode

from dashboards.generator.style import BAD, NO_GROUND, Properties, prop, thresholds

Panel = TypeVar("Panel", bound=Any)
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
LOKI = DataSourceRef(type_val="loki", uid="${loki}")


def _common(panel: Panel, title: str, description: str, source: DataSourceRef, empty: str) -> Panel:
    panel.title(title).description(description).datasource(source).no_value(empty)
    return panel


def time_series(
    title: str,
    description: str,
    *,
    unit: str = "short",
    empty: str = "No data in this time range",
    source: DataSourceRef = PROMETHEUS,
) -> timeseries.Panel:
    """Lines over time, legend below; 240 points, since each costs Prometheus a look at every series."""
    panel = (
        timeseries.Panel()
        .max_data_points(240)
        .unit(unit)
        .min(0)
        .line_width(2)
        .fill_opacity(8)
        .show_points(kinds.VisibilityMode.NEVER)
    )
    panel.legend(
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    return _common(panel, title, description, source, empty)


def with_limit(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw the series called limit as a line in red."""
    limit = [prop("color", {"mode": "fixed", "fixedColor": BAD}), prop("custom.fillOpacity", 0)]
    return panel.override_by_name("limit", limit)


def stacked_bars(
    title: str, description: str, *, empty: str = "No data in this time range", source: DataSourceRef = PROMETHEUS
) -> timeseries.Panel:
    """Counts over time as stacked bars; at most 120 bars, so that they can be seen on any screen."""
    panel = time_series(title, description, empty=empty, source=source).decimals(0).max_data_points(120)
    panel.draw_style(kinds.GraphDrawStyle.BARS).fill_opacity(85).line_width(0).bar_width_factor(0.8)
    panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    return panel


def number(
    title: str,
    description: str,
    *,
    unit: str = "short",
    empty: str = "0",
    source: DataSourceRef = PROMETHEUS,
) -> stat.Panel:
    """One number, without a graph behind it; thresholds colour its ground, so that it can be read on any page."""
    panel = stat.Panel().unit(unit).graph_mode(kinds.BigValueGraphMode.NONE)
    panel.color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel.justify_mode(kinds.BigValueJustifyMode.AUTO).thresholds(thresholds((None, NO_GROUND)))
    panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    return _common(panel, title, description, source, empty)


def tiles(title: str, description: str, *, empty: str = "0", source: DataSourceRef = PROMETHEUS) -> stat.Panel:
    """Several numbers side by side, each with its name and on a ground of its colour."""
    panel = number(title, description, empty=empty, source=source)
    panel.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME).orientation(kinds.VizOrientation.AUTO)
    return panel.text(common.VizTextDisplayOptions().title_size(12).value_size(22))


def rows(
    title: str, description: str, *, empty: str = "No data in this time range", source: DataSourceRef = PROMETHEUS
) -> table.Panel:
    """A table."""
    panel = table.Panel().show_header(True).cell_height(kinds.TableCellHeight.SM).align(kinds.FieldTextAlignment.LEFT)
    panel.color_scheme(FieldColor().mode(FieldColorModeId.FIXED).fixed_color("text"))
    panel.footer(common.TableFooterOptions().show(False).reducer([]))
    return _common(panel, title, description, source, empty)


def columns(
    panel: table.Panel, shown: dict[str, tuple[str, Properties]], *, sort: tuple[str, bool] | None = None
) -> table.Panel:
    """Show these fields of the data, in this order, each with its heading and its looks; hide every other.

    Args:
        panel: the table, with its queries.
        shown: heading and properties by the field's name.
        sort: a heading, and whether its largest value comes first.
    """
    panel.with_transformation(
        DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(shown)}})
    )
    panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "indexByName": {name: index for index, name in enumerate(shown)},
                "renameByName": {name: heading for name, (heading, _) in shown.items()},
                "excludeByName": {},
                "includeByName": {},
            },
        )
    )
    for heading, properties in shown.values():
        panel.override_by_name(heading, [*properties, prop("noValue", "–")])
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    return panel


def document(panel: table.Panel, field: str) -> table.Panel:
    """Make a table of one cell that shows a field as Markdown, as high as it is (Grafana 12.2 and newer).

    Older ones show the text as it is.
    """
    columns(panel, {field: ("Report", [prop("custom.cellOptions", {"type": "markdown", "dynamicHeight": True})])})
    return panel.show_header(False)


def by_word(panel: timeseries.Panel, words: Sequence[str]) -> timeseries.Panel:
    """Order the series of one query by their names, as the log stores do not: one table, its columns put in order."""
    order = ["Time", *words]
    panel.with_transformation(DataTransformerConfig(id_val="joinByField", options={"byField": "Time", "mode": "outer"}))
    return panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "indexByName": {name: index for index, name in enumerate(order)},
                "renameByName": {},
                "excludeByName": {},
                "includeByName": {},
            },
        )
    )


def merged(panel: table.Panel) -> table.Panel:
    """Join the tables of several queries by the labels they have in common."""
    return panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))


def log_lines(title: str, description: str, *, empty: str, source: DataSourceRef) -> logs.Panel:
    """Log lines, wrapped, newest first."""
    panel = logs.Panel().show_time(False).show_labels(False).show_common_labels(False).wrap_log_message(True)
    panel.prettify_log_message(False).enable_log_details(True).dedup_strategy(kinds.LogsDedupStrategy.NONE)
    panel.sort_order(kinds.LogsSortOrder.DESCENDING)
    return _common(panel, title, description, source, empty)


def markdown(content: str) -> text.Panel:
    """Text without a frame."""
    return text.Panel().title("").transparent(True).mode(TextMode.MARKDOWN).content(content)
