"""The queue: what goes in comes out or is counted, through kill -9, full, read-only and damaged disks."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.model import Queue
from exporter.sinks.otel.queue.disk import FILE_NAME
from exporter.sinks.otel.queue.spool import Spool

LIMIT_BYTES = 1_000_000


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


OPENED: list[Bench] = []


@pytest.fixture(autouse=True)
def every_bench_closed() -> Iterator[None]:
    """Let go of every file: a database that is collected while open is a warning from Python 3.13 on."""
    yield
    while OPENED:
        OPENED.pop().spool.close()


class Bench:
    """A spool with its drops counted; closed at the end of the test."""

    def __init__(
        self, directory: Path | None, *, clock: Clock | None = None, memory_bytes: int = 10**6, **settings: object
    ):
        self.drops: Counter[str] = Counter()
        self.clock = clock or Clock()
        options = {"limit_bytes": LIMIT_BYTES, "limit_age_seconds": 1e9, **settings}
        self.spool: Spool[bytes] = Spool(
            Queue(directory=directory, **options),  # type: ignore[arg-type]
            load=lambda stored, _records: stored,
            on_drop=lambda reason, records: self.drops.update({reason: records}),
            memory_limit_bytes=memory_bytes,
            clock=self.clock,
        )
        OPENED.append(self)
        self.spool.open()

    def drain(self) -> list[bytes]:
        """Everything that waits, taken and released."""
        found: list[bytes] = []
        while batch := self.spool.take(10, 10_000):
            found += batch
            self.spool.release()
        return found


def payloads(count: int, *, size: int = 100) -> list[bytes]:
    return [f"{index:06d}".encode().ljust(size, b".") for index in range(count)]


@pytest.fixture(params=["disk", "memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "queue" if request.param == "disk" else None


def test_chunks_come_out_in_order_and_leave_on_release(directory: Path | None) -> None:
    """Oldest first, within the limits; released ones are gone, records and bytes are counted."""
    bench = Bench(directory)
    for payload in payloads(5):
        bench.spool.append(payload, 2)
    assert (bench.spool.records, bench.spool.size_bytes) == (10, 500)
    assert bench.spool.take(4, 10_000) == payloads(2)
    bench.spool.release()
    assert bench.drain() == payloads(5)[2:]
    assert (bench.spool.records, bench.spool.size_bytes, bench.spool.oldest_queued_at) == (0, 0, 0.0)
    bench.spool.close()
    assert not bench.drops


def test_what_was_put_back_comes_again_first(directory: Path | None) -> None:
    """A batch that could not be delivered is the oldest again, with the same bytes."""
    bench = Bench(directory)
    for payload in payloads(3):
        bench.spool.append(payload, 1)
    bench.spool.take(2, 10_000)
    bench.spool.put_back()
    assert bench.drain() == payloads(3)


def test_one_chunk_comes_whatever_the_limits(directory: Path | None) -> None:
    """A chunk above a limit does not stop the queue."""
    bench = Bench(directory)
    bench.spool.append(b"x" * 20_000, 50)
    assert bench.drain() == [b"x" * 20_000]


def test_full_drops_the_oldest_but_never_what_is_in_flight(directory: Path | None) -> None:
    """Above the limit the oldest that nobody is sending goes, counted."""
    bench = Bench(directory, limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(5):
        bench.spool.append(payload, 1)
    bench.spool.take(1, 10_000)
    bench.spool.append(payloads(6)[5], 1)
    assert bench.drops == {"full": 1}
    bench.spool.put_back()
    assert bench.drain() == [payloads(6)[index] for index in (0, 2, 3, 4, 5)]


def test_a_queue_on_disk_that_shall_wait_says_how_much_fits(tmp_path: Path) -> None:
    """With when_full wait, room shrinks to 0; what comes all the same is taken up to an eighth above."""
    bench = Bench(tmp_path, limit_bytes=800)
    bench.spool.append(b"x" * 700, 1)
    assert bench.spool.room_bytes() == 100
    bench.spool.append(b"x" * 200, 1)
    assert bench.spool.room_bytes() == 0
    assert not bench.drops
    bench.spool.append(b"x" * 100, 1)
    assert bench.drops == {"full": 1}


@pytest.mark.parametrize("when_full", ["wait", "drop-oldest"])
def test_a_queue_in_memory_never_makes_anyone_wait(when_full: str) -> None:
    """Without a directory there is always room: the oldest goes, counted, and metrics go on."""
    bench = Bench(None, limit_bytes=500, when_full=when_full)
    for payload in payloads(8):
        bench.spool.append(payload, 1)
    assert bench.spool.room_bytes() is None
    assert bench.drops == {"full": 3}
    assert bench.drain() == payloads(8)[3:]


def test_what_is_too_old_goes(directory: Path | None) -> None:
    """Above the age limit a record is dropped and counted."""
    clock = Clock()
    bench = Bench(directory, clock=clock, limit_age_seconds=60.0)
    bench.spool.append(b"old", 3)
    clock.now += 61
    bench.spool.append(b"new", 1)
    bench.spool.tidy()
    assert bench.spool.oldest_queued_at == clock.now
    assert bench.drain() == [b"new"]
    assert bench.drops == {"age": 3}


def test_a_restart_takes_up_what_is_left(tmp_path: Path) -> None:
    """A queue that was closed gives the rest to the next one, in order, with its age."""
    first = Bench(tmp_path)
    for payload in payloads(4):
        first.spool.append(payload, 1)
    first.spool.take(1, 10_000)
    first.spool.release()
    first.spool.take(1, 10_000)
    first.spool.close()
    first.spool.close()
    second = Bench(tmp_path)
    assert second.spool.oldest_queued_at == 1_000.0
    assert second.drain() == payloads(4)[1:]
    assert not first.drops + second.drops


def test_memory_counts_what_is_lost_at_the_end() -> None:
    """Without a disk, what was not delivered when the exporter stops is counted."""
    bench = Bench(None)
    bench.spool.append(b"x", 7)
    bench.spool.close()
    assert bench.drops == {"shutdown": 7}


KILLED = """
import os, signal, sys
from pathlib import Path
from exporter.config.model import Queue
from exporter.sinks.otel.queue.spool import Spool
spool = Spool(Queue(directory=Path(sys.argv[1])), load=lambda stored, _: stored, on_drop=lambda *drop: None)
spool.open()
index = 0
while True:
    spool.append(b"%06d" % index + b"." * 5_000, 1)
    print(index, flush=True)
    index += 1
