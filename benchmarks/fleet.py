"""A thousand Falcos at two alerts a second, through two exporters behind one Service.

Measures what each exporter takes for it and counts, against what was
acknowledged, what is missing from the metrics and from the log records that
the collector took.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.posts import receiving
from benchmarks.processes import TIMEOUT_SECONDS, Exporter, Program, start_counting_receiver
from benchmarks.results import Result
from benchmarks.sizes import Sizes

RATE = 2.0
"""Alerts per second of each Falco."""
REPLICAS = 2
RECEIVED = "falco_exporter_alerts_received_total"


def measure_fleet(sizes: Sizes, _address: str) -> Iterator[Result]:
    """CPU, memory and answers of two exporters with metrics, records with brief reports and the queue on disk."""
    with ExitStack() as stack:
        receiver = stack.enter_context(start_counting_receiver())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exporters: list[Exporter] = []
        ports: list[int] = []
        for number in range(REPLICAS):
            queue = ("--queue.directory", str(directory / f"queue-{number}"))
            otlp = ("--otlp.endpoint", f"http://127.0.0.1:{receiver.first['port']}")
            exporter, port = stack.enter_context(receiving(*otlp, *queue))
            exporters.append(exporter)
            ports.append(port)
        joined = ",".join(map(str, ports))
        command = [sys.executable, "-m", "benchmarks.fleet_falcos", joined, str(sizes.fleet_hosts), str(RATE)]
        falcos = stack.enter_context(Program(command))
        before = [exporter.cpu for exporter in exporters]
        found = falcos.ask(f"run {sizes.fleet_seconds}")
        spent = [exporter.cpu - cpu for exporter, cpu in zip(exporters, before, strict=True)]
        counted = sum([exporter.total(RECEIVED) for exporter in exporters])
        delivered = _await_records(receiver, found["acknowledged"])
        resident = max([exporter.resident_mib for exporter in exporters])
    what = f"fleet: {sizes.fleet_hosts:,} Falcos at {RATE:g} alerts/s each, {REPLICAS} exporters"
    yield Result("fleet.acknowledged", f"{what}, acknowledged", found["acknowledged"], "alerts")
    yield Result("fleet.not_counted", f"{what}, acknowledged but not counted", found["acknowledged"] - counted, "", 0)
    missing = found["acknowledged"] - delivered
    yield Result("fleet.not_delivered", f"{what}, acknowledged but not delivered", missing, "records", 0)
    share = max(spent) / found["seconds"] * 100
    yield Result("fleet.cpu", f"{what}, of a core, the busier exporter", share, "%", 50)
    yield Result("fleet.resident", f"{what}, resident, the larger exporter", resident, "MiB", 256)
    yield Result("fleet.p50", f"{what}, answer, median", found["p50"] * 1e3, "ms")
    yield Result("fleet.p99", f"{what}, answer, 99th percentile", found["p99"] * 1e3, "ms")


def _await_records(receiver: Program, wanted: float) -> float:
    """Wait until so many log records came, or no more do; return how many."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while (records := receiver.ask("count")["records"]) < wanted and time.monotonic() < until:
        time.sleep(0.2)
    return float(records)
