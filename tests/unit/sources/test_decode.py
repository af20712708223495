"""Falco's gRPC messages become alerts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter._proto import falco_lenient_pb2, falco_outputs_pb2
from exporter.alert import Alert, Priority
from exporter.errors import DecodeError
from exporter.sources.decode import REASONS, from_grpc, from_json, from_received
from tests.captures import read_json_lines, read_messages

TEXT = st.text(st.characters(codec="utf-8"))
FIELD = st.tuples(st.binary(max_size=20), st.binary(max_size=20))


def lenient(**members: object) -> bytes:
    """Serialise a message whose texts may be any bytes."""
    message = falco_lenient_pb2.response(rule=b"A rule", **members)
    message.time.seconds = 1_700_000_000
    return message.SerializeToString()


def test_every_captured_message_is_the_alert_that_falco_wrote_as_json() -> None:
    """Real messages with json_output are equal to the same alerts in the JSON form, uid included."""
    from_messages = [from_grpc(raw) for raw in read_messages("responses.bin")]
    from_lines = [from_json(line) for line in read_json_lines()]
    assert len(from_messages) == 50
    assert from_messages == from_lines
    assert [alert.uid for alert in from_messages] == [alert.uid for alert in from_lines]
    assert [alert.get("evt.time") for alert in from_messages] == [alert.get("evt.time") for alert in from_lines]


def test_a_received_message_gives_its_alert_again() -> None:
    """What an alert came in is all that is needed to have it back, by either way, blanks around JSON or not."""
    alerts = [from_grpc(raw) for raw in (*read_messages("responses.bin"), lenient(output=b"\xff"))]
    alerts += [from_json(b" \n" + line.encode() + b"\r\n") for line in read_json_lines()]
    assert [from_received(alert.received) for alert in alerts] == alerts
    assert from_json('{"rule": "A", "priority": "Debug", "time": "2024-10-05T18:29:39Z"}').received == b""


def test_every_captured_text_message_has_its_parts() -> None:
    """Real messages without json_output have rule, time, host and an output without time and priority."""
    alerts = [from_grpc(raw) for raw in read_messages("responses-text.bin")]
    assert len(alerts) == 50
    assert {alert.hostname for alert in alerts} == {"node-1"}
    assert {alert.source for alert in alerts} == {"dummy", "internal"}
    assert all(alert.time_text.startswith("2026-11-24T04:15:2") for alert in alerts)
    assert all(alert.output and not alert.output[0].isdigit() for alert in alerts)
    assert all(alert.priority is not Priority.UNKNOWN for alert in alerts)


@given(
    seconds=st.integers(1, 2**33),
    nanos=st.integers(0, 999_999_999),
    priority=st.integers(0, 7),
    rule=TEXT.filter(bool),
    output=TEXT.filter(lambda text: not text.startswith("{")),
    fields=st.dictionaries(TEXT, TEXT, max_size=5),
    tags=st.lists(TEXT, max_size=3),
)
def test_a_message_comes_out_as_it_went_in(
    *, seconds: int, nanos: int, priority: int, rule: str, output: str, fields: dict[str, str], tags: list[str]
) -> None:
    """Whatever the values, an alert carries what the message carried."""
    message = falco_outputs_pb2.response(
        priority=priority,  # type: ignore[arg-type]
        rule=rule,
        output=output,
        output_fields=fields,
        tags=tags,
        source="syscall",
        hostname="host-1",
    )
    message.time.seconds, message.time.nanos = seconds, nanos
    alert = from_grpc(message.SerializeToString())
    assert alert.time_ns == seconds * 10**9 + nanos
    assert (alert.rule, alert.priority, alert.raw_output) == (rule, Priority(priority), output)
    assert (dict(alert.fields), list(alert.tags)) == (fields, tags)
    assert (alert.source, alert.hostname) == ("syscall", "host-1")


@given(st.binary(max_size=60), st.lists(FIELD, max_size=3), st.binary(max_size=10))
def test_bytes_that_are_not_utf8_are_replaced_and_nothing_is_lost(
    output: bytes, fields: list[tuple[bytes, bytes]], hostname: bytes
) -> None:
    """An alert with any bytes in its texts is decoded, bad bytes as U+FFFD."""
    raw = lenient(
        output=output,
        hostname=hostname,
        output_fields=[falco_lenient_pb2.field(key=key, value=value) for key, value in fields],
    )
    alert = from_grpc(raw)
    assert alert.hostname == hostname.decode("utf-8", "replace")
    expected = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in fields}
    assert dict(alert.fields) == expected
    alert.uid.encode("ascii")
    alert.output.encode("utf-8")


def test_bad_bytes_in_one_field_leave_the_others_alone() -> None:
    """Only what is not UTF-8 is replaced; tags, source and priority come through the second decode too."""
    alert = from_grpc(
        lenient(
            priority=2,
            source=b"syscall",
            tags=[b"T1059", b"\xff"],
            output_fields=[
                falco_lenient_pb2.field(key=b"fd.name", value=b"/tmp/\xff\xfe"),
                falco_lenient_pb2.field(key=b"proc.name", value="é".encode()),
            ],
        )
    )
    assert alert.get("fd.name") == "/tmp/��"
    assert alert.get("proc.name") == "é"
    assert (alert.priority, alert.source, list(alert.tags)) == (Priority.CRITICAL, "syscall", ["T1059", "�"])


@pytest.mark.parametrize("number", [8, 42, -1, 2**31 - 1])
def test_an_unknown_priority_does_not_lose_the_alert(number: int) -> None:
    """A priority that the contract does not know becomes UNKNOWN."""
    assert from_grpc(lenient(priority=number)).priority is Priority.UNKNOWN


@pytest.mark.parametrize(
    ("number", "source"), [(0, "syscall"), (1, "k8s_audit"), (2, "internal"), (3, "plugin"), (4, ""), (-1, "")]
)
def test_a_falco_that_sends_no_source_name_is_understood(number: int, source: str) -> None:
    """The deprecated enum stands in for the source's name; an unknown value is no error."""
    assert from_grpc(lenient(source_deprecated=number)).source == source


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff", b"not a message", b"\x22\x05ab"])
def test_bytes_that_are_no_message_are_malformed(raw: bytes) -> None:
    """What neither schema can read is refused with its reason and size."""
    with pytest.raises(DecodeError, match=f"found {len(raw)} bytes") as caught:
        from_grpc(raw)
    assert caught.value.reason == "malformed"


