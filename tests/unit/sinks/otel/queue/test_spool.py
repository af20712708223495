"""The queue: what goes in comes out or is counted, through kill -9, full, read-only and damaged disks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.model import Queue
from exporter.sinks.otel.queue import disk
from exporter.sinks.otel.queue.spool import MemoryLimit, Spool

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
        self,
        directory: Path | None,
        *,
        clock: Clock | None = None,
        memory_bytes: int = 10**6,
        memory_records: int | None = None,
        **settings: object,
    ):
        self.drops: Counter[str] = Counter()
        self.clock = clock or Clock()
        options = {"limit_bytes": LIMIT_BYTES, "limit_age_seconds": 1e9, **settings}
        self.spool: Spool[bytes] = Spool(
            Queue(directory=directory, **options),  # type: ignore[arg-type]
            load=lambda stored, _records: stored,
            on_drop=lambda reason, records: self.drops.update({reason: records}),
            memory=MemoryLimit(memory_bytes, memory_records),
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


def test_what_comes_after_the_end_is_counted(directory: Path | None) -> None:
    """A source that did not stop in time cannot lose an alert without a word."""
    bench = Bench(directory)
    bench.spool.close()
    bench.spool.append(b"x", 4)
    assert bench.drops == {"shutdown": 4}
    assert bench.spool.records == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from exporter.config.model import Queue
from exporter.sinks.otel.queue import disk
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


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.chunks"))


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
@pytest.mark.parametrize("seed", range(12))
def test_a_file_damaged_anywhere_never_stops_the_queue(tmp_path: Path, seed: int, *, closed: bool) -> None:
    """Bytes overwritten at random: it opens, gives only what was written, in order, and counts all the rest."""
    chance = random.Random(seed)
    written = payloads(200, size=3_000)
    first = Bench(tmp_path)
    for payload in written:
        first.spool.append(payload, 1)
    [file] = files(tmp_path)
    unfinished = file.read_bytes()
    first.spool.close()
    whole = file.read_bytes() if closed else unfinished
    content = bytearray(whole)
    for _ in range(chance.choice([1, 4, 40])):
        start = chance.choice([chance.randrange(200), chance.randrange(len(content))])
        content[start : start + 64] = chance.randbytes(len(content[start : start + 64]))
    file.write_bytes(content)

    second = Bench(tmp_path)
    second.spool.append(b"new", 1)
    found = second.drain()
    assert found[-1:] == [b"new"]
    assert found[:-1] == [payload for payload in written if payload in set(found)]
    lost = len(written) - (len(found) - 1)
    assert 0 < lost < 200
    # Without a summary at its end nobody can know how many records a file had.
    if closed and content[-48:] == whole[-48:]:
        assert second.drops == {"damaged": lost}
    assert second.spool.records == second.spool.size_bytes == 0
    assert [path for path in tmp_path.glob("*.damaged-*") if path.read_bytes() == content]
    second.spool.close()
    assert Bench(tmp_path).drain() == []


@pytest.mark.parametrize("content", [b"", b"no queue at all" * 1_000, b"\xf5QCH" * 4_096])
def test_a_file_that_is_no_queue_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """Whatever lies where the queue should be, the exporter starts, on disk, and keeps what it found."""
    (tmp_path / f"{7:020d}.chunks").write_bytes(content)
    bench = Bench(tmp_path)
    assert bench.spool.durable
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]
    kept = [path.read_bytes() for path in tmp_path.glob("*.damaged-*")]
    assert kept == ([content] if content else [])


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    """The last three are kept."""
    for number in range(5):
        (tmp_path / f"{number:020d}.chunks").write_bytes(b"no queue at all" * 100)
        Bench(tmp_path).spool.close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 3


def test_a_damaged_position_sends_again_and_never_skips(tmp_path: Path) -> None:
    """Where reading stood cannot be read: everything that is still there comes, and the log says so."""
    first = Bench(tmp_path)
    for payload in payloads(4):
        first.spool.append(payload, 1)
    first.spool.take(1, 10_000)
    first.spool.release()
    first.spool.close()
    (tmp_path / "position").write_bytes(b"x" * 44)
    assert Bench(tmp_path).drain() == payloads(4)


def test_a_truncated_file_under_a_running_queue_is_counted(tmp_path: Path) -> None:
    """The file is cut while we hold it: what is lost is counted, what comes after is on disk again."""
    bench = Bench(tmp_path, limit_bytes=10**8, memory_bytes=10**8)
    big = payloads(1_000, size=20_000)
    for payload in big:
        bench.spool.append(payload, 1)
    for file in files(tmp_path):
        os.truncate(file, 30_000)
    found = bench.drain()
    bench.spool.append(b"new", 1)
    found += bench.drain()
    assert found[-1] == b"new"
    assert len(found) - 1 + bench.drops["damaged"] == len(big)
    assert bench.drops["damaged"] > 0


def test_files_that_somebody_removed_are_counted(tmp_path: Path) -> None:
    """The files vanish under a running queue: counted as damaged, and the queue goes on."""
    bench = Bench(tmp_path, limit_bytes=10**8, memory_bytes=10**8)
    for payload in payloads(1_500, size=20_000):
        bench.spool.append(payload, 1)
    for file in files(tmp_path):
        file.unlink()
    found = bench.drain()
    assert len(found) + bench.drops["damaged"] == 1_500
    assert bench.drops["damaged"] > 0
    bench.spool.append(b"new", 1)
    assert bench.drain() == [b"new"]


def test_many_files_are_read_in_order_and_removed_as_they_are_done_with(tmp_path: Path) -> None:
    """Above eight MiB a new file begins; what is delivered leaves the disk, a restart goes on where reading stood."""
    bench = Bench(tmp_path, limit_bytes=10**9)
    written = payloads(120, size=200_000)
    for payload in written:
        bench.spool.append(payload, 1)
    assert len(files(tmp_path)) == 3
    found = bench.spool.take(50, 10**9)
    bench.spool.release()
    assert len(files(tmp_path)) == 2
    bench.spool.close()
    again = Bench(tmp_path, limit_bytes=10**9)
    assert (again.spool.records, again.spool.size_bytes) == (70, 70 * 200_000)
    assert (found or []) + again.drain() == written
    again.spool.tidy()
    assert files(tmp_path) == []


def killed(directory: Path, other: Path) -> Bench:
    """What the next process finds after a kill -9 of the one that holds the directory now."""
    shutil.copytree(directory, other)
    return Bench(other, limit_bytes=10**9)


def test_a_kill_right_after_a_new_file_began_loses_nothing(tmp_path: Path) -> None:
    """Reading stood at the end of a file that was full; what came then is in the next one, and comes once."""
    bench = Bench(tmp_path / "queue", limit_bytes=10**9)
    written = payloads(50, size=200_000)
    for payload in written[:42]:
        bench.spool.append(payload, 1)
    assert bench.spool.take(100, 10**9) == written[:42]
    bench.spool.release()
    for payload in written[42:]:
        bench.spool.append(payload, 1)
    after = killed(tmp_path / "queue", tmp_path / "copy")
    assert after.drain() == written[42:]
    assert not after.drops


def test_a_kill_while_some_of_a_batch_was_put_back_sends_that_again(tmp_path: Path) -> None:
    """What was put back lies before the place where reading stands: it must not be passed over."""
    bench = Bench(tmp_path / "queue")
    for payload in payloads(3):
        bench.spool.append(payload, 1)
    bench.spool.take(3, 10_000)
    bench.spool.put_back()
    assert bench.spool.take(1, 10_000) == payloads(1)
    bench.spool.release()
    assert killed(tmp_path / "queue", tmp_path / "copy").drain()[-2:] == payloads(3)[1:]


def test_what_is_too_old_goes_file_by_file(tmp_path: Path) -> None:
    """Whole files that are above the age limit go at once, and are counted record by record."""
    bench = Bench(tmp_path, limit_bytes=10**9, limit_age_seconds=60.0)
    for payload in payloads(100, size=200_000):
        bench.spool.append(payload, 3)
    bench.clock.now += 61
    bench.spool.append(b"new", 1)
    bench.spool.tidy()
    assert bench.drops == {"age": 300}
    assert bench.drain() == [b"new"]


def test_files_and_directories_are_private_from_their_first_byte(tmp_path: Path) -> None:
    """Whatever the umask: directories 0700, the missing parents too, files 0600."""
    before = os.umask(0)
    try:
        bench = Bench(tmp_path / "a" / "b")
        bench.spool.append(b"x", 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")}
    finally:
        os.umask(before)
    assert modes.pop("b") == (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert {"lock", "position"} < set(modes)


@pytest.mark.parametrize("name", ["lock", "position", f"{0:020d}.chunks"])
def test_a_symbolic_link_in_a_files_place_is_not_followed(tmp_path: Path, name: str) -> None:
    """The queue goes on in memory and says why; what the link names stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory = tmp_path / "queue"
    directory.mkdir(mode=0o700)
    (directory / name).symlink_to(victim)
    bench = Bench(directory)
    bench.spool.append(b"x", 1)
    assert not bench.spool.durable
    assert "symbolic links" in bench.spool.unusable
    assert bench.drain() == [b"x"]
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("place", ["/proc/queue", "/dev/null/queue"])
def test_a_directory_that_cannot_be_had_means_memory(place: str) -> None:
    """Read-only or impossible: the queue works in memory, says that it is not durable, and does not crash."""
    bench = Bench(Path(place))
    assert not bench.spool.durable
    assert place in bench.spool.unusable
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]


