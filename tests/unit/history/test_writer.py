"""Writing: what is in memory at once is bounded in bytes, and a damaged row ends nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.alert import Alert, time_text
from exporter.history import fresh as fresh_module
from exporter.history import writer as writer_module
from exporter.history.database import insert, open_writer
from exporter.history.messages import Messages
from exporter.history.writer import Bounds, Writer
from exporter.sources.decode import from_received
from tests.history_site import alert_of, verdict_of


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with contextlib.closing(open_writer(tmp_path / "history")) as connection:
        yield Writer(connection, Bounds(10**9, 1e9), judge=verdict_of, read_message=from_received)


def received(number: int, size: int) -> Alert:
    """Return an alert that came in a message of about this size."""
    alert = alert_of(number)
    members = {
        "time": time_text(alert.time_ns), "rule": alert.rule, "priority": "Warning", "hostname": alert.hostname,
        "output": alert.raw_output, "output_fields": {"user.name": "a" * size},
    }  # fmt: skip
    return replace(alert, received=json.dumps(members).encode())


def looks(writer: Writer) -> list[tuple[int, int]]:
    """Make everything searchable; return what each call said."""
    return list(iter(lambda: writer.index(1_000), (0, 0)))


@pytest.mark.parametrize("remembered", [0, 5, 100])
def test_large_messages_are_made_searchable_in_smaller_pieces(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """Each piece ends with the message that passes the limit, so that one larger than it is not left for ever."""
    monkeypatch.setattr(writer_module, "INDEX_BYTES", 30_000)
    monkeypatch.setattr(fresh_module, "LIMIT_ALERTS", remembered)
    sizes = [*[10] * 5, *[20_000] * 4, *[90_000] * 2]
    for part in (range(5), range(5, 11)):
        writer.append([received(number, sizes[number]) for number in part])
    assert looks(writer) == [(7, 0), (2, 0), (1, 0), (1, 0)]
    assert writer.waiting == 0


def test_alerts_in_memory_between_writing_and_looking_are_bounded_in_bytes(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond it are read again from the file; once looked at they make room."""
    monkeypatch.setattr(fresh_module, "LIMIT_BYTES", 50_000)
    read = []

    def counted(message: bytes) -> Alert:
        read.append(message)
        return from_received(message)

    monkeypatch.setattr(writer, "_read_message", counted)
    for _ in range(2):
        writer.append([received(1, 30_000)])
        writer.append([received(2, 30_000)])
        assert looks(writer) == [(2, 0)]
    assert len(read) == 2


@pytest.mark.parametrize("damage", ["alerts = NULL", "alerts = 5", "alerts = 'text'", "alerts = x'920190'"])
def test_a_chunk_of_another_kind_is_counted_and_the_rest_is_found(tmp_path: Path, damage: str) -> None:
    """SQLite takes any value in any column; the thread that writes goes on."""
    with contextlib.closing(open_writer(tmp_path / "history")) as connection:
        first = Writer(connection, Bounds(10**9, 1e9), judge=verdict_of, read_message=from_received)
        for number in range(0, 9, 3):
            first.append([received(number + each, 10) for each in range(3)])
        connection.execute(f"UPDATE chunks_1 SET {damage} WHERE id = 6")
        again = Writer(connection, Bounds(10**9, 1e9), judge=verdict_of, read_message=from_received)
        assert looks(again) == [(9, 3)]
        assert [key for (key,) in connection.execute("SELECT id FROM facts_1 ORDER BY id")] == [1, 2, 3, 7, 8, 9]


@pytest.mark.parametrize("limit", [1, 7, 32, 33])
def test_after_a_restart_in_the_middle_of_a_chunk_each_alert_becomes_searchable_once(
    tmp_path: Path, limit: int
) -> None:
    with contextlib.closing(open_writer(tmp_path / "history")) as connection:
        writer = Writer(connection, Bounds(10**9, 1e9), judge=verdict_of, read_message=from_received)
        writer.append([received(number, 10) for number in range(70)])
        looked_at = 0
        while waiting := writer.waiting:
            writer = Writer(connection, Bounds(10**9, 1e9), judge=verdict_of, read_message=from_received)
            assert writer.index(limit) == (min(limit, waiting), 0)
            looked_at += min(limit, waiting)
        assert looked_at == 70
        found = [uid.hex() for (uid,) in connection.execute("SELECT uid FROM facts_1 ORDER BY id")]
        assert found == [from_received(received(number, 10).received).uid for number in range(70)]


@pytest.mark.parametrize("limit", [2, 5, 1_000])
def test_what_is_remembered_and_what_is_read_again_becomes_searchable_in_the_order_of_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Over several volumes, with batches in between that were too much to remember, and one of before a restart."""
    monkeypatch.setattr(fresh_module, "LIMIT_ALERTS", 7)
    with contextlib.closing(open_writer(tmp_path / "history")) as connection:
        bounds = Bounds(10**9, 16e-6)  # a volume for each batch
        Writer(connection, bounds, judge=verdict_of, read_message=from_received).append([alert_of(0)])
        again = Writer(connection, bounds, judge=verdict_of, read_message=from_received)
        number = 1
        for count in (3, 3, 6, 1, 5, 130):
            again.append([alert_of(number + each) for each in range(count)])
            number += count
        looked_at = [looked_at for looked_at, _ in iter(lambda: again.index(limit), (0, 0))]
        assert (sum(looked_at), max(looked_at) <= limit) == (number, True)
        volumes = [each for (each,) in connection.execute("SELECT number FROM volumes ORDER BY number")]
        assert len(volumes) == 7
        kept: list[tuple[int, bytes]] = []
        for each in volumes:
            found = connection.execute(f"SELECT id, uid FROM facts_{each} ORDER BY id").fetchall()
            assert [key for key, _ in found] == [key for key, _ in Messages(connection, each).behind(len(kept))]
            kept += found
        assert [(key, uid.hex()) for key, uid in kept] == [(each + 1, alert_of(each).uid) for each in range(number)]


def test_what_is_remembered_is_not_read_again(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where what came before it has to be read either."""
    monkeypatch.setattr(fresh_module, "LIMIT_ALERTS", 7)
    read = []

    def counted(message: bytes) -> Alert:
        read.append(message)
        return from_received(message)

    monkeypatch.setattr(writer, "_read_message", counted)
    for first, count in ((0, 3), (3, 6), (9, 2)):
        writer.append([received(first + each, 10) for each in range(count)])
    assert [writer.index(5), *looks(writer)] == [(5, 0), (4, 0), (2, 0)]
    assert read == [received(number, 10).received for number in range(3, 9)]


def test_alerts_that_are_dropped_before_they_were_looked_at_are_not_remembered(tmp_path: Path) -> None:
    """A flood can fill the history faster than it is made searchable."""
    with contextlib.closing(open_writer(tmp_path / "history")) as connection:
        writer = Writer(connection, Bounds(0, 16e-6), judge=verdict_of, read_message=from_received)
        for number in range(3):
            writer.append([received(number, 10)])
        assert writer.trim() == 2
        assert writer._fresh.first_behind(0) == 3
        assert looks(writer) == [(1, 0)]


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_many_rows_with_one_statement_are_the_same_rows(tmp_path: Path, count: int) -> None:
    with contextlib.closing(open_writer(tmp_path / "history")) as connection:
        connection.execute("CREATE TABLE some (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
        rows = [(number, f"n{number}", f"b{number}".encode()) for number in range(count)]
        insert(connection, "some", list(zip(*rows, strict=True)))
        assert connection.execute("SELECT id, name, body FROM some ORDER BY id").fetchall() == rows
