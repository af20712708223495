"""The order in which alerts come changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.config.model import Incidents as Settings
from exporter.incidents.incident import Incident
from exporter.incidents.register import Incidents
from exporter.incidents.tactics import tactics_by_rule
from tests.unit.incidents.made import BEGIN_NS, MINUTE_NS, WINDOW_SECONDS, alert, parts
from tools.incidents import stories

CATALOG = load_catalog()
ALERTS = tuple(step.alert for story in stories() for step in story.steps)
TACTICS = tactics_by_rule(CATALOG)


def joined(alerts: list[Alert]) -> list[Incident]:
    found = Incidents(
        Settings(WINDOW_SECONDS, 1_000, records=True),
        judge=CATALOG.judge.judge,
        tactics_of=TACTICS,
        clock=lambda: BEGIN_NS / 1e9,
    )
    for each in alerts:
        found.take([each])
    return found.all()


def told(incidents: list[Incident]) -> set[tuple[object, ...]]:
    return {
        (
            frozenset(each.uid for member in incident.members for each in member.alerts),
            incident.verdict,
            incident.raised_by,
            incident.count,
            incident.first_ns,
            incident.last_ns,
            incident.entities,
        )
        for incident in incidents
    }


def at(drawn: list[tuple[Alert, int]]) -> list[Alert]:
    return [each.changed(time_ns=BEGIN_NS + minute * MINUTE_NS) for each, minute in drawn]


minutes = st.integers(0, int(WINDOW_SECONDS / 60))
few = st.lists(st.sampled_from(ALERTS), min_size=1, max_size=4)
moved = few.flatmap(
    lambda alerts: st.lists(st.tuples(st.sampled_from(alerts + list(ALERTS)[:8]), minutes), max_size=24).map(at)
)


@settings(max_examples=100, deadline=None)
@given(st.data(), moved)
def test_within_the_window_any_order_gives_the_same_incidents(data: st.DataObject, alerts: list[Alert]) -> None:
    """Whatever alerts come whenever, their incidents are those of the same alerts by time."""
    unique = list({each.uid: each for each in alerts}.values())
    by_time = sorted(unique, key=lambda each: (each.time_ns, each.uid))
    shuffled = data.draw(st.permutations(unique))
    assert told(joined(shuffled)) == told(joined(by_time))


@settings(max_examples=10, deadline=None)
@given(st.permutations([step.alert for story in stories() for step in story.steps][:60]))
def test_an_identifier_never_gets_lost(alerts: list[Alert]) -> None:
    """Every identifier that was ever given out still leads to the incident that has the alerts."""
    found = Incidents(
        Settings(WINDOW_SECONDS, 1_000, records=True),
        judge=CATALOG.judge.judge,
        tactics_of=TACTICS,
        clock=lambda: BEGIN_NS / 1e9,
    )
    given_out = {change.incident.id: change.incident for each in alerts for change in found.take([each])}
    for name, then in given_out.items():
        now = found.find(name)
        assert now is not None
        uids = {each.uid for member in now.members for each in member.alerts}
        assert {then.members[0].alert.uid} & uids or name in (now.id, *now.other_ids)


def test_a_repetition_ties_what_was_too_far() -> None:
    """An alert that comes between two others ties them, whether it comes last or in its turn."""
    early, between = (alert(minute, "attack a", container__id="a" * 12) for minute in (0, 14))
    late = alert(130, "attack b", container__id="a" * 12)
    assert len(parts([early, late])) == 2
    assert parts([early, late, between]) == parts([early, between, late]) == {frozenset({"attack a", "attack b"})}


def test_a_repetition_is_told_alike_in_any_order() -> None:
    """Three alike alerts that nothing else ties are no incident, also where the middle one comes last."""
    fields = {
        "container__id": "host", "evt__type": "openat", "fd__name": "/etc/shadow", "proc__aname[2]": "pkexec",
        "proc__cmdline": "cat /etc/shadow", "proc__exepath": "/usr/bin/cat", "proc__name": "cat", "proc__pname": "bash",
        "proc__tty": "0", "user__loginuid": "-1", "user__name": "root", "user__uid": "0",
    }  # fmt: skip
    rule = "Read sensitive file untrusted"
    first, between, last = (alert(minute, rule, host="wiki-1", **fields) for minute in (0, 1, 16))
    assert told(joined([first, last, between])) == told(joined([first, between, last]))
