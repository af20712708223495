"""The messages of one volume, many in a row.

Owns how they stand in the table: in chunks, or one in a row as in volumes of earlier versions. Whoever reads
one message reads its chunk, hence the bounds. Refuses to know what a message says.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from exporter.escaping import valid_text

CHUNK_ALERTS = 32
CHUNK_BYTES = 64 * 1024
"""How much the messages of a chunk have; one that is larger has a chunk of its own."""

_encode_into = msgspec.msgpack.Encoder().encode_into
_decode = msgspec.msgpack.Decoder(tuple[list[str], list[bytes]]).decode


class _Stored(NamedTuple):
    """One row: messages whose numbers follow one another, and their hosts."""

    last: int
    """Number of the last of them."""
    hosts: Sequence[str] = ()
    messages: Sequence[bytes] = ()
    """None where the row is damaged."""

    @property
    def first(self) -> int:
        return self.last + 1 - len(self.messages)


def keep(
    connection: sqlite3.Connection, number: int, first: int, hosts: Sequence[str], messages: Sequence[bytes]
) -> None:
    """Put messages into a volume that has chunks, the first of them under this number."""
    connection.executemany(f"INSERT INTO chunks_{number} VALUES (?, ?)", _chunks(first, hosts, messages))


def _chunks(first: int, hosts: Sequence[str], messages: Sequence[bytes]) -> Iterator[tuple[int, bytearray]]:
    # One for all: each is bound, which copies it, before the next is made. For bytes sqlite3 looks for an adapter.
    buffer = bytearray()
    for start, end in _parts(messages):
        try:
            _encode_into((hosts[start:end], messages[start:end]), buffer)
        except UnicodeEncodeError:
            _encode_into((list(map(valid_text, hosts[start:end])), messages[start:end]), buffer)
        yield first + end - 1, buffer


def _parts(messages: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield where each chunk begins and ends."""
    start = 0
    while start < len(messages):
        end = min(start + CHUNK_ALERTS, len(messages))
        while sum(map(len, messages[start:end])) > CHUNK_BYTES and end > start + 1:
            end = (start + end) // 2
        yield start, end
        start = end


def has_chunks(connection: sqlite3.Connection, number: int) -> bool:
    """Tell whether a volume's messages are in chunks, so that more can be put into it."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (f"chunks_{number}",))
    return found.fetchone() is not None


class Messages:
    """Reads the messages of one volume, a row at a time."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self._connection = connection
        in_chunks = has_chunks(connection, number)
        self._read_row: Callable[..., _Stored] = _from_chunk if in_chunks else _from_row
        columns = f"id, alerts FROM chunks_{number}" if in_chunks else f"id, host, message FROM log_{number}"
        self._statement = f"SELECT {columns} WHERE id >= ? ORDER BY id LIMIT 1"

    def of(self, numbers: Iterable[int]) -> Iterator[tuple[int, str, bytes]]:
        """Yield number, host and message of alerts, in the order of their numbers, without those that are damaged."""
        stored = _Stored(0)
        for number in sorted(numbers):
            if number > stored.last:
                found = self._next(number)
                if found is None:
                    return
                stored = found
            if number >= stored.first:
                place = number - stored.first
                yield number, stored.hosts[place], stored.messages[place]

    def behind(self, number: int) -> Iterator[tuple[int, tuple[str, bytes] | None]]:
        """Yield the number of each alert behind this one, and its host and message; None where it is damaged."""
        while (stored := self._next(number + 1)) is not None:
            yield from ((missing, None) for missing in range(number + 1, stored.first))
            for place in range(max(0, number + 1 - stored.first), len(stored.messages)):
                yield stored.first + place, (stored.hosts[place], stored.messages[place])
            number = stored.last

    def _next(self, number: int) -> _Stored | None:
        """Return the row that has this number, or else the next; None behind the last."""
        row = self._connection.execute(self._statement, (number,)).fetchone()
        return None if row is None else self._read_row(*row)


# SQLite takes any value in any column: a file that is damaged may be whole to it.


def _from_chunk(last: int, alerts: object) -> _Stored:
    if isinstance(alerts, bytes):
        with contextlib.suppress(ValueError):  # msgspec's errors are ValueErrors
            hosts, messages = _decode(alerts)
            if len(hosts) == len(messages):
                return _Stored(last, hosts, messages)
    return _Stored(last)


def _from_row(number: int, host: object, message: object) -> _Stored:
    if isinstance(host, str) and isinstance(message, bytes):
        return _Stored(number, [host], [message])
    return _Stored(number)
