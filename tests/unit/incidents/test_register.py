"""The register: what it remembers, when an incident ends, and that nothing makes it grow without bound."""

from __future__ import annotations

import gc

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.config.model import Incidents as Settings
from exporter.incidents.places import Places
from exporter.incidents.register import Bounds, Incidents
from tests.unit.incidents.made import BEGIN_NS, alert, register, tactics, verdict_in_rule


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = BEGIN_NS / 1e9

    def __call__(self) -> float:
        return self.seconds


def test_an_alert_knows_its_incident() -> None:
    """Each alert that is not benign has the identifier of its incident, or of the one that it would begin."""
    found = register()
    first, second = alert(0, "one", container__id="a" * 12), alert(1, "two", container__id="a" * 12)
    benign = alert(2, "benign x", container__id="a" * 12)
    found.take([first])
    before = found.id_of(first)
    found.take([second, benign])
    assert before == found.id_of(first) == found.id_of(second) == found.all()[0].id == first.uid[:16]
    assert found.id_of(benign) == ""
    assert found.find(before) == found.all()[0]


def test_an_incident_opens_once_and_ends_once_the_window_is_over() -> None:
    """Opened with the second alert, ended when nothing came for the window, and found afterwards."""
    clock = Clock()
    found = Incidents(Settings(3_600, 10, records=True), judge=verdict_in_rule, tactics_of=tactics, clock=clock)
    kinds = []
    for minutes in range(4):
        kinds += [each.kind for each in found.take([alert(minutes, f"rule {minutes % 2}", container__id="a" * 12)])]
    assert kinds == ["opened"]
    assert found.counts()["undecided"] == 1
    clock.seconds += 3_700
    assert [each.kind for each in found.sweep()] == ["ended"]
    assert found.sweep() == []
    assert sum(found.counts().values()) == 0
    assert len(found.all()) == 1


def test_two_incidents_that_turn_out_to_be_one_keep_both_names() -> None:
    """A late alert that ties two incidents makes one, and both identifiers lead to it."""
    found = register()
    pod = {"k8s__ns__name": "shop", "k8s__pod__name": "web-0"}
    found.take([alert(0, "attack a", container__id="a" * 12, container__name="a", **pod)])
    found.take([alert(1, "attack b", container__id="b" * 12)])
    ids = {incident.id for incident in found.all()}
    assert len(ids) == 2
    found.take([alert(2, "attack c", container__id="b" * 12, container__name="b", **pod)])
    (incident,) = found.all()
    assert {incident.id, *incident.other_ids} == ids
    assert {found.find(name) for name in ids} == {incident}
    assert sum(found.counts().values()) == 1


def test_what_attackers_make_up_goes_first_and_is_counted() -> None:
    """Thousands of containers, each with its own alert, take no more room than is set aside."""
    found = register(limit=20, facts_limit=50)
    found.take([alert(number / 100, "attack x", container__id=f"{number:012x}") for number in range(500)])
    assert len(found.all()) <= 20
    assert found.evicted >= 450
    newest = alert(5, "attack x", container__id=f"{499:012x}")
    found.take([newest])
    assert found.find(found.id_of(newest)) is not None


def test_a_group_of_too_many_kinds_counts_the_rest() -> None:
    """Made-up rules in one container stay one incident of bounded size."""
    found = register()
    found.take([alert(number / 1_000, f"attack {number}", container__id="a" * 12) for number in range(600)])
    (incident,) = found.all()
    assert len(incident.members) <= 512
    assert incident.count == 600


def test_a_group_of_too_many_kinds_goes_on_as_long_as_alerts_come() -> None:
    """What is counted only keeps the incident open, and later alerts belong to it, however long it goes on."""
    clock = Clock()
    found = Incidents(Settings(3_600, 10), judge=verdict_in_rule, tactics_of=tactics, clock=clock)
    for number in range(1_200):
        clock.seconds = BEGIN_NS / 1e9 + number * 30
        found.take([alert(number / 2, f"attack {number}", container__id="a" * 12)])
        found.sweep()
    (incident,) = found.all()
    assert (incident.count, incident.is_open, len(incident.members)) == (1_200, True, 512)
    assert incident.last_ns == BEGIN_NS + 1_199 * 30 * 10**9


def test_large_alerts_give_way() -> None:
    """The memory of kept alerts is bounded in bytes, whatever their number."""
    found = register(bounds=Bounds(size_bytes=1_000_000))
    for number in range(200):
        found.take([alert(number, "attack x", container__id=f"{number:012x}", proc__cmdline="x" * 20_000)])
    kept = sum(a.size_bytes for each in found.all() for member in each.members for a in member.alerts)
    assert kept < 1_500_000
    assert found.evicted > 100


def test_a_flood_is_one_fact() -> None:
    """A thousand alerts of one kind are one member that counts them."""
    found = register()
    found.take([alert(number / 60, "attack x", container__id="a" * 12) for number in range(1_000)])
    (incident,) = found.all()
    assert [(member.count, len(member.alerts)) for member in incident.members] == [(1_000, 16)]


def test_an_alert_from_the_future_ends_nothing() -> None:
    """One sender whose clock is years ahead does not make every incident old."""
    found = register()
    found.take([alert(0, "attack a", container__id="a" * 12)])
    found.take([alert(10**7, "attack b", container__id="b" * 12)])
    found.sweep()
    assert found.counts()["attack"] == 2


def test_names_are_stable() -> None:
    """Once given, a name stays, also when an earlier alert comes late."""
    found = register()
    found.take([alert(5, "attack b", container__id="a" * 12)])
    name = found.all()[0].id
    found.take([alert(3, "attack a", container__id="a" * 12)])
    assert [incident.id for incident in found.all()] == [name]


def test_a_likely_attack_that_there_was_no_time_to_join_is_counted() -> None:
    """In a flood of unlike alerts an attack outside of every incident is told apart, so that it can page by itself."""
    spent = Allowance(0, capacity_seconds=0)
    found = Incidents(Settings(3_600, 10), judge=verdict_in_rule, tactics_of=tactics, allowance=spent)
    found.take([alert(0, "attack a", container__id="a" * 12), alert(0, "b", container__id="b" * 12)])
    assert (found.skipped, found.attacks_outside) == (2, 1)


def test_what_is_given_up_is_freed_without_the_garbage_collector() -> None:
    """Incidents beyond the limit, facts beyond theirs and alerts that nothing ties: no circle of references is left."""
    found = register(limit=3, facts_limit=5)
    gc.collect()
    gc.disable()
    try:
        for number in range(300):
            host, container = f"freed-{number}", f"{number:012d}"
            found.take(
                [
                    alert(number, "attack one", host=host, container__id=container),
                    alert(number, "two", host=host, container__id=container),
                    alert(number, "alone", host=host, proc__name="x", container__id=f"{number + 1_000:012d}"),
                    alert(number, "untied", host=host),
                ]
            )
            found.states()
        found._places = Places()  # the last 10,000 alerts and where they belong
        found._traits_of = type(found._traits_of)(None)
        kept = [each for each in gc.get_objects() if isinstance(each, Alert) and each.hostname.startswith("freed-")]
    finally:
        gc.enable()
    assert len(found.all()) == 3
    assert len(kept) < 40
