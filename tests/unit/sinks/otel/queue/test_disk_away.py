"""A disk that is full, missing or held by another process: the queue goes on in memory, and back."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.sinks.otel.queue import disk
from exporter.sinks.otel.queue.segment import Reader
from tests.unit.sinks.otel.queue.bench import Bench, WithAdvice, files, payloads, resource_limit_of_file_size


@pytest.mark.parametrize("place", ["/proc/queue", "/dev/null/queue"])
def test_a_directory_that_cannot_be_had_means_memory(place: str) -> None:
    """Read-only or impossible: the queue works in memory, says that it is not durable, and does not crash."""
    bench = Bench(Path(place))
    assert not bench.spool.durable
    assert bench.spool.unusable.startswith(f"cannot use the queue in {place}: ")
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]


def test_a_queue_that_another_process_holds_means_memory_until_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an old exporter still drains the same directory, ours waits in memory, then moves to disk."""
    holder = (tmp_path / "lock").open("wb")
    fcntl.flock(holder, fcntl.LOCK_EX)
    bench = Bench(tmp_path)
    bench.spool.append(b"waiting", 1)
    assert not bench.spool.durable
    assert bench.spool.unusable == f"another process holds the queue in {tmp_path}"
    bench.clock.now += 11
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", lambda _seconds: pytest.fail("what appends would wait"))
        bench.spool.tidy()
    assert not bench.spool.durable
    holder.close()
    bench.clock.now += 11
    bench.spool.tidy()
    assert bench.spool.durable
    assert bench.spool.unusable == ""
    assert (bench.spool.records, bench.spool.size_bytes) == (1, 7)
    bench.spool.close()
    assert Bench(tmp_path).drain() == [b"waiting"]
    assert not bench.drops


def test_what_is_on_a_disk_that_is_away_stays_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk gives nothing for a while: what came since goes out from memory, then the rest, nothing is lost."""
    bench = Bench(tmp_path, limit_bytes=10**8)
    on_disk = payloads(800, size=20_000)
    for payload in on_disk:
        bench.spool.append(payload, 1)
    monkeypatch.chdir(tmp_path)
    away = [(file, file.with_suffix(".away")) for file in files(tmp_path)]
    for file, hidden in away:
        file.rename(hidden)
        # Opening a socket fails, and not as a file that is gone would.
        with socket.socket(socket.AF_UNIX) as stand_in:
            stand_in.bind(file.name)
    found: list[bytes] = []
    while batch := bench.spool.take(100, 10**6):
        found += batch
        bench.spool.release()
    bench.spool.append(b"new", 1)
    assert not bench.spool.durable
    assert bench.spool.take(100, 10**6) == [b"new"]
    bench.spool.release()
    assert bench.spool.records == 800 - len(found) > 0
    for file, hidden in away:
        file.unlink(missing_ok=True)
        hidden.rename(file)
    assert found + bench.drain() == on_disk
    assert not bench.drops


def test_a_disk_that_gives_headers_and_no_payloads_ends_no_call_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once a call; what came since goes out from memory, then the rest, nothing is lost."""
    asked: list[object] = []

    def payload(*arguments: object) -> bytes:
        asked.append(arguments)
        assert len(asked) < 10
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk, "KEPT_BYTES", 0)
    bench = Bench(tmp_path)
    for each in payloads(2):
        bench.spool.append(each, 1)
    with monkeypatch.context() as patched:
        patched.setattr(Reader, "payload", payload)
        assert bench.spool.take(10, 10_000) is None
        assert not bench.spool.durable
        bench.spool.append(b"new", 1)
        assert bench.spool.take(10, 10_000) == [b"new"]
    assert len(asked) == 2
    bench.spool.release()
    assert bench.drain() == payloads(2)
    assert not bench.drops


