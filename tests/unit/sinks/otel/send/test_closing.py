"""How sending ends, and how it goes on after a disk that was away."""

from __future__ import annotations

import fcntl
import socket
import threading
import time
from pathlib import Path

import pytest

from exporter.sinks.otel.send import sender as module
from exporter.sinks.otel.send.answer import Answer
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.otel.send.sender import Pace
from tests.unit.sinks.otel.send.sending import (
    ACCEPTED,
    BUSY,
    QUICK,
    Receiver,
    sending,
)
from tests.waiting import wait_until


def test_closing_leaves_to_the_disk_what_cannot_be_delivered(tmp_path: Path) -> None:
    """The next start sends it: no try more than the one that was under way, and the time to stop is not used up."""
    receiver = Receiver()
    receiver.answer = lambda _numbers: BUSY
    with sending(receiver, tmp_path) as bench:
        bench.put(3)
        bench.sender.start()
        wait_until(lambda: len(receiver.seen) >= 2)
        assert bench.sender._thread.is_alive()
        bench.sender.close(600)
        assert not bench.sender._thread.is_alive()
        assert (bench.spool.records, bench.spool.in_flight_records) == (3, 0)
    again = Receiver()
    with sending(again, tmp_path) as bench:
        bench.sender.start()
        wait_until(lambda: bench.exported == 3)
    assert again.seen == [[0, 1, 2]]


def test_closing_tries_on_where_there_is_no_disk() -> None:
    """What waits in memory is sent again until the deadline; then the client is closed, and twice is safe."""
    receiver = Receiver()
    with sending(receiver) as bench:
        tries = 0

        def answer(_numbers: list[int]) -> Answer:
            nonlocal tries
            tries += bench.sender._closing.is_set()
            return ACCEPTED if tries > 3 else BUSY

        receiver.answer = answer
        bench.put(3)
        bench.sender.start()
        wait_until(lambda: receiver.seen)
        bench.sender.close(600)
        assert bench.exported == 3
        assert receiver.closed
        assert not bench.sender._thread.is_alive()
        bench.sender.close(0)


def test_closing_before_the_start_only_closes_the_client() -> None:
    """Nothing is waited for."""
    receiver = Receiver()
    with sending(receiver) as bench:
        bench.sender.close(600)
        assert receiver.closed


def test_closing_does_not_wait_for_a_call_that_goes_on() -> None:
    """A call over HTTP cannot be ended from outside: the process ends all the same."""
    answered = threading.Event()

    def answer(_numbers: list[int]) -> Answer:
        answered.wait(30)
        return ACCEPTED

    receiver = Receiver()
    receiver.answer = answer
    with sending(receiver) as bench:
        bench.put(1)
        bench.sender.start()
        wait_until(lambda: receiver.seen)
        bench.sender.close(0)
        assert bench.sender._thread.is_alive()
        answered.set()


def test_closing_sends_what_waits_in_as_many_batches_as_it_takes() -> None:
    """Though a few would have waited for more."""
    receiver = Receiver()
    with sending(receiver, pace=Pace(QUICK, Batching(records=4, linger_seconds=600.0))) as bench:
        bench.put(10, apart=True)
        bench.sender.start()
        wait_until(lambda: bench.exported == 8)
        bench.sender.close(600)
        assert bench.exported == 10


def test_a_disk_is_tried_again_though_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is nothing to send, the queue is tidied; and what comes then is sent."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    now = [1_000.0]
    with (tmp_path / "lock").open("wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with sending(Receiver(), tmp_path, clock=lambda: now[0]) as bench:
            bench.sender.start()
            assert not bench.spool.durable
            fcntl.flock(holder, fcntl.LOCK_UN)
            now[0] += 11
            wait_until(lambda: bench.spool.durable)
            bench.put(1)
            wait_until(lambda: bench.exported == 1)


def test_what_is_on_a_disk_that_cannot_be_read_is_sent_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender goes on looking; closing ends that too."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    monkeypatch.chdir(tmp_path)
    with sending(Receiver(), tmp_path) as before:
        before.put(3)
    now = [time.time()]
    receiver = Receiver()
    with sending(receiver, tmp_path, clock=lambda: now[0]) as bench:
        [file] = tmp_path.glob("*.chunks")
        hidden = file.rename(file.with_suffix(".away"))
        # Opening a socket fails, and not as a file that is gone would.
        with socket.socket(socket.AF_UNIX) as stand_in:
            stand_in.bind(file.name)
        bench.sender.start()
        wait_until(lambda: not bench.spool.durable)
        assert bench.spool.records == 3
        file.unlink()
        hidden.rename(file)
        now[0] += 11
        wait_until(lambda: bench.exported == 3)
        assert bench.sender.error is None
    assert receiver.seen == [[0, 1, 2]]
