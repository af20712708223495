"""Beside falcosidekick: its CPU and its rate on the same posts, in turn with this exporter's.

``$FALCOSIDEKICK`` names a build of it, ``go build`` in a clone of https://github.com/falcosecurity/falcosidekick. With
OTLP its records have severity INFO, six attributes and no advice, and no queue on disk is behind them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from benchmarks.posts import Receiver, post_in_turn, receiving, start_sender
from benchmarks.processes import Scraped, free_port, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes

CONNECTIONS = (1, 4)


class Falcosidekick(Scraped):
    """falcosidekick, listening for Falco's posts; its metrics are on the same port."""

    def __init__(self, binary: str, **settings: str) -> None:
        port = free_port()
        variables = {"LISTENADDRESS": "127.0.0.1", "LISTENPORT": str(port), **settings}
        super().__init__(("env", *[f"{name}={value}" for name, value in variables.items()], binary), port)


def measure_sidekick(sizes: Sizes, _address: str) -> Iterator[Result]:
    """CPU and alerts a second of both with metrics, and with OTLP."""
    binary = os.environ.get("FALCOSIDEKICK")
    if not binary:
        print("falcosidekick is not measured: FALCOSIDEKICK names no build of it", file=sys.stderr)
        return
    for connections in CONNECTIONS:
        yield from _side_by_side(binary, connections, sizes)


def _side_by_side(binary: str, connections: int, sizes: Sizes) -> Iterator[Result]:
    with contextlib.ExitStack() as stack:
        endpoint = f"http://127.0.0.1:{stack.enter_context(start_receiver()).first['port']}"
        receivers: dict[str, Receiver] = {}
        for key, settings in (
            ("metrics", {}),
            ("otlp", {"OTLP_LOGS_ENDPOINT": endpoint, "OTLP_LOGS_PROTOCOL": "grpc"}),
        ):
            sidekick = stack.enter_context(Falcosidekick(binary, **settings))
            sidekick.await_status("/ping")
            sender = stack.enter_context(start_sender(sidekick.port, connections))
            receivers[f"{key}.theirs"] = Receiver(sender, sidekick.pid).warmed(sizes)
            options = ("--otlp.endpoint", endpoint) if settings else ()
            exporter, port = stack.enter_context(receiving(*options))
            sender = stack.enter_context(start_sender(port, connections))
            receivers[f"{key}.ours"] = Receiver(sender, exporter.pid).warmed(sizes)
        found = post_in_turn(receivers, sizes)
    many = "1 connection" if connections == 1 else f"{connections} connections"
    for key, own in found.items():
        way, whose = key.split(".")
        program = "falcosidekick" if whose == "theirs" else "this exporter"
        what = f"posts in turn, {many}: {program}, {'metrics' if way == 'metrics' else 'metrics and OTLP'}"
        yield Result(f"sidekick.{connections}.{key}.cpu", what, own.cpu, PER_ALERT)
        yield Result(f"sidekick.{connections}.{key}.rate", what, own.rate, "alerts/s")
        yield Result(f"sidekick.{connections}.{key}.p50", f"{what}, answer, median", own.p50, "µs")
