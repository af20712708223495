"""The queue: what goes in comes out in order or is counted, on disk and in memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sinks.otel.queue import disk
from exporter.sinks.otel.queue.chunks import Chunk
from tests.unit.sinks.otel.queue.bench import Bench, Clock, WithAdvice, payloads, resource_limit_of_file_size


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
    assert bench.spool.take(10, 10_000) is None


@pytest.mark.parametrize(("limit_bytes", "taken"), [(199, 1), (200, 2), (250, 2), (300, 3), (10_000, 5)])
def test_a_batch_has_no_more_bytes_than_asked_for(directory: Path | None, limit_bytes: int, taken: int) -> None:
    """As many chunks as fit exactly, all of them together."""
    bench = Bench(directory)
    for payload in payloads(5):
        bench.spool.append(payload, 1)
    assert bench.spool.take(100, limit_bytes) == payloads(5)[:taken]


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


@pytest.mark.parametrize(("on_disk", "fit"), [(True, 5), (False, 1)])
def test_the_limit_is_of_bytes_where_they_wait(tmp_path: Path, *, on_disk: bool, fit: int) -> None:
    """On disk a record counts by what it takes there, in memory by what it has there."""
    bench = Bench(tmp_path if on_disk else None, limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(5):
        bench.spool.append(WithAdvice(payload), 1)
    assert bench.spool.records == fit
    assert bench.drops["full"] == 5 - fit


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
    assert not bench.spool.durable
    assert bench.spool.records == 0


def test_memory_is_bounded_in_bytes_whatever_the_disk_may_hold() -> None:
    """Exactly what fits stays."""
    bench = Bench(None, memory_bytes=500)
    for payload in payloads(6):
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 1}
    bench.spool.append(b"x" * 101, 1)
    assert bench.drops == {"full": 3}


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
    for number, payload in enumerate(payloads(4)):
        assert bench.spool.append_ahead(payload, 1, bench.clock.now, 100) == number
        assert bench.spool.standing(number).wants(number) == (number < 2)
        if number < 2:
            bench.spool.complete(Chunk(1, 100, bench.clock.now, b"%d in memory" % number, 100, 1, number))
    assert bench.drain() == [b"0 in memory", b"1 in memory", *payloads(4)[2:]]


@pytest.mark.parametrize("between", ["", "append", "take"])
def test_what_is_put_on_disk_ahead_stays_within_the_limit(tmp_path: Path, between: str) -> None:
    """Whatever comes and goes between: the oldest make room, and no more of them than have to."""
    bench = Bench(tmp_path, limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(5):
        assert bench.spool.append_ahead(payload, 1, bench.clock.now, 100) is not None
        assert bench.spool.size_bytes <= 500
    assert not bench.drops
    if between == "append":
        bench.spool.append(b"x" * 100, 1)
    elif between == "take":
        assert bench.spool.take(2, 10_000) is not None
        bench.spool.release()
    for payload in payloads(3):
        assert bench.spool.append_ahead(payload, 1, bench.clock.now, 100) is not None
    assert bench.spool.size_bytes == 500
    assert bench.drops == {"full": {"": 3, "append": 4, "take": 1}[between]}


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


def test_waiting_is_for_one_record_where_nothing_is_said(directory: Path | None) -> None:
    """A single record does not wait for a second one."""
    bench = Bench(directory)
    bench.spool.append(b"x", 1)
    assert bench.spool.wait(0)


def test_who_waits_is_woken_by_the_last_of_the_kept(tmp_path: Path) -> None:
    """Not by what is put on disk ahead of its payload, but once that is complete."""
    bench = Bench(tmp_path)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(bench.spool.wait(60, records=2)))
    waiting.start()
    for payload in payloads(2):
        bench.spool.append_ahead(payload, 1, bench.clock.now, 100)
    assert not found
    bench.spool.complete(Chunk(2, 4, bench.clock.now, b"both", 200, 2, 0))
    waiting.join(30)
    assert found == [True]
    assert bench.drain() == [b"both"]


def test_what_cannot_be_kept_ahead_changes_nothing(tmp_path: Path) -> None:
    """Without a disk, and on one that is full: None, nothing is dropped, and nothing counts as kept."""
    memory = Bench(None, limit_bytes=500)
    for payload in payloads(5):
        memory.spool.append(payload, 1)
    assert memory.spool.append_ahead(b"x" * 100, 1, memory.clock.now, 100) is None
    assert (memory.drops, memory.drain()) == ({}, payloads(5))
    full = Bench(tmp_path)
    with resource_limit_of_file_size(0):
        assert full.spool.append_ahead(b"x" * 100, 1, full.clock.now, 100) is None
    assert (full.spool.durable, full.spool.records) == (False, 0)
    memory.spool.close()
    assert memory.spool.append_ahead(b"x", 1, memory.clock.now, 1) is None


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
