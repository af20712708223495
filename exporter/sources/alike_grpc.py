"""gRPC messages that say what an earlier one said at another time: what depends on nothing else is found again.

Owns what such messages have in common, and where in a message the rest stands: its time, and the clock before its
output text. Falco writes the fields of each message in another order, so that they are compared as a set. Refuses what
members mean (see ``decode.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from exporter._proto import falco_lenient_pb2
from exporter.alert import TIME_LIMIT_NS, Alert, set_fields, set_form, set_likeness
from exporter.form import FORM_NAMES, Form
from exporter.kept import Kept
from exporter.likeness import LIKENESS_BYTES, LIKENESSES, LIKENESSES_BYTES, UNLIKE, Likeness, likeness_of
from exporter.sources.alike import CLOCK_LENGTH, Said
from exporter.sources.received_fields import to_fields

_begins_with_clock = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}: ").match
_is_clock = re.compile(rb"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}").fullmatch
_TIME_TAG = 0x0A
"""The first byte of a message that begins with its time."""
_TIME_NUMBER, _OUTPUT, _OUTPUT_FIELDS = 1, 5, 6
"""Numbers of members."""
_BYTES, _VARINT = 2, 0
"""Protobuf's types of members on the wire."""
_FIRST_LENGTH, _LAST_LENGTH = 5, 9
"""Bytes behind the time, and at the end, that are the same in every message that is like one: before the clock there
is a rule's name, and behind the fields a source."""
_ALIKE_IN_ENDS = 8
"""How many messages are kept of one length with the same ends."""
_parse = falco_lenient_pb2.received.FromString


class _Common(NamedTuple):
    """What alerts share that are like one."""

    fields: dict[str, str]
    form: Form


_COMMON: Kept[Likeness, _Common] = Kept(LIKENESSES, LIKENESSES_BYTES)
"""Of alerts that came again."""


class _Known(NamedTuple):
    """A message that came again, in pieces, and what its alert has that is no time."""

    head: bytes
    """Behind the time, up to the clock."""
    clock_begins: int
    """Behind the time, bytes; as are the other places."""
    clock_ends: int
    rest: bytes
    """Behind the clock, up to the fields."""
    fields_begin: int
    entries: dict[bytes, int]
    """Fields as they stand in the message, each with a number of its own."""
    tail: bytes
    """Behind the fields."""
    said: Said


_Ends = tuple[int, bytes, bytes]
"""The length behind the time, how that begins, and how it ends."""
_KNOWN: Kept[_Ends, tuple[_Known, ...]] = Kept(LIKENESSES, LIKENESSES_BYTES)


def find_alike(raw: bytes) -> Alert | None:
    """Return the alert of a message that differs from an earlier one in its time and the order of its fields only.

    None where no such message is known, or its time is none. Raises protobuf's DecodeError for fields that are none.
    """
    if len(raw) < 2 or raw[0] != _TIME_TAG or raw[1] > 0x7F:
        return None
    time_ends = raw[1] + 2
    behind = raw[time_ends:]
    for known in _KNOWN.get((len(behind), behind[:_FIRST_LENGTH], behind[-_LAST_LENGTH:]), ()):
        head, clock_begins, clock_ends, rest, fields_begin, entries, tail, said = known
        if not (behind.startswith(head) and behind.startswith(rest, clock_ends) and behind.endswith(tail)):
            continue
        # As long as that message, and the same but for these entries: they are as long together as those of that one.
        message = _parse(raw[:time_ends] + behind[fields_begin : len(behind) - len(tail)])
        try:
            found = set(map(entries.__getitem__, message.output_fields))
        except KeyError:
            continue
        if len(found) < len(entries):
            continue
        clock = behind[clock_begins:clock_ends]
        time = message.time
        time_ns = time.seconds * 1_000_000_000 + time.nanos
        if not 0 < time_ns < TIME_LIMIT_NS or _is_clock(clock) is None:
            return None
        return said.at(time_ns, clock, said.fields, raw)
    return None


def give_fields(alert: Alert, entries: Sequence[bytes], tags: tuple[str, ...], raw: bytes) -> None:
    """Give an alert that was just made of a message its fields and its likeness.

    Raises UnicodeDecodeError and protobuf's DecodeError for entries that are none.
    """
    if len(raw) > LIKENESS_BYTES or len(entries) > FORM_NAMES:
        set_fields(alert, to_fields(entries))
        set_likeness(alert, UNLIKE)
        return
    output = alert.raw_output
    has_clock = _begins_with_clock(output) is not None
    if has_clock:
        output = output[CLOCK_LENGTH:]
    said = frozenset(entries)
    members = (alert.rule, alert.priority, alert.source, alert.hostname, output, tags, said)
    likeness = likeness_of(members, len(raw))
    common = _COMMON.get(likeness)
    if common is not None:
        set_fields(alert, common.fields)
        set_form(alert, common.form)
        set_likeness(alert, likeness)
    else:
        fields = to_fields(entries)
        set_fields(alert, fields)
        # Of a name that comes twice the last value counts: in another order it is another alert.
        if len(fields) != len(said):
            set_likeness(alert, UNLIKE)
            return
        set_likeness(alert, likeness)
        if not likeness.comes_again:
            return
        _COMMON.keep(likeness, _Common(fields, alert.form), likeness.size_bytes)
    if has_clock and 0 < alert.time_ns < TIME_LIMIT_NS:
        _keep_known(alert, said, raw)


def _keep_known(alert: Alert, entries: frozenset[bytes], raw: bytes) -> None:
    """Let ``find_alike`` know a message; not where too many are known with its length and ends."""
    if raw[0] != _TIME_TAG or raw[1] > 0x7F:
        return
    behind = raw[raw[1] + 2 :]
    ends = len(behind), behind[:_FIRST_LENGTH], behind[-_LAST_LENGTH:]
    others = _KNOWN.get(ends, ())
    if len(others) >= _ALIKE_IN_ENDS or any(known.said.likeness is alert.likeness for known in others):
        return
    places = _places_of(behind)
    if places is None:
        return
    clock_begins, fields_begin, fields_end = places
    clock_ends = clock_begins + CLOCK_LENGTH
    known = _Known(
        behind[:clock_begins], clock_begins, clock_ends, behind[clock_ends:fields_begin], fields_begin,
        {entry: number for number, entry in enumerate(entries)}, behind[fields_end:], Said.of(alert),
    )  # fmt: skip
    _KNOWN.keep(ends, (*others, known), 3 * len(raw))


def _places_of(behind: bytes) -> tuple[int, int, int] | None:
    """Return where the output text begins and the fields begin and end, of what stands behind a message's time.

    None unless the members stand in the order of their numbers, as protobuf writes them, with one output text.
    """
    place = last = output_begins = fields_begin = fields_end = 0
    while place < len(behind):
        member_begins = place
        tag, place = _varint(behind, place)
        number = tag >> 3
        if number < max(last, _TIME_NUMBER + 1) or (number == last == _OUTPUT):
            return None
        size, place = _varint(behind, place)
        if tag & 7 == _BYTES:
            if number == _OUTPUT:
                output_begins = place
            place += size
        elif tag & 7 != _VARINT:
            return None
        if number == _OUTPUT_FIELDS:
            fields_begin = fields_begin or member_begins
            fields_end = place
        last = number
    return (output_begins, fields_begin, fields_end) if output_begins and fields_begin else None


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number that begins there, and where it ends; of a message that protobuf has read."""
    value = shift = 0
    while data[place] > 0x7F:
        value |= (data[place] & 0x7F) << shift
        shift += 7
        place += 1
    return value | data[place] << shift, place + 1