@given(st.binary(max_size=200))
def test_any_bytes_give_an_alert_or_a_decode_error_of_the_closed_set(raw: bytes) -> None:
    """No input raises anything but DecodeError, and its reason is one of REASONS."""
    outcome: Alert | DecodeError
    try:
        outcome = from_grpc(raw)
    except DecodeError as error:
        outcome = error
    assert isinstance(outcome, Alert) or outcome.reason in REASONS


def test_a_message_without_rule_or_time_says_which() -> None:
    """A message that is no alert names the field that is missing."""
    with pytest.raises(DecodeError, match=r"field 4 \(rule\)") as caught:
        from_grpc(b"")
    assert caught.value.reason == "bad_rule"
    with pytest.raises(DecodeError, match=r"field 1 \(time\)") as caught:
        from_grpc(falco_outputs_pb2.response(rule="A rule").SerializeToString())
    assert caught.value.reason == "bad_time"


@pytest.mark.parametrize(
    ("document", "output"),
    [
        ('{"hostname":"a","output":"10:00:00.1: Warning x \\"y\\" \\u00e9","rule":"r"}', 'x "y" é'),
        ('{"hostname":"\\"output\\":\\"no","output":"yes","rule":"r"}', "yes"),
        ('{ "rule": "r", "output": "spaced" }', "spaced"),
        ('{"message":"without output","rule":"r"}', "without output"),
        ('{"output_fields":{},"rule":"r"}', ""),
        ('{"output":"lone \\ud800 surrogate","rule":"r"}', "lone � surrogate"),
        ('{"no": "alert"}', '{"no": "alert"}'),
        ("{no document}", "{no document}"),
        ('{"output":"cut off', '{"output":"cut off'),
        ("{" * 5000, "{" * 5000),
    ],
)
def test_the_output_is_taken_out_of_falcos_json_document(document: str, output: str) -> None:
    """With json_output the output text is the document's; a text that is no such document stays as it is."""
    message = falco_outputs_pb2.response(rule="A rule", output=document)
    message.time.seconds = 1
    assert from_grpc(message.SerializeToString()).output == output


