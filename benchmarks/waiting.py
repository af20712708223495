"""What a queue on disk costs by its length: the start, memory, and the rate at which it empties."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import Exporter, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from benchmarks.whole import EXPORTED
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sinks.otel.queue.journal import Journal
from exporter.sinks.otel.queue.records import Records

CHUNK_RECORDS = 32
DRAINED_RECORDS = 60_000
"""Of a long queue, how many are seen leaving it."""
RECORD_BYTES = 9_000
SPARE_BYTES = 4_000_000_000
LIMIT_BYTES = 64_000_000_000
UNREACHABLE = "http://127.0.0.1:9"


def measure_queue(sizes: Sizes, address: str) -> Iterator[Result]:
    """Start with so many records on disk, with a collector that is away, then with one that is there."""
    for count in sizes.queued:
        with tempfile.TemporaryDirectory(prefix="queue-") as name:
            directory = Path(name) / "queue"
            if not fill(directory, count):
                print(f"{name} has no room for a queue of {count:,} records: not measured", file=sys.stderr)
                continue
            yield from _start(directory, address, count)
            if count >= DRAINED_RECORDS or count == max(sizes.queued):
                yield from _drain(directory, address, count)


def fill(directory: Path, count: int) -> bool:
    """Write so many records as the exporter does, from the flood's messages; say whether the disk has room for them."""
    messages = [stamp(message, time.time_ns()) for message in itertools.islice(flood_messages(), CHUNK_RECORDS * 23)]
    size = sum(map(len, messages)) / len(messages)
    if shutil.disk_usage(directory.parent).free < count * size + SPARE_BYTES:
        return False
    journal = Journal(directory)
    journal.open()
    now = time.time()
    starts = range(0, len(messages), CHUNK_RECORDS)
    chunks = [Records.stored(messages[start : start + CHUNK_RECORDS], time.time_ns()) for start in starts]
    for number in range(count // CHUNK_RECORDS):
        stored = chunks[number % len(chunks)]
        journal.append(stored, CHUNK_RECORDS, now, payload_bytes=CHUNK_RECORDS * RECORD_BYTES)
    if left := count % CHUNK_RECORDS:
        journal.append(Records.stored(messages[:left], time.time_ns()), left, now, payload_bytes=left * RECORD_BYTES)
    journal.close()
    return True


def _options(directory: Path, endpoint: str) -> tuple[str, ...]:
    return (
        *("--queue.directory", str(directory), "--queue.limit-bytes", str(LIMIT_BYTES)),
        *("--otlp.endpoint", endpoint),
        "--http.address",
        "127.0.0.1:0",
    )


def _start(directory: Path, _address: str, count: int) -> Iterator[Result]:
    with Exporter("", *_options(directory, UNREACHABLE)) as exporter:
        exporter.await_status("/healthz")
        exporter.await_total("falco_exporter_queue_records", count)
        cpu, resident = exporter.cpu, exporter.resident_mib
    what = f"queue on disk with {count:,} records"
    yield Result(f"queue.{count}.start", f"CPU of a start, {what}", cpu, "s")
    yield Result(f"queue.{count}.memory", f"resident after it, {what}", resident, "MiB")


def _drain(directory: Path, _address: str, count: int) -> Iterator[Result]:
    wanted = min(count, DRAINED_RECORDS)
    with (
        start_receiver() as receiver,
        Exporter("", *_options(directory, f"http://127.0.0.1:{receiver.first['port']}")) as exporter,
    ):
        exporter.await_status("/healthz")
        began, before, first = time.monotonic(), exporter.cpu, exporter.total(EXPORTED)
        exporter.await_total(EXPORTED, wanted)
        sent = exporter.total(EXPORTED) - first
        passed, cpu, resident = time.monotonic() - began, exporter.cpu - before, exporter.resident_mib
    what = f"queue on disk with {count:,} records"
    yield Result(f"queue.{count}.rate", f"records that leave, {what}", sent / passed, "records/s")
    yield Result(f"queue.{count}.cpu", f"a record that leaves, {what}", cpu / max(sent, 1) * 1e6, PER_ALERT)
    yield Result(f"queue.{count}.memory_draining", f"resident meanwhile, {what}", resident, "MiB")
