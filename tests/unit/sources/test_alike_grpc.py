"""gRPC messages that came before at another time: the alert is the one that is made of the message by itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from exporter._proto import falco_lenient_pb2, falco_outputs_pb2
from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.likeness import UNLIKE
from exporter.simulator.scenarios import flood
from exporter.sources import alike_grpc, decode
from exporter.sources.alike_grpc import find_alike
from exporter.sources.decode import _from_lenient as read_whole
from exporter.sources.decode import from_grpc
from tests.alerts import members
from tests.captures import read_messages

BEGIN_NS = 1_728_152_979_273_467_556
FIELDS = {"fd.name": "/etc/shadow", "proc.name": "cat", "user.loginuid": "-1"}


def message_of(
    second: int = 0, *, fields: dict[str, str] | None = None, order: tuple[int, ...] = (0, 1, 2), **members: Any
) -> bytes:
    """An alert so many seconds later, its fields in some order."""
    entries = [
        falco_outputs_pb2.response(output_fields={name: value}).SerializeToString()
        for name, value in (FIELDS | (fields or {})).items()
    ]
    given: dict[str, Any] = {
        "rule": "A rule",
        "priority": 4,
        "source": "syscall",
        "hostname": "node",
        "output": f"18:29:{39 + second:02d}.273467556: Warning A file was opened | file=/etc/shadow",
        "tags": ["T1", "maturity_stable"],
        **members,
    }
    behind = falco_outputs_pb2.response(**{name: given.pop(name) for name in ("hostname", "tags", "source")})
    before = falco_outputs_pb2.response(**given)
    before.time.seconds, before.time.nanos = divmod(BEGIN_NS + second * 10**9, 10**9)
    return b"".join((before.SerializeToString(), *[entries[place] for place in order], behind.SerializeToString()))


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike_grpc, "_COMMON", type(alike_grpc._COMMON)(1_024))
    monkeypatch.setattr(alike_grpc, "_KNOWN", type(alike_grpc._KNOWN)(1_024))


def test_the_same_at_another_time_in_any_order_is_alike() -> None:
    """Each is the alert that it would be by itself, and its fields are not taken out again."""
    first = from_grpc(message_of())
    again = [
        from_grpc(message_of(second, order=order)) for second, order in enumerate(itertools.permutations((0, 1, 2)), 1)
    ]
    assert {id(alert.known_likeness) for alert in again} == {id(first.known_likeness)}
    assert first.likeness.comes_again
    assert {id(alert.fields) for alert in again[1:]} == {id(again[0].fields)}
    for second, (alert, order) in enumerate(zip(again, itertools.permutations((0, 1, 2)), strict=True), 1):
        assert members(alert) == members(read_whole(message_of(second, order=order)))
        assert find_alike(message_of(second, order=order)) is not None
        assert (alert.size_bytes, alert.form) == (first.size_bytes, first.form)


def _known(**given: Any) -> bytes:
    """A message that is found from now on."""
    messages = [message_of(second, **given) for second in range(3)]
    for message in messages:
        from_grpc(message)
    assert find_alike(messages[0]) is not None
    return messages[0]


def _read(message: bytes, read: Callable[[bytes], Alert]) -> object:
    try:
        return members(read(message))
    except DecodeError as exc:
        return exc.reason


def test_whatever_becomes_of_a_known_message_it_is_read_as_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in turn is another, missing, or there twice; each piece of it, too."""
    known = _known()
    changed = [
        known[:place] + put + known[place + 1 :]
        for place in range(len(known))
        for put in (b"", known[place : place + 1] * 2, *(bytes((known[place] ^ bit,)) for bit in (1, 4, 16, 64, 128)))
    ]
    changed += [known[:place] + known[place + size :] for size in (2, 12, 24, 40) for place in range(len(known))]
    changed += [known[:place] + known[place - size :] for size in (2, 12, 24, 40) for place in range(size, len(known))]
    changed += [known[:place] for place in range(len(known))]
    quickly = [_read(message, from_grpc) for message in changed]
    assert find_alike(known) is not None
    monkeypatch.setattr(decode, "find_alike", lambda _: None)
    assert quickly == [_read(message, from_grpc) for message in changed]


