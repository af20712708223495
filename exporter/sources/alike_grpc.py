"""gRPC messages that say what an earlier one said at another time: what depends on nothing else is found again.

Owns what such messages have in common. Falco writes the fields of each message in another order, so that they are
compared as a set. Refuses the rest of a message, whose time, texts and tags are known by then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from exporter.alert import Alert, set_fields, set_form, set_likeness
from exporter.form import FORM_NAMES, Form
from exporter.kept import Kept
from exporter.likeness import LIKENESS_BYTES, LIKENESSES, LIKENESSES_BYTES, UNLIKE, Likeness, likeness_of
from exporter.sources.received_fields import to_fields

_begins_with_clock = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}: ").match
_CLOCK_LENGTH = 18


class _Common(NamedTuple):
    """What alerts share that are like one."""

    fields: dict[str, str]
    form: Form


_COMMON: Kept[Likeness, _Common] = Kept(LIKENESSES, LIKENESSES_BYTES)
"""Of alerts that came again."""


def give_fields(alert: Alert, entries: Sequence[bytes], tags: tuple[str, ...], raw: bytes) -> None:
    """Give an alert that was just made of a message its fields and its likeness.

    Raises UnicodeDecodeError and protobuf's DecodeError for entries that are none.
    """
    if len(raw) > LIKENESS_BYTES or len(entries) > FORM_NAMES:
        set_fields(alert, to_fields(entries))
        set_likeness(alert, UNLIKE)
        return
    output = alert.raw_output
    if _begins_with_clock(output):
        output = output[_CLOCK_LENGTH:]
    said = frozenset(entries)
    members = (alert.rule, alert.priority, alert.source, alert.hostname, output, tags, said)
    likeness = likeness_of(members, len(raw))
    common = _COMMON.get(likeness)
    if common is not None:
        set_fields(alert, common.fields)
        set_form(alert, common.form)
        set_likeness(alert, likeness)
        return
    fields = to_fields(entries)
    set_fields(alert, fields)
    # Of a name that comes twice the last value counts: in another order it is another alert.
    is_one = len(fields) == len(said)
    set_likeness(alert, likeness if is_one else UNLIKE)
    if is_one and likeness.comes_again:
        _COMMON.keep(likeness, _Common(fields, alert.form), likeness.size_bytes)
