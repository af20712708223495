"""Encoded records on their way to a request, and the form in which they wait on disk.

Owns the joining and splitting of records. A record's advice is one piece of
bytes that all records with the same advice share, in memory until the request
is made, and that is left out on disk: what waits there is the message as
Falco sent it, of which the same record is made again (a fifth of its size).
Refuses to look into a record.

On disk a chunk is a sequence of fields in protobuf's wire format: tag 0x12 a
finished record, as in a request; 0x1a a message to encode, after eight bytes
with the time of observation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Self

from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs

from exporter.kept import ByLength
from exporter.sinks.otel.encode import wire

RECORD: Final = wire.tag(ScopeLogs, "log_records")
MESSAGE: Final = b"\x1a"
_OBSERVED = struct.Struct("<Q")
_PIECES = 3
"""Pieces of a record: what precedes it, the record itself, its advice."""
_KEPT_HEADS = 16_384


class Encoded(NamedTuple):
    """A serialised LogRecord in two pieces; joined, they are the record."""

    own: bytes
    """What is this record's alone."""
    advice: bytes
    """Attributes that it may share with others; may be empty."""

    @property
    def joined(self) -> bytes:
        """The record in one piece."""
        return self.own + self.advice


class _Heads(ByLength[bytes]):
    """What precedes a record in a request, by the record's length."""

    def make(self, length: int) -> bytes:
        return RECORD + wire.varint(length)


class _MessageHeads(ByLength[bytes]):
    """What precedes a message and its time of observation on disk, by the message's length."""

    def make(self, length: int) -> bytes:
        return MESSAGE + wire.varint(_OBSERVED.size + length)


_HEADS = _Heads(_KEPT_HEADS)
_MESSAGE_HEADS = _MessageHeads(_KEPT_HEADS)


class Records:
    """Some records in order. ``len`` is their size in a request, ``bytes`` what waits on disk."""

    __slots__ = ("_messages", "_size", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        """Joined, they are the records as they stand in a request."""
        self._messages: list[tuple[int, bytes]] = []
        self._size = 0

    @property
    def count(self) -> int:
        """How many records."""
        return len(self._messages)

    def __len__(self) -> int:
        return self._size

    def add(self, record: Encoded, observed_ns: int = 0, message: bytes = b"") -> None:
        """Add a record. ``message``, where given, is what it can be encoded from again, seen at ``observed_ns``."""
        own, advice = record
        length = len(own) + len(advice)
        head = _HEADS[length]
        self.pieces += (head, own, advice)
        # A longer message would only take memory: on disk the shorter of the two waits.
        self._messages.append((observed_ns, message if len(message) < length else b""))
        self._size += len(head) + length

    def extend(self, others: Records) -> None:
        """Add what the others hold."""
        self.pieces += others.pieces
        self._messages += others._messages
        self._size += others._size

    def halves(self) -> Iterator[Records]:
        """Split in two; there must be more than one record."""
        middle = self.count // 2
        for first, last in ((0, middle), (middle, self.count)):
            half = Records()
            half._messages = self._messages[first:last]
            half.pieces = self.pieces[first * _PIECES : last * _PIECES]
            half._size = sum(map(len, half.pieces))
            yield half

    def __bytes__(self) -> bytes:
        """The form for the disk: of each record the shorter of message and record."""
        stored: list[bytes] = []
        for index, (observed_ns, message) in enumerate(self._messages):
            pieces = self.pieces[index * _PIECES : (index + 1) * _PIECES]
            if message:
                stored += (_MESSAGE_HEADS[len(message)], _OBSERVED.pack(observed_ns), message)
            else:
                stored += pieces
        return b"".join(stored)

    @staticmethod
    def stored(messages: Iterable[bytes], observed_ns: int) -> bytes:
        """Return the form for the disk of records that are not encoded yet, by their messages."""
        return b"".join([Records.stored_one(message, observed_ns) for message in messages])

    @staticmethod
    def stored_one(message: bytes, observed_ns: int) -> bytes:
        """Return the form for the disk of one such record."""
        return b"".join((_MESSAGE_HEADS[len(message)], _OBSERVED.pack(observed_ns), message))

    @classmethod
    def read(cls, stored: bytes, encode: Callable[[bytes, int], Encoded | None]) -> Self:
        """Return the records of a chunk; ``encode`` makes one of a message and the time of observation, or None.

        Raises ValueError where the bytes are no chunk.
        """
        records = cls()
        for tag, content in _fields(stored):
            if tag == RECORD:
                records.add(Encoded(content, b""))
            else:
                observed_ns, message = _to_message(content)
                record = encode(message, observed_ns)
                if record is not None:
                    records.add(record, observed_ns, message)
        return records


def join(chunks: Iterable[Records]) -> Records:
    """Return all the chunks' records, in order."""
    joined = Records()
    for chunk in chunks:
        joined.extend(chunk)
    return joined


def _to_message(content: bytes) -> tuple[int, bytes]:
    if len(content) < _OBSERVED.size:
        raise ValueError(f"expected at least {_OBSERVED.size} bytes with a time of observation, found {len(content)}")
    return _OBSERVED.unpack_from(content)[0], content[_OBSERVED.size :]


def _fields(stored: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(stored):
        tag = stored[position : position + 1]
        length, start = wire.read_varint(stored, position + 1)
        position = start + length
        if tag not in {RECORD, MESSAGE} or position > len(stored):
            raise ValueError(f"expected a record or a message at byte {start} of {len(stored)}, found tag {tag!r}")
        yield tag, stored[start:position]
