"""What one exporter a node costs Prometheus: ``python -m benchmarks.fleet_series 10 100 1000``.

An exporter counts the flood once; its exposition, with each node's name in it,
is what so many nodes would have been scraped for during an hour, every five
minutes. promtool makes a block of it, and a real Prometheus answers each
panel's query of the dashboards. Needs ``prometheus`` and ``promtool``.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.posts import receiving, start_sender
from benchmarks.processes import cpu_seconds, free_port, resident_mib
from tests.e2e.dashboard_queries import filled, queries

HOUR_SECONDS, SCRAPE_SECONDS, STEP_SECONDS = 3_600, 300, 15
RULES = 23
VALUES = {"__range": "1h", "__interval": "15s", "__rate_interval": "20m"}


def exposition() -> list[str]:
    """Return the samples of an exporter that has counted each of the flood's rules."""
    with receiving() as (exporter, port), start_sender(port, 1) as sender:
        sender.ask(f"post {RULES * 10}")
        _, body = exporter.get("/metrics")
    return [line for line in body.decode().splitlines() if line and not line.startswith("#")]


def samples(lines: list[str], nodes: int, until: int) -> Iterator[str]:
    """Yield the lines of OpenMetrics of so many nodes, each series with its samples in order of time."""
    for number in range(nodes):
        node = f"node-{number:05d}"
        for line in lines:
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            own = f'job="falco",instance="{node}:9376"'
            rest = labels.rstrip("}").replace('hostname="node-1"', f'hostname="{node}"')
            for at in range(until - HOUR_SECONDS, until, SCRAPE_SECONDS):
                grown = float(value) + (at - until + HOUR_SECONDS) // SCRAPE_SECONDS
                yield f"{name}{{{own}{',' if rest else ''}{rest}}} {grown} {at}\n"


def measure(nodes: int, lines: list[str]) -> str:
    """Return a row of the table."""
    until = int(time.time()) // SCRAPE_SECONDS * SCRAPE_SECONDS
    with tempfile.TemporaryDirectory() as name:
        text, data = Path(name) / "samples.txt", Path(name) / "data"
        with text.open("w", encoding="utf-8") as out:
            out.writelines(samples(lines, nodes, until))
            out.write("# EOF\n")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(data)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        text.unlink()
        (Path(name) / "prometheus.yml").write_text("{}\n", "utf-8")
        port = free_port()
        command = [
            "prometheus",
            f"--config.file={name}/prometheus.yml",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=10y",
            "--log.level=error",
        ]
        process = subprocess.Popen(command)
        try:
            found = sorted(_ask_all(port, until), reverse=True)
            row = (
                f"| {nodes:,} | {nodes * len(lines):,} | {found[len(found) // 2][0] * 1e3:.0f} ms "
                f"| {found[0][0] * 1e3:.0f} ms ({found[0][1]}) | {resident_mib(process.pid):.0f} MiB "
                f"| {cpu_seconds(process.pid):.1f} s |"
            )
        finally:
            process.terminate()
            process.wait()
    return row


def _ask_all(port: int, until: int) -> Iterator[tuple[float, str]]:
    """Yield the seconds of each panel's query, and which it was."""
    _await(port)
    for query in queries("promql"):
        asked = {"query": filled(query.expr, **VALUES)}
        if query.instant:
            path = "/api/v1/query?" + urlencode(asked | {"time": str(until)})
        else:
            times = {"start": str(until - HOUR_SECONDS), "end": str(until), "step": str(STEP_SECONDS)}
            path = "/api/v1/query_range?" + urlencode(asked | times)
        begun = time.perf_counter()
        answer = _get(port, path)
        if json.loads(answer)["status"] != "success":
            raise RuntimeError(f"{query}: {answer[:200]!r}")
        yield time.perf_counter() - begun, str(query)


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _await(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if b"Ready" in _get(port, "/-/ready"):
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("Prometheus does not get ready within 60 s")


def main() -> None:
    """Measure each number of nodes that is named."""
    lines = exposition()
    print("| nodes | series | query of a panel, median | slowest | Prometheus, resident | its CPU |")
    print("|---|---|---|---|---|---|")
    for nodes in map(int, sys.argv[1:] or ["10", "100", "1000"]):
        print(measure(nodes, lines), flush=True)


if __name__ == "__main__":
    main()
