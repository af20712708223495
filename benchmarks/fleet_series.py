"""What a fleet costs Prometheus: ``python -m benchmarks.fleet_series 10 100 1000``.

A real Prometheus takes what it would have scraped of one exporter a node over
the dashboards' default range (see ``fleet_samples.py``), and answers each
panel's queries as Grafana would put them: of the exporters' own series, and of
those that the shipped recording rules keep. Needs ``prometheus``.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from benchmarks.fleet_samples import SLOT_SECONDS, Fleet, exposition
from benchmarks.processes import cpu_seconds, free_port, resident_mib
from benchmarks.remote_write import Writer
from dashboards.generator.recordings import recordings
from tests.e2e.dashboard_queries import EXPORTERS, RECORDED, documents, filled, panels, queries

SLOWEST = "Events by verdict"
PLAIN_POINTS = 600
"""Points that Grafana asks for where a panel does not say: its width in pixels."""
STEPS = ((12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (150, 120), (450, 300), (750, 600), (1_050, 900))
"""Grafana's steps: below each number of seconds, which one is taken."""


class Server:
    """A Prometheus of its own, ended with the ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        (folder / "prometheus.yml").write_text("{}\n", "utf-8")
        command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=10y",
            "--query.timeout=10m",
            "--log.level=error",
        ]
        self._process = subprocess.Popen(command)

    def __enter__(self) -> Server:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if b"Ready" in self.get("/-/ready"):
                    return self
            time.sleep(0.1)
        raise RuntimeError("Prometheus does not get ready within 60 s")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def get(self, path: str) -> bytes:
        """Return an answer's body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=900)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def own(self, name: str) -> float:
        """Return one of its own metrics, the sum over labels."""
        lines = self.get("/metrics").decode().splitlines()
        return sum([float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{"))])

    @property
    def resident_mib(self) -> float:
        return resident_mib(self._process.pid)

    @property
    def cpu(self) -> float:
        return cpu_seconds(self._process.pid)


def rounded(seconds: float) -> int:
    """Return the step that Grafana takes where a panel's points are so many seconds apart."""
    return next((step for below, step in STEPS if seconds < below), 1_800)


def points() -> dict[tuple[str, str], int]:
    """Return how many points each panel asks for, by dashboard and title."""
    return {
        (name, panel["title"]): panel.get("maxDataPoints") or PLAIN_POINTS
        for name, document in documents().items()
        for panel in panels(document)
    } | {
        (name, mark["name"]): 360 for name, document in documents().items() for mark in document["annotations"]["list"]
    }


def ask_panels(
    server: Server, until: int, seconds: int, *, scrape: int, metrics: dict[str, str], only: str = ""
) -> dict[str, tuple[float, float]]:
    """Return the seconds that each panel takes, and those of CPU: all its queries, one after the other."""
    found: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    asked_points = points()
    for query in queries("promql"):
        if only not in query.panel:
            continue
        step = max(rounded(seconds / asked_points.get((query.dashboard, query.panel), PLAIN_POINTS)), scrape)
        values = {
            "__range": f"{seconds}s",
            "__interval": f"{step}s",
            "__rate_interval": f"{max(step + scrape, 4 * scrape)}s",
            "__from": str((until - seconds) * 1000),
            "rule": "Terminal shell in container",
            **metrics,
        }
        asked: dict[str, str] = {"query": filled(query.expr, **values)}
        path = "/api/v1/query?"
        if query.instant:
            asked["time"] = str(until)
        else:
            path = "/api/v1/query_range?"
            asked |= {
                "start": str((until - seconds) // step * step),
                "end": str(until // step * step),
                "step": str(step),
            }
        begun, cpu = time.perf_counter(), server.cpu
        answer: dict[str, Any] = json.loads(server.get(path + urlencode(asked)))
        if answer["status"] != "success":
            raise RuntimeError(f"{query}: {answer}")
        panel = f"{query.dashboard.removesuffix('.json')}: {query.panel}"
        before = found[panel]
        found[panel] = before[0] + time.perf_counter() - begun, before[1] + server.cpu - cpu
    return found


def measure(nodes: int, asked: argparse.Namespace) -> Iterator[str]:
    """Yield what is found of so many nodes, line by line."""
    seconds = int(asked.hours * 3600) // SLOT_SECONDS * SLOT_SECONDS
    until = int(time.time()) // SLOT_SECONDS * SLOT_SECONDS
    lines = exposition()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name, Server(Path(name)) as server:
        begun = time.monotonic()
        fleet = Fleet(lines, nodes=nodes, scrape_seconds=asked.scrape)
        writer = Writer(server.port)
        most = 0.0
        for _ in fleet.write(writer, until - seconds, until):
            most = max(most, server.resident_mib)
            if most > asked.limit_mib:
                yield f"{nodes:,} nodes: stopped at {most:,.0f} MiB"
                return
        took, cpu = time.monotonic() - begun, server.cpu
        alive = server.own("prometheus_tsdb_head_series")
        made = server.own("prometheus_tsdb_head_series_created_total")
        took_in = server.own("prometheus_tsdb_head_samples_appended_total")
        yield (
            f"{nodes:,} nodes, {len(lines)} series each: {alive:,.0f} series in the head, {made:,.0f} made in "
            f"{asked.hours:g} h, {took_in:,.0f} samples in {took:.0f} s ({cpu:.0f} s of CPU), {most:,.0f} MiB"
        )
        for asked_of, metrics in (("recording rules", RECORDED), ("exporters", EXPORTERS)):
            few = asked_of == "exporters" and nodes > asked.most_without
            if few and nodes > 10 * asked.most_without:
                continue
            found = ask_panels(
                server, until - 1, seconds, scrape=asked.scrape, metrics=metrics, only=SLOWEST if few else ""
            )
            yield f"panels from the {asked_of}, {server.resident_mib:,.0f} MiB: ms, ms of CPU"
            for panel, (wall, busy) in sorted(found.items(), key=lambda pair: -pair[1][1]):
                yield f"  {wall * 1e3:8.0f} {busy * 1e3:8.0f}  {panel}"
        yield from _rules(server, until - 1)


def _rules(server: Server, at: int) -> Iterator[str]:
    """Yield what one evaluation of each recording rule takes."""
    for rule in yaml.safe_load(recordings())["groups"][0]["rules"]:
        begun, cpu = time.perf_counter(), server.cpu
        answer = json.loads(server.get("/api/v1/query?" + urlencode({"query": rule["expr"], "time": str(at)})))
        wall = time.perf_counter() - begun
        yield (
            f"  {wall * 1e3:8.0f} {(server.cpu - cpu) * 1e3:8.0f}  evaluation of {rule['record']}: "
            f"{len(answer['data']['result']):,} series"
        )


def main() -> None:
    """Measure each number of nodes that is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet_series", description=__doc__)
    parser.add_argument("nodes", nargs="*", type=int, default=[10, 100, 1_000])
    parser.add_argument("--hours", type=float, default=6.0, help="of samples, and of what is asked")
    parser.add_argument("--scrape", type=int, default=30, help="seconds between two scrapes")
    parser.add_argument("--limit-mib", type=float, default=12_000, help="memory of Prometheus at which it is given up")
    parser.add_argument(
        "--most-without",
        type=int,
        default=1_000,
        help="nodes; of up to ten times more, only the slowest panel is asked without rules",
    )
    parser.add_argument("--folder", default=None, help="where its data goes")
    asked = parser.parse_args()
    for nodes in asked.nodes:
        for line in measure(nodes, asked):
            print(line, flush=True)


if __name__ == "__main__":
    main()
