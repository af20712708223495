"""Falco's JSON form becomes alerts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alert import Alert, Priority
from exporter.errors import DecodeError
from exporter.sources.decode import REASONS, from_json
from exporter.sources.json_document import NESTING_LIMIT

CAPTURES = Path(__file__).parents[2] / "captures"
MINIMAL = {"rule": "A rule", "time": "2024-10-05T18:29:39.273467556Z", "priority": "Warning"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def decode(**members: object) -> Alert:
    return from_json(json.dumps(MINIMAL | members))


def attempt(text: str | bytes) -> Alert | DecodeError:
    try:
        return from_json(text)
    except DecodeError as error:
        return error


def test_an_alert_with_the_required_members_alone_is_read() -> None:
    """output, output_fields, tags, hostname and source may be missing."""
    alert = from_json(json.dumps(MINIMAL).encode())
    assert alert.time_ns == 1_728_152_979_273_467_556
    assert (alert.rule, alert.priority) == ("A rule", Priority.WARNING)
    assert (alert.source, alert.hostname, alert.output, alert.fields, list(alert.tags)) == ("syscall", "", "", {}, [])


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("5", "5"),
        ("-1", "-1"),
        ("1795493721246247396", "1795493721246247396"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.0", "0.0"),
        ("3623.90", "3623.90"),
        ("1e400", "1e400"),
        ("true", "true"),
        ("false", "false"),
        ("null", "<NA>"),
        ('""', ""),
        ('["alpha","beta,gamma","d e"]', "(alpha,beta,gamma,d e)"),
        ("[1, null, true]", "(1,<NA>,true)"),
        ("[]", "()"),
        ('{"a": {"b": "ü"}}', '{"a":{"b":"ü"}}'),
        (
            '{"tier": 1, "share": 0.50, "big": 123456789012345678901234567890}',
            '{"tier":1,"share":0.50,"big":123456789012345678901234567890}',
        ),
        ('[{"a": [1, true, null, 2.0, "x"]}, [1.5]]', '({"a":[1,true,null,2.0,"x"]},(1.5))'),
        ("9" * 5_000, "9" * 5_000),
        ("NaN", "NaN"),
        (r'"\ud800"', "�"),
        (r'"\ud83d\ude00"', "😀"),
    ],
)
def test_a_fields_value_becomes_falcos_text(literal: str, text: str) -> None:
    """Numbers keep their own digits; the rest reads as Falco's gRPC form has it."""
    line = json.dumps(MINIMAL)[:-1] + ', "output_fields": {"a.field": ' + literal + "}}"
    assert from_json(line).fields["a.field"] == text


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("evt.time.s", "04:15:21"),
        ("evt.time.iso8601", "2026-11-24T04:15:21.990761000+0000"),
        ("evt.datetime", "2026-11-24 04:15:21.990761000"),
        ("evt.datetime.s", "2026-11-24 04:15:21"),
    ],
)
def test_falcos_time_fields_read_as_in_its_grpc_form(field: str, text: str) -> None:
    """Falco writes these as nanoseconds in JSON alone; text that is no such number stays."""
    assert decode(output_fields={field: 1795493721990761000}).get(field) == text
    assert decode(output_fields={field: "yesterday"}).get(field) == "yesterday"


@pytest.mark.parametrize(
    ("word", "priority"),
    [("Emergency", 0), ("ALERT", 1), ("critical", 2), ("Error", 3), ("Informational", 6), ("info", 6), ("Debug", 7)],
)
def test_a_priority_is_read_in_any_case(word: str, priority: int) -> None:
    """Falco's words in any case, and falcosidekick's short one, are priorities."""
    assert decode(priority=word).priority == priority


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01t00:00:01.000000001z", 1_000_000_001),
        ("1970-01-01T01:00:01+01:00", 10**9),
        ("1970-01-01T01:00:01.123456789999+0100", 1_123_456_789),
    ],
)
def test_a_time_is_rfc_3339(text: str, time_ns: int) -> None:
    """Fractions up to nanoseconds and offsets are understood."""
    assert decode(time=text).time_ns == time_ns


def test_falcosidekicks_form_is_the_same_alert() -> None:
    """falcosidekick adds a uuid and writes ``syscalls``; neither changes the alert."""
    plain = decode(source="syscall", output="x")
    relayed = decode(source="syscalls", output="x", uuid="3f4b2a60-0000-0000-0000-000000000000")
    assert relayed == plain
    assert relayed.uid == plain.uid


def test_the_message_member_stands_in_for_a_missing_output() -> None:
    """Falco can send ``message``, the output without time and priority, instead of ``output``."""
    with_output = decode(output="18:29:39.273467556: Warning Log files were tampered")
    assert decode(message="Log files were tampered").uid == with_output.uid


