"""Protobuf's wire format for the few messages that a log record is made of.

Owns the bytes of attributes and of length-delimited fields; field numbers
are read from opentelemetry-proto's own descriptors. Refuses to know what an
attribute means. Written by hand because building the same messages as
protobuf objects costs several times as much per alert (docs/performance.md);
the tests hold both ways equal.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.escaping import valid_text
from exporter.kept import ByLength

_VARINT, _FIXED64, _DELIMITED = 0, 1, 2
_MAX_FIXED64 = 2**64 - 1
_KEPT_HEADS = 1_024


def varint(number: int) -> bytes:
    """Return a non-negative integer below 2**64 as a base-128 varint."""
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(encoded: bytes, position: int) -> tuple[int, int]:
    """Return the varint at ``position`` and where it ends. Raises ValueError where it does not end."""
    number = 0
    for shift in range(0, 64, 7):
        byte = encoded[position] if position < len(encoded) else 0x80
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError(f"expected a varint that ends before byte {position}, found none")


def tag(message: type, field: str, wire_type: int = _DELIMITED) -> bytes:
    """Return what precedes a field on the wire."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number  # type: ignore[attr-defined]
    return varint(number << 3 | wire_type)


def delimited(message: type, field: str, payload: bytes) -> bytes:
    """Return one field that holds a message, a string or bytes."""
    return tag(message, field) + varint(len(payload)) + payload


class Fixed64Fields:
    """Several fixed64 fields of a message, one behind the other."""

    def __init__(self, message: type, *fields: str) -> None:
        tags = [tag(message, field, _FIXED64) for field in fields]
        self._pack = struct.Struct("<" + "".join(f"{len(field_tag)}sQ" for field_tag in tags)).pack
        self._tags = tags

    def encode(self, *numbers: int) -> bytes:
        """Return the fields; a number that does not fit becomes the nearest that does."""
        pieces: list[bytes | int] = [b""] * (2 * len(numbers))
        pieces[::2], pieces[1::2] = self._tags, numbers
        try:
            return self._pack(*pieces)
        except struct.error:
            return self.encode(*[min(max(number, 0), _MAX_FIXED64) for number in numbers])


def integer(message: type, field: str, number: int) -> bytes:
    """Return one int32, int64, enum or bool field (two's complement where negative)."""
    return tag(message, field, _VARINT) + varint(number & _MAX_FIXED64)


def to_utf8(text: str) -> bytes:
    """Return the text as UTF-8; lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return valid_text(text).encode()


_ESCAPED_IN_JSON = bytes(set(range(0x20)) | set(b'<>&"\\\x7f'))


def count_plain(encoded: bytes) -> int:
    """Return how many of the bytes stand for themselves in JSON text by any writer (Go escapes ``<>&``)."""
    return len(encoded.translate(None, _ESCAPED_IN_JSON))


_ATTRIBUTE = tag(LogRecord, "attributes")
_KEY = tag(KeyValue, "key")
_VALUE = tag(KeyValue, "value")
_STRING = tag(AnyValue, "string_value")
_INTEGER = tag(AnyValue, "int_value", _VARINT)
_ARRAY = tag(AnyValue, "array_value")
_ITEM = tag(ArrayValue, "values")


class TextHeads(ByLength[bytes]):
    """The bytes before a string that is an AnyValue's, by the string's length; ``tag`` is of the AnyValue."""

    __slots__ = ("_tag",)

    def __init__(self, tag: bytes) -> None:
        super().__init__(_KEPT_HEADS)
        self._tag = tag

    def make(self, length: int) -> bytes:
        """Return the bytes before a string of this many bytes."""
        string_head = _STRING + varint(length)
        return self._tag + varint(len(string_head) + length) + string_head


_ITEM_HEADS = TextHeads(_ITEM)


def to_item(text: str) -> bytes:
    """Return a string as it stands in an array; items are joined by joining their bytes."""
    value = to_utf8(text)
    return _ITEM_HEADS[len(value)] + value


class AttributeKey(ByLength[bytes]):
    """One attribute's key, and the bytes before a string value by the value's length.

    Those bytes are the same for each value of a length, so they are made once.
    """

    __slots__ = ("_integer_heads", "_key")

    def __init__(self, name: str, *, kept_heads: int = _KEPT_HEADS) -> None:
        """``kept_heads`` is of how many lengths the bytes are kept."""
        super().__init__(kept_heads)
        key = to_utf8(name)
        self._key = _KEY + varint(len(key)) + key
        self._integer_heads: dict[int, bytes] = {}

    def make(self, length: int) -> bytes:
        """Return the bytes before a value of this many bytes."""
        string_head = _STRING + varint(length)
        any_head = _VALUE + varint(len(string_head) + length) + string_head
        return _ATTRIBUTE + varint(len(self._key) + len(any_head) + length) + self._key + any_head

    def string(self, text: str) -> bytes:
        """Return the attribute with a string value."""
        try:
            value = text.encode()
        except UnicodeEncodeError:
            value = to_utf8(text)
        return self[len(value)] + value

    def integer(self, number: int) -> bytes:
        """Return the attribute with an int value (-2**63 up to 2**63 - 1)."""
        encoded = varint(number & _MAX_FIXED64)
        head = self._integer_heads.get(len(encoded))
        if head is None:
            head = self._integer_heads[len(encoded)] = self._with(_INTEGER + encoded)[: -len(encoded)]
        return head + encoded

    def boolean(self, truth: bool) -> bytes:
        """Return the attribute with a bool value."""
        return self._with(integer(AnyValue, "bool_value", int(truth)))

    def strings(self, texts: Iterable[str]) -> bytes:
        """Return the attribute with an array of strings as its value."""
        return self.array(map(to_item, texts))

    def array(self, items: Iterable[bytes]) -> bytes:
        """Return the attribute with an array as its value, of items that ``to_item`` made."""
        joined = b"".join(items)
        return self._with(_ARRAY + varint(len(joined)) + joined)

    def _with(self, any_value: bytes) -> bytes:
        value = _VALUE + varint(len(any_value)) + any_value
        return _ATTRIBUTE + varint(len(self._key) + len(value)) + self._key + value