"""


def test_kill_9_loses_nothing_that_was_queued(tmp_path: Path) -> None:
    """Every chunk whose append had returned is there after SIGKILL, once, whole and in order."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(500):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        queued = 500 + len([line for line in process.stdout if line.endswith("\n")])
    found = [int(payload[:6]) for payload in Bench(tmp_path, limit_bytes=10**9).drain()]
    assert found in (list(range(queued)), list(range(queued + 1)))


@pytest.mark.parametrize("seed", range(12))
def test_a_file_damaged_anywhere_never_stops_the_queue(tmp_path: Path, seed: int) -> None:
    """Bytes overwritten at random: it opens, gives only what was written, and takes new records."""
    chance = random.Random(seed)
    written = payloads(200, size=3_000)
    first = Bench(tmp_path)
    for payload in written:
        first.spool.append(payload, 1)
    first.spool.close()
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    for _ in range(chance.choice([1, 4, 40])):
        start = chance.choice([chance.randrange(200), chance.randrange(len(content))])
        content[start : start + 64] = chance.randbytes(len(content[start : start + 64]))
    (tmp_path / FILE_NAME).write_bytes(content)

    second = Bench(tmp_path)
    second.spool.append(b"new", 1)
    found = second.drain()
    assert found[-1:] == [b"new"]
    assert set(found[:-1]) <= set(written)
    assert len(set(found)) == len(found)
    asides = [path for path in tmp_path.glob("*.damaged-*") if path.name[-1].isdigit()]
    assert second.drops.keys() <= {"damaged"}
    assert len(found) - 1 + second.drops["damaged"] == len(written) or asides
    second.spool.close()
    assert Bench(tmp_path).drain() == []


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1_000, b"SQLite format 3\x00" + b"\xff" * 4_096])
def test_a_file_that_is_no_queue_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """Whatever lies where the queue should be, the exporter starts, on disk, and keeps what it found."""
    (tmp_path / FILE_NAME).write_bytes(content)
    bench = Bench(tmp_path)
    assert bench.spool.durable
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]
    kept = [path.read_bytes() for path in tmp_path.glob("*.damaged-*")]
    assert kept == ([content] if content else [])


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    """The last three are kept."""
    for _ in range(5):
        (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
        Bench(tmp_path).spool.close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 3


def test_a_truncated_file_under_a_running_queue_is_left_for_a_new_one(tmp_path: Path) -> None:
    """The file is cut while we hold it: what is lost is counted, what comes after is on disk again."""
    bench = Bench(tmp_path, limit_bytes=10**8, memory_bytes=10**8)
    big = payloads(400, size=20_000)
    for payload in big:
        bench.spool.append(payload, 1)
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.truncate(20_000)
    (tmp_path / (FILE_NAME + "-wal")).write_bytes(b"")
    found = bench.drain()
    bench.spool.append(b"new", 1)
    found += bench.drain()
    assert b"new" in found
    assert len(found) - 1 + bench.drops["damaged"] == len(big)


@pytest.mark.parametrize("place", ["/proc/queue", "/dev/null/queue"])
def test_a_directory_that_cannot_be_had_means_memory(place: str) -> None:
    """Read-only or impossible: the queue works in memory, says that it is not durable, and does not crash."""
    bench = Bench(Path(place))
    assert not bench.spool.durable
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]


