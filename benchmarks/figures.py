"""How the cost grows, drawn: ``python -m benchmarks.figures`` writes docs/pictures/cost-*.svg from results.json.

Both axes of a panel are logarithmic, so that what grows in proportion is a line like the dashed one, whatever it costs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as Xml

from benchmarks.results import STORED

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH, HEIGHT = 290, 230
LEFT, TOP, RIGHT, BOTTOM = 52, 40, 14, 44
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.proportion { stroke: #6e7781; stroke-width: 1; stroke-dasharray: 4 4; fill: none }
.a { stroke: #0969da; fill: #0969da } .b { stroke: #bc4c00; fill: #bc4c00 }
path.a, path.b { fill: none }
text.a, text.b { stroke: none }
.paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid { stroke: #3d444d } .paper { fill: #0d1117 }
  .a { stroke: #4493f8; fill: #4493f8 } .b { stroke: #f0883e; fill: #f0883e }
}
"""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    across: str
    lines: Mapping[str, str]
    """What each line is, empty for a single one, to its results' keys, with ``{}`` for the number across."""


@dataclass(frozen=True)
class Figure:
    """One picture."""

    name: str
    what: str
    panels: tuple[Panel, ...]


FIGURES = (
    Figure(
        "rates",
        "CPU by alerts per second",
        (
            Panel("% of a core, over gRPC", "alerts per second", {"": "rates.grpc.{}.core"}),
            Panel("% of a core, by posts", "alerts per second", {"": "rates.posts.{}.core"}),
        ),
    ),
    Figure(
        "series",
        "Scrapes and memory by series",
        (
            Panel("CPU of a scrape, ms", "series", {"": "scrape.{}.cpu"}),
            Panel("resident, MiB", "series", {"": "memory.{}"}),
            Panel("CPU per alert, µs", "series", {"": "scrape.{}.alert"}),
        ),
    ),
    Figure(
        "queue",
        "Start, memory and sending by records that wait on disk",
        (
            Panel("CPU of a start, s", "records", {"": "queue.{}.start"}),
            Panel("resident, MiB", "records", {"at rest": "queue.{}.memory", "sending": "queue.{}.memory_draining"}),
            Panel("CPU per record sent, µs", "records", {"": "queue.{}.cpu"}),
        ),
    ),
    Figure(
        "rules",
        "Start, memory and an alert by rules",
        (
            Panel("CPU of a start, s", "rules", {"": "rules.{}.start"}),
            Panel("resident, MiB", "rules", {"": "rules.{}.memory"}),
            Panel("CPU per alert, µs", "rules", {"": "rules.{}.alert"}),
        ),
    ),
    Figure(
        "overlay",
        "Start, memory and an alert by entries of your own catalog",
        (
            Panel("CPU of a start, s", "entries", {"": "overlay.{}.start"}),
            Panel("resident, MiB", "entries", {"": "overlay.{}.memory"}),
            Panel("CPU per alert, µs", "entries", {"": "overlay.{}.alert"}),
        ),
    ),
)


def load() -> dict[str, float]:
    """Return the stored results' values by key."""
    groups = json.loads(STORED.read_text("utf-8"))["groups"].values()
    return {row["key"]: row["value"] for group in groups for row in group["results"]}


def points(values: Mapping[str, float], key: str) -> list[tuple[float, float]]:
    """Return the points of a line, by the number across."""
    pattern = re.compile(re.escape(key).replace(r"\{\}", r"(\d+)"))
    found = {int(match[1]): value for name, value in values.items() if (match := pattern.fullmatch(name))}
    return sorted(found.items())


def steepest(line: Points) -> float:
    """Return the greatest power by which a line grows from one point to the next, above what is there at its first.

    1 is in proportion. Points that are less than half above the first are left out: what they add is lost in how much
    two measurements differ. 0 where no two are left.
    """
    first_x, first_y = line[0]
    grown = [(x - first_x, y - first_y) for x, y in line if y >= 1.5 * first_y]
    slopes = [math.log(y / before_y) / math.log(x / before_x) for (before_x, before_y), (x, y) in pairwise(grown)]
    return max(slopes, default=0.0)


