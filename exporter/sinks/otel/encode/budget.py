"""The size of a log record: what is cut, and in which order.

Owns the two limits and the order of importance. Refuses to drop a record:
whatever comes, something that fits goes out, says that it was cut and what.
The limits exist because of Loki, which refuses a whole request for one
record whose structured metadata is above 64 KB or 128 entries; it writes an
array as JSON text, so the size of an array is counted as Loki would write it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.alert import Alert
from exporter.report import Advice
from exporter.sinks.otel.encode.advice import REPORT_PREFIX
from exporter.sinks.otel.encode.attributes import OUTPUT_FIELDS_PREFIX
from exporter.sinks.otel.encode.wire import count_plain
from exporter.sinks.otel.queue.records import Encoded

TRUNCATED = REPORT_PREFIX + "truncated"
TRUNCATED_ATTRIBUTES = REPORT_PREFIX + "truncated_attributes"

_LONGEST_ESCAPE = 6
_OWN_ATTRIBUTES = 2
_OWN_BYTES = 2_048
_LISTED_NAMES = 20
_NAME_CHARACTERS = 80
_ITEM_LIMIT_BYTES = 4_096
_LIST_ITEMS = 256
"""A rule has a dozen tags; each further step measures every item again."""
_VALUE_LIMITS_BYTES = (8_192, 2_048, 512)
_CUT_MARK = " … [cut]"
LONG_VALUE_CHARACTERS = 2_048
"""A longer value is cut before advice is made of it: it would fill the record many times over."""
_ADVISED_VALUE_BYTES = 1_024
_ADVICE_LAST_FIRST = tuple(
    REPORT_PREFIX + name
    for name in (
        "references",
        "tuning",
        "benign",
        "mitigation.recommendations",
        "attack.tactic.names",
        "attack.technique.names",
        "mitigation.configuration",
        "mitigation.commands",
        "markdown",
        "impact",
        "summary",
        "pager",
        "title",
    )
)
_ESSENTIAL = frozenset(
    {"log.record.uid", "security_rule.name", "falco.priority", "falco.source", "host.name", "falco.hostname"}
)


def has_long_values(alert: Alert) -> bool:
    """Say whether a value is so long that it must not get into advice as it is."""
    if 0 < len(alert.received) <= LONG_VALUE_CHARACTERS:  # no value is longer than the message that it came in
        return False
    return max(map(len, alert.all_fields().values()), default=0) > LONG_VALUE_CHARACTERS


def shorten_values(alert: Alert) -> Alert:
    """Return the alert as advice may be made of it: its long values cut, with a mark at their end."""
    fields = {
        name: _first_bytes(value, _ADVISED_VALUE_BYTES) if len(value) > LONG_VALUE_CHARACTERS else value
        for name, value in alert.all_fields().items()
    }
    return replace(alert, fields=fields)


def without_cut_values(advice: Advice) -> Advice:
    """Return the advice without the commands and files that hold half a value: they would do something else."""
    return replace(
        advice,
        commands=tuple([command for command in advice.commands if _CUT_MARK not in command.run + command.undo]),
        changes=tuple([change for change in advice.changes if _CUT_MARK not in change.content]),
        tuning=tuple([change for change in advice.tuning if _CUT_MARK not in change.content]),
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one record."""

    limit_bytes: int
    """Maximum size of the record in bytes, arrays counted as JSON text."""
    attribute_limit: int
    """Most attributes."""
    on_cut: Callable[[], None]
    """Called once for every record that was cut."""

    def fit(self, record: Encoded, attributes: int, *, plain_bytes: int = 0) -> Encoded:
        """Return the record, cut where it is above a limit. ``attributes`` is how many it has at most.

        ``plain_bytes`` of the record are known to be plain (``wire.count_plain``), which spares looking at them.
        """
        if attributes <= self.attribute_limit and self._surely_fits(record, plain_bytes):
            return record
        message = LogRecord.FromString(record.joined)
        if len(message.attributes) <= self.attribute_limit and _size(message) <= self.limit_bytes:
            return record
        self.on_cut()
        return Encoded(self._cut(message), b"")

    def surely_fits(self, size_bytes: int, attributes: int, *, plain_bytes: int) -> bool:
        """Say whether a record of at most so many bytes and attributes needs no cut, whatever it says."""
        longest = plain_bytes + (size_bytes - plain_bytes) * _LONGEST_ESCAPE
        return attributes <= self.attribute_limit and longest <= self.limit_bytes

    def _surely_fits(self, record: Encoded, plain: int) -> bool:
        size = len(record.own) + len(record.advice)
        if plain + (size - plain) * _LONGEST_ESCAPE <= self.limit_bytes:
            return True
        if size > self.limit_bytes:
            return False
        plain = count_plain(record.joined)
        return plain + (size - plain) * _LONGEST_ESCAPE <= self.limit_bytes

    def _cut(self, message: LogRecord) -> bytes:
        cut: dict[str, None] = {}
        for names in _steps(message):
            cut |= dict.fromkeys(names)
            if self._fits(message):
                break
        names = [name[:_NAME_CHARACTERS] for name in list(cut)[:_LISTED_NAMES]]
        message.attributes.add(key=TRUNCATED).value.bool_value = True
        array = message.attributes.add(key=TRUNCATED_ATTRIBUTES).value.array_value
        for name in names:
            array.values.add(string_value=name)
        return message.SerializeToString()

    def _fits(self, message: LogRecord) -> bool:
        return (
            len(message.attributes) + _OWN_ATTRIBUTES <= self.attribute_limit
            and _size(message) + _OWN_BYTES <= self.limit_bytes
        )