def test_a_file_that_another_process_holds_means_memory_until_it_lets_go(tmp_path: Path) -> None:
    """While an old exporter still drains the same directory, ours waits in memory, then moves to disk."""
    holder = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("CREATE TABLE other (x)")
    bench = Bench(tmp_path)
    bench.spool.append(b"waiting", 1)
    assert not bench.spool.durable
    holder.close()
    bench.clock.now += 11
    bench.spool.tidy()
    assert bench.spool.durable
    bench.spool.close()
    assert Bench(tmp_path).drain() == [b"waiting"]
    assert not bench.drops


FULL = """
import json, resource, sys
from collections import Counter
from pathlib import Path
from exporter.config.model import Queue
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
    assert done.stderr.count("goes on in memory") == 1
    assert Bench(tmp_path).drain() == []


@given(
    steps=st.lists(st.sampled_from(["append", "take", "release", "put_back", "age", "tidy"]), max_size=60),
    limit_bytes=st.integers(300, 3_000),
)
def test_nothing_is_lost_uncounted(steps: list[str], limit_bytes: int) -> None:
    """Whatever happens in whatever order: appended = taken and released + dropped and counted + waiting."""
    bench = Bench(None, limit_bytes=limit_bytes, limit_age_seconds=100.0)
    appended = released = 0
    for step in steps:
        if step == "append":
            bench.spool.append(b"x" * 100, 3)
            appended += 3
        elif step == "take":
            bench.spool.put_back()
            bench.spool.take(6, 1_000)
        elif step == "release":
            before = bench.spool.records
            bench.spool.release()
            released += before - bench.spool.records
        elif step == "put_back":
            bench.spool.put_back()
        elif step == "age":
            bench.clock.now += 60
        else:
            bench.spool.tidy()
    assert appended == released + sum(bench.drops.values()) + bench.spool.records
    assert bench.spool.size_bytes == bench.spool.records // 3 * 100
