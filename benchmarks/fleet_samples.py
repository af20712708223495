"""What a Prometheus would have scraped of a fleet: one exporter a node, over hours, with the churn of a day.

An exporter that has counted the flood gives its exposition; every node has a
copy of it with its own name, whose counters grow. Each exporter is replaced
once a day, which gives all its series another ``instance``, and each node sees
some new namespaces a day.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.posts import receiving, start_sender
from benchmarks.remote_write import STALE, Writer, label, labels, sample, samples
from dashboards.generator.recordings import COUNTERS, GAUGES, SUMS

RULES = 23
SLOT_SECONDS = 900
DAY_SECONDS = 86_400
REPLACED_A_DAY = 1
NAMESPACES_A_DAY = 4
"""New ones that each node has an event in."""
PERIODS = (30, 60, 300, 900, 3_600)
"""Seconds between two steps of a counter; which one it is depends on the series."""
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Line:
    """One series of an exporter: its name, its labels, its value when the exporter had counted for a while."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float

    @functools.cached_property
    def period(self) -> int:
        """Seconds between two steps; 0 where the value stays."""
        if not self.name.endswith(("_total", "_count", "_sum", "_bucket")):
            return 0
        return PERIODS[zlib.crc32(f"{self.name}{self.labels}".encode()) % len(PERIODS)]

    def at(self, moment: int, began: int) -> float:
        """Return its value at a moment, of an exporter that began at another."""
        if self.name == "process_start_time_seconds":
            return began
        if self.name == "falco_rule_last_event_timestamp_seconds":
            return moment - (moment - began) % 900
        return self.value + (moment - began) // self.period if self.period else self.value


def exposition() -> list[Line]:
    """Return the series of an exporter that has counted each of the flood's rules."""
    with receiving() as (exporter, port), start_sender(port, 1) as sender:
        sender.ask(f"post {RULES * 10}")
        _, body = exporter.get("/metrics")
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Line] = {}
    for text in body.decode().splitlines():
        if not text or text.startswith("#"):
            continue
        series, _, value = text.partition(" # ")[0].rpartition(" ")
        name, _, rest = series.partition("{")
        # The flood names several hosts; here, each exporter has one.
        pairs = tuple([(key, "NODE" if key == "hostname" else text) for key, text in _LABEL.findall(rest)])
        found[name, pairs] = Line(name, pairs, float(value))
    return list(found.values())


class Fleet:
    """So many nodes over a time, slot by slot, so that a Prometheus' head moves on as it does in life."""

    def __init__(self, lines: list[Line], *, nodes: int, scrape_seconds: int) -> None:
        self._lines = lines
        self._sums = Sums(lines, nodes=nodes)
        self._nodes = nodes
        self._scrape = scrape_seconds
        namespaced = next(line for line in lines if line.name == "falco_events_total")
        self._new = Line(namespaced.name, namespaced.labels, 1)

    def write(self, writer: Writer, begin: int, until: int) -> Iterator[int]:
        """Send the samples from one moment to another, seconds since 1970; yield the end of each slot that was sent."""
        for slot in range(begin, until, SLOT_SECONDS):
            self._samples.cache_clear()
            for node in range(self._nodes):
                self._write_node(writer, node, begin, slot)
            self._sums.write(writer, begin, slot)
            writer.flush()
            yield slot + SLOT_SECONDS

    def _write_node(self, writer: Writer, node: int, begin: int, slot: int) -> None:
        replaced = _moments(node / self._nodes, REPLACED_A_DAY, begin, slot + SLOT_SECONDS)
        began = replaced[-1] if replaced else begin
        own = _own(node, len(replaced))
        for line in self._lines:
            writer.add(_labels(line, own, _name(node)) + self._samples(line, slot, began))
        if began == slot and replaced:
            gone = _own(node, len(replaced) - 1)
            stale = sample(STALE, slot * 1000)
            for line in self._lines:
                writer.add(_labels(line, gone, _name(node)) + stale)
        for moment in _moments(node / self._nodes, NAMESPACES_A_DAY, begin, slot + SLOT_SECONDS):
            if moment >= began:
                renamed = dict(self._new.labels) | {"k8s_ns_name": f"build-{moment // SLOT_SECONDS}"}
                line = Line(self._new.name, tuple(renamed.items()), 1)
                writer.add(_labels(line, own, _name(node)) + self._samples(self._new, slot, moment))

    @functools.cache  # noqa: B019 - emptied with each slot; there is one fleet
    def _samples(self, line: Line, slot: int, began: int) -> bytes:
        moments = range(slot, slot + SLOT_SECONDS, self._scrape)
        return samples([(line.at(moment, began), moment * 1000) for moment in moments])


class Sums:
    """What the shipped recording rules would have kept of a fleet: a sample a minute."""

    def __init__(self, lines: list[Line], *, nodes: int) -> None:
        self._nodes = nodes
        found: dict[tuple[str, tuple[tuple[str, str], ...]], Line] = {}
        of_sums = {name: (COUNTERS[metric.removeprefix("falco:")][0], by) for name, (metric, by) in SUMS.items()}
        for name, (metric, by) in {**COUNTERS, **of_sums, **GAUGES}.items():
            for line in lines:
                if line.name == metric:
                    kept = tuple((label, value) for label, value in line.labels if label in by)
                    found[name, kept] = Line(f"falco:{name}", kept, line.value)
        self._sums = list(found.values())

    def write(self, writer: Writer, begin: int, slot: int) -> None:
        """Send those of one slot."""
        for line in self._sums:
            kept = [
                (line.at(moment, begin) * self._nodes, moment * 1000) for moment in range(slot, slot + SLOT_SECONDS, 60)
            ]
            hosted = any(label == "hostname" for label, _ in line.labels)
            for node in range(self._nodes if hosted else 1):
                writer.add(_labels(line, b"", _name(node)) + samples(kept))


def _moments(share: float, a_day: int, begin: int, until: int) -> list[int]:
    """Return when something of a node happens that happens so often a day, at the begin of a slot."""
    every = DAY_SECONDS // a_day
    first = begin + int(every * (share % 1)) // SLOT_SECONDS * SLOT_SECONDS
    return [moment for moment in range(first, until, every) if moment > begin]


def _name(node: int) -> str:
    return f"node-{node:05d}"


@functools.lru_cache(4)
def _own(node: int, generation: int) -> bytes:
    """Return the labels that the scraper adds: a new pod has another address."""
    return label("instance", f"10.{generation}.{node // 250}.{node % 250 + 1}:9376") + label("job", "falco")


def _labels(line: Line, own: bytes, node: str) -> bytes:
    before, hosted, between, after = _parts(line)
    return before + (label("hostname", node) if hosted else b"") + between + own + after


@functools.lru_cache(100_000)
def _parts(line: Line) -> tuple[bytes, bool, bytes, bytes]:
    """Split a series' labels, in their order, where the node's own ones go: hostname, and instance with job."""
    pairs = dict(line.labels)
    hosted = pairs.pop("hostname", None) is not None
    before = {name: value for name, value in pairs.items() if name < "hostname"}
    between = {name: value for name, value in pairs.items() if "hostname" < name < "instance"}
    after = {name: value for name, value in pairs.items() if name > "instance"}
    return labels({"__name__": line.name} | before), hosted, labels(between), labels(after)
