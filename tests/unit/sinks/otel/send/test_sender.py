"""The one thread that sends: what becomes of each answer, how it splits and pauses, and how it ends."""

from __future__ import annotations

import fcntl
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry

from exporter.config.model import Queue
from exporter.selfmetrics import DeliveryMetrics, SelfMetrics
from exporter.sinks.otel.queue.records import Encoded, Records
from exporter.sinks.otel.queue.refused import RefusedBatches
from exporter.sinks.otel.queue.spool import Spool
from exporter.sinks.otel.send import sender as module
from exporter.sinks.otel.send.answer import Answer, Verdict
from exporter.sinks.otel.send.envelope import Envelope
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.otel.send.sender import Pace, Pauses, Sender
from tests.waiting import wait_until

ACCEPTED = Answer(Verdict.ACCEPTED)
BUSY = Answer(Verdict.RETRY, "unavailable", "come again")
INVALID = Answer(Verdict.INVALID, "http_400", "bad record")
DENIED = Answer(Verdict.REFUSED, "http_403", "not you")
TOO_LARGE = Answer(Verdict.TOO_LARGE, "http_413", "too much")
QUICK = Pauses(0.001, 0.002)
AT_ONCE = Batching(linger_seconds=0.0)


class Receiver:
    """A client whose answers are scripted, then made by ``answer``; ``seen`` has the numbers in each request."""

    def __init__(self, *script: Answer | BaseException) -> None:
        self.script = deque(script)
        self.answer: Callable[[list[int]], Answer] = lambda _numbers: ACCEPTED
        self.seen: list[list[int]] = []
        self.sizes: list[int] = []
        self.closed = False

    def send(self, request: bytes) -> Answer:
        [resource] = ExportLogsServiceRequest.FromString(request).resource_logs
        numbers = [record.body.int_value for record in resource.scope_logs[0].log_records]
        self.seen.append(numbers)
        self.sizes.append(len(request))
        answer = self.script.popleft() if self.script else self.answer(numbers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    """A sender with everything around it."""

    sender: Sender
    spool: Spool[Records]
    registry: CollectorRegistry
    next_number: int = 0

    def put(self, count: int, *, apart: bool = False) -> None:
        """Queue so many records, in one chunk or each in its own."""
        for chunk in [1] * count if apart else [count]:
            self.spool.append(numbered(self.next_number, chunk), chunk)
            self.next_number += chunk

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"falco_exporter_{name}_total", {"endpoint": "default", **labels})

    @property
    def exported(self) -> float | None:
        return self.value("log_records_exported")


def numbered(first: int, count: int) -> Records:
    records = Records()
    for number in range(first, first + count):
        record = LogRecord(body=AnyValue(int_value=number), severity_text="x" * 80)
        records.add(Encoded(record.SerializeToString(), b""))
    return records


def stored(raw: bytes, _records: int) -> Records:
    return Records.read(raw, lambda _message, _observed_ns: None)


@contextmanager
def sending(
    receiver: Receiver,
    directory: Path | None = None,
    *,
    pace: Pace = Pace(QUICK, AT_ONCE),  # noqa: B008 - never changed
    clock: Callable[[], float] = time.time,
    load: Callable[[bytes, int], Records] = stored,
) -> Iterator[Bench]:
    registry = CollectorRegistry()
    spool: Spool[Records] = Spool(Queue(directory=directory), load=load, on_drop=lambda *_: None, clock=clock)
    spool.open()
    sender = Sender(
        spool,
        receiver,
        Envelope(Resource({})),
        refused=RefusedBatches(directory / "refused" if directory else None),
        metrics=DeliveryMetrics(SelfMetrics(registry), "default"),
        pace=pace,
    )
    try:
        yield Bench(sender, spool, registry)
    finally:
        sender.close(0)
        spool.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


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


def test_the_thread_has_a_name_and_keeps_no_process_from_ending() -> None:
    """By the name it is known where something ends it."""
    with sending(Receiver()) as bench:
        assert (bench.sender._thread.name, bench.sender._thread.daemon) == ("otlp-sender", True)


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


def test_closing_sends_what_waits_in_as_many_batches_as_it_takes() -> None:
    """Though a few would have waited for more."""
    receiver = Receiver()
    with sending(receiver, pace=Pace(QUICK, Batching(records=4, linger_seconds=600.0))) as bench:
        bench.put(10, apart=True)
        bench.sender.start()
        wait_until(lambda: bench.exported == 8)
        bench.sender.close(600)
        assert bench.exported == 10


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
