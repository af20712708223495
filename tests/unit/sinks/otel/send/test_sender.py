"""The one thread that sends: in batches and in order, again after a failure, and past what cannot be sent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exporter.sinks.otel.queue.records import Records
from exporter.sinks.otel.send.answer import Answer, Verdict
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.otel.send.sender import Pace, Pauses
from tests.unit.sinks.otel.send.sending import (
    ACCEPTED,
    BUSY,
    DENIED,
    QUICK,
    Receiver,
    sending,
    stored,
    warnings,
)
from tests.waiting import wait_until


def test_what_waits_is_sent_in_batches_and_leaves_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    """In order, no more at a time than asked for, each counted once; nothing failed."""
    caplog.set_level("INFO")
    receiver = Receiver()
    with sending(receiver, pace=Pace(QUICK, Batching(records=2, linger_seconds=0.0))) as bench:
        bench.put(5, apart=True)
        state = bench.sender.has_delivered, bench.sender.failing_since, bench.sender.last_error
        assert state == (False, None, "")
        bench.sender.start()
        wait_until(lambda: bench.exported == 5)
        wait_until(lambda: bench.spool.records == 0)
        assert bench.sender.has_delivered
        assert (bench.sender.failing_since, bench.sender.last_error) == (None, "")
    assert receiver.seen == [[0, 1], [2, 3], [4]]
    assert caplog.records == []


def test_a_few_records_wait_for_more() -> None:
    """Until the batch is full: one request carries them all."""
    receiver = Receiver()
    with sending(receiver, pace=Pace(QUICK, Batching(records=3, linger_seconds=60.0))) as bench:
        bench.sender.start()
        for _ in range(3):
            bench.put(1)
        wait_until(lambda: bench.exported == 3)
    assert receiver.seen == [[0, 1, 2]]


def test_a_retryable_answer_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """While it lasts there is a time since when and a reason; then neither, and the log says that it is over."""
    caplog.set_level("INFO")
    receiver = Receiver()
    receiver.answer = lambda _numbers: BUSY
    begun = time.time()
    with sending(receiver) as bench:
        bench.put(2)
        bench.sender.start()
        wait_until(lambda: len(receiver.seen) >= 3)
        since = bench.sender.failing_since
        assert since is not None
        assert begun <= since <= time.time()
        assert bench.sender.last_error == "unavailable: come again"
        wait_until(lambda: len(receiver.seen) >= 5)
        assert bench.sender.failing_since == since
        assert bench.spool.records == 2
        receiver.answer = lambda _numbers: ACCEPTED
        wait_until(lambda: bench.exported == 2)
        wait_until(lambda: bench.sender.last_error == "")
        assert bench.sender.failing_since is None
        assert bench.value("log_export_retries", reason="unavailable") == len(receiver.seen) - 1
    assert {tuple(numbers) for numbers in receiver.seen} == {(0, 1)}
    said = "2 log records wait for delivery; retrying: the OTLP receiver answered unavailable 'come again'"
    assert warnings(caplog) == [said]
    assert [record.message for record in caplog.records][-1] == "log records are delivered again"


def test_the_pauses_grow_with_the_failures_in_a_row() -> None:
    """From the first to the ceiling, a fifth more or less, and begin anew after a delivery."""
    for failures, seconds in ((1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 10.0), (5_000, 10.0)):
        pauses = [Pauses().after(failures, None) for _ in range(200)]
        assert 0.8 * seconds <= min(pauses) < 0.9 * seconds
        assert 1.1 * seconds < max(pauses) <= 1.2 * seconds
    assert Pauses().after(1, 300.0) == 300.0
    assert Pauses().after(1, 5_000.0) == 600.0


def test_the_receivers_own_wish_is_obeyed_until_the_end() -> None:
    """Asked for a minute, nothing is sent before; closing ends the pause."""
    receiver = Receiver()
    receiver.answer = lambda _numbers: Answer(Verdict.RETRY, "http_429", "", retry_after_seconds=60.0)
    with sending(receiver) as bench:
        bench.put(1)
        bench.sender.start()
        wait_until(lambda: bench.sender.last_error)
    assert receiver.seen == [[0]]


def test_a_pause_is_of_the_failures_in_a_row_and_of_the_receivers_wish() -> None:
    """Only what may be sent again has a wish; a refusal after failures is a pause for those before it."""
    asked: list[tuple[int, float | None]] = []

    class Noted(Pauses):
        def after(self, failures: int, asked_seconds: float | None) -> float:
            asked.append((failures, asked_seconds))
            return 0.0

    receiver = Receiver(Answer(Verdict.RETRY, "http_429", "", retry_after_seconds=7.0), BUSY, DENIED, DENIED)
    with sending(receiver, pace=Pace(Noted(), Batching(records=1, linger_seconds=0.0))) as bench:
        bench.put(3, apart=True)
        bench.sender.start()
        wait_until(lambda: bench.exported == 1)
    assert asked == [(1, 7.0), (2, None), (2, None), (3, None)]


def test_the_thread_has_a_name_and_keeps_no_process_from_ending() -> None:
    """By the name it is known where something ends it."""
    with sending(Receiver()) as bench:
        assert (bench.sender._thread.name, bench.sender._thread.daemon) == ("otlp-sender", True)


def test_a_sender_that_had_nothing_to_do_sends_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tidies the queue meanwhile, again and again."""
    monkeypatch.setattr("exporter.sinks.otel.send.sender.IDLE_SECONDS", 0.001)
    tidied: list[int] = []
    with sending(Receiver()) as bench:
        monkeypatch.setattr(bench.spool, "tidy", lambda: tidied.append(1))
        bench.sender.start()
        wait_until(lambda: len(tidied) > 2)
        bench.put(2)
        wait_until(lambda: bench.exported == 2)


