"""Bytes of a log record, and what a store of logs keeps of them: a row for each setting of ``otlp.advice``.

Loki's are worked out (``loki_chunk.py``). The store that is measured is VictoriaLogs, where ``$VICTORIALOGS`` names one
or ``tests/e2e/victorialogs/build.sh .cache/victorialogs`` built it.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.http_requests import timed_requests
from benchmarks.loki_chunk import stored_bytes
from benchmarks.posts import receiving, start_sender
from benchmarks.processes import free_port
from benchmarks.results import Result
from benchmarks.sizes import Sizes
from benchmarks.whole import EXPORTED
from exporter.catalog.catalog import load_catalog
from exporter.config.model import Otlp
from exporter.reporter import Reporter
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sources.decode import from_received

ADVICE = ("none", "brief", "full")
BRIEF_BUDGET_BYTES = 4_096
WAIT_SECONDS = 60.0


def measure_storage(sizes: Sizes, _address: str) -> Iterator[Result]:
    """Bytes per record, then MiB on disk; alerts of the flood, each with a process id and a time of its own."""
    yield from _records(sizes)
    binary = find_store()
    if binary is None:
        print(
            "storage is not measured, for want of VictoriaLogs: tests/e2e/victorialogs/build.sh .cache/victorialogs",
            file=sys.stderr,
        )
        return
    for advice in ADVICE:
        mib = _stored(sizes, binary, advice)
        what = f"VictoriaLogs: {sizes.stored_alerts:,} alerts on disk, advice {advice}"
        yield Result(f"storage.victorialogs.{advice}", what, mib, "MiB")


def find_store() -> Path | None:
    """Return VictoriaLogs' binary; None where there is none."""
    named = os.environ.get("VICTORIALOGS")
    built = sorted(Path(".cache/victorialogs").glob("victoria-logs-*"))
    return Path(named) if named else built[-1] if built else None


def _records(sizes: Sizes) -> Iterator[Result]:
    settings, reporter = Otlp(), Reporter(load_catalog())
    bodies = [request.partition(b"\r\n\r\n")[2] for request in timed_requests(sizes.stored_alerts, time.time_ns())]
    received = statistics.mean(map(len, bodies))
    yield Result("storage.message", "an alert as Falco posts it", received, "bytes")
    for advice in ADVICE:
        budget = Budget(settings.record_limit_bytes, settings.attribute_limit, lambda: None)
        reports = Reports(None if advice == "none" else reporter.advice_for, detail=advice)
        encoder = RecordEncoder(budget, reports)
        records = [encoder.encode(from_received(body), observed_ns=time.time_ns()).joined for body in bodies]
        lengths = [*map(len, records)]
        limit = BRIEF_BUDGET_BYTES if advice == "brief" else None
        what = f"a log record, advice {advice}"
        yield Result(f"storage.record.{advice}.median", f"{what}, median", statistics.median(lengths), "bytes", limit)
        yield Result(f"storage.record.{advice}.largest", f"{what}, largest", max(lengths), "bytes")
        what = f"Loki, worked out from its chunks' format: {sizes.stored_alerts:,} alerts, advice {advice}"
        yield Result(f"storage.loki.{advice}", what, stored_bytes(records) / 2**20, "MiB")


def _stored(sizes: Sizes, binary: Path, advice: str) -> float:
    """Return MiB on disk once the store has ended, which writes what it had in memory."""
    with tempfile.TemporaryDirectory(prefix="storage-") as name:
        with _store(binary, Path(name)) as url:
            options = (
                *("--otlp.endpoint", f"{url}/insert/opentelemetry", "--otlp.protocol", "http/protobuf"),
                *("--otlp.advice", advice),
            )
            with receiving(*options) as (exporter, port), start_sender(port, 1) as sender:
                sender.ask(f"burst {sizes.stored_alerts}")
                exporter.await_total(EXPORTED, sizes.stored_alerts)
            found = f"{url}/select/logsql/query?query=*+%7C+stats+count()+n"
            while json.loads(_read(found) or b"{}").get("n") != str(sizes.stored_alerts):
                time.sleep(0.2)
            _read(f"{url}/internal/force_merge")
        return _mib(Path(name) / "data")


@contextlib.contextmanager
def _store(binary: Path, directory: Path) -> Iterator[str]:
    port = free_port()
    options = (f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={directory / 'data'}", "-retentionPeriod=100y")
    url = f"http://127.0.0.1:{port}"
    with (directory / "log").open("wb") as log, subprocess.Popen([binary, *options], stdout=log, stderr=log) as process:
        try:
            until = time.monotonic() + WAIT_SECONDS
            while not _read(f"{url}/health"):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"VictoriaLogs does not answer: {(directory / 'log').read_text()[-2_000:]}")
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def _read(url: str) -> bytes:
    """Return what is answered; nothing where nobody answers."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
        return bytes(answer.read())
    return b""


def _mib(directory: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file()) / 2**20
