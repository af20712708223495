"""A restart: incidents go on under their identifiers, and nobody is told twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.config.model import Incidents as Settings
from exporter.incidents.register import Incidents
from exporter.incidents.state import State, head_of
from exporter.incidents.tactics import tactics_by_rule
from tests.unit.incidents.made import BEGIN_NS, WINDOW_SECONDS, alert, register, tactics, verdict_in_rule
from tools.incidents import stories

CATALOG = load_catalog()
TACTICS = tactics_by_rule(CATALOG)
SHARED_ADDRESS = "192.0.2.200"
"""Many people come from it, so that what it held together falls apart again; a restart may then name it otherwise."""
TOLD = [
    [step.alert for step in story.steps]
    for story in stories()
    if not any(SHARED_ADDRESS in step.alert.fields.values() for step in story.steps)
]
some = st.lists(st.sampled_from(TOLD), min_size=1, max_size=3).flatmap(
    lambda chosen: st.permutations(list({id(each): each for story in chosen for each in story}.values()))
)
POD = {"k8s__ns__name": "shop", "k8s__pod__name": "web-0"}


def real() -> Incidents:
    """A register that judges by the shipped signs."""
    return Incidents(
        Settings(WINDOW_SECONDS, 1_000, records=True),
        judge=CATALOG.judge.judge, tactics_of=TACTICS, clock=lambda: BEGIN_NS / 1e9,
    )  # fmt: skip


def uids(found: Incidents) -> dict[str, frozenset[str]]:
    """Return each incident's alerts by its identifier."""
    return {each.id: frozenset(alert.uid for member in each.members for alert in member.alerts) for each in found.all()}


@settings(max_examples=25, deadline=None)
@given(some, st.integers(0, 40), st.data())
def test_a_restart_changes_nothing(alerts: list[Alert], cut: int, data: st.DataObject) -> None:
    """Wherever it comes, in whatever order alerts do: the same incidents, each identifier leads on, nothing is told."""
    cut = min(cut, len(alerts))
    told: dict[str, State] = {}
    before, unbroken = real(), real()
    for each in alerts[:cut]:
        before.take([each])
        unbroken.take([each])
        if data.draw(st.booleans()):
            assert before.id_of(each) == unbroken.id_of(each)
        told |= {state.id: state for state in before.states()}
    # A restart lets go of what nothing can be added to any more, as each look does that comes with time.
    unbroken.sweep()
    after = real()
    assert after.restore(alerts[:cut], told.values(), judge=CATALOG.judge.judge) == []
    assert uids(after) == uids(before)
    assert after.opened == real().opened
    assert {name: after.find(name).id for name in told} == {name: before.find(name).id for name in told}  # type: ignore[union-attr]
    after.take(alerts[cut:])
    unbroken.take(alerts[cut:])
    assert set(uids(after).values()) == set(uids(unbroken).values())
    assert [after.find(name) is None for name in told] == [False] * len(told)


def test_what_was_lost_with_the_process_is_told_after_it() -> None:
    """Opened, risen and ended records that nobody stored are made once more, and no others."""
    one, two = ({"container__id": name * 12} for name in "ab")
    alerts = [alert(0, "a", **one), alert(1, "b", **one), alert(0, "attack x", **two)]
    before = register()
    before.take(alerts)
    told = before.states()
    late = [alert(2, "attack c", **one), alert(3, "attack y", container__id="c" * 12)]
    after = register()
    changes = after.restore([*alerts, *late], told, judge=verdict_in_rule)
    assert sorted((change.kind, change.incident.verdict) for change in changes) == [
        ("opened", "attack"),
        ("risen", "attack"),
    ]
    seconds = BEGIN_NS / 1e9 + 3 * WINDOW_SECONDS
    again = Incidents(
        Settings(WINDOW_SECONDS, 100, records=True), judge=verdict_in_rule, tactics_of=tactics, clock=lambda: seconds
    )
    states = {state.id: state for state in (*told, *after.states())}
    ended = again.restore([*alerts, *late], states.values(), judge=verdict_in_rule)
    assert {change.kind for change in ended} == {"ended"}
    assert len(ended) == 3
    states |= {state.id: state for state in again.states()}
    third = Incidents(
        Settings(WINDOW_SECONDS, 100, records=True), judge=verdict_in_rule, tactics_of=tactics, clock=lambda: seconds
    )
    assert third.restore([*alerts, *late], states.values(), judge=verdict_in_rule) == []
    assert not any(incident.is_open for incident in third.all())


