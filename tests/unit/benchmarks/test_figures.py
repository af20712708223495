"""The figures of docs/performance.md: drawn from the stored results, none growing faster than in proportion."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from benchmarks.figures import FIGURES, PICTURES, Figure, Panel, draw, load, points, steepest

TOLERATED = 1.25
"""A power: measurements on a machine that others use differ by more than a tenth."""


@pytest.mark.parametrize("figure", FIGURES, ids=[figure.name for figure in FIGURES])
def test_a_figure_shows_the_stored_results(figure: Figure) -> None:
    """Whoever stores new results draws the figures again: python -m benchmarks.figures."""
    drawn = (PICTURES / f"cost-{figure.name}.svg").read_text("utf-8")
    assert drawn == draw(figure, load())


@pytest.mark.parametrize("figure", FIGURES, ids=[figure.name for figure in FIGURES])
def test_no_cost_grows_faster_than_in_proportion(figure: Figure) -> None:
    """Start, memory, CPU: each line, what is there anyway taken off."""
    lines = {key: points(load(), key) for panel in figure.panels for key in panel.lines.values()}
    assert all(len(line) >= 3 for line in lines.values())
    assert {key: steepest(line) for key, line in lines.items() if steepest(line) > TOLERATED} == {}


def test_what_grows_faster_is_found() -> None:
    """A square is 2, a line with something at its beginning 1, what hardly grows 0."""
    numbers = (0, 10, 100, 1_000)
    assert steepest([(x, 5 + x**2) for x in numbers]) == pytest.approx(2)
    assert steepest([(x, 5 + 3 * x) for x in numbers]) == pytest.approx(1)
    assert steepest([(x, 5 + x / 1_000) for x in numbers]) == 0


def test_a_drawing_has_its_points_in_order() -> None:
    """More is further right and higher, each point says its numbers, and zero has a place."""
    figure = Figure("some", "Cost & more", (Panel("µs", "records", {"": "queue.{}.cpu"}),))
    values = {"queue.0.cpu": 1.0, "queue.100.cpu": 10.0, "queue.10000.cpu": 500.0, "queue.cpu": 3.0}
    root = Xml.fromstring(draw(figure, values))
    space = "{http://www.w3.org/2000/svg}"
    circles = list(root.iter(f"{space}circle"))
    places = [(float(circle.attrib["cx"]), -float(circle.attrib["cy"])) for circle in circles]
    assert places == sorted(places)
    assert [circle.findtext(f"{space}title") for circle in circles] == ["0: 1", "100: 10", "10,000: 500"]
    assert "0" in [text.text for text in root.iter(f"{space}text")]