@pytest.mark.parametrize("levels", [100, 340, 494, 5_000])
def test_a_nested_document_in_the_output_does_not_end_the_stream(levels: int) -> None:
    """With json_output the output is a document, whose text may be the attacker's: it stays as it is."""
    document = '{"rule": "A rule", "output": ' + "[" * levels + "]" * levels + "}"
    alert = from_grpc(lenient(output=document.encode()))
    assert alert.raw_output == document
    assert from_received(alert.received) == alert


def test_reading_an_absent_field_does_not_change_the_alert() -> None:
    """``get`` on protobuf's own map leaves it as it came."""
    alert = from_grpc(lenient())
    before = alert.fields
    assert alert.get("proc.name") is None
    assert alert.fields == before


def test_a_message_with_bytes_that_are_not_utf8_has_all_its_parts() -> None:
    """Time to the nanosecond, a priority that nobody knows, its source, and the output out of its JSON document."""
    document = b'{"hostname":"h","output":"the \xff output","output_fields":{"output":"another"},"rule":"A rule"}'
    message = falco_lenient_pb2.response(
        rule=b"A rule", priority=99, source=b"own \xff", source_deprecated=1, output=document
    )
    message.time.seconds, message.time.nanos = 1_700_000_000, 5
    alert = from_grpc(message.SerializeToString())
    assert alert.time_ns == 1_700_000_000_000_000_005
    assert (alert.priority, alert.source) == (Priority.UNKNOWN, "own \ufffd")
    assert alert.raw_output == "the \ufffd output"
    message.output = b"18:29:39.0: Notice \xff {"
    assert from_grpc(message.SerializeToString()).raw_output == "18:29:39.0: Notice \ufffd {"


@pytest.mark.parametrize("form", [falco_outputs_pb2.response, falco_lenient_pb2.response])
def test_text_that_quotes_a_document_is_text(form: type) -> None:
    """Only an output that is a document from its first character is read as one; values in it are the attacker's."""
    output = '18:29:39.0: Notice run {"output":"nothing"} \udcff'.encode("utf-8", "surrogateescape")
    whole = output if form is falco_lenient_pb2.response else output[:-1]
    message = falco_lenient_pb2.response(rule=b"A rule", output=whole)
    message.time.seconds = 1
    assert from_grpc(message.SerializeToString()).raw_output == whole.decode("utf-8", "replace")


@pytest.mark.parametrize(("time_ns", "is_taken"), [(0, False), (1, True), (2**63 - 1, True), (2**63, False)])
def test_the_times_that_an_alert_may_have(time_ns: int, is_taken: bool) -> None:
    """From the first nanosecond of 1970 on, as far as a signed 64-bit number reaches."""
    message = falco_outputs_pb2.response(rule="A rule")
    message.time.seconds, message.time.nanos = divmod(time_ns, 1_000_000_000)
    if is_taken:
        assert from_grpc(message.SerializeToString()).time_ns == time_ns
    else:
        with pytest.raises(DecodeError, match=f"found {time_ns} ns since 1970"):
            from_grpc(message.SerializeToString())