def test_a_request_that_cannot_be_made_costs_its_batch_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the mistake: counted, logged with its place, and the next batch goes."""
    receiver = Receiver(ZeroDivisionError("a mistake"))
    with sending(receiver) as bench:
        bench.put(3)
        bench.sender.start()
        wait_until(lambda: bench.value("log_records_dropped", reason="unsendable") == 3)
        bench.put(2)
        wait_until(lambda: bench.exported == 2)
        wait_until(lambda: bench.spool.records == 0)
    assert "3 log records are lost: they cannot be sent (a programming error)" in caplog.text
    assert "ZeroDivisionError: a mistake" in caplog.text


def test_a_chunk_that_cannot_be_read_back_costs_itself_alone(tmp_path: Path) -> None:
    """It is counted with its records, and what comes after it goes."""
    with sending(Receiver(), tmp_path) as before:
        before.put(3)
    broken = iter([True])

    def load(raw: bytes, records: int) -> Records:
        if next(broken, False):
            raise ZeroDivisionError("a mistake")
        return stored(raw, records)

    receiver = Receiver()
    with sending(receiver, tmp_path, load=load) as bench:
        bench.sender.start()
        wait_until(lambda: bench.value("log_records_dropped", reason="unsendable") == 3)
        bench.put(2)
        wait_until(lambda: bench.exported == 2)
        assert bench.sender.error is None
    assert receiver.seen == [[0, 1]]


def test_a_chunk_of_which_nothing_can_be_read_is_not_sent(tmp_path: Path) -> None:
    """What it held was counted where it was read; a request without records would be answered like any other."""
    with sending(Receiver(), tmp_path) as before:
        before.put(3)
    receiver = Receiver()
    with sending(receiver, tmp_path, load=lambda *_: Records()) as bench:
        bench.sender.start()
        wait_until(lambda: bench.spool.records == 0)
        assert (bench.exported, bench.sender.has_delivered) == (0, False)
    assert receiver.seen == []


def test_what_ends_the_thread_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time since when nothing is delivered, and the reason; what it was sending stays in the queue."""
    monkeypatch.setattr("threading.excepthook", lambda _arguments: None)
    receiver = Receiver(SystemExit("gone"))
    begun = time.time()
    with sending(receiver) as bench:
        assert bench.sender.error is None
        bench.put(2)
        bench.sender.start()
        bench.sender._thread.join(30)
        assert not bench.sender._thread.is_alive()
        assert isinstance(bench.sender.error, SystemExit)
        assert bench.sender.failing_since is not None
        assert begun <= bench.sender.failing_since <= time.time()
        assert bench.sender.last_error == "the sender has ended: SystemExit('gone')"
        assert bench.spool.records == 2