def test_a_field_twice_in_place_of_another_of_its_length_is_not_alike() -> None:
    """The set and the length of the fields alone would not tell."""
    same_length = {"fd.name": "/etc/shadow", "fd.nane": "/etc/shadow"}
    _known(fields=same_length, order=(0, 1, 2, 3))
    twice = message_of(9, fields=same_length, order=(0, 1, 2, 0))
    assert len(twice) == len(message_of(9, fields=same_length, order=(0, 1, 2, 3)))
    assert find_alike(twice) is None
    assert from_grpc(twice).get("fd.nane") is None


def test_what_stands_far_from_the_end_is_compared() -> None:
    """Behind the fields, beyond the end by which a message is found."""
    tags = ["maturity_stable", "T1059.004", "mitre_execution", "mitre_persistence", "container", "host"]
    _known(tags=tags)
    other = message_of(9, tags=tags, hostname="nude")
    assert find_alike(other) is None
    assert from_grpc(other).hostname == "nude"


@pytest.mark.parametrize("given", [{"tags": [], "hostname": ""}, {"rule": "R", "priority": 0}])
def test_short_messages_are_found_whatever_the_order_of_their_fields(given: dict[str, Any]) -> None:
    """Without tags and host the fields stand near the end, with a short name of a rule the clock near the beginning."""
    _known(**given)
    for second, order in enumerate(itertools.permutations((0, 1, 2))):
        assert find_alike(message_of(second, order=order, **given)) is not None
    assert len(alike_grpc._KNOWN) == 1


def test_members_in_another_order_than_protobuf_writes_are_read_as_ever() -> None:
    """A host's name amid the fields would be taken for one of them."""

    def amid(second: int, hostname: str) -> bytes:
        message = message_of(second, order=(0, 1), hostname="", tags=[], source="")
        host = falco_outputs_pb2.response(hostname=hostname).SerializeToString()
        last = falco_outputs_pb2.response(output_fields={"user.loginuid": "-1"}).SerializeToString()
        return message + host + last

    for second in range(4):
        assert from_grpc(amid(second, "node")).hostname == "node"
        assert from_grpc(amid(second, "nude")).hostname == "nude"
    assert not alike_grpc._KNOWN


def test_a_length_in_more_bytes_than_it_needs_hides_nothing() -> None:
    """Of the time: else what stands between its end and where it seems to end would be skipped."""
    known = _known()
    size = known[1]
    seems_to_end = (size | 0x80) + 2
    room = seems_to_end - size - 3 - 2
    hidden = b"\x42" + bytes((room,)) + b"x" * room
    message = b"\x0a" + bytes((size | 0x80, 0)) + known[2 : size + 2] + hidden + known[size + 2 :]
    assert message[seems_to_end:] == known[size + 2 :]
    assert from_grpc(message).tags[0] == "x" * room


@pytest.mark.parametrize("nanos", [0, 1, 127, 128, 999_999_999])
def test_times_of_any_length_are_read(nanos: int) -> None:
    """Protobuf writes a small number with fewer bytes, and none for 0."""
    known = falco_outputs_pb2.response.FromString(_known())
    known.time.nanos = nanos
    fields = [falco_outputs_pb2.response(output_fields={name: value}) for name, value in FIELDS.items()]
    behind = falco_outputs_pb2.response(hostname=known.hostname, tags=known.tags, source=known.source)
    for name in ("output_fields", "hostname", "tags", "source"):
        known.ClearField(name)
    message = b"".join(part.SerializeToString() for part in (known, *fields, behind))
    alike = find_alike(message)
    assert alike is not None
    assert alike.time_ns == BEGIN_NS // 10**9 * 10**9 + nanos


def test_messages_with_the_same_end_and_length_are_told_apart_up_to_a_number() -> None:
    """Who makes up more of them has them read as ever."""
    messages = [
        [message_of(second, fields={"proc.name": name}) for second in range(3)] for name in ("cat", "dog", "cow", "pig")
    ]
    others = [[message_of(second, fields={"proc.name": f"a{n}z"}) for second in range(3)] for n in range(9)]
    for series in (*messages, *others):
        for message in series:
            assert members(from_grpc(message)) == members(read_whole(message))
    assert [find_alike(series[0]) is not None for series in (*messages, *others)] == [True] * 8 + [False] * 5
    assert {len(kept) for kept in alike_grpc._KNOWN.values()} == {8}