def _size(message: LogRecord) -> int:
    return message.ByteSize() + sum(_json_surplus(attribute) for attribute in message.attributes)


def _json_surplus(attribute: KeyValue) -> int:
    """How much longer an array is as JSON text; Go writes ``<``, ``>`` and ``&`` as ``\\u003c`` and so on."""
    if attribute.value.WhichOneof("value") != "array_value":
        return 0
    text = json.dumps([item.string_value for item in attribute.value.array_value.values], ensure_ascii=False)
    signs = text.count("<") + text.count(">") + text.count("&")
    return max(len(text.encode()) + signs * (_LONGEST_ESCAPE - 1) - attribute.value.ByteSize(), 0)


def _steps(message: LogRecord) -> Iterator[list[str]]:
    """Cut one thing after another, the least important first; yield the names of what each step cut."""
    yield _shorten(message, _VALUE_LIMITS_BYTES[0])
    yield _drop_long_items(message)
    yield _shorten_lists(message)
    for limit_bytes in _VALUE_LIMITS_BYTES[1:]:
        yield _shorten(message, limit_bytes)
    for index in reversed(range(len(message.attributes))):
        if message.attributes[index].key.startswith(OUTPUT_FIELDS_PREFIX):
            yield [_drop(message, index)]
    for name in _ADVICE_LAST_FIRST:
        for index in reversed(range(len(message.attributes))):
            if message.attributes[index].key == name:
                yield [_drop(message, index)]
    for index in reversed(range(len(message.attributes))):
        if message.attributes[index].key not in _ESSENTIAL:
            yield [_drop(message, index)]


def _drop(message: LogRecord, index: int) -> str:
    name = message.attributes[index].key
    del message.attributes[index]
    message.dropped_attributes_count += 1
    return name


def _shorten(message: LogRecord, limit_bytes: int) -> list[str]:
    """Shorten long texts, the advice's own excepted: half a sentence or half a command is worse than none."""
    names = []
    for attribute in message.attributes:
        if attribute.value.HasField("string_value") and not attribute.key.startswith(REPORT_PREFIX):
            text = attribute.value.string_value
            if len(text.encode()) > limit_bytes:
                attribute.value.string_value = _first_bytes(text, limit_bytes)
                names.append(attribute.key)
    body = message.body.string_value
    if len(body.encode()) > limit_bytes:
        message.body.string_value = _first_bytes(body, limit_bytes)
        names.append("body")
    return names


def _first_bytes(text: str, limit_bytes: int) -> str:
    return text.encode()[: limit_bytes - len(_CUT_MARK.encode())].decode("utf-8", "ignore") + _CUT_MARK


def _drop_long_items(message: LogRecord) -> list[str]:
    """Drop whole entries of the advice that a very long value has blown up."""
    names = []
    for attribute in message.attributes:
        if attribute.value.HasField("array_value"):
            values = attribute.value.array_value.values
            kept = [item for item in values if item.ByteSize() <= _ITEM_LIMIT_BYTES]
            if len(kept) < len(values):
                del values[:]
                values.extend(kept)
                names.append(attribute.key)
    return names


def _shorten_lists(message: LogRecord) -> list[str]:
    """Cut lists of very many items, the advice's own excepted."""
    names = []
    for attribute in message.attributes:
        if attribute.value.HasField("array_value") and not attribute.key.startswith(REPORT_PREFIX):
            values = attribute.value.array_value.values
            if len(values) > _LIST_ITEMS:
                del values[_LIST_ITEMS:]
                names.append(attribute.key)
    return names
