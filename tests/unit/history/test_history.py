"""The history on disk: what is written can be found again, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exporter.alert import Alert, Priority
from exporter.catalog.shipped import ShippedCatalog
from exporter.config.model import HistorySettings
from exporter.history import sink as sink_module
from exporter.history.database import FILE, SET_ASIDE, HistoryError
from exporter.history.facts import row_of
from exporter.history.history import History
from exporter.history.query import Query
from exporter.history.sink import HistorySink
from exporter.history.stored import OWN_FORM, from_stored, to_stored
from exporter.selfmetrics import HistoryMetrics
from exporter.sources.decode import from_received
from tests.history_site import alert_of, dropped, filled, make_sink, sample, verdict_of
from tests.hostile import hostile_values
from tests.waiting import wait_until

Start = Callable[..., HistorySink]


def test_what_is_kept_is_found_by_its_uid_and_is_the_same_alert(start: Start) -> None:
    alerts = [alert_of(number) for number in range(50)]
    history = filled(start(), alerts)
    for alert in alerts:
        found = history.find(alert.uid)
        assert found == alert
        assert found.all_fields() == alert.all_fields()
        assert (found.raw_output, found.hostname, list(found.tags)) == (alert.raw_output, alert.hostname, ["T1003"])
    assert history.find("0" * 32) is None


def test_an_address_outlives_a_restart(start: Start) -> None:
    first = start()
    alerts = [alert_of(number) for number in range(20)]
    boot = filled(first, alerts).boot
    first.close(5)
    second = start()
    assert [second.history.find(alert.uid) for alert in alerts] == alerts
    assert second.history.boot == boot
    filled(second, [alert_of(21)])
    assert second.history.page(Query(), limit=1)[0].id == 21


@pytest.fixture(scope="module")
def three_hundred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[History, list[Alert]]]:
    """A history of three hundred alerts."""
    sink = make_sink(tmp_path_factory.mktemp("queries"))
    sink.start()
    alerts = [alert_of(number) for number in range(300)]
    yield filled(sink, alerts), alerts
    sink.close(5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), lambda n: True),
        (Query(verdict="attack"), lambda n: n % 7 == 0),
        (Query(rule="TERMINAL shell"), lambda n: n % 2 == 0),
        (Query(priority=Priority.CRITICAL), lambda n: n % 5 == 0),
        (Query(priority=Priority.WARNING), lambda n: True),
        (Query(host="NODE-2"), lambda n: n % 4 == 2),
        (Query(namespace="db"), lambda n: n % 3 == 0),
        (Query(principal="alice"), lambda n: n % 2 == 1),
        (Query(text="shadow"), lambda n: True),
        (Query(text="/etc/shadow.17"), lambda n: n == 17),
        (Query(text="SHADOW.1*"), lambda n: str(n).startswith("1")),
        (Query(text="happened bob"), lambda n: n % 2 == 0),
        (Query(text='"shadow happened"'), lambda n: False),
        (Query(text="etc/shadow.3 node-3"), lambda n: n == 3),
        (Query(text="shado"), lambda n: False),
        (Query(text="|"), lambda n: False),
        (Query(text='" OR facts : vattack'), lambda n: False),
        (Query(verdict="attack", namespace="db", text="shadow"), lambda n: n % 21 == 0),
        (Query(since_ns=alert_of(100).time_ns, until_ns=alert_of(200).time_ns), lambda n: 100 <= n < 200),
        (Query(since_ns=alert_of(150).time_ns, text="bob"), lambda n: n >= 150 and n % 2 == 0),
        (Query(until_ns=alert_of(3).time_ns), lambda n: n < 3),
        (Query(rule="nothing"), lambda n: False),
    ],
)
def test_a_query_finds_what_it_asks_for_on_disk_as_in_memory(
    three_hundred: tuple[History, list[Alert]], query: Query, expected: Callable[[int], bool]
) -> None:
    history, alerts = three_hundred
    wanted = [alert for number, alert in enumerate(alerts) if expected(number)]
    rows = history.page(query, limit=1_000)
    assert [row.uid for row in rows] == [alert.uid for alert in reversed(wanted)]
    admitted = [alert for n, alert in enumerate(alerts) if query.admits(row_of(n, alert, verdict_of(alert)), alert)]
    assert admitted == wanted


def test_pages_follow_one_another_in_both_directions_across_volumes(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = start(limit_age_seconds=16e-6)  # a volume for each batch
    monkeypatch.setattr(sink._bounds.__class__, "limit_age_seconds", 16e-6, raising=False)
    sink._next_trim = float("inf")
    alerts = [alert_of(number) for number in range(60)]
    for number in range(0, 60, 20):
        history = filled(sink, alerts[number : number + 20])
    with contextlib.closing(sqlite3.connect(sink._directory / FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM volumes").fetchone()[0] >= 3
    seen, before = [], 0
    while rows := history.page(Query(), limit=7, before=before):
        seen += [row.uid for row in rows]
        before = rows[-1].id
    assert seen == [alert.uid for alert in reversed(alerts)]
    back = history.page(Query(), limit=7, after=before, from_newest=False)
    assert [row.id for row in back] == list(range(before + 7, before, -1))
    assert [kept.alert for kept in history.alerts()] == alerts
    late = history.alerts(alerts[10].time_ns, alerts[12].time_ns)
    assert [kept.alert for kept in late] == alerts[10:12]


def test_alerts_come_in_the_order_of_their_time_not_of_their_arrival(start: Start) -> None:
    alerts = [alert_of(number) for number in (5, 3, 9, 1, 7)]
    history = filled(start(), alerts)
    assert [kept.alert for kept in history.alerts()] == sorted(alerts, key=lambda alert: alert.time_ns)
    assert [kept.row.verdict for kept in history.alerts(query=Query(verdict="attack"))] == ["attack"]


def test_the_history_stays_within_its_size_and_the_oldest_go(start: Start) -> None:
    limit = 16 * 1024 * 1024
    sink = start(limit_bytes=limit)
    big = {"proc.cmdline": "w" * 15_000, "user.name": "alice"}
    for batch in range(16):
        filled_until = sink.history.sequence
        sink.write([alert_of(batch * 100 + number, fields=big) for number in range(100)])
        wait_until(lambda: sink.history.sequence == filled_until + 100, "indexed", seconds=20)  # noqa: B023
        # What goes once in a while goes now: the file stays as large as it was at its largest.
        sink._next_trim = 0.0
        sink._wake.set()
        wait_until(lambda: sink._next_trim > 0.0, "the oldest looked at")
    wait_until(lambda: (sample(sink, "expired_total") or 0) > 0, "some went")
    assert (sink._directory / FILE).stat().st_size <= limit * 1.1
    assert sink.history.find(alert_of(0, fields=big).uid) is None
    newest = sink.history.page(Query(), limit=1)[0]
    assert newest.uid == alert_of(1_599, fields=big).uid


def test_only_the_owner_may_read_the_files(start: Start) -> None:
    sink = start()
    filled(sink, [alert_of(1)])
    assert stat.S_IMODE(sink._directory.stat().st_mode) == 0o700
    for path in sink._directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("damage", ["not a database at all" * 500, "foreign", "an error that cannot be read"])
def test_a_file_that_is_no_history_is_set_aside_and_said(start: Start, tmp_path: Path, damage: str) -> None:
    directory = tmp_path / "history"
    directory.mkdir(mode=0o700)
    if damage in {"foreign", "an error that cannot be read"}:
        sqlite3.connect(directory / FILE).execute("CREATE TABLE theirs (x)").connection.close()
        if damage != "foreign":
            whole = (directory / FILE).read_bytes()
            (directory / FILE).write_bytes(whole.replace(b"tabletheirstheirs", b"table\xa2heirstheirs"))
    else:
        (directory / FILE).write_text(damage, encoding="ascii")
    sink = start()
    filled(sink, [alert_of(1)])
    assert (directory / SET_ASIDE).is_file()
    assert "set aside" in sink.warnings()["History (damaged)"]
    assert sample(sink, "set_aside_total") == 1


def test_damage_that_a_reader_meets_sets_the_file_aside_and_writing_goes_on(start: Start, tmp_path: Path) -> None:
    first = start()
    filled(first, [alert_of(number) for number in range(500)])
    first.close(5)
    path = tmp_path / "history" / FILE
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(2, size // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(512))
    second = start()
    if not second.set_aside:
        with pytest.raises(HistoryError):
            list(second.history.alerts())
    wait_until(lambda: bool(second.set_aside), "the damage is noted")
    filled(second, [alert_of(9)])
    assert second.history.find(alert_of(9).uid) == alert_of(9)


def test_a_second_writer_is_refused_and_says_why(start: Start) -> None:
    start()
    second = start()
    assert "another process" in second.trouble
    second.write([alert_of(1)])
    assert dropped(second, "unusable") == 0


def test_what_finds_the_queue_full_is_dropped_and_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "QUEUE_ALERTS", 10)
    start()
    stuck = start()
    assert [dropped(stuck, reason) for reason in sink_module.DROP_REASONS] == [0] * len(sink_module.DROP_REASONS)
    for number in range(4):
        stuck.write([alert_of(number), alert_of(number + 10), alert_of(number + 20)])
    assert dropped(stuck, "unusable") == 3


@given(
    st.builds(
        Alert,
        time_ns=st.integers(1, 2**63 - 1),
        rule=st.text(min_size=1),
        priority=st.sampled_from(Priority),
        source=st.text(),
        hostname=st.text(),
        raw_output=st.text(),
        fields=st.dictionaries(st.text(), st.text()),
        tags=st.lists(st.text()),
    )
)
def test_an_alert_that_was_changed_on_the_way_is_kept_as_it_is(alert: Alert) -> None:
    stored = to_stored(alert)
    assert stored.startswith(OWN_FORM)
    found = from_stored(stored, alert.hostname, from_received)
    assert found.uid == alert.uid
    assert (found.raw_output, list(found.tags)) == (alert.raw_output, list(alert.tags))


def test_a_host_keeps_the_name_that_it_had_when_the_alert_came() -> None:
    message = (
        b'{"time":"2024-01-01T00:00:00Z","rule":"r","priority":"Notice","output":"o","hostname":"falco-x",'
        b'"source":"syscall","tags":["a","b"],"output_fields":{"fd.name":"/etc/shadow"}}'
    )
    found = from_stored(message, "node-7", from_received)
    assert found == replace(from_received(message), hostname="node-7")
    assert (found.raw_output, list(found.tags), found.received) == ("o", ["a", "b"], message)


def test_hostile_values_are_kept_and_found(start: Start) -> None:
    alerts = [
        alert_of(
            number,
            rule=f"r{number} {text}",
            hostname=text,
            fields={"proc.cmdline": text, text: text, "user.name": text},
        )
        for number, text in enumerate(hostile_values().values())
    ]
    history = filled(start(), alerts)
    for alert in alerts:
        assert history.find(alert.uid) is not None
        assert history.page(Query(rule=alert.rule), limit=5)[0].uid == alert.uid
    for text in hostile_values().values():
        history.page(Query(text=text, host=text, principal=text), limit=5)
    assert len(list(history.alerts())) == len(alerts)


def test_verdicts_are_those_of_the_catalog(tmp_path: Path) -> None:
    """The whole way, with the shipped catalog's judge."""
    sink = HistorySink(
        HistorySettings(directory=tmp_path / "h"),
        judge=ShippedCatalog().judge.judge,
        read_message=from_received,
        metrics=HistoryMetrics(CollectorRegistry()),
    )
    sink.start()
    try:
        history = filled(sink, [alert_of(1)])
        assert history.page(Query(), limit=1)[0].verdict == ShippedCatalog().judge.judge(alert_of(1)).verdict
        assert sum(history.counts().values()) == 1
        assert history.choices() == {"rules": ["Read sensitive file"], "hosts": ["node-1"], "namespaces": ["web"]}
    finally:
        sink.close(5)


def test_a_closed_history_answers_and_keeps_no_connection(start: Start) -> None:
    """Pages may ask while the exporter ends."""
    sink = start()
    history = filled(sink, [alert_of(1)])
    sink.close(5)
    assert len(history) == 1
    assert history._idle == []
