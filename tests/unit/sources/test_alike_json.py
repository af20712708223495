"""Messages that come again with another time: what is read of them is what the whole reader reads."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.alert import Priority
from exporter.errors import DecodeError
from exporter.simulator.scenarios import flood
from exporter.sources import decode_json
from exporter.sources.alike_json import AlikeMessages
from exporter.sources.decode_json import _read_alert as read_whole
from tests.alerts import members
from tests.hostile import hostile_values

CAPTURES = Path(__file__).parents[2] / "captures"
BEGIN_NS = 1_728_152_979_273_467_556
ALERT: dict[str, Any] = {
    "hostname": "node",
    "output": "18:29:39.273467556: Warning A file was opened | file=/etc/shadow",
    "output_fields": {"evt.time": BEGIN_NS, "fd.name": "/etc/shadow", "proc.tty": 0, "user.loginuid": None},
    "priority": "Warning",
    "rule": "A rule",
    "source": "syscall",
    "tags": ["T1", "maturity_stable"],
    "time": "2024-10-05T18:29:39.273467556Z",
}


def outcome(message: bytes, read: Any) -> tuple[Any, ...]:
    try:
        return members(read(message))
    except DecodeError as error:
        return error.reason, str(error)


def likeness_by(read: Any, message: bytes) -> object:
    try:
        return read(message).likeness
    except DecodeError:
        return None


def at(second: int, **others: Any) -> bytes:
    """The alert so many seconds later, written as Falco writes it."""
    clock = f"18:29:{second:02d}.273467556"
    output = ALERT["output"].replace("18:29:39.273467556", clock)
    fields = ALERT["output_fields"] | {"evt.time": BEGIN_NS + (second - 39) * 10**9} | others.pop("fields", {})
    document = {**ALERT, "output": output, "output_fields": fields, "time": f"2024-10-05T{clock}Z", **others}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def warmed(*messages: bytes) -> AlikeMessages:
    alike = AlikeMessages(read_whole)
    for message in messages:
        alike.read(message)
    return alike


def whole_reads(alike: AlikeMessages, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Say from now on which messages are read whole."""
    read: list[bytes] = []
    monkeypatch.setattr(alike, "_read", lambda message: read.append(message) or read_whole(message))  # type: ignore[func-returns-value]
    return read