@pytest.mark.parametrize(
    ("members", "reason", "words"),
    [
        ({"rule": None}, "bad_rule", "`rule`.*nothing"),
        ({"rule": ""}, "bad_rule", "`rule`"),
        ({"rule": ["x"]}, "bad_rule", r"`rule`.*\['x'\]"),
        ({"time": None}, "bad_time", "`time`.*RFC 3339.*nothing"),
        ({"time": "yesterday"}, "bad_time", "'yesterday'"),
        ({"time": "2024-13-05T18:29:39Z"}, "bad_time", "2024-13"),
        ({"time": "2024-10-05T18:29:39"}, "bad_time", "2024-10"),
        ({"time": "1969-12-31T23:59:59Z"}, "bad_time", "between 1970"),
        ({"time": "2300-01-01T00:00:00Z"}, "bad_time", "and 2262"),
        ({"time": "２０２４-10-05T18:29:39Z"}, "bad_time", "`time`"),
        ({"priority": None}, "bad_priority", "`priority`.*nothing"),
        ({"priority": "Severe"}, "bad_priority", "'Severe'"),
        ({"priority": 4}, "bad_priority", "'4'"),
        ({"hostname": ["x"]}, "bad_member", "`hostname`.*string"),
        ({"output": {}}, "bad_member", "`output`"),
        ({"tags": "x"}, "bad_member", "`tags`.*list of strings"),
        ({"tags": [None]}, "bad_member", "`tags`"),
        ({"output_fields": []}, "bad_member", "`output_fields`.*object"),
    ],
)
def test_a_wrong_member_is_named_with_what_was_found(members: dict[str, object], reason: str, words: str) -> None:
    """The message names the member, what was expected and what was found."""
    with pytest.raises(DecodeError, match=words) as caught:
        decode(**members)
    assert caught.value.reason == reason


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"', "{} {}", b"\xff\xfe", "12:00:00 lunch"])
def test_what_is_no_json_object_is_malformed(text: str | bytes) -> None:
    """Anything but one JSON object is refused."""
    with pytest.raises(DecodeError, match="expected one JSON object") as caught:
        from_json(text)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        (b"", "empty", "empty"),
        (b" \r\n", "empty", "empty"),
        (b"\xef\xbb\xbf", "malformed", "byte order mark of UTF-8"),
        (b"\xff\xfe{\x00", "malformed", "byte order mark of UTF-16"),
        (b"12:00:00.000000001: Notice something happened", "text", "json_output: true"),
        (b"2024-10-05T18:29:39.273467556+0000: Warning x", "text", "json_output: true"),
    ],
)
def test_what_stands_in_place_of_json_is_named(text: bytes, reason: str, words: str) -> None:
    """An empty body, a byte order mark and Falco's text form are named as what they are."""
    with pytest.raises(DecodeError, match=words) as caught:
        from_json(text)
    assert caught.value.reason == reason


def test_a_byte_order_mark_before_an_alert_is_passed_over() -> None:
    """RFC 8259 lets a reader ignore it; what is kept of the message is without it."""
    alert = from_json(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode())
    assert alert.rule == "A rule"
    assert alert.received == json.dumps(MINIMAL).encode()


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    """A list of strings full of brackets, which do not nest, and one value that is nested so deep."""
    return '["[[[[{{{{\\"[[[", ' * 1 + opening * (levels - 1) + closing * (levels - 1) + "]"


@pytest.mark.parametrize("levels", [60, 70, 340, 494, 2_000, 100_000])
@pytest.mark.parametrize("place", ["output_fields", "unknown", "rule"])
def test_nesting_beyond_the_limit_is_a_reason_of_its_own(levels: int, place: str) -> None:
    """In a field, in a member that nobody reads and in one of the wrong type; never a RecursionError."""
    value = nested(levels)
    member = f'{{"a": {value}}}' if place == "output_fields" else value
    outcome = attempt(json.dumps(MINIMAL)[:-1] + f', "{place}": {member}}}')
    if levels < NESTING_LIMIT and place != "rule":
        assert isinstance(outcome, Alert)
    else:
        assert isinstance(outcome, DecodeError)
        assert outcome.reason == ("bad_rule" if levels < NESTING_LIMIT else "nested")


def test_brackets_in_text_do_not_nest() -> None:
    """A command line full of brackets is an alert like any other."""
    text = "[{" * 500 + '\\"' + "[{" * 500
    assert decode(output_fields={"proc.cmdline": text}).get("proc.cmdline") == text


