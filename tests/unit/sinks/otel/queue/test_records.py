"""Records on their way: joined, split, and as they wait on disk."""

from __future__ import annotations

import gc
import logging
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.errors import DecodeError
from exporter.reporter import Reporter
from exporter.simulator.scenarios import demo_scenario, flood_messages
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.queue.records import Encoded, Records, join
from exporter.sinks.otel.queue.stored import StoredRecords
from exporter.sources.decode import from_json, from_received
from tests.captures import read_json_lines, read_messages
from tests.otel_records import ALERT, advice_for

OBSERVED_NS = 1_760_000_000_123_456_789
record_pieces = st.lists(st.builds(Encoded, st.binary(max_size=300), st.binary(max_size=300)), max_size=20)


def encoder(reports: Reports = Reports(advice_for)) -> RecordEncoder:  # noqa: B008 - never changed
    return RecordEncoder(Budget(48_000, 100, lambda: None), reports)


def of(*records: Encoded) -> Records:
    joined = Records()
    for record in records:
        joined.add(record)
    return joined


def never(message: bytes, observed_ns: int) -> Encoded:
    raise AssertionError((message, observed_ns))


@given(records=record_pieces)
def test_pieces_joined_are_the_records_of_a_request(records: list[Encoded]) -> None:
    """The pieces are fields of ScopeLogs, in order; ``len`` is their size; without messages the disk has the same."""
    chunk = of(*records)
    joined = b"".join(chunk.pieces)
    assert len(joined) == len(chunk)
    assert joined == b"".join(
        ScopeLogs.DESCRIPTOR.fields_by_name["log_records"].number.__lshift__(3).__or__(2).to_bytes(1, "big")
        + varint(len(record.joined))
        + record.joined
        for record in records
    )
    assert bytes(chunk) == joined
    read = Records.read(joined, never)
    assert (b"".join(read.pieces), read.count, len(read)) == (joined, len(records), len(chunk))


def varint(number: int) -> bytes:
    """Base-128, the least significant first."""
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        digits.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(digits)


@given(records=record_pieces.filter(lambda records: len(records) > 1))
def test_halves_joined_are_the_whole(records: list[Encoded]) -> None:
    """A batch that is too large is split between two records, and nothing of it changes."""
    whole = of(*records)
    first, second = whole.halves()
    assert abs(first.count - second.count) <= 1
    assert (len(first), len(second)) == (sum(map(len, first.pieces)), sum(map(len, second.pieces)))
    again = join([first, second])
    assert (again.pieces, again.count, len(again)) == (whole.pieces, whole.count, len(whole))


