"""What a receiver does not take: halved, set aside, made smaller or slowed down, and always counted."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from exporter.sinks.otel.send import sender as module
from exporter.sinks.otel.send.answer import Answer, Verdict
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.otel.send.sender import Pace, Pauses
from tests.unit.sinks.otel.send.sending import (
    ACCEPTED,
    DENIED,
    INVALID,
    TOO_LARGE,
    Receiver,
    numbered,
    sending,
    warnings,
)
from tests.waiting import wait_until


def test_one_bad_record_is_found_by_halving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others go out in order; the one is kept as a file, counted, and the log names both."""
    receiver = Receiver()
    receiver.answer = lambda numbers: INVALID if 5 in numbers else ACCEPTED
    with sending(receiver, tmp_path) as bench:
        bench.put(8)
        bench.sender.start()
        wait_until(lambda: bench.exported == 7)
        wait_until(lambda: bench.spool.records == 0)
        assert bench.value("log_records_failed", reason="http_400") == 1
    assert receiver.seen == [list(range(8)), [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]
    [file] = (tmp_path / "refused").iterdir()
    [resource] = ExportLogsServiceRequest.FromString(file.read_bytes()).resource_logs
    assert [record.body.int_value for record in resource.scope_logs[0].log_records] == [5]
    said = f"1 log records were refused for good (set aside: {file}): the OTLP receiver answered http_400 'bad record'"
    assert warnings(caplog) == [said]


def test_a_refusal_that_is_not_about_the_records_is_not_halved(caplog: pytest.LogCaptureFixture) -> None:
    """The whole batch is set aside, and the log says where it is not kept."""
    receiver = Receiver(DENIED)
    with sending(receiver) as bench:
        bench.put(3)
        bench.sender.start()
        wait_until(lambda: bench.value("log_records_failed", reason="http_403") == 3)
        bench.put(1)
        wait_until(lambda: bench.exported == 1)
    assert receiver.seen == [[0, 1, 2], [3]]
    assert warnings(caplog) == [
        "3 log records were refused for good (set aside: not kept): the OTLP receiver answered http_403 'not you'"
    ]


def test_halving_in_vain_ends_after_sixteen() -> None:
    """What is left of the batch then goes at once; one delivery in between begins the count anew."""
    receiver = Receiver()
    receiver.answer = lambda _numbers: INVALID
    with sending(receiver) as bench:
        bench.put(64)
        bench.sender.start()
        wait_until(lambda: bench.value("log_records_failed", reason="http_400") == 64)
        refused = list(receiver.seen)
        receiver.script.append(ACCEPTED)
        bench.put(1)
        wait_until(lambda: bench.exported == 1)
        bench.put(2)
        wait_until(lambda: bench.value("log_records_failed", reason="http_400") == 66)
    sizes = [64, 32, 16, 8, 4, 2, 1, 1, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1, 8, 16, 32]
    assert [len(numbers) for numbers in refused] == sizes
    assert refused[16:] == [[6], [7], [*range(8, 16)], [*range(16, 32)], [*range(32, 64)]]
    assert receiver.seen[len(refused) :] == [[64], [65, 66], [65], [66]]


def test_refusals_in_a_row_are_slowed_down() -> None:
    """The second is followed by a pause, so that a receiver that refuses everything uses up little of the queue."""
    receiver = Receiver()
    receiver.answer = lambda _numbers: DENIED
    with sending(receiver, pace=Pace(Pauses(60.0, 60.0), Batching(records=1, linger_seconds=0.0))) as bench:
        bench.put(5, apart=True)
        bench.sender.start()
        wait_until(lambda: bench.value("log_records_failed", reason="http_403") == 2)
        bench.sender.close(0)
        assert bench.value("log_records_failed", reason="http_403") == 2
    assert receiver.seen == [[0], [1]]


def test_a_refusal_after_a_delivery_is_the_first_again() -> None:
    """Nothing is slowed down for one record that is refused now and then."""
    receiver = Receiver(ACCEPTED, DENIED, ACCEPTED, DENIED)
    with sending(receiver, pace=Pace(Pauses(600.0, 600.0), Batching(records=1, linger_seconds=0.0))) as bench:
        bench.put(5, apart=True)
        bench.sender.start()
        wait_until(lambda: bench.exported == 3)
    assert receiver.seen == [[0], [1], [2], [3], [4]]


def test_what_is_too_large_makes_the_next_batches_smaller(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of the request that was refused; after a while the limit is doubled, up to the usual one."""
    monkeypatch.setattr(module, "BATCH_BYTES", 2_000)
    monkeypatch.setattr(module, "SMALLEST_BATCH_BYTES", 100)
    receiver = Receiver(TOO_LARGE)
    with sending(receiver) as bench:
        bench.put(60, apart=True)
        bench.sender.start()
        wait_until(lambda: bench.exported == 60)
        size = len(numbered(0, 1))
        whole = 2_000 // size
        limit_bytes = receiver.sizes[0] // 2
        half = limit_bytes // size
        assert [len(numbers) for numbers in receiver.seen[:5]] == [whole, whole // 2, whole - whole // 2, half, half]
        monkeypatch.setattr(module, "_LARGER_AGAIN_SECONDS", 0.0)
        bench.sender._larger_again_at = time.monotonic()
        before = len(receiver.seen)
        bench.put(3 * whole, apart=True)
        wait_until(lambda: bench.exported == 60 + 3 * whole)
    assert max(len(numbers) for numbers in receiver.seen[before:]) == whole
    assert sorted(number for numbers in receiver.seen[1:] for number in numbers) == list(range(60 + 3 * whole))
    assert warnings(caplog) == [
        f"batches of at most {limit_bytes} bytes from now on: the OTLP receiver answered http_413 'too much'"
    ]


def test_larger_batches_are_tried_one_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as large, and the next step only ten minutes later, up to the usual size."""
    now = [1_000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    sizes: list[float] = []
    with sending(Receiver()) as bench:
        bench.sender._limit_bytes = module.BATCH_BYTES // 4
        for _ in range(3):
            sizes += [bench.sender._batch_bytes() / module.BATCH_BYTES for _ in range(2)]
            now[0] += 601.0
    assert sizes == [0.5, 0.5, 1.0, 1.0, 1.0, 1.0]


def test_batches_do_not_become_smaller_than_the_smallest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that takes nothing does not get each record by itself ever after."""
    monkeypatch.setattr(module, "SMALLEST_BATCH_BYTES", 50_000)
    receiver = Receiver(TOO_LARGE)
    with sending(receiver) as bench:
        bench.put(4)
        bench.sender.start()
        wait_until(lambda: bench.exported == 4)
    assert "batches of at most 50000 bytes from now on" in caplog.text


def test_what_an_accepting_receiver_did_not_take_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """No more than were sent; nothing is sent again, and the log says how many and that it is over."""
    caplog.set_level("INFO")
    receiver = Receiver(
        Answer(Verdict.ACCEPTED, "", "two were bad", rejected=2), Answer(Verdict.ACCEPTED, "", "all", rejected=99)
    )
    with sending(receiver) as bench:
        bench.sender.start()
        bench.put(5)
        wait_until(lambda: bench.exported == 3)
        wait_until(lambda: bench.spool.records == 0)
        bench.put(4)
        wait_until(lambda: bench.value("log_records_failed", reason="rejected") == 6)
        wait_until(lambda: bench.spool.records == 0)
        assert bench.exported == 3
        for exported in (4, 5):
            bench.put(1)
            wait_until(lambda: bench.exported == exported)  # noqa: B023 - waited for here
        assert bench.sender.failing_since is None
    assert [record.message for record in caplog.records] == [
        "the receiver took a batch but for 2 of 5 records: the OTLP receiver answered  'two were bad'",
        "log records are delivered again",
    ]
