"""Falco's http_output: posts on keep-alive connections, each the next one only after its answer.

Every way through the program is measured in turn with the yardstick
(``http_yardstick.py``) on the same bodies; of several pieces the one with the
least CPU counts, since whatever else the machine does only adds to it.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.processes import Exporter, Program, cpu_seconds, free_port, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from tests.integration.certificates import Authority

CONNECTIONS = (1, 4, 8, 1_000)
ABOVE_BUDGETS = {"metrics": 25, "otlp": 60, "disk": 75}
"""Microseconds of CPU per alert above the yardstick's."""
PIECE_POSTS = 1_000
"""How many are posted at a time."""
SETTLE_SECONDS = 0.1
"""After a piece, until what is behind the answers is done and sent."""
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


@dataclass(frozen=True)
class Receiver:
    """A process that takes posts, and a sender that posts to it."""

    sender: Program
    pid: int

    def warmed(self, sizes: Sizes) -> Self:
        """Post a little, also so that each connection has its first request before its deadline; return this."""
        self.post(max(sizes.posts // 10, *CONNECTIONS))
        return self

    def post(self, count: int, command: str = "post") -> Found:
        """Post so many alerts; what is left to do behind the answers is in the CPU."""
        before = cpu_seconds(self.pid)
        found = self.sender.ask(f"{command} {count}")
        time.sleep(SETTLE_SECONDS)
        cpu = (cpu_seconds(self.pid) - before) / found["posted"] * 1e6
        return Found(cpu, found["posted"] / found["seconds"], found["p50"] * 1e6, found["p99"] * 1e6)


def post_in_turn(receivers: Mapping[str, Receiver], sizes: Sizes, command: str = "post") -> dict[str, Found]:
    """Post to each in turn, a piece at a time; return of each the piece with the least CPU.

    Other users of the processors, also from outside a virtual machine, change within a minute what the same work costs,
    up to twice as much: pieces are short, and what is compared is measured within the same seconds.
    """
    pieces = max(sizes.posts * sizes.runs // PIECE_POSTS, 1)
    found: dict[str, list[Found]] = {key: [] for key in receivers}
    for _ in range(pieces):
        for key, receiver in receivers.items():
            found[key].append(receiver.post(min(PIECE_POSTS, sizes.posts), command))
    return {key: min(runs, key=lambda run: run.cpu) for key, runs in found.items()}


@contextlib.contextmanager
def receiving(*options: str) -> Iterator[tuple[Exporter, int]]:
    """Start an exporter that takes posts, with pages; yield it and the port."""
    port = free_port()
    with Exporter("", "--http.address", f"127.0.0.1:{port}", *options, pages=True) as exporter:
        exporter.await_status("/readyz")
        yield exporter, port


def measure_posts(sizes: Sizes, _address: str) -> Iterator[Result]:
    """Each way with one, four, eight and a thousand connections, beside the yardstick."""
    with start_receiver() as receiver, tempfile.TemporaryDirectory() as directory:
        otlp = ("--otlp.endpoint", f"http://127.0.0.1:{receiver.first['port']}")
        ways = (
            Way("metrics", "metrics and pages"),
            Way("otlp", "metrics, pages and OTLP", otlp),
            Way("disk", "metrics, pages and OTLP, queue on disk", (*otlp, "--queue.directory", f"{directory}/queue")),
        )
        for connections in CONNECTIONS:
            yield from _side_by_side(ways, connections, sizes)
        yield from _unlike(sizes, "posts.unlike_metrics", "metrics and pages")
        yield from _unlike(sizes, "posts.unlike", "metrics, pages and OTLP", *otlp)
        yield from _own_processes(ways, sizes)
    yield from _encrypted(sizes)


def _side_by_side(ways: Sequence[Way], connections: int, sizes: Sizes) -> Iterator[Result]:
    """The yardstick and each way, in turn."""
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(start_yardstick())
        receivers = {
            "yardstick": Receiver(stack.enter_context(start_sender(bare.first["port"], connections)), bare.pid)
        }
        for way in ways:
            exporter, port = stack.enter_context(receiving(*way.options))
            sender = stack.enter_context(start_sender(port, connections))
            receivers[way.key] = Receiver(sender, exporter.pid).warmed(sizes)
        found = post_in_turn(receivers, sizes)
    yardstick = found["yardstick"]
    yield from _rows(f"posts.yardstick.{connections}", f"bare loop, {_many(connections)}", yardstick)
    for way in ways:
        key, what, own = f"posts.{way.key}.{connections}", f"{way.what}, {_many(connections)}", found[way.key]
        above = own.cpu - yardstick.cpu
        yield from _rows(key, what, own)
        yield Result(f"{key}.above", f"{what}: above the bare loop", above, PER_ALERT, ABOVE_BUDGETS[way.key])
        yield Result(f"{key}.share", f"{what}: share that is above the bare loop", above / own.cpu * 100, "%")


def _own_processes(ways: Sequence[Way], sizes: Sizes) -> Iterator[Result]:
    """Each way with alerts of which no two have the same process ids, and so no two differ in their time only."""
    with contextlib.ExitStack() as stack:
        receivers = {}
        for way in ways:
            exporter, port = stack.enter_context(receiving(*way.options))
            receivers[way.key] = Receiver(stack.enter_context(start_sender(port, 1)), exporter.pid)
            receivers[way.key].post(max(sizes.posts // 10, 100), "processes")
        found = post_in_turn(receivers, sizes, "processes")
    for way in ways:
        what = f"{way.what}, each with process ids of its own, 1 connection"
        yield from _rows(f"posts.processes.{way.key}", what, found[way.key])


def _unlike(sizes: Sizes, key: str, way: str, *options: str) -> Iterator[Result]:
    """A flood of alerts of which no two are alike, on one connection, and how much of it was judged."""
    with receiving(*options) as (exporter, port), start_sender(port, 1) as sender:
        receiver = Receiver(sender, exporter.pid)
        receiver.post(max(sizes.posts // 10, 100), "unlike")
        # In one piece: a rest would let more of them be judged.
        found = min((receiver.post(sizes.posts, "unlike") for _ in range(sizes.runs)), key=lambda run: run.cpu)
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
            found = post_in_turn({"tls": Receiver(sender, exporter.pid).warmed(sizes)}, sizes)["tls"]
        yield from _rows("posts.tls", "metrics and pages, TLS, 1 connection", found)
        tls = authority.cert_file, client.cert_file, client.key_file
        with receiving(*mutual) as (exporter, port), start_sender(port, 1, *tls) as sender:
            found = post_in_turn({"tls": Receiver(sender, exporter.pid).warmed(sizes)}, sizes)["tls"]
        yield from _rows("posts.mutual_tls", "metrics and pages, mutual TLS, 1 connection", found)
