"""Falco's http_output: posts on keep-alive connections, each the next one only after its answer.

Every way through the program is measured beside the yardstick (``http_yardstick.py``)
on the same bodies in the same run; of several runs the one with the least CPU
counts, since whatever else the machine does only adds to it.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Exporter, Program, cpu_seconds, free_port, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from tests.integration.certificates import Authority

CONNECTIONS = (1, 4, 8, 1_000)
ABOVE_BUDGETS = {"metrics": 25, "otlp": 60, "disk": 75}
"""Microseconds of CPU per alert above the yardstick's."""
UNLIKE_BUDGET = 200
"""Microseconds from post to post in a flood of unlike alerts: 5,000 a second."""
NOT_JUDGED, RECEIVED = "falco_exporter_alerts_not_judged_total", "falco_exporter_alerts_received_total"


@dataclass(frozen=True)
class Way:
    """One way through the program."""

    key: str
    what: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What one sender measured."""

    cpu: float
    """Microseconds per alert."""
    rate: float
    """Alerts per second."""
    p50: float
    p99: float
    """Microseconds from the post to its answer."""


def start_yardstick() -> Program:
    """Start the bare loop (``http_yardstick.py``)."""
    return Program([sys.executable, "-m", "benchmarks.http_yardstick"])


def start_sender(port: int, connections: int, *tls: Path) -> Program:
    """Start a sender (``http_sender.py``)."""
    command = [sys.executable, "-m", "benchmarks.http_sender", str(port), str(connections), *map(str, tls)]
    return Program(command)


def post(sender: Program, pid: int, sizes: Sizes, command: str = "post") -> Found:
    """Post so many alerts, as often as ``sizes`` says; return the run with the least CPU."""
    sender.ask(f"{command} {max(sizes.posts // 10, 100)}")
    runs = []
    for _ in range(sizes.runs):
        before = cpu_seconds(pid)
        found = sender.ask(f"{command} {sizes.posts}")
        cpu = (cpu_seconds(pid) - before) / found["posted"] * 1e6
        runs.append(Found(cpu, found["posted"] / found["seconds"], found["p50"] * 1e6, found["p99"] * 1e6))
    return min(runs, key=lambda run: run.cpu)


@contextlib.contextmanager
def receiving(*options: str) -> Iterator[tuple[Exporter, int]]:
    """Start an exporter that takes posts, with pages; yield it and the port."""
    port = free_port()
    with Exporter("", "--http.address", f"127.0.0.1:{port}", *options, pages=True) as exporter:
        exporter.await_status("/readyz")
        yield exporter, port


def measure_posts(sizes: Sizes, _address: str) -> Iterator[Result]:
    """Each way with one, four, eight and a thousand connections, the yardstick first."""
    yardstick: dict[int, float] = {}
    for connections in CONNECTIONS:
        with start_yardstick() as bare, start_sender(bare.first["port"], connections) as sender:
            found = post(sender, bare.pid, sizes)
        yardstick[connections] = found.cpu
        yield from _rows(f"posts.yardstick.{connections}", f"bare loop, {_many(connections)}", found)
    with start_receiver() as receiver, tempfile.TemporaryDirectory() as directory:
        otlp = ("--otlp.endpoint", f"http://127.0.0.1:{receiver.first['port']}")
        for way in (
            Way("metrics", "metrics and pages"),
            Way("otlp", "metrics, pages and OTLP", otlp),
            Way("disk", "metrics, pages and OTLP, queue on disk", (*otlp, "--queue.directory", f"{directory}/queue")),
        ):
            for connections in CONNECTIONS:
                with receiving(*way.options) as (exporter, port), start_sender(port, connections) as sender:
                    found = post(sender, exporter.pid, sizes)
                key, what = f"posts.{way.key}.{connections}", f"{way.what}, {_many(connections)}"
                yield from _rows(key, what, found)
                above = found.cpu - yardstick[connections]
                yield Result(f"{key}.above", f"{what}: above the bare loop", above, PER_ALERT, ABOVE_BUDGETS[way.key])
                yield Result(f"{key}.share", f"{what}: share that is above the bare loop", above / found.cpu * 100, "%")
        yield from _unlike(sizes, "posts.unlike_metrics", "metrics and pages")
        yield from _unlike(sizes, "posts.unlike", "metrics, pages and OTLP", *otlp)
    yield from _encrypted(sizes)


def _unlike(sizes: Sizes, key: str, way: str, *options: str) -> Iterator[Result]:
    """A flood of alerts of which no two are alike, on one connection, and how much of it was judged."""
    with receiving(*options) as (exporter, port), start_sender(port, 1) as sender:
        found = post(sender, exporter.pid, sizes, "unlike")
        left_out, total = exporter.total(NOT_JUDGED), exporter.total(RECEIVED)
    what = f"{way}, no two command lines and files alike, 1 connection"
    yield from _rows(key, what, found)
    yield Result(f"{key}.wall", f"posts: {what}, time per alert", 1e6 / found.rate, "µs", UNLIKE_BUDGET)
    yield Result(f"{key}.judged", f"posts: {what}, judged", (1 - left_out / total) * 100, "%")


def _many(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections:,} connections"


def _rows(key: str, what: str, found: Found) -> Iterator[Result]:
    yield Result(f"{key}.cpu", f"posts: {what}", found.cpu, PER_ALERT)
    yield Result(f"{key}.rate", f"posts: {what}", found.rate, "alerts/s")
    yield Result(f"{key}.p50", f"posts: {what}, answer, median", found.p50, "µs")
    yield Result(f"{key}.p99", f"posts: {what}, answer, 99th percentile", found.p99, "µs")


def _encrypted(sizes: Sizes) -> Iterator[Result]:
    """TLS and mutual TLS, on one connection."""
    with tempfile.TemporaryDirectory() as name:
        authority = Authority(Path(name))
        server, client = authority.make_server(), authority.make_client()
        files = ("--http.tls.cert-file", str(server.cert_file), "--http.tls.key-file", str(server.key_file))
        mutual = (*files, "--http.tls.client-ca-file", str(authority.cert_file))
        with receiving(*files) as (exporter, port), start_sender(port, 1, authority.cert_file) as sender:
            found = post(sender, exporter.pid, sizes)
        yield from _rows("posts.tls", "metrics and pages, TLS, 1 connection", found)
        tls = authority.cert_file, client.cert_file, client.key_file
        with receiving(*mutual) as (exporter, port), start_sender(port, 1, *tls) as sender:
            found = post(sender, exporter.pid, sizes)
        yield from _rows("posts.mutual_tls", "metrics and pages, mutual TLS, 1 connection", found)
