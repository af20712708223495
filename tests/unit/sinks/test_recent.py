"""The ring of recent alerts."""

from __future__ import annotations

import json
import threading
import tracemalloc

import pytest

from exporter.alert import Alert, Priority
from exporter.history.query import Query
from exporter.sinks.recent import RecentSink
from exporter.sources.decode_json import from_json
from tests.hostile import hostile_alerts


def make_alert(
    number: int, *, priority: Priority = Priority.WARNING, rule: str = "A rule", host: str = "node-1", **fields: str
) -> Alert:
    raw = {name.replace("__", "."): value for name, value in fields.items()}
    return Alert(number, rule, priority, "syscall", host, f"output {number}", raw, ())


def numbers(recent: RecentSink, wanted: Query | None = None, *, limit: int = 100) -> list[int]:
    return [row.time_ns for row in recent.page(wanted or Query(), limit=limit)]


def test_the_newest_come_first_and_the_oldest_go() -> None:
    """The ring keeps the last alerts."""
    recent = RecentSink(3)
    recent.write([make_alert(number) for number in range(5)])
    recent.write([make_alert(5)])
    assert numbers(recent) == [5, 4, 3]
    assert numbers(recent, limit=2) == [5, 4]
    assert len(recent) == 3
    assert recent.sequence == 6


def test_the_ring_is_bounded_by_size_as_well() -> None:
    """Megabyte fields push older alerts out; an alert above the whole size is not kept."""
    recent = RecentSink(100, size_limit_bytes=10_500)
    recent.write([make_alert(number, proc__name="x" * 1_000) for number in range(5)])
    assert numbers(recent) == [4, 3]
    recent.write([make_alert(9, proc__name="x" * 5_000)])
    assert numbers(recent) == []


LARGE = 20_000
BASE = {"rule": "R", "time": "2024-10-05T18:29:39.273467556Z", "priority": "Notice"}


@pytest.mark.parametrize(
    "members",
    [
        {"unknown": "x" * LARGE},
        {"tags": ["x" * LARGE]},
        {"tags": ["x"] * (LARGE // 4)},
        {"output_fields": {"x" * LARGE: "y"}},
        {"output_fields": {f"{number:x}": 1 for number in range(LARGE // 10)}},
        {"output_fields": {"a": "x" * LARGE + "\U0001f525"}},
        {"rule": "x" * LARGE},
        {"hostname": "x" * LARGE},
        {"output": "x" * LARGE},
        {"output_fields": {"a": ["x"] * (LARGE // 4)}},
    ],
)
def test_whatever_is_kept_counts_in_bytes(members: dict[str, object]) -> None:
    """Ignored members, tags, names of fields and of rules, and what small pieces cost beside their text."""
    body = json.dumps(BASE | members, ensure_ascii=False).encode()
    recent = RecentSink(10_000, size_limit_bytes=1_600_000)
    tracemalloc.start()
    try:
        for _ in range(100):
            recent.write([from_json(bytes(bytearray(body)))])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(recent) > 0
    assert held < 3_000_000


def test_an_alert_is_found_by_its_uid() -> None:
    """The uid is the report's stable address."""
    recent = RecentSink(10)
    alerts = [make_alert(number) for number in range(4)]
    recent.write(alerts)
    assert recent.find(alerts[2].uid) is alerts[2]
    assert recent.find("0" * 32) is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Query(), [4, 3, 2, 1]),
        (Query(rule="shell"), [2]),
        (Query(priority=Priority.WARNING), [3, 1]),
        (Query(priority=Priority.CRITICAL), [3]),
        (Query(host="NODE-2"), [4]),
        (Query(namespace="web"), [3, 1]),
        (Query(text="SHADOW"), [2]),
        (Query(text="output 4"), [4]),
        (Query(text="node-2"), [4]),
        (Query(namespace="web", priority=Priority.CRITICAL), [3]),
        (Query(text="nowhere"), []),
    ],
)
def test_the_filter_admits_what_it_says(wanted: Query, expected: list[int]) -> None:
    """Parts join by "and"; a priority means that one or a graver; texts are of any case."""
    recent = RecentSink(10)
    recent.write(
        [
            make_alert(1, k8s__ns__name="web"),
            make_alert(2, rule="Shell", priority=Priority.NOTICE, fd__name="/etc/shadow"),
            make_alert(3, priority=Priority.ALERT, ka__target__namespace="web"),
            make_alert(4, priority=Priority.UNKNOWN, host="node-2"),
        ]
    )
    assert numbers(recent, wanted) == expected


def test_only_what_is_newer_is_sent_on() -> None:
    """A live list goes on from the sequence number that it has seen."""
    recent = RecentSink(10)
    recent.write([make_alert(1), make_alert(2, host="other")])
    seen = recent.sequence
    assert recent.page(Query(), limit=10, after=seen) == []
    recent.write([make_alert(3), make_alert(4, host="other")])
    assert [row.time_ns for row in recent.page(Query(), limit=10, after=seen)] == [4, 3]
    assert [row.time_ns for row in recent.page(Query(host="other"), limit=10)] == [4, 2]


def test_the_choices_are_those_of_the_alerts_kept() -> None:
    """The page offers what there is to filter by."""
    recent = RecentSink(10)
    recent.write([make_alert(1, k8s__ns__name="web"), make_alert(2, host="", rule="B"), make_alert(3, host="a")])
    assert recent.choices() == {"rules": ["A rule", "B"], "hosts": ["a", "node-1"], "namespaces": ["web"]}


def test_hostile_alerts_are_kept_and_found() -> None:
    """No value disturbs the ring."""
    recent = RecentSink(1_000)
    alerts = hostile_alerts()
    recent.write(alerts)
    assert len(recent) == len(alerts)
    assert all(recent.find(alert.uid) == alert for alert in alerts)
    assert recent.page(Query(text="onerror"), limit=1)


def test_reading_while_writing_is_safe() -> None:
    """Requests read while a source's thread writes."""
    recent = RecentSink(50)

    def write() -> None:
        for number in range(2_000):
            recent.write([make_alert(number)])

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        found = numbers(recent, Query(text="output"))
        assert found == sorted(found, reverse=True)
    writer.join()
    assert len(recent) == 50
