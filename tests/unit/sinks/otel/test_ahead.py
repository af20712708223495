"""What is answered before its record is made: on disk as a message, later the very record, never twice, never lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.alert import Alert
from exporter.config.model import Queue
from exporter.simulator.scenarios import flood
from exporter.sinks.otel.ahead import Ahead
from exporter.sinks.otel.queue import journal
from exporter.sinks.otel.queue.records import Encoded, Records, join
from exporter.sinks.otel.queue.spool import Spool
from exporter.sources.decode import from_json

NOW_NS = 1_760_000_000_000_000_000
SEEN_NS = time.time_ns()
DROPPED: list[tuple[str, int]] = []


def to_record(alert: Alert, observed_ns: int) -> Encoded:
    """A record of 200 bytes and the message's, so that a message is the shorter form."""
    return Encoded(b"made at %d of " % observed_ns + alert.received, b"." * 200)


def read_again(stored: bytes, _records: int) -> Records:
    return Records.read(stored, lambda message, observed_ns: to_record(from_json(message), observed_ns))


def alerts(count: int) -> list[Alert]:
    return [from_json(alert.to_json().encode()) for alert in flood(count, NOW_NS)]


def open_spool(directory: Path | None) -> Spool[Records]:
    spool: Spool[Records] = Spool(
        Queue(directory=directory),
        load=read_again,
        on_drop=lambda reason, records: DROPPED.append((reason, records)),
    )
    spool.open()
    return spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool[Records]]:
    DROPPED.clear()
    spool = open_spool(tmp_path / "queue")
    yield spool
    spool.close()


def ahead_of(spool: Spool[Records], *, is_durable: bool = True, chunk_records: int = 512) -> Ahead:
    return Ahead(spool, to_record, chunk_records=chunk_records, is_durable=is_durable)


def taken(spool: Spool[Records]) -> list[bytes]:
    """Everything that waits, in order, as it stands in requests; none of it waits afterwards."""
    found = []
    while (batch := spool.take(10_000, 100_000_000)) is not None:
        found += [join(batch).pieces]
        spool.release()
    return [own + advice for pieces in found for own, advice in zip(pieces[1::3], pieces[2::3], strict=True)]


def records_of(expected: list[Alert], observed_ns: int = SEEN_NS) -> list[bytes]:
    return [to_record(alert, observed_ns).joined for alert in expected]


def journal_copy(directory: Path) -> list[bytes]:
    """What another process would send if this one ended now."""
    (directory / "copy").mkdir(0o700)
    for file in (directory / "queue").iterdir():
        (directory / "copy" / file.name).write_bytes(file.read_bytes())
        (directory / "copy" / file.name).chmod(0o600)
    other = open_spool(directory / "copy")
    found = taken(other)
    other.close()
    return found


def test_what_was_kept_is_sent_as_the_record_that_was_made_of_it(spool: Spool[Records]) -> None:
    """One by one, as Falco posts, and completed together."""
    ahead, made = ahead_of(spool), alerts(30)
    for alert in made:
        assert ahead.keep([alert], SEEN_NS)
    assert spool.records == 30
    assert ahead.complete() == []
    assert spool.records == 30
    assert taken(spool) == records_of(made)
    assert (spool.records, DROPPED) == (0, [])


def test_what_was_kept_survives_a_process_that_ends_before_its_record_is_made(
    spool: Spool[Records], tmp_path: Path
) -> None:
    """The files are what a kill leaves; another process reads them."""
    made = alerts(20)
    ahead = ahead_of(spool)
    ahead.keep(made[:1], SEEN_NS)
    ahead.keep(made[1:], SEEN_NS)
    assert journal_copy(tmp_path) == records_of(made)


class Message:
    """A message that is read when somebody asks."""

    def __init__(self, message: bytes) -> None:
        self.message = message

    def read(self) -> Alert | None:
        return None if self.message.startswith(b"no") else from_json(self.message)


def messages_of(made: list[Alert]) -> list[Message]:
    return [Message(alert.received) for alert in made]


@pytest.mark.parametrize("at_once", [1, 7])
def test_messages_are_on_disk_before_they_are_read(spool: Spool[Records], tmp_path: Path, at_once: int) -> None:
    """Another process would send the same records."""
    ahead, made = ahead_of(spool, chunk_records=4), alerts(14)
    for place in range(0, 14, at_once):
        assert ahead.keep_messages(messages_of(made[place : place + at_once]), SEEN_NS)
    assert spool.records == 14
    assert journal_copy(tmp_path) == records_of(made)
    assert ahead.complete() == []
    assert taken(spool) == records_of(made)
    assert DROPPED == []


def test_messages_and_alerts_stay_in_their_order(spool: Spool[Records]) -> None:
    """Some of a turn's posts were read before their answers."""
    ahead, made = ahead_of(spool), alerts(6)
    ahead.keep_messages(messages_of(made[:2]), SEEN_NS)
    ahead.keep(made[2:4], SEEN_NS)
    ahead.keep_messages(messages_of(made[4:]), SEEN_NS)
    assert ahead.complete() == []
    assert taken(spool) == records_of(made)