def draw(figure: Figure, values: Mapping[str, float]) -> str:
    """Return the picture as SVG."""
    width = WIDTH * len(figure.panels)
    root = Xml.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {HEIGHT}", role="img")
    root.set("width", str(width))
    Xml.SubElement(root, "title").text = figure.what
    Xml.SubElement(root, "style").text = STYLE
    Xml.SubElement(root, "rect", {"class": "paper", "width": str(width), "height": str(HEIGHT)})
    for number, panel in enumerate(figure.panels):
        group = Xml.SubElement(root, "g", transform=f"translate({number * WIDTH} 0)")
        lines = {name: points(values, key) for name, key in panel.lines.items()}
        _draw_panel(group, panel, {name: line for name, line in lines.items() if line})
    Xml.indent(root)
    return Xml.tostring(root, "unicode") + "\n"


class _Axis:
    """A logarithmic axis from one power of ten to another; zero stands a decade before the smallest number."""

    def __init__(self, numbers: Sequence[float], begin: float, end: float) -> None:
        above = [number for number in numbers if number > 0] or [1.0]
        self.has_zero = min(numbers) <= 0
        self._zero = math.floor(math.log10(min(above)) + 1e-9) - self.has_zero
        self._last = max(math.ceil(math.log10(max(above)) - 1e-9), self._zero + 1)
        self._begin, self._end = begin, end

    def at(self, number: float) -> float:
        power = math.log10(number) if number > 0 else self._zero
        return self._begin + (power - self._zero) / (self._last - self._zero) * (self._end - self._begin)

    @property
    def first(self) -> float:
        """The smallest number that has a place of its own."""
        return 10.0 ** (self._zero + self.has_zero)

    def ticks(self) -> list[tuple[float, str]]:
        powers = range(self._zero + self.has_zero, self._last + 1)
        found = [(self.at(10.0**power), _short(10.0**power)) for power in powers]
        return [(self.at(0), "0"), *found] if self.has_zero else found


def _short(number: float) -> str:
    if number >= 1_000_000:
        return f"{number / 1_000_000:g}M"
    return f"{number / 1_000:g}k" if number >= 10_000 else f"{number:g}"


def _draw_panel(group: Xml.Element, panel: Panel, lines: Mapping[str, Points]) -> None:
    across = _Axis([x for line in lines.values() for x, _ in line], LEFT, WIDTH - RIGHT)
    up = _Axis([y for line in lines.values() for _, y in line], HEIGHT - BOTTOM, TOP)
    _text(group, panel.title, (LEFT, 20), kind="title")
    _text(group, panel.across, ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10), anchor="middle")
    for y, text in up.ticks():
        _path(group, [(LEFT, y), (WIDTH - RIGHT, y)], "grid")
        _text(group, text, (LEFT - 6, y + 4), anchor="end")
    for x, text in across.ticks():
        _text(group, text, (x, HEIGHT - BOTTOM + 16), anchor="middle")
    for (name, line), kind in zip(lines.items(), "ab", strict=False):
        _path(group, [(across.at(x), up.at(y)) for x, y in line], f"line {kind}")
        for x, y in line:
            place = {"cx": f"{across.at(x):.1f}", "cy": f"{up.at(y):.1f}", "r": "3", "class": kind}
            Xml.SubElement(Xml.SubElement(group, "circle", place), "title").text = f"{x:,.0f}: {y:,.3g}"
        if name:
            x, y = line[-1]
            _text(group, name, (across.at(x), up.at(y) + (18 if kind == "a" else -8)), kind=kind, anchor="end")
    _draw_proportion(group, across, up, next(iter(lines.values())))


def _draw_proportion(group: Xml.Element, across: _Axis, up: _Axis, line: Points) -> None:
    """Draw where values in proportion to the last one would be, as far as the panel goes."""
    last_x, last_y = line[-1]
    first_x = max(across.first, last_x * up.first / last_y)
    ends = [(across.at(x), up.at(last_y * x / last_x)) for x in (first_x, last_x)]
    _path(group, ends, "proportion")


def _path(group: Xml.Element, places: Sequence[tuple[float, float]], kind: str) -> None:
    text = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(places))
    Xml.SubElement(group, "path", {"class": kind, "d": text})


def _text(group: Xml.Element, text: str, place: tuple[float, float], *, kind: str = "", anchor: str = "start") -> None:
    element = Xml.SubElement(group, "text", x=f"{place[0]:.1f}", y=f"{place[1]:.1f}")
    element.set("text-anchor", anchor)
    if kind:
        element.set("class", kind)
    element.text = text


def main() -> None:
    """Write every figure."""
    values = load()
    for figure in FIGURES:
        (PICTURES / f"cost-{figure.name}.svg").write_text(draw(figure, values), "utf-8")


if __name__ == "__main__":
    main()
