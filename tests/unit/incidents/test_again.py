"""Alerts that are like many before them are only counted: the same comes out as of each by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.config.model import Incidents as Settings
from exporter.incidents import fact, joining, register
from exporter.incidents.incident import is_incident
from exporter.incidents.joining import Joiner
from exporter.incidents.register import Bounds, Incidents
from exporter.incidents.tactics import tactics_by_rule
from exporter.incidents.traits import TraitsOf
from exporter.verdict.judgement import Judgement
from tests.unit.incidents.made import BEGIN_NS, MINUTE_NS, WINDOW_SECONDS
from tests.unit.incidents.test_order import told
from tools.incidents import stories

CATALOG = load_catalog()
ALERTS = tuple(step.alert for story in stories() for step in story.steps)
TACTICS = tactics_by_rule(CATALOG)


class Counting(Incidents):
    """Counts what it took the quick way."""

    def __init__(self, **given: Any) -> None:
        asked = Settings(WINDOW_SECONDS, 1_000, records=True)
        super().__init__(
            asked, judge=CATALOG.judge.judge, tactics_of=TACTICS, clock=lambda: BEGIN_NS / 1e9, **given
        )  # fmt: skip
        self.quickly = 0

    def _take_again(self, *given: Any) -> bool:
        is_taken = super()._take_again(*given)
        self.quickly += is_taken
        return is_taken


def at(alert: Alert, time_ns: int) -> Alert:
    """Return the alert at another time, judged and compared with others, as it comes to the register."""
    moved = alert.changed(time_ns=time_ns)
    assert moved.likeness
    CATALOG.judge.judge(moved)
    return moved


minutes = st.integers(0, int(3 * WINDOW_SECONDS / 60))
often = st.lists(st.sampled_from(ALERTS), min_size=1, max_size=3).flatmap(
    lambda alerts: st.lists(st.tuples(st.sampled_from(alerts), minutes), min_size=8, max_size=40)
)


@settings(max_examples=150, deadline=None)
@given(often, st.sampled_from((2, 20_000)))
def test_what_is_counted_quickly_is_counted_as_ever(moved: list[tuple[Alert, int]], facts: int) -> None:
    """The same incidents, changes and names; and no group that is an incident stays untold."""
    alerts = [at(alert, BEGIN_NS + minute * MINUTE_NS) for alert, minute in moved]
    with pytest.MonkeyPatch.context() as patch:
        for module in (fact, joining, register):
            patch.setattr(module, "FACT_ALERTS_LIMIT", 2)
        quick, slow = Counting(bounds=Bounds(facts=facts)), Counting(bounds=Bounds(facts=facts))
        patch.setattr(slow, "_take_again", lambda *_: False)
        came = []
        for found in (quick, slow):
            changes = [
                (change.kind, change.incident.id, change.merged_id) for each in alerts for change in found.take([each])
            ]
            names = [found.id_of(each) for each in alerts]
            came.append((changes, told(found.all()), names, found._newest_ns, found.evicted))
            assert all(group.shown for group in {each.group for each in found._joiner.facts} if is_incident(group))
    assert came[0] == came[1]


def test_what_repeats_is_counted_quickly() -> None:
    """Else the test before this one shows nothing."""
    found = Counting()
    for number in range(100):
        found.take([at(ALERTS[0], BEGIN_NS + number)])
    assert found.quickly >= 80
    assert [incident.count for incident in found.all()] == [100]


def test_another_judgement_than_before_is_not_counted_quickly() -> None:
    """As after an operator's catalog has changed: it may be another fact."""
    found = Counting()
    for number in range(50):
        found.take([at(ALERTS[0], BEGIN_NS + number)])
    before = found.quickly
    alert = at(ALERTS[0], BEGIN_NS + 50)
    alert.note_judgement(CATALOG.judge, Judgement(*CATALOG.judge.judge(alert)))
    found.take([alert])
    assert found.quickly == before


def test_what_may_bring_a_fact_near_a_later_one_is_not_counted_quickly() -> None:
    """One began out of reach meanwhile; the alert takes its fact nearer."""
    joiner = Joiner(int(WINDOW_SECONDS * 1e9))
    traits_of = TraitsOf()
    first, later = at(ALERTS[0], BEGIN_NS), at(ALERTS[1], BEGIN_NS + 121 * MINUTE_NS)
    traits = traits_of(first, CATALOG.judge.judge(first))
    later_traits = traits_of(later, CATALOG.judge.judge(later))
    assert traits is not None
    assert later_traits is not None
    for _ in range(fact.FACT_ALERTS_LIMIT):
        joiner.add(first, traits)
    assert joiner.add_again(BEGIN_NS + 10 * MINUTE_NS, traits) is traits.fact
    joiner.add(later, later_traits)
    assert joiner.add_again(BEGIN_NS + 9 * MINUTE_NS, traits) is traits.fact
    later_still = at(ALERTS[1], BEGIN_NS + 140 * MINUTE_NS)
    joiner.add(later_still, later_traits)
    assert joiner.add_again(BEGIN_NS + 12 * MINUTE_NS, traits) is None
