"""Falco exporter health: is everything watched, delivered and cheap? Each panel says what to do when it is red."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.generator import promql, variables
from dashboards.generator.board import HEALTH, Board
from dashboards.generator.health_cost import MEMORY, PROCESSOR, REFUSED, SCRAPE, series
from dashboards.generator.health_delivery import DELIVERED, LOST, oldest, waiting
from dashboards.generator.health_history import HISTORY_NUMBERS, INCIDENTS, history_size
from dashboards.generator.health_numbers import NUMBERS
from dashboards.generator.health_sources import DELAY, RECEIVED, connected, sources
from dashboards.generator.readings import Number
from dashboards.generator.style import PLAIN


def health() -> Board:
    """Return the dashboard."""
    board = Board(HEALTH, "Is everything watched, counted and delivered, and what does it cost?", time_from="now-3h")
    board.variables(
        variables.prometheus(),
        variables.label_values("job", "Job", "label_values(falco_exporter_build_info, job)"),
        variables.label_values(
            "instance", "Exporter", 'label_values(falco_exporter_build_info{job=~"$job"}, instance)'
        ),
    )
    board.mark("Exporter started", promql.starts(promql.OWN), "Exporter started", "{{instance}}", color=PLAIN)
    _numbers(board, NUMBERS)
    board.heading("Sources")
    board.line(8, (sources(), 16), (connected(), 8))
    board.line(8, (RECEIVED.panel(), 12), (DELAY.panel(), 12))
    board.heading("Delivery of log records")
    board.line(8, (DELIVERED.panel(), 12), (waiting(), 12))
    board.line(8, (LOST.panel(), 12), (oldest(), 12))
    board.heading("History and incidents")
    _numbers(board, HISTORY_NUMBERS)
    board.line(8, (history_size(), 12), (INCIDENTS.panel(), 12))
    board.heading("Cost and limits")
    board.line(8, (PROCESSOR.panel(), 8), (MEMORY.panel(), 8), (SCRAPE.panel(), 8))
    board.line(8, (series(), 12), (REFUSED.panel(), 12))
    return board


def _numbers(board: Board, numbers: Iterable[Number]) -> None:
    board.line(4, *[(number.panel(), 4) for number in numbers])