def test_an_incident_that_grows_at_once_is_kept_for_the_restart() -> None:
    """Its second alert, of another rule, comes in the same batch."""
    found = register()
    found.take([alert(0, "attack a", container__id="a" * 12), alert(1, "b", container__id="a" * 12)])
    (incident,) = found.all()
    assert [state.id for state in found.states()] == [incident.id]


def test_without_anything_stored_nothing_is_told() -> None:
    """The first start with a history from before does not tell of everything in it."""
    found = register()
    assert found.restore([alert(0, "attack a", container__id="a" * 12)], [], judge=verdict_in_rule) == []
    assert [incident.verdict for incident in found.all()] == ["attack"]


def test_a_merged_identifier_leads_on_although_its_alert_is_gone() -> None:
    """What the history does not have any more is found through the incident that it became a part of."""
    kept = alert(5, "attack b", container__id="a" * 12)
    told = [
        State("0" * 16, kept.uid[:16], "attack", True, BEGIN_NS),
        State(kept.uid[:16], kept.uid[:16], "attack", True, BEGIN_NS),
    ]
    found = register()
    found.restore([kept], told, judge=verdict_in_rule)
    old = found.find("0" * 16)
    assert old is not None
    assert (old.id, old.other_ids) == (kept.uid[:16], ("0" * 16,))


def test_two_incidents_that_turn_out_to_be_one_say_so_once() -> None:
    """The graver one goes on, though it is the younger; the other is told to be a part of it."""
    found = register()
    found.take([alert(0, "a", container__id="a" * 12, container__name="a", **POD)])
    found.take([alert(1, "b", container__id="a" * 12, container__name="a", **POD)])
    found.take([alert(2, "attack c", container__id="b" * 12)])
    graver, lesser = (next(each for each in found.all() if each.verdict == v) for v in ("attack", "undecided"))
    found.states()
    changes = found.take([alert(3, "d", container__id="b" * 12, container__name="b", **POD)])
    assert [(change.kind, change.merged_id, change.incident.id) for change in changes] == [
        ("merged", lesser.id, graver.id)
    ]
    assert found.find(lesser.id) == found.find(graver.id) == changes[0].incident
    assert {(state.id, state.leads_to) for state in found.states()} == {
        (graver.id, graver.id),
        (lesser.id, graver.id),
    }


def test_the_head_leads_to_no_other() -> None:
    """Of two that lead to none the graver, then the older one."""
    part = State("1", "2", "attack", True, 0)
    old, grave, older = (
        State("2", "2", "undecided", True, 1),
        State("3", "3", "attack", True, 2),
        State("4", "4", "attack", True, 1),
    )
    assert head_of([part, old]) == old
    assert head_of([part, old, grave]) == grave
    assert head_of([older, grave]) == older


def test_what_fell_apart_before_a_restart_is_the_same_after_it() -> None:
    """The part whose alert had the identifier goes on with it; the other, an alert by itself, is not told of."""
    by_rule = {
        step.alert.rule: step.alert
        for story in stories()
        for step in story.steps
        if SHARED_ADDRESS in step.alert.fields.values()
    }
    named, other, *learnt = (
        by_rule[rule]
        for rule in (
            "Create AWS user", "Put Bucket ACL", "User has been locked out in OKTA", "CloudTrail Logging Disabled",
            "Update Lambda Function Code",
        )
    )  # fmt: skip
    before = real()
    before.take([named])
    name = before.id_of(named)
    before.take([other])
    assert uids(before) == {name: {named.uid, other.uid}}
    before.take(learnt)
    assert other.uid not in uids(before)[name]
    after = real()
    told = before.states()
    assert after.restore([named, other, *learnt], told, judge=CATALOG.judge.judge) == []
    assert uids(after) == uids(before)