@given(stored=st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\x1a" + rest))
def test_any_bytes_are_a_chunk_or_a_value_error(stored: bytes) -> None:
    """What is on disk may be of another version, and still raises nothing else."""
    try:
        read = Records.read(stored, lambda message, _: Encoded(message, b""))
    except ValueError:
        return
    assert len(read) == sum(map(len, read.pieces))


def test_what_waits_on_disk_becomes_the_very_same_records() -> None:
    """Alerts by gRPC and as JSON, real ones and simulated ones: read back, every byte is as it was sent at once."""
    reporter = Reporter(load_catalog())
    messages = [alert.to_message() for alert in demo_scenario(OBSERVED_NS)]
    messages += [*read_messages("responses.bin"), *read_messages("responses-text.bin")]
    messages += [line.encode() for line in read_json_lines()]
    encode = encoder(Reports(reporter.advice_for, "https://falco.example/reports/")).encode
    chunk = Records()
    for message in messages:
        alert = from_received(message)
        chunk.add(encode(alert, observed_ns=OBSERVED_NS), OBSERVED_NS, alert.received)
    assert chunk.count == len(messages) > 150
    reading = encoder(Reports(Reporter(load_catalog()).advice_for, "https://falco.example/reports/"))
    stored = StoredRecords(reading, from_received, on_drop=lambda *drop: pytest.fail(str(drop)))
    read = stored.read(bytes(chunk), chunk.count)
    assert [LogRecord.FromString(record) for record in whole(read)] == [
        LogRecord.FromString(record) for record in whole(chunk)
    ]
    assert bytes(read) == bytes(chunk)


def whole(records: Records) -> list[bytes]:
    return [own + advice for own, advice in zip(records.pieces[1::3], records.pieces[2::3], strict=True)]


def test_the_disk_has_a_fraction_of_what_is_sent() -> None:
    """The advice of official rules is not written for each alert."""
    reporter = Reporter(load_catalog())
    encode = encoder(Reports(reporter.advice_for)).encode
    chunk = Records()
    for message in islice(flood_messages(), 50):
        alert = from_received(b"\x0a\x02\x08\x01" + message)
        chunk.add(encode(alert, observed_ns=OBSERVED_NS), OBSERVED_NS, alert.received)
    assert len(bytes(chunk)) < len(chunk) / 4


def test_a_message_that_is_longer_than_its_record_is_not_kept() -> None:
    """A record that was cut, or that a huge message gave, waits as the record, on disk and in memory."""
    chunk, message = Records(), b"m" * 12
    chunk.add(Encoded(b"record", b"advice"), OBSERVED_NS, message)
    assert b"".join(chunk.pieces) == bytes(chunk)
    assert not any(held is message for held in gc.get_referents(*chunk._messages))


def test_a_message_that_is_shorter_than_its_record_is_kept_however_often_it_is_read() -> None:
    """Shorter than record and advice together; read again it waits as the same message, of the same time."""
    chunk = Records()
    chunk.add(Encoded(b"record", b"advice"), OBSERVED_NS, b"m" * 11)
    stored = bytes(chunk)
    assert stored == Records.stored([b"m" * 11], OBSERVED_NS)
    seen: list[tuple[bytes, int]] = []

    def encode(message: bytes, observed_ns: int) -> Encoded:
        seen.append((message, observed_ns))
        return Encoded(b"record", b"advice")

    assert bytes(Records.read(stored, encode)) == stored
    assert Records.read(Records.stored([b""], 7), encode).count == 1
    assert seen == [(b"m" * 11, OBSERVED_NS), (b"", 7)]


def test_every_message_that_is_not_encoded_yet_comes_in_order() -> None:
    """Those of a whole delivery stand in one chunk, with the time at which they were seen."""
    messages = [b"first", b"", b"second" * 100, b"third"]
    seen: list[tuple[bytes, int]] = []

    def encode(message: bytes, observed_ns: int) -> Encoded:
        seen.append((message, observed_ns))
        return Encoded(b"record", b"advice")

    assert Records.read(Records.stored(messages, OBSERVED_NS), encode).count == 4
    assert seen == [(message, OBSERVED_NS) for message in messages]


@pytest.mark.parametrize("stored", [b"\x12\x05abc", b"\x99\x03abc", b"\x1a\x07\0\0\0\0\0\0\0", b"\x12"])
def test_a_chunk_that_ends_too_early_or_has_another_tag_is_none(stored: bytes) -> None:
    """It is not taken for a shorter record, nor for a message."""
    with pytest.raises(ValueError, match=r"expected|index"):
        Records.read(stored, lambda message, _: Encoded(message, b""))


def test_what_cannot_be_read_is_counted_and_the_rest_comes(caplog: pytest.LogCaptureFixture) -> None:
    """A message that this version refuses costs itself alone; a chunk in an unknown form is lost and counted whole."""
    dropped: list[tuple[str, int]] = []
    stored = StoredRecords(encoder(), from_received, on_drop=lambda *drop: dropped.append(drop))
    with pytest.raises(DecodeError):
        from_received(b"no message")
    chunk = Records()
    good = read_json_lines()[0].encode()
    for message in (good, b"no message", good):
        record = encoder().encode(from_json(good), observed_ns=OBSERVED_NS)
        chunk.add(record, OBSERVED_NS, message)
    with caplog.at_level(logging.ERROR):
        assert stored.read(bytes(chunk), 3).count == 2
        assert stored.read(b"\x99 of the future", 7).count == 0
    assert dropped == [("damaged", 1), ("damaged", 7)]
    one, chunk_of_the_future = (record.message for record in caplog.records)
    assert one.startswith("a queued alert is lost: its message cannot be read any more: expected a falco.outputs.resp")
    assert chunk_of_the_future.startswith("7 queued records are lost: this version cannot read their form: expected a ")
    assert chunk_of_the_future.endswith("found tag b'\\x99'")


def test_what_is_read_whole_counts_no_loss() -> None:
    """Nothing is said about damage, not even that there was none."""
    dropped: list[tuple[str, int]] = []
    stored = StoredRecords(encoder(), from_received, on_drop=lambda *drop: dropped.append(drop))
    assert stored.read(Records.stored([read_json_lines()[0].encode()], OBSERVED_NS), 1).count == 1
    assert dropped == []


def test_a_mistake_of_ours_in_one_message_costs_that_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its place, and the sender goes on."""
    dropped: list[tuple[str, int]] = []

    def read_message(message: bytes) -> Alert:
        raise ZeroDivisionError(message)

    stored = StoredRecords(encoder(), read_message, on_drop=lambda *drop: dropped.append(drop))
    assert stored.read(Records.stored([b"m"], OBSERVED_NS), 1).count == 0
    assert dropped == [("damaged", 1)]
    [record] = caplog.records
    assert record.message == "a queued alert is lost: it cannot be encoded again (a programming error)"
    assert "ZeroDivisionError" in caplog.text


def test_an_alert_that_was_changed_waits_as_its_record() -> None:
    """Without the message it came in (after redaction) the record itself is on disk."""
    record = encoder().encode(ALERT, observed_ns=OBSERVED_NS)
    chunk = Records()
    chunk.add(record, OBSERVED_NS, ALERT.received)
    assert bytes(chunk).endswith(record.joined)
