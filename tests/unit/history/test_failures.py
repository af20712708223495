"""A full disk and a kill: what was kept stays, what could not be kept is counted."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import HistorySettings
from exporter.history import sink as sink_module
from exporter.history.database import FILE
from exporter.history.history import History
from exporter.history.query import Query
from exporter.history.sink import HistorySink
from exporter.incidents.state import State
from exporter.selfmetrics import HistoryMetrics
from exporter.sources.decode import from_received
from exporter.verdict.judgement import UNDECIDED, Judgement
from tests.history_site import alert_of, ask_everything, dropped, filled, make_sink, sample
from tests.waiting import wait_until

Start = Callable[..., HistorySink]

_WRITES = """
import sys, itertools
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.history_site import alert_of, make_sink
sink = make_sink(Path(sys.argv[2]))
sink.start()
for number in itertools.count():
    while sink._queued > 3_000:
        pass
    sink.write([alert_of(number * 10 + each) for each in range(10)])
"""


def test_a_full_disk_drops_what_is_new_counted_and_ends_by_itself(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(sink_module, "QUEUE_ALERTS", 100)
    sink = start()
    kept = [alert_of(number) for number in range(50)]
    history = filled(sink, kept)
    assert sink._connection is not None
    pages = sink._connection.execute("PRAGMA page_count").fetchone()[0]
    sink._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own answer is that of a full disk
    big = {"proc.cmdline": "x" * 20_000}
    sink.write([alert_of(number, fields=big) for number in range(1_000, 1_100)])
    wait_until(lambda: bool(sink.trouble), "the full disk is said")
    assert "full" in sink.trouble
    assert sample(sink, "failing") == 1
    sink.write([alert_of(number, fields=big) for number in range(2_000, 2_100)])
    assert dropped(sink, "disk_full") == 100
    assert history.find(kept[3].uid) == kept[3]
    sink._connection.execute("PRAGMA max_page_count = 1000000")
    wait_until(lambda: len(history) == 150, "what waited is written once there is room")
    wait_until(lambda: not sink.trouble, "the trouble is over")
    assert sample(sink, "failing") == 0


@pytest.mark.parametrize("seconds", [0.4, 0.9])
def test_after_a_kill_the_file_is_whole_and_everything_written_can_be_found(
    start: Start, tmp_path: Path, seconds: float
) -> None:
    root, log = Path(__file__).parents[3], tmp_path / "history" / f"{FILE}-wal"
    process = subprocess.Popen([sys.executable, "-c", _WRITES, str(root), str(tmp_path / "history")])
    try:
        wait_until(lambda: log.exists() and log.stat().st_size > 200_000, "it writes", seconds=30)
        time.sleep(seconds)  # somewhere in the middle
    finally:
        process.kill()
        process.wait()
    history = History(tmp_path / "history", from_received)
    with contextlib.closing(sqlite3.connect(tmp_path / "history" / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    sink = start()
    assert not sink.set_aside
    with contextlib.closing(history):
        written = len(history)
    assert written > 500
    wait_until(lambda: sink.history.sequence == written, "what was written and not yet indexed can be found")
    uids = {row.uid for row in sink.history.page(Query(), limit=1_000_000)}
    assert uids == {alert_of(number).uid for number in range(written)}


_WRONG = (None, b"\xff\xfe", "text", 2**63 - 1, -1, 1e300, 0, "")


def test_a_value_of_another_kind_in_any_column_is_an_answer_and_no_mistake_of_ours(
    start: Start, tmp_path: Path
) -> None:
    """SQLite takes any value in any column: the file is whole to it, and a later version may have written it."""
    sink = start()
    filled(sink, [alert_of(number) for number in range(12)])
    sink.note_incidents([State("i1", "i1", "attack", is_open=True, first_ns=5)])
    sink.close(30)
    path = tmp_path / "history" / FILE
    whole = path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        named = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'words%'")
        tables = [name for (name,) in named]
        columns = [(t, info[1]) for t in tables for info in connection.execute(f"PRAGMA table_info({t})").fetchall()]
    assert len(columns) > 30
    for table, column in columns:
        for wrong in _WRONG:
            path.write_bytes(whole)
            with contextlib.closing(sqlite3.connect(path)) as connection, contextlib.suppress(sqlite3.Error):
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (wrong,))
                connection.commit()
            with contextlib.closing(History(tmp_path / "history", from_received)) as history:
                ask_everything(history)


def test_an_incident_of_a_later_version_is_left_out(start: Start, tmp_path: Path) -> None:
    """A verdict that this version does not know ends no start; the others are there."""
    sink = start()
    known = State("i1", "i1", "attack", is_open=True, first_ns=5)
    sink.note_incidents([known, known._replace(id="i2", leads_to="i2")])
    sink.close(30)
    with contextlib.closing(sqlite3.connect(tmp_path / "history" / FILE)) as connection:
        connection.execute("UPDATE incidents SET verdict = 'certain' WHERE id = 'i2'")
        connection.commit()
    with contextlib.closing(History(tmp_path / "history", from_received)) as history:
        assert history.incident_states() == [known]


def test_a_writer_that_is_late_at_the_end_lets_go_by_itself(tmp_path: Path) -> None:
    """Settings are read again while alerts are still judged: the next exporter in this process has the history."""
    judging, go_on = threading.Event(), threading.Event()

    def judge(_: Alert) -> Judgement:
        judging.set()
        go_on.wait(30)
        return UNDECIDED

    late = HistorySink(
        HistorySettings(directory=tmp_path), judge=judge, read_message=from_received,
        metrics=HistoryMetrics(CollectorRegistry()),
    )  # fmt: skip
    late.start()
    late.write([alert_of(1)])
    assert judging.wait(30)
    late.close(0.0)
    following = make_sink(tmp_path)
    following.start()
    following.write([alert_of(2)])
    assert "another process" in following.trouble
    go_on.set()
    wait_until(lambda: len(following.history) == 2, "both are found")
    # An alert can be found in the middle of the round of work that ends the trouble.
    wait_until(lambda: not following.trouble, "the trouble is over")
    following.close(30.0)
