"""Grouping: the first at once, then one with a count; nothing is forgotten."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.config.model import Grouping
from exporter.sinks.otel.queue.grouping import Grouper
from tests.otel_records import ALERT, many


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def grouper(clock: Clock, *, group_limit: int = 100) -> Grouper:
    return Grouper(Grouping(window_seconds=10.0), clock=clock, group_limit=group_limit)


def test_the_first_goes_out_at_once_and_then_one_with_the_count() -> None:
    """Three more within the window become one record with count, first and last time."""
    clock = Clock()
    group = grouper(clock)
    alerts = many(4)
    assert group.take(alerts) == [(alerts[0], None)]
    clock.now = 9.9
    assert group.ended() == []
    clock.now = 10.0
    [(last, joined)] = group.ended()
    assert joined is not None
    assert (last, joined.count) == (alerts[3], 3)
    assert (joined.first_time_ns, joined.last_time_ns) == (alerts[1].time_ns, alerts[3].time_ns)


def test_a_single_alert_makes_no_second_record() -> None:
    """A window in which nothing else came ends without a word."""
    clock = Clock()
    group = grouper(clock)
    group.take(many(1))
    clock.now = 11.0
    assert group.ended() == []
    assert group.seconds_to_next() is None


def test_another_rule_host_or_chosen_field_is_another_group() -> None:
    """What differs in one of these goes out by itself."""
    others = [
        ALERT,
        replace(ALERT, rule="Other"),
        replace(ALERT, hostname="other"),
        replace(ALERT, fields={**ALERT.fields, "proc.name": "other"}),
    ]
    assert grouper(Clock()).take(others) == [(alert, None) for alert in others]


def test_what_is_open_goes_out_on_flush() -> None:
    """A stop loses no count."""
    group = grouper(Clock())
    group.take(many(3))
    assert [joined.count for _, joined in group.flush() if joined] == [2]
    assert group.flush() == []


def test_open_groups_are_bounded() -> None:
    """Above the bound the oldest group ends early and its count goes out."""
    group = grouper(Clock(), group_limit=2)
    hosts = [replace(ALERT, hostname=str(index)) for index in range(3)]
    group.take([hosts[0], hosts[0], hosts[1]])
    out = group.take([hosts[2]])
    assert [(alert.hostname, joined.count if joined else None) for alert, joined in out] == [("0", 1), ("2", None)]


def test_open_groups_are_bounded_in_bytes() -> None:
    """Whether it is their keys or the alerts that are held back: the oldest end early, and no count is lost."""
    group = Grouper(Grouping(window_seconds=10.0, fields=("fd.name",)), clock=Clock(), size_limit_bytes=1_000_000)
    names = [replace(ALERT, hostname=f"{index}" * 100_000) for index in range(3)]
    assert group.take(names) == [(name, None) for name in names]
    assert [alert.hostname[0] for alert, _ in group.take([names[0], *names[:2]])] == ["0", "1"]
    assert [alert.hostname[0] for alert, _ in group.flush()] == ["0"]
    held = [replace(ALERT, hostname=f"{index}", fields={"proc.cmdline": "x" * 100_000}) for index in range(3)]
    out = group.take([alert for alert in held for _ in range(3)])
    assert [(alert.hostname, joined.count if joined else None) for alert, joined in out] == [
        ("0", None),
        ("1", None),
        ("2", None),
        ("0", 2),
    ]
    assert group.take([held[0]]) == [(held[0], None)]
    assert [joined.count for _, joined in group.flush() if joined] == [2, 2]
    small = [replace(ALERT, hostname=f"{index}") for index in range(100)]
    assert len(group.take(small)) == 100
    assert len(group.take(small)) == 0


def test_what_ends_at_once_goes_out_together() -> None:
    """A window that has ended and a group that makes room, in one call: each count, in order."""
    clock = Clock()
    group = grouper(clock, group_limit=2)
    hosts = [replace(ALERT, hostname=str(index)) for index in range(5)]
    group.take([hosts[0], hosts[0]])
    clock.now = 5.0
    group.take([hosts[1], hosts[1], hosts[1]])
    clock.now = 11.0
    out = group.take([hosts[2], hosts[3], hosts[3], hosts[4]])
    assert [(alert.hostname, joined.count if joined else None) for alert, joined in out] == [
        ("0", 1),
        ("2", None),
        ("1", 2),
        ("3", None),
        ("4", None),
    ]


def test_the_time_to_the_next_end_is_known() -> None:
    """Seconds from now; 0 where it should have ended already."""
    clock = Clock()
    clock.now = 100.0
    group = grouper(clock)
    group.take(many(1))
    clock.now = 104.0
    assert group.seconds_to_next() == 6.0
    clock.now = 200.0
    assert group.seconds_to_next() == 0.0


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 20)), max_size=50))
def test_every_alert_is_in_exactly_one_record(steps: list[tuple[int, float]]) -> None:
    """Records without a count, and the counts of the others, add up to the alerts."""
    clock = Clock()
    group = grouper(clock, group_limit=2)
    out = []
    for host, pause in steps:
        clock.now += pause
        out += group.take([replace(ALERT, hostname=str(host))])
    out += group.flush()
    assert sum(joined.count if joined else 1 for _, joined in out) == len(steps)