@pytest.mark.parametrize("unread", [[0], [1, 2], [0, 1, 2]])
def test_a_message_that_is_no_alert_becomes_no_record(spool: Spool[Records], unread: list[int]) -> None:
    """It was counted when it was read: the queue neither sends nor drops it."""
    ahead, made = ahead_of(spool), alerts(3)
    messages = messages_of(made)
    for number in unread:
        messages[number].message = b"no alert"
    assert ahead.keep_messages(messages, SEEN_NS)
    assert ahead.complete() == []
    assert taken(spool) == records_of([alert for number, alert in enumerate(made) if number not in unread])
    assert (spool.records, DROPPED) == (0, [])
    assert ahead.keep(made, SEEN_NS)
    assert ahead.complete() == []
    assert taken(spool) == records_of(made)


def test_messages_without_a_disk_are_written_as_records(tmp_path: Path) -> None:
    """The disk has failed since the start: nothing is kept, and nothing is lost."""
    spool = open_spool(None)
    ahead, made = ahead_of(spool), alerts(3)
    assert not ahead.keep_messages(messages_of(made), SEEN_NS)
    assert ahead.complete() == made
    spool.close()


def test_what_the_sender_has_taken_already_is_not_made_again(spool: Spool[Records]) -> None:
    """It reads the messages itself; what comes after them is completed all the same."""
    ahead, made = ahead_of(spool), alerts(9)
    for alert in made:
        ahead.keep([alert], SEEN_NS)
    batch = spool.take(4, 1_000_000)
    assert batch is not None
    assert join(batch).count == 4
    assert ahead.complete() == []
    spool.put_back()
    assert taken(spool) == records_of(made)
    assert DROPPED == []


@pytest.mark.parametrize("completed_each", [1, 3, 24])
@pytest.mark.parametrize("file_bytes", [5_000, 8_000_000])
def test_what_was_sent_does_not_come_again_after_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, completed_each: int, file_bytes: int
) -> None:
    """The place where reading stands is behind as many chunks as were one, and never between two files."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", file_bytes)
    spool = open_spool(tmp_path / "queue")
    ahead, made = ahead_of(spool), alerts(24)
    for number, alert in enumerate(made, 1):
        ahead.keep([alert], SEEN_NS)
        if number % completed_each == 0 and number < len(made):
            ahead.complete()
    half = spool.take(10, 100_000_000)
    assert half is not None
    sent = join(half).count
    assert 0 < sent < 24
    spool.release()
    spool.close()
    again = open_spool(tmp_path / "queue")
    assert taken(again) == records_of(made)[sent:]
    again.close()


@pytest.mark.parametrize("file_bytes", [5_000, 8_000_000])
def test_chunks_of_two_files_stay_apart(
    spool: Spool[Records], monkeypatch: pytest.MonkeyPatch, file_bytes: int
) -> None:
    """They are completed together only within a file."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", file_bytes)
    ahead, made = ahead_of(spool), alerts(24)
    for alert in made:
        ahead.keep([alert], SEEN_NS)
    ahead.complete()
    batch = spool.take(1, 1)
    assert batch is not None
    assert join(batch).count == (24 if file_bytes > 5_000 else 4)
    spool.put_back()
    assert taken(spool) == records_of(made)


def test_another_chunk_in_between_keeps_them_apart(spool: Spool[Records]) -> None:
    """What is queued from elsewhere stays in its place."""
    ahead, made = ahead_of(spool), alerts(3)
    ahead.keep(made[:1], SEEN_NS)
    other = Records()
    other.add(Encoded(b"an incident's record", b""))
    spool.append(other, 1)
    ahead.keep(made[1:], SEEN_NS)
    ahead.complete()
    first, *rest = records_of(made)
    assert taken(spool) == [first, b"an incident's record", *rest]


def test_a_changed_alert_has_to_be_written_as_its_record(spool: Spool[Records]) -> None:
    """Without a message that says the same nothing can be kept ahead; the order stays."""
    ahead, made = ahead_of(spool), alerts(3)
    made[1] = replace(made[1], received=b"")
    assert ahead.keep(made[:1], SEEN_NS)
    assert not ahead.keep(made[1:], SEEN_NS)
    assert ahead.complete() == made[1:]
    assert taken(spool) == records_of(made[:1])


def test_nothing_is_kept_before_what_has_to_be_written(spool: Spool[Records]) -> None:
    """Whatever comes behind a changed alert waits with it, in its place."""
    ahead, made = ahead_of(spool, chunk_records=1), alerts(3)
    made[0] = replace(made[0], received=b"")
    assert not ahead.keep(made, SEEN_NS)
    assert spool.records == 0
    assert ahead.complete() == made


def test_a_queue_in_memory_keeps_alerts_where_their_records_would_be() -> None:
    """Nothing of memory survives a kill, so that nothing is done before the answer."""
    spool = open_spool(None)
    ahead, made = ahead_of(spool, is_durable=False), alerts(3)
    assert ahead.keep(made, SEEN_NS)
    assert spool.records == 0
    assert ahead.complete() == made
    assert ahead.complete() == []
    spool.close()


def test_many_alerts_at_once_are_several_chunks(spool: Spool[Records]) -> None:
    """A receiver takes requests up to a limit, and a chunk is never parted."""
    ahead, made = ahead_of(spool, chunk_records=4), alerts(10)
    assert ahead.keep(made, SEEN_NS)
    first = spool.take(4, 1_000_000)
    assert first is not None
    assert join(first).count == 4
    spool.put_back()
    ahead.complete()
    assert taken(spool) == records_of(made)