def test_a_message_that_came_twice_is_not_read_a_third_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its time, and the alert is the same."""
    alike = warmed(at(39), at(40))
    read = whole_reads(alike, monkeypatch)
    for second in (0, 41, 59):
        assert members(alike.read(at(second))) == members(read_whole(at(second)))
    assert not read


def test_the_likeness_of_both_ways_is_one() -> None:
    """Else one of them would be counted as another alert."""
    alike = warmed(at(39), at(40))
    assert alike.read(at(41)).likeness is read_whole(at(42)).likeness


def test_one_field_is_read_without_the_others() -> None:
    """By the mapping that alerts have; evt.time too."""
    fields = warmed(at(39), at(40)).read(at(41)).fields
    assert (fields.get("fd.name"), fields.get("evt.time"), fields.get("none", "x")) == (
        "/etc/shadow", "18:29:41.273467556", "x",
    )  # fmt: skip
    assert len(fields) == 4
    assert dict(fields)["user.loginuid"] == "<NA>"


OTHERS = {
    "no evt.time": at(41).replace(b'"evt.time":', b'"evt.type":'),
    "evt.time as text": at(41).replace(b'"evt.time":1728152981273467556', b'"evt.time":"728152981273467556"'),
    "evt.time with a leading zero": at(41).replace(b":1728152981273467556", b":0728152981273467556"),
    "evt.time of 20 digits": at(41).replace(b":1728152981273467556", b":17281529812734675560"),
    "evt.time of 18 digits": at(41).replace(b":1728152981273467556", b":172815298127346755"),
    "negative evt.time": at(41).replace(b":1728152981273467556", b":-728152981273467556"),
    "a float": at(41).replace(b":1728152981273467556", b":17281529812734675.6"),
    "no such month": at(41).replace(b"2024-10-05T", b"2024-13-05T"),
    "no such hour": at(41).replace(b"T18:29:41", b"T25:29:41"),
    "the year 9999": at(41).replace(b"2024-10-05T", b"9999-10-05T"),
    "1969": at(41).replace(b"2024-10-05T", b"1969-10-05T"),
    "not UTC": at(41).replace(b'41.273467556Z"', b'41.273467556+"'),
    "letters in the time": at(41).replace(b"2024-10-05T", b"2024-1O-05T"),
    "beyond ASCII in the time": at(41).replace(b"2024-10-05T", "2024-1\u0660-5T".encode()),
    "letters in the clock": at(41).replace(b'"18:29:41', b'"1B:29:41'),
    "colons elsewhere in the clock": at(41).replace(b'"18:29:41.', b'"1829::41.'),
    "no clock": at(41).replace(b'"output":"18:29:41.273467556: Warning ', b'"output":"'),
    "another clock than the time": at(41).replace(b'"18:29:41.', b'"00:00:00.'),
    "other digits": at(41).replace(b"/etc/shadow", b"/etc/shado0"),
    "cut off": at(41)[:-1],
    "more behind": at(41) + b"}",
    "a space before it": b" " + at(41),
    "a byte order mark": b"\xef\xbb\xbf" + at(41),
    "another order": json.dumps(dict(sorted(json.loads(at(41)).items(), reverse=True)), separators=(",", ":")).encode(),
    "not UTF-8": at(41).replace(b"/etc/", b"/\xff\xfe/"),
}


@pytest.mark.parametrize("message", OTHERS.values(), ids=OTHERS)
def test_what_is_not_written_as_the_known_one_is_read_whole(message: bytes) -> None:
    """The same alert or the same error, the first time and later."""
    alike = warmed(at(39), at(40))
    for _ in range(4):
        assert outcome(message, alike.read) == outcome(message, read_whole)
        assert outcome(message, decode_json.from_json) == outcome(message.strip(), read_whole)
    assert likeness_by(alike.read, message) is likeness_by(read_whole, message)


IMITATIONS = {
    "a second output": at(39, fields={"output": "18:29:39.273467556: x"}),
    "a field that holds an output": at(39, hostname='"output":"18:29:39.273467556: '),
    "a key that ends so": at(39).replace(b'"hostname":"node"', b'"a\\"output":"18:29:39.273467556: b","hostname":"n"'),
    "a key before it": at(39).replace(b'{"host', b'{"a\\"evt.time":"1728152979273467556","host'),
    "an object with a time": at(39, fields={"z": {"time": "2024-10-05T18:29:39.273467556Z"}}),
    "a time behind the time": at(39).replace(
        b'39.273467556Z"}', b'39.273467556Z","x":{"time":"2024-10-05T18:29:39.273467556Z"}}'
    ),
    "two times": at(39).replace(b'{"host', b'{"time":"2020-10-05T18:29:39.273467556Z","host'),
    "evt.time of an object": at(39, fields={"evt.time": "x", "a": {"evt.time": BEGIN_NS}}),
    "the example's evt.time too": at(39).replace(b'"fd.name"', b'"evt.time":1234567890123456789,"fd.name"'),
    "the example's output too": at(39).replace(b'"output_f', b'"output":"01:02:03.040506070: Warning x","output_f'),
    "two evt.time": at(39).replace(b'"fd.name"', b'"evt.time":1728152979273467557,"fd.name"'),
    "no fields": at(39, output_fields={"evt.time": BEGIN_NS}),
    "output and message": at(39, message="18:29:39.273467556: other"),
    "message only": at(39).replace(b'"output":', b'"message":'),
    "iso8601": at(39, fields={"evt.time.iso8601": BEGIN_NS}),
    **{
        f"hostile: {name}": at(39, fields={"fd.name": value})
        for name, value in hostile_values().items()
        if len(value) < 9_000
    },
}  # fmt: skip


@pytest.mark.parametrize("message", IMITATIONS.values(), ids=IMITATIONS)
def test_nobody_hides_a_value_in_the_place_of_a_time(message: bytes) -> None:
    """Of each text that looks like a time, other digits in one place are other values, known messages or not."""
    alike = warmed(message, message)
    places = [found for found in range(len(message)) if message[found : found + 10] in {b"273467556Z", b"39.2734675"}]
    for at_ in [*places, *(found for found in range(len(message)) if message.startswith(b"172815297", found))]:
        other = bytearray(message)
        other[at_ + 5] = ord("1")
        for _ in range(3):
            assert outcome(bytes(other), alike.read) == outcome(bytes(other), read_whole)


def test_what_other_times_make_another_alert_of_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends such messages gets none of them read three times."""
    message = IMITATIONS["the example's evt.time too"]
    alike = warmed(message, message)
    read = whole_reads(alike, monkeypatch)
    for _ in range(3):
        alike.read(message)
    assert read == [message] * 3


def mutations(messages: list[bytes], count: int) -> Iterator[bytes]:
    """Yield messages with digits, signs and pieces changed somewhere."""
    chance = random.Random(7)
    for _ in range(count):
        message = bytearray(chance.choice(messages))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(message))
            match chance.randrange(4):
                case 0:
                    message[place] = chance.choice(b'0123456789:.-TZ"{},\\x')
                case 1:
                    del message[place]
                case 2:
                    message.insert(place, chance.choice(b'0123456789"\\'))
                case _:
                    end = place + chance.randrange(40)
                    message[place:end] = message[place:end][::-1]
        yield bytes(message)


def test_no_mutation_reads_otherwise() -> None:
    """Flood and captures, each known, then changed at random: always what the whole reader says."""
    known = [alert.to_json().encode() for alert in flood(46, BEGIN_NS)]
    known += [line for line in (CAPTURES / "alerts.jsonl").read_bytes().splitlines()[:40] if line]
    alike = warmed(*known, *known, *known)
    for message in [*known, *mutations(known, 4_000)]:
        assert outcome(message, alike.read) == outcome(message, read_whole)


def test_what_is_kept_is_bounded() -> None:
    """By number and bytes; a long message is always read whole."""
    long = [at(second, hostname="x" * 9_000) for second in range(3)]
    alike = warmed(*long)
    assert not alike._kept
    for number in range(2_500):
        message = [at(second, hostname=f"{number}" * 200) for second in (1, 2)]
        assert alike.read(message[0]).time_ns < alike.read(message[1]).time_ns
    assert 0 < len(alike._kept) <= 1_024
    assert sum(map(len, alike._kept)) <= 2 * 1024 * 1024


def test_text_and_bytes_are_read_alike() -> None:
    """A line of a file comes as text."""
    messages = [at(second) for second in (39, 40, 41)]
    for message in messages:
        assert replace(decode_json.from_json(message), received=b"") == decode_json.from_json(message.decode())
    assert decode_json.from_json(messages[0]).priority is Priority.WARNING
