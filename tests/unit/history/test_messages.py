"""Messages in chunks: each comes back by its number, whatever its host and its bytes, and damage costs one chunk."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.escaping import valid_text
from exporter.history.messages import CHUNK_ALERTS, CHUNK_BYTES, Messages, keep
from exporter.history.schema import create_volume

pack = msgspec.msgpack.encode


@contextlib.contextmanager
def volume() -> Iterator[sqlite3.Connection]:
    """Give a file with one volume that is empty."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for statement in create_volume(1):
            connection.execute(statement)
        yield connection


_ALERTS = st.lists(st.tuples(st.text(st.characters()), st.binary(max_size=40)), min_size=1, max_size=80)


@given(st.integers(1, 2**40), st.lists(_ALERTS, min_size=1, max_size=3), st.data())
def test_any_message_of_any_host_comes_back_by_its_number(
    first: int, batches: list[list[tuple[str, bytes]]], data: st.DataObject
) -> None:
    """Alone, among others, and in the walk from any number on."""
    kept: dict[int, tuple[str, bytes]] = {}
    with volume() as connection:
        for batch in batches:
            hosts, messages = zip(*batch, strict=True)
            keep(connection, 1, first + len(kept), list(hosts), list(messages))
            kept |= {first + len(kept) + place: (valid_text(host), each) for place, (host, each) in enumerate(batch)}
        around = st.integers(first - 2, first + len(kept) + 1)
        wanted = data.draw(st.sets(around))
        found = list(Messages(connection, 1).of(wanted))
        assert found == [(number, *kept[number]) for number in sorted(wanted & kept.keys())]
        begin = data.draw(st.integers(first - 1, first + len(kept)))
        walked = list(Messages(connection, 1).behind(begin))
        assert walked == [(number, kept[number]) for number in sorted(kept) if number > begin]


@pytest.mark.parametrize(
    "sizes",
    [
        [1_300] * 500,
        [5_000] * 64,
        [CHUNK_BYTES - 1, 1, 1],
        [10_000_000, 10, 20_000_000, *[10] * 40],
        [10, 70_000, 10],
        [0] * 33,
    ],
)
def test_no_message_is_read_with_more_than_a_chunk_may_have(sizes: list[int]) -> None:
    with volume() as connection:
        keep(connection, 1, 1, ["node"] * len(sizes), [b"x" * size for size in sizes])
        rows = connection.execute("SELECT id, length(alerts) FROM chunks_1 ORDER BY id").fetchall()
        before = 0
        for last, size in rows:
            assert last - before == 1 or (last - before <= CHUNK_ALERTS and size < CHUNK_BYTES + 1_000)
            before = last
        assert before == len(sizes)
        assert len(rows) <= 2 * (len(sizes) / CHUNK_ALERTS + sum(sizes) / CHUNK_BYTES) + 2
        assert [len(message) for *_, message in Messages(connection, 1).of(range(1, len(sizes) + 1))] == sizes


def test_a_chunk_is_read_once_for_all_that_is_asked_of_it() -> None:
    with volume() as connection:
        keep(connection, 1, 1, ["node"] * 3 * CHUNK_ALERTS, [b"x"] * 3 * CHUNK_ALERTS)
        messages = Messages(connection, 1)
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        assert len(list(messages.of([1, 2, CHUNK_ALERTS, 2 * CHUNK_ALERTS + 1, 3 * CHUNK_ALERTS]))) == 5
        assert len(statements) == 2


_WHOLE = pack((["a", "b"], [b"1", b"2"]))


@pytest.mark.parametrize(
    "damaged",
    [
        None, 5, "text", b"", _WHOLE[:-1], _WHOLE + b"\0", b"\xff" * 20, pack((["a"], [b"1", b"2"])),
        pack((["a", "b", "c"], [b"1", b"2"])), pack((["a", "b"], ["1", b"2"])), pack(([b"a", "b"], [b"1", b"2"])),
        _WHOLE.replace(b"\xa1a", b"\xa1\xff"), pack(([], [])), pack([]),
    ],
)  # fmt: skip
def test_a_damaged_chunk_is_left_out_and_counted_and_its_neighbours_are_read(damaged: object) -> None:
    with volume() as connection:
        for first in (1, 3, 5):
            keep(connection, 1, first, ["a", "b"], [b"1", b"2"])
        connection.execute("UPDATE chunks_1 SET alerts = ? WHERE id = 4", (damaged,))
        messages = Messages(connection, 1)
        assert [number for number, *_ in messages.of(range(1, 7))] == [1, 2, 5, 6]
        walked = [(number, found is not None) for number, found in messages.behind(0)]
        assert walked == [(1, True), (2, True), (3, False), (4, False), (5, True), (6, True)]
        assert next(messages.behind(3)) == (4, None)


def test_a_chunk_that_is_gone_is_counted_as_damaged() -> None:
    with volume() as connection:
        for first in (1, 3, 5):
            keep(connection, 1, first, ["a", "b"], [b"1", b"2"])
        connection.execute("DELETE FROM chunks_1 WHERE id = 4")
        assert [found is None for _, found in Messages(connection, 1).behind(0)] == [
            False,
            False,
            True,
            True,
            False,
            False,
        ]
