"""The queue's disk is full, read-only, or its file is spoilt: the exporter goes on and says so."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.simulator.scenarios import flood
from exporter.simulator.server import FalcoSimulator
from tests.chaos.conftest import counted_drops, distinct_uids
from tests.e2e.processes import Collector, exporter, free_port
from tests.e2e.programs import missing
from tests.waiting import wait_until

ALERTS = 3_000


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A file system of its own at the path."""
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False)
    if done.returncode:
        missing(f"a small file system cannot be mounted here (root needed): {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_disk_that_takes_nothing(
    tmp_path: Path, collector_binary: Path, say: Callable[[str], None], kind: str
) -> None:
    """Records wait in memory instead, a metric says so, and all arrive once the collector is there."""
    port = free_port()
    address = f"unix://{tmp_path}/falco.sock"
    options = "size=256k" if kind == "full" else "size=1M,ro"
    with mounted(tmp_path / "disk", options) as disk, FalcoSimulator(address) as falco:
        falco.emit(*flood(ALERTS, 1_760_000_000_000_000_000))
        with exporter(
            tmp_path, "--target", address, "--otlp.endpoint", f"http://127.0.0.1:{port}", "--otlp.protocol", "grpc",
            "--queue.directory", disk,
        ) as running:  # fmt: skip
            wait_until(lambda: running.total("falco_rule_events_total") == ALERTS, "all alerts in metrics")
            assert running.total("falco_exporter_queue_durable") == 0
            collector = Collector(collector_binary, tmp_path, (port, free_port()))
            wait_until(lambda: running.total("falco_exporter_queue_records") == 0, "the queue is empty", seconds=60)
            drops = counted_drops(running)
    accepted = distinct_uids(collector)
    collector.stop()
    say(f"{ALERTS} sent on a {kind} disk; accepted {accepted}, counted drops {drops}")
    assert accepted + drops == ALERTS
    assert drops == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_spoilt_queue_file(tmp_path: Path, collector_binary: Path, say: Callable[[str], None], seed: int) -> None:
    """With bytes overwritten anywhere in the queue's files the exporter starts, reports it and delivers what comes."""
    port = free_port()
    address = f"unix://{tmp_path}/falco.sock"
    queue = tmp_path / "queue"
    arguments = ("--target", address, "--otlp.endpoint", f"http://127.0.0.1:{port}", "--otlp.protocol", "grpc",
                 "--queue.directory", queue, "--shutdown-seconds", "1")  # fmt: skip
    with FalcoSimulator(address) as falco:
        falco.emit(*flood(ALERTS, 1_760_000_000_000_000_000))
        with exporter(tmp_path, *arguments) as first:
            wait_until(lambda: first.total("falco_exporter_queue_records") == ALERTS, "all alerts queued")
        spoil(queue, random.Random(seed))
        with exporter(tmp_path, *arguments) as second:
            falco.emit(*flood(ALERTS, 1_770_000_000_000_000_000))
            wait_until(lambda: second.total("falco_rule_events_total") == ALERTS, "new alerts in metrics")
            collector = Collector(collector_binary, tmp_path, (port, free_port()))
            wait_until(lambda: second.total("falco_exporter_queue_records") == 0, "the queue is empty", seconds=60)
            said, drops = second.output, counted_drops(second)
    accepted = distinct_uids(collector)
    collector.stop()
    set_aside = "set aside" in said
    say(
        f"seed {seed}: {ALERTS} queued before the damage, {ALERTS} after; accepted {accepted}, "
        f"counted as damaged {drops}"
        f"{', file set aside' if set_aside else ''}"
    )
    assert accepted >= ALERTS
    # A file whose structure is spoilt does not tell how much was in it.
    assert accepted + drops == 2 * ALERTS or (set_aside and accepted + drops < 2 * ALERTS)


def spoil(directory: Path, chance: random.Random) -> None:
    """Overwrite a few hundred bytes at random offsets of every file."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size > 1_000]
    assert files, "the queue has a file"
    for path in files:
        with path.open("r+b") as file:
            for _ in range(5):
                file.seek(chance.randrange(path.stat().st_size))
                file.write(chance.randbytes(64))
            file.flush()
            os.fsync(file.fileno())
