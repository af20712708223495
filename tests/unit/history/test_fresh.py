"""What is remembered between writing and indexing, against a dictionary of everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.history import fresh as fresh_module
from exporter.history.fresh import Fresh
from tests.history_site import alert_of
from tests.unit.history.test_writer import received

_STEPS = st.lists(
    st.tuples(st.just("keep"), st.integers(1, 6), st.integers(0, 3))
    | st.tuples(st.just("forget"), st.integers(0, 9), st.just(0)),
    max_size=30,
)


@given(_STEPS, st.integers(0, 8), st.integers(0, 2_000))
def test_alerts_are_given_in_the_order_of_their_numbers_without_gaps(
    steps: list[tuple[str, int, int]], limit: int, limit_bytes: int
) -> None:
    """A batch that was not remembered makes a gap that nothing crosses."""
    fresh, known, next_number = Fresh(), {}, 1
    for what, count, gap in steps:
        if what == "keep":
            first = next_number + gap
            alerts = [received(number, number % 3 * 100) for number in range(first, first + count)]
            fresh.keep(first, alerts)
            known |= dict(enumerate(alerts, first))
            next_number = first + count
        else:
            last = min(known, default=1) + count - 1
            fresh.forget(last)
            known = {number: alert for number, alert in known.items() if number > last}
        for behind in range(next_number + 1):
            taken, size = fresh.take(behind, limit, limit_bytes)
            expected, total = [], 0
            while len(expected) < limit and total <= limit_bytes and (alert := known.get(behind + len(expected) + 1)):
                expected.append(alert)
                total += len(alert.received)
            if behind + 1 == min(known, default=0):
                assert (list(map(id, taken)), size) == (list(map(id, expected)), total)
            else:
                assert taken == []
            assert fresh.first_behind(behind) == min((number for number in known if number > behind), default=None)


def test_a_batch_that_does_not_fit_is_not_remembered_until_others_went(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_module, "LIMIT_ALERTS", 5)
    fresh = Fresh()
    fresh.keep(1, [alert_of(1), alert_of(2), alert_of(3)])
    fresh.keep(4, [alert_of(4), alert_of(5), alert_of(6)])
    assert fresh.first_behind(3) is None
    fresh.forget(1)
    fresh.keep(7, [alert_of(7), alert_of(8), alert_of(9)])
    assert fresh.take(1, 9, 10**9)[0] == [alert_of(2), alert_of(3)]
    assert fresh.first_behind(3) == 7
    fresh.forget(9)
    fresh.keep(10, [alert_of(number) for number in range(5)])
    assert fresh.first_behind(0) == 10


def test_an_alert_without_its_message_counts_what_it_takes_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_module, "LIMIT_BYTES", 2 * alert_of(1).size_bytes)
    fresh = Fresh()
    fresh.keep(1, [alert_of(1), alert_of(1)])
    fresh.keep(3, [alert_of(1)])
    assert len(fresh.take(0, 9, 10**9)[0]) == 2