def test_what_was_put_back_while_the_disk_is_away_is_sent_first(tmp_path: Path) -> None:
    """A batch that was not delivered keeps its place although the disk fails meanwhile, and is there after a stop."""
    bench = Bench(tmp_path)
    for payload in payloads(3):
        bench.spool.append(payload, 1)
    taken = bench.spool.take(2, 10_000)
    with resource_limit_of_file_size(0):
        bench.spool.append(b"in memory", 1)
    assert not bench.spool.durable
    bench.spool.put_back()
    assert bench.spool.take(2, 10_000) == taken == payloads(3)[:2]
    bench.spool.put_back()
    assert bench.spool.records == 4
    bench.spool.close()
    assert sorted(Bench(tmp_path).drain()) == sorted([*payloads(3), b"in memory"])
    assert not bench.drops


def test_what_comes_while_the_disk_takes_nothing_counts_by_its_size_in_memory(tmp_path: Path) -> None:
    """The oldest on disk goes for all of it, and not for what it would take there."""
    bench = Bench(tmp_path, limit_bytes=501, when_full="drop-oldest")
    for payload in payloads(3):
        bench.spool.append(payload, 1)
    with resource_limit_of_file_size(0):
        bench.spool.append(b"x", 1)
    assert not bench.spool.durable
    bench.spool.append(WithAdvice(payloads(4)[3]), 1)
    assert (bench.spool.size_bytes, bench.drops) == (501, {"full": 1})


def test_the_log_says_once_that_the_disk_fails_and_once_that_it_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason; not for each chunk, but for each failure."""
    caplog.set_level("INFO")
    bench = Bench(tmp_path)
    for _ in range(2):
        with resource_limit_of_file_size(0):
            for payload in payloads(3):
                bench.spool.append(payload, 1)
                bench.clock.now += 11
        bench.spool.append(b"again", 1)
    lost, found = (
        [record for record in caplog.records if word in record.message]
        for word in (f"continues in memory; its records are lost if the exporter ends now: cannot write to the queue "
                     f"in {tmp_path}: File too large", "the queue is on disk again")
    )  # fmt: skip
    assert (len(lost), len(found), len(caplog.records)) == (2, 2, 4)
    assert bench.drain() == [*payloads(3), b"again"] * 2


def test_the_log_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the reason for which the disk fails, and with the setting's name; then that it is over."""
    caplog.set_level("INFO")
    bench = Bench(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", lambda *_: 5)
        bench.spool.append(b"x", 1)
    bench.clock.now += 11
    bench.spool.tidy()
    assert [record.message for record in caplog.records] == [
        f"the queue continues in memory; its records are lost if the exporter ends now: cannot write to the queue in "
        f"{tmp_path}: No space left on device; free space there, or set queue.directory to another place",
        "the queue is on disk again",
    ]


FULL = """
import json, resource, sys
from collections import Counter
from pathlib import Path
from exporter.config.model import Queue
from exporter.sinks.otel.queue import disk
from exporter.sinks.otel.queue.spool import Spool
drops = Counter()
now = [0.0]
spool = Spool(
    Queue(directory=Path(sys.argv[1])),
    load=lambda stored, _: stored,
    on_drop=lambda reason, records: drops.update({reason: records}),
    clock=lambda: now[0],
)
spool.open()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
durable = []
for index in range(300):
    spool.append(b"%06d" % index + b"." * 5_000, 1)
    durable.append(spool.durable)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
now[0] += 11
spool.append(b"%06d" % 300, 1)
durable.append(spool.durable)
found = []
while batch := spool.take(10, 10**6):
    found += [int(payload[:6]) for payload in batch]
    spool.release()
left = spool.records
spool.close()
print(json.dumps({"durable": durable, "found": found, "drops": drops, "left": left}))
"""


def test_a_full_disk_means_memory_and_back(tmp_path: Path) -> None:
    """The disk takes no more: everything goes on in memory, nothing is lost; there is space again: on disk again."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    outcome = json.loads(done.stdout)
    assert outcome["durable"][0] is True
    assert outcome["durable"][299] is False
    assert outcome["durable"][300] is True
    assert sorted(outcome["found"]) == list(range(301))
    assert (outcome["drops"], outcome["left"]) == ({}, 0)
    assert done.stderr.count("continues in memory") == 1
    assert Bench(tmp_path).drain() == []
