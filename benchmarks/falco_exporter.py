"""Beside falco-exporter: its CPU and its rate on the same backlog, in turn with this exporter's.

falco-exporter is archived; ``$FALCO_EXPORTER`` names a build of it, ``go build ./cmd/falco-exporter`` in a clone of
https://github.com/falcosecurity/falco-exporter. It asks by ``sub`` and counts an alert in one counter.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.processes import Exporter, Scraped, free_port, start_falco
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from benchmarks.whole import RECEIVED, drain, run_plain_loop


class FalcoExporter(Scraped):
    """falco-exporter, connected to Falco's socket."""

    def __init__(self, binary: str, address: str) -> None:
        port, probes = free_port(), free_port()
        options = {"client-socket": address, "listen-address": f":{port}", "probes-listen-address": f":{probes}"}
        super().__init__((binary, *[f"--{name}={value}" for name, value in options.items()]), port)
        self._probes = probes

    def await_connection(self) -> None:
        """Wait until it is ready, which its second port says."""
        while time.monotonic() - self.spawned_at < 30:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._probes)) as probe:
                probe.sendall(b"GET /readiness HTTP/1.0\r\n\r\n")
                if b" 204 " in probe.recv(64):
                    return
            time.sleep(0.01)
        raise RuntimeError("falco-exporter is not ready within 30 s")


def measure_beside(sizes: Sizes, address: str) -> Iterator[Result]:
    """CPU and alerts a second of falco-exporter, of this exporter with metrics only, and of the plain loop.

    In turn, since what else the machine does changes within minutes, and more than the three differ.
    """
    binary = os.environ.get("FALCO_EXPORTER")
    if not binary:
        print("falco-exporter is not measured: FALCO_EXPORTER names no build of it", file=sys.stderr)
        return

    def theirs() -> tuple[float, ...]:
        with start_falco(address) as falco, FalcoExporter(binary, address) as exporter:
            exporter.await_connection()
            return drain(falco, exporter, sizes.alerts, metric="falco_events")

    def ours() -> tuple[float, ...]:
        with start_falco(address) as falco, Exporter(address) as exporter:
            exporter.await_status("/readyz")
            return drain(falco, exporter, sizes.alerts, metric=RECEIVED)

    def loop() -> tuple[float, ...]:
        return run_plain_loop(address, sizes.alerts)[:2]

    ways: dict[str, tuple[str, Callable[[], tuple[float, ...]]]] = {
        "theirs": ("falco-exporter", theirs),
        "ours": ("this exporter, metrics only", ours),
        "loop": ("the plain loop", loop),
    }
    found: dict[str, list[tuple[float, ...]]] = {key: [] for key in ways}
    for _ in range(2 * sizes.runs + 1):
        for key, (_, measure) in ways.items():
            found[key].append(measure())
    for key, (what, _) in ways.items():
        cpu, rate = map(statistics.median, zip(*found[key], strict=True))
        yield Result(f"beside.{key}.cpu", f"in turn: {what}", cpu, PER_ALERT)
        yield Result(f"beside.{key}.rate", f"in turn: {what}, from a backlog", rate, "alerts/s")