def test_a_queue_that_another_process_holds_means_memory_until_it_lets_go(tmp_path: Path) -> None:
    """While an old exporter still drains the same directory, ours waits in memory, then moves to disk."""
    holder = (tmp_path / "lock").open("wb")
    fcntl.flock(holder, fcntl.LOCK_EX)
    bench = Bench(tmp_path)
    bench.spool.append(b"waiting", 1)
    assert not bench.spool.durable
    holder.close()
    bench.clock.now += 11
    bench.spool.tidy()
    assert bench.spool.durable
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
        for word in (f"goes on in memory, records are lost if the exporter ends now: cannot write to the queue in "
                     f"{tmp_path}: File too large", "the queue is on disk again")
    )  # fmt: skip
    assert (len(lost), len(found), len(caplog.records)) == (2, 2, 4)
    assert bench.drain() == [*payloads(3), b"again"] * 2


def test_memory_is_bounded_in_bytes_whatever_the_disk_may_hold() -> None:
    """Exactly what fits stays."""
    bench = Bench(None, memory_bytes=500)
    for payload in payloads(6):
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 1}
    bench.spool.append(b"x" * 101, 1)
    assert bench.drops == {"full": 3}


def test_what_is_in_flight_comes_again_after_a_kill_whatever_happened_meanwhile(tmp_path: Path) -> None:
    """Neither the drop of an older chunk nor tidying takes note of it as done with."""
    bench = Bench(tmp_path / "queue", limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(5):
        bench.spool.append(payload, 1)
    bench.spool.take(1, 10_000)
    bench.spool.append(payloads(6)[5], 1)
    bench.spool.tidy()
    assert bench.drops == {"full": 1}
    assert killed(tmp_path / "queue", tmp_path / "copy").drain() == payloads(6)


def test_what_was_dropped_does_not_come_again_after_a_kill(tmp_path: Path) -> None:
    """Nothing was in flight: the place where reading stands is kept at once."""
    bench = Bench(tmp_path / "queue", limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(7):
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 2}
    assert killed(tmp_path / "queue", tmp_path / "copy").drain() == payloads(7)[2:]


def test_a_queue_that_drops_has_no_more_room_on_disk_than_its_limit(tmp_path: Path) -> None:
    """The eighth above it is for sources that wait."""
    bench = Bench(tmp_path, limit_bytes=800, when_full="drop-oldest")
    for payload in payloads(9):
        bench.spool.append(payload, 1)
    assert (bench.drops, bench.spool.size_bytes) == ({"full": 1}, 800)


def test_what_is_on_disk_and_in_memory_besides_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is read back from disk, and comes in its place."""
    monkeypatch.setattr(disk, "KEPT_BYTES", 200)
    bench = Bench(tmp_path)
    kept = [bench.spool.keep(payload, 1, 100) for payload in payloads(4)]
    assert [len(bench.spool.waiting([chunk])) for chunk in kept if chunk] == [1, 1, 0, 0]
    assert bench.drain() == payloads(4)


def test_chunks_that_became_one_are_dropped_together(tmp_path: Path) -> None:
    """Where several chunks on disk are one in memory, reading goes on behind all of them."""
    bench = Bench(tmp_path / "queue", limit_bytes=700, when_full="drop-oldest")
    kept = [bench.spool.keep(payload, 1, 100) for payload in payloads(3)]
    assert None not in kept
    bench.spool.complete([chunk for chunk in kept if chunk], b"three in one")
    for payload in payloads(8)[3:]:
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 3}
    assert killed(tmp_path / "queue", tmp_path / "copy").drain() == payloads(8)[3:]


def test_an_idle_queue_gives_its_space_back(tmp_path: Path) -> None:
    """Once all is delivered, the file that is written to goes; while something waits, it stays."""
    bench = Bench(tmp_path)
    for payload in payloads(2, size=50_000):
        bench.spool.append(payload, 1)
    bench.spool.take(1, 10**6)
    bench.spool.release()
    bench.spool.tidy()
    assert len(files(tmp_path)) == 1
    assert len(bench.drain()) == 1
    bench.spool.tidy()
    assert files(tmp_path) == []


def test_waiting_ends_once_so_many_records_are_there(directory: Path | None) -> None:
    """Those in flight do not count; who waits for two is there after the second, and at once where they are there."""
    bench = Bench(directory)
    assert not bench.spool.wait(0)
    bench.spool.append(b"x", 2)
    assert bench.spool.wait(0)
    assert bench.spool.wait(0, records=2)
    assert not bench.spool.wait(0, records=3)
    bench.spool.take(10, 10_000)
    assert not bench.spool.wait(0)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(bench.spool.wait(60, records=2)))
    waiting.start()
    bench.spool.append(b"y", 1)
    assert not found
    bench.spool.append(b"z", 1)
    waiting.join(30)
    assert found == [True]


def test_waking_ends_every_wait(directory: Path | None) -> None:
    """Also the one that begins afterwards."""
    bench = Bench(directory)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(bench.spool.wait(60, records=9)))
    waiting.start()
    bench.spool.wake()
    waiting.join(30)
    assert found == [True]
    assert bench.spool.wait(60)


def test_memory_is_bounded_in_records_too() -> None:
    """OTEL_BLRP_MAX_QUEUE_SIZE: the oldest goes, counted."""
    bench = Bench(None, memory_records=3)
    for payload in payloads(5):
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 2}
    assert bench.drain() == payloads(5)[2:]


def old_queue(directory: Path, rows: list[tuple[bytes, int, bool]]) -> Path:
    """A queue of version 0.1; the third of a row says whether its checksum is right."""
    path = directory / "queue.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE chunk (id INTEGER PRIMARY KEY AUTOINCREMENT, queued_at REAL NOT NULL, records INTEGER NOT "
            "NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL)"
        )
        for payload, records, whole in rows:
            crc = zlib.crc32(payload, records) + (0 if whole else 1)
            row = (1_000.0, records, 5_000, crc, payload)
            connection.execute("INSERT INTO chunk (queued_at, records, bytes, crc, payload) VALUES (?,?,?,?,?)", row)
    return path


def test_the_queue_of_an_earlier_version_is_moved(tmp_path: Path) -> None:
    """What waited in a SQLite file goes out first, with its age; a damaged chunk is passed over, the file goes."""
    path = old_queue(tmp_path, [(b"first", 2, True), (b"bad", 1, False), (b"second", 3, True)])
    bench = Bench(tmp_path)
    bench.spool.append(b"new", 1)
    assert (bench.spool.records, bench.spool.oldest_queued_at) == (6, 1_000.0)
    assert bench.drain() == [b"first", b"second", b"new"]
    assert not list(tmp_path.glob("queue.sqlite3*"))
    assert not path.exists()


def test_an_old_queue_that_cannot_be_read_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what to do, and the new queue works."""
    (tmp_path / "queue.sqlite3").write_bytes(b"no database" * 500)
    bench = Bench(tmp_path)
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]
    assert (tmp_path / "queue.sqlite3").exists()
    assert "remove it by hand" in caplog.text


@contextlib.contextmanager
def resource_limit_of_file_size(limit_bytes: int) -> Iterator[None]:
    """No file of this process grows above the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
