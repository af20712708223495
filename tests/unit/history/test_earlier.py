"""A history that an earlier version wrote goes on: it is read, searched, added to and trimmed.

``version_1.db.gz`` has messages one in a row: 20 alerts in a volume that is full, 20 in the newest, of which the last 8
are not indexed. Those with an even number came as messages.
"""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.alert import Alert
from exporter.history.database import FILE, open_writer
from exporter.history.history import History
from exporter.history.query import Query
from exporter.history.sink import HistorySink
from exporter.history.writer import Bounds, Writer
from exporter.sources.decode import from_received
from tests.history_site import alert_of, filled, verdict_of
from tests.unit.history.test_writer import received
from tests.waiting import wait_until

Start = Callable[..., HistorySink]
BOOT = "0a1b2c3d"
INDEXED = 32
AGE_SECONDS = 1e12
"""Longer than since the file was made."""


def came(number: int) -> Alert:
    """Return an alert as it is when its message is read."""
    return from_received(received(number, 10).received)


ALERTS = [alert_of(number) if number % 2 else came(number) for number in range(40)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "history"
    directory.mkdir(mode=0o700)
    (directory / FILE).write_bytes(gzip.decompress((Path(__file__).parent / "version_1.db.gz").read_bytes()))
    return directory


def assert_all_there(history: History, alerts: list[Alert]) -> None:
    assert history.boot == BOOT
    assert [history.find(alert.uid) for alert in alerts] == alerts
    assert [kept.alert for kept in history.alerts()] == alerts
    rows = history.page(Query(text="happened"), limit=1_000)
    assert [row.id for row in rows] == list(range(len(alerts), 0, -1))
    assert history.read(rows) == dict(enumerate(alerts, 1))
    assert list(history.latest(0, 0, 1_000, also_benign_of=("syscall",))[0]) == alerts


def test_it_is_read_without_being_changed(directory: Path) -> None:
    before = (directory / FILE).read_bytes()
    with contextlib.closing(History(directory, from_received)) as history:
        assert_all_there(history, ALERTS[:INDEXED])
        assert history.not_indexed(100) == ALERTS[INDEXED:]
        assert history.not_indexed(3) == ALERTS[-3:]
        assert [state.id for state in history.incident_states()] == ["i1"]
    assert (directory / FILE).read_bytes() == before


def test_an_upgrade_keeps_every_address_and_goes_on_in_a_volume_with_chunks(start: Start, directory: Path) -> None:
    sink = start(limit_age_seconds=AGE_SECONDS)
    wait_until(lambda: sink.history.sequence == len(ALERTS), "what was not indexed is")
    new = [came(number) for number in range(100, 170)]
    assert_all_there(filled(sink, new), ALERTS + new)
    assert not sink.warnings()
    with contextlib.closing(sqlite3.connect(directory / FILE)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        assert tables >= {"log_1", "log_2", "chunks_3"}
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    sink.close(5)
    again = start(limit_age_seconds=AGE_SECONDS)
    more = [came(number) for number in range(200, 205)]
    assert_all_there(filled(again, more), ALERTS + new + more)


@pytest.mark.parametrize("damage", ["host = NULL", "message = 5", "message = NULL", "message = 'text'", None])
def test_a_damaged_row_is_counted_and_the_rest_is_found(directory: Path, damage: str | None) -> None:
    with contextlib.closing(open_writer(directory)) as connection:
        connection.execute(f"UPDATE log_2 SET {damage} WHERE id = 35" if damage else "DELETE FROM log_2 WHERE id = 35")
        writer = Writer(connection, Bounds(10**9, AGE_SECONDS), judge=verdict_of, read_message=from_received)
        assert list(iter(lambda: writer.index(3), (0, 0))) == [(3, 1), (3, 0), (2, 0)]
        found = [key for (key,) in connection.execute("SELECT id FROM facts_2 WHERE id > 32 ORDER BY id")]
        assert found == [33, 34, 36, 37, 38, 39, 40]


def test_its_volumes_are_dropped_when_they_are_the_oldest(directory: Path) -> None:
    with contextlib.closing(open_writer(directory)) as connection:
        writer = Writer(connection, Bounds(0, AGE_SECONDS), judge=verdict_of, read_message=from_received)
        assert writer.trim() == 20
        writer.append([came(1)])
        assert writer.trim() == 20
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        assert not [name for name in names if name.endswith(("_1", "_2"))]
        assert list(iter(lambda: writer.index(10), (0, 0))) == [(1, 0)]