def test_both_readers_give_the_same_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the quick reader takes, the other one, which takes more, reads as the same."""
    bodies = (CAPTURES / "alerts.jsonl").read_bytes().splitlines()
    quick = [from_json(body) for body in bodies]

    def refuse(_text: object) -> None:
        raise ValueError

    monkeypatch.setattr("exporter.sources.decode_json._read", refuse)
    for body, alert in zip(bodies, quick, strict=True):
        slow = from_json(body)
        assert (slow.uid, slow.fields, list(slow.tags)) == (alert.uid, alert.fields, list(alert.tags))


def test_an_error_never_carries_a_hostile_value_raw_or_whole() -> None:
    """Control characters are escaped and long values are cut in messages, which end in logs."""
    with pytest.raises(DecodeError) as caught:
        decode(priority="\x1b[31m" + "x" * 1_000_000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    """Bad bytes become U+FFFD and the alert is kept."""
    line = json.dumps(MINIMAL | {"hostname": "HOST"}).encode().replace(b"HOST", b"a\xff")
    assert from_json(line).hostname == "a�"


@given(st.dictionaries(st.sampled_from([*MINIMAL, "source", "hostname", "output", "output_fields", "tags"]), JSON))
def test_any_document_gives_an_alert_or_a_decode_error_of_the_closed_set(members: dict[str, object]) -> None:
    """No document raises anything but DecodeError; what is read can be written as UTF-8."""
    outcome = attempt(json.dumps(MINIMAL | members))
    if isinstance(outcome, DecodeError):
        assert outcome.reason in REASONS
        return
    text = "".join((outcome.rule, outcome.hostname, outcome.source, outcome.output, *outcome.tags))
    text.encode("utf-8")
    assert all(isinstance(value, str) for value in outcome.fields.values())
    assert len(outcome.uid) == 32


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_gives_an_alert_or_a_decode_error(text: str | bytes) -> None:
    """Arbitrary input raises nothing but DecodeError."""
    outcome = attempt(text)
    assert isinstance(outcome, Alert) or outcome.reason in REASONS


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"time": 5}, "found '5'"),
        ({"output_fields": [1]}, "member `output_fields`: expected an object, found ['1']"),
        ({"tags": "T1"}, "member `tags`: expected a list of strings, found 'T1'"),
        ({"hostname": 7}, "member `hostname`: expected a string, found '7'"),
    ],
)
def test_what_was_found_is_shown(members: dict[str, object], words: str) -> None:
    """So that who sends it knows where to look."""
    with pytest.raises(DecodeError) as caught:
        decode(**members)
    assert str(caught.value).endswith(words)


def test_the_second_reader_reads_every_member() -> None:
    """Bytes that are not UTF-8 cost no other member, the one that stands in for the output neither."""
    text = json.dumps(MINIMAL | {"message": "said", "source": "s", "hostname": "h?", "tags": ["t"]}).encode()
    alert = from_json(text.replace(b"h?", b"h\xff"))
    assert (alert.raw_output, alert.source, alert.hostname, tuple(alert.tags)) == ("said", "s", "h\ufffd", ("t",))


def test_falco_0_45_and_those_before_write_the_same_alert() -> None:
    """Text escaped as in JSON and U+FFFD, or raw text and bytes that are not UTF-8: one uid, the same fields."""
    former = (
        b'{"time":"2026-01-31T12:00:00.000000001Z","rule":"R","priority":"Notice","source":"syscall","hostname":"h",'
        b'"output":"12:00:00.000000001: Notice run a\\nb \xff","tags":["a"],'
        b'"output_fields":{"proc.cmdline":"a\\nb \xff","static.cluster":"prod"}}'
    )
    today = former.replace(b"Notice run a\\nb \xff", b"Notice run a\\\\nb \xef\xbf\xbd").replace(
        b"\xff", b"\xef\xbf\xbd"
    )
    before, after = from_json(former), from_json(today)
    assert before.uid == after.uid
    assert before.all_fields() == after.all_fields() == {"proc.cmdline": "a\nb \ufffd", "static.cluster": "prod"}
    assert (before.output, after.output) == ("run a\nb \ufffd", "run a\\nb \ufffd")


@pytest.mark.parametrize(
    ("time", "time_ns"),
    [
        ("1970-01-01T00:00:00.000000000Z", None),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
        ("2262-04-11T23:47:16.854775808Z", None),
    ],
)
def test_the_times_that_an_alert_may_have(time: str, time_ns: int | None) -> None:
    """From the first nanosecond of 1970 on, as far as a signed 64-bit number reaches."""
    document = json.dumps({"time": time, "rule": "R", "priority": "Notice"})
    if time_ns is not None:
        assert from_json(document).time_ns == time_ns
    else:
        with pytest.raises(DecodeError, match="between 1970 and 2262"):
            from_json(document)


def test_an_empty_name_of_a_rule_is_named_as_that() -> None:
    """It is there, and it is none."""
    with pytest.raises(DecodeError) as caught:
        from_json('{"time": "2026-01-31T12:00:00Z", "rule": "", "priority": "Notice"}')
    assert str(caught.value) == "member `rule`: expected the rule's name, found ''"