@pytest.mark.parametrize(
    "other",
    [
        {"rule": "Another"}, {"priority": 5}, {"source": "k8s_audit"}, {"hostname": "other"}, {"tags": ["T1"]},
        {"tags": ["maturity_stable", "T1"]}, {"output": "18:29:39.273467556: Warning Another | file=/etc/shadow"},
        {"output": "A text without a time | file=/etc/shadow"}, {"fields": {"fd.name": "/etc/passwd"}},
        {"order": (0, 1)},
    ],
)  # fmt: skip
def test_what_differs_in_anything_else_is_not_alike(other: dict[str, Any]) -> None:
    """However often both came."""
    for second in range(3):
        one, two = from_grpc(message_of(second)), from_grpc(message_of(second, **other))
        assert one.known_likeness is not two.known_likeness
        assert members(two) == members(read_whole(message_of(second, **other)))


@pytest.mark.parametrize(
    "begin", ["18:29:39.273467556 Warning x", "1829:39.2734675567: x", "18:29:39.27346755x: x", ""]
)
def test_an_output_that_begins_with_no_clock_is_compared_whole(begin: str) -> None:
    """Else what an operator has put there would be left out."""
    one, two = from_grpc(message_of(output=f"a{begin}")), from_grpc(message_of(output=f"b{begin}"))
    assert one.known_likeness is not two.known_likeness
    assert from_grpc(message_of(output=begin)).raw_output == begin


def test_a_name_that_comes_twice_makes_an_alert_like_no_other() -> None:
    """The last value counts, so that another order is another alert; nothing is kept of either."""
    twice = message_of(order=(0, 1, 2)), falco_outputs_pb2.response(output_fields={"fd.name": "/x"}).SerializeToString()
    for _ in range(3):
        last = from_grpc(twice[0] + twice[1])
        first = from_grpc(twice[1] + twice[0])
        assert (last.get("fd.name"), first.get("fd.name")) == ("/x", "/etc/shadow")
        assert last.known_likeness is UNLIKE
        assert first.known_likeness is UNLIKE
    assert not alike_grpc._COMMON


def test_large_messages_and_those_of_many_fields_are_compared_with_none() -> None:
    """Nothing is kept of what only a forged alert has."""
    for message in (
        message_of(fields={"proc.cmdline": "x" * 9_000}, order=(0, 1, 2, 3)),
        falco_lenient_pb2.received(
            rule="r", output_fields=[b"\x0a\x02%02x\x12\x00" % n for n in range(256)] * 3,
            time=falco_lenient_pb2.timestamp(seconds=5),
        ).SerializeToString(),
    ):  # fmt: skip
        assert from_grpc(message).known_likeness is UNLIKE


def test_text_that_is_not_utf8_is_read_as_ever() -> None:
    """In a field that came before, and in one that did not."""
    good = message_of()
    bad = falco_lenient_pb2.response(
        output_fields=[falco_lenient_pb2.field(key=b"evt.args", value=b"\xff")]
    ).SerializeToString()
    for _ in range(3):
        assert from_grpc(good).get("evt.args") is None
        assert from_grpc(good + bad).get("evt.args") == "\ufffd"


def test_real_and_simulated_messages_give_what_the_whole_reader_gives() -> None:
    """Each of the captured ones and of a flood, as often as it comes."""
    messages = [*read_messages("responses.bin"), *(alert.to_message() for alert in flood(69, BEGIN_NS))]
    for _ in range(3):
        for message in messages:
            assert members(from_grpc(message)) == members(read_whole(message))


def test_real_falco_writes_the_fields_of_one_alert_in_several_orders() -> None:
    """Why they are compared as a set; the simulator does the same."""
    real = [message for message in read_messages("responses.bin") if b"Dummy Warning" in message]
    simulated = [alert.to_message() for alert in flood(460, BEGIN_NS) if alert.rule == "Clear Log Activities"]
    for messages in (real, simulated):
        entries = [falco_lenient_pb2.received.FromString(message).output_fields for message in messages]
        orders = {tuple(bytes(entry).partition(b"\x12")[0] for entry in one) for one in entries}
        assert len(orders) > len(messages) // 2
