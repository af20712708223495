"""What the HTTP/2 window costs and what it loses: ``python -m benchmarks.windows``.

For each set of channel options: the CPU of receiving alone (fast simulator),
and how many alerts are lost when the client is killed while it takes a backlog
(faithful simulator, grpc's own server). Not part of ``make bench``; the table
is in docs/performance.md.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.experimental

from benchmarks.processes import start_falco
from exporter.sources.falco_grpc_channel import GET

ALERTS = 40_000
KILLS = 7
WINDOWS: dict[str, dict[str, int]] = {
    "grpcio's default": {},
    "bdp_probe=0": {"grpc.http2.bdp_probe": 0},
    **{f"{size >> 10} KiB": {"grpc.http2.bdp_probe": 0, "grpc.http2.lookahead_bytes": size} for size in
       (65_536, 32_768, 24_576, 16_384, 12_288, 8_192, 4_096)},
}  # fmt: skip


def receive(address: str, options: dict[str, int], counter: mmap.mmap) -> None:
    """Take alerts for ever; ``counter`` holds how many, and the CPU seconds so far."""
    option = grpc.experimental.ChannelOptions.SingleThreadedUnaryStream
    channel = grpc.insecure_channel(address, [*options.items(), (option, 1)])
    get = channel.unary_stream(GET, request_serializer=None, response_deserializer=None)
    count = 0
    while True:
        for _ in get(b""):
            count += 1
            counter[:8] = struct.pack("<q", count)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counter[8:16] = struct.pack("<d", usage.ru_utime + usage.ru_stime)
        time.sleep(0.002)


class Client:
    """A receiving process and what it has counted, which outlives it."""

    def __init__(self, address: str, options: dict[str, int], directory: Path) -> None:
        path = directory / "counter"
        path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._counter = mmap.mmap(file.fileno(), 16)
        command = [sys.executable, "-m", "benchmarks.windows", address, json.dumps(options), str(path)]
        self._process = subprocess.Popen(command, env={"GRPC_EXPERIMENTS": "-event_engine_client", **os.environ})

    @property
    def count(self) -> int:
        return int(struct.unpack("<q", self._counter[:8])[0])

    @property
    def cpu(self) -> float:
        return float(struct.unpack("<d", self._counter[8:16])[0])

    def await_count(self, count: int) -> None:
        while self.count < count:
            time.sleep(0.001)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def cost(address: str, options: dict[str, int], directory: Path) -> float:
    """CPU of receiving one alert, µs."""
    with start_falco(address) as falco:
        client = Client(address, options, directory)
        falco.ask("backlog 1000")
        client.await_count(1_000)
        time.sleep(0.1)
        found = []
        for turn in range(1, 4):
            before = client.cpu
            falco.ask(f"backlog {ALERTS}")
            client.await_count(1_000 + turn * ALERTS)
            time.sleep(0.1)
            found.append((client.cpu - before) / ALERTS * 1e6)
        client.kill()
    return statistics.median(found)


def losses(address: str, options: dict[str, int], directory: Path) -> list[int]:
    """Alerts lost at each of several kills in the midst of a backlog."""
    found = []
    for turn in range(KILLS):
        with start_falco(address, "--faithful") as falco:
            client = Client(address, options, directory)
            falco.ask(f"backlog {ALERTS}")
            client.await_count(1_500 + 311 * turn)
            client.kill()
            time.sleep(0.3)
            queued = falco.ask("backlog 0")["queued"]
            found.append(int(ALERTS - queued - client.count))
    return sorted(found)


def main() -> None:
    """Print a Markdown table, or receive where told so by our own process."""
    if len(sys.argv) == 4:
        options: dict[str, Any] = json.loads(sys.argv[2])
        with Path(sys.argv[3]).open("r+b") as file:
            receive(sys.argv[1], options, mmap.mmap(file.fileno(), 16))
    print("| window | µs CPU an alert | lost at a kill: least, median, most |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        address = f"unix://{Path(name) / 'falco.sock'}"
        for label, options in WINDOWS.items():
            lost = losses(address, options, Path(name))
            spent = cost(address, options, Path(name))
            print(f"| {label} | {spent:.1f} | {lost[0]}, {statistics.median(lost):.0f}, {lost[-1]} |", flush=True)


if __name__ == "__main__":
    main()
