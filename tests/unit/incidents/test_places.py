"""What is remembered of where alerts went: as many as there is room for, and the name that was given first."""

from __future__ import annotations

import pytest

from exporter.incidents import places
from tests.unit.incidents.made import alert, register


@pytest.mark.parametrize("asked_each", [1, 2, 5, 100])
def test_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch, asked_each: int) -> None:
    """Between one and two times the limit, however often somebody asks."""
    monkeypatch.setattr(places, "PLACES_LIMIT", 3)
    found = register()
    alerts = [alert(number, "attack x", container__id="a" * 12) for number in range(11)]
    for number, each in enumerate(alerts):
        found.take([each])
        assert number % asked_each or found.id_of(each)
    assert [bool(found.id_of(each)) for each in alerts] == [False] * 6 + [True] * 5


def test_a_name_that_was_given_stays() -> None:
    """Also where another incident turns out to be the same one, and gives its name to both."""
    found = register()
    pod = {"k8s__ns__name": "shop", "k8s__pod__name": "web-0"}
    first = alert(0, "attack a", container__id="a" * 12, container__name="a", **pod)
    second = alert(1, "attack b", container__id="b" * 12)
    found.take([first, second])
    names = found.id_of(first), found.id_of(second)
    assert names[0] != names[1]
    found.take([alert(2, "attack c", container__id="b" * 12, container__name="b", **pod)])
    assert (found.id_of(first), found.id_of(second)) == names


def test_hosts_rules_and_times_are_told_apart() -> None:
    """Each of the three alone makes another alert."""
    found = register()
    one = alert(0, "attack a", container__id="a" * 12)
    assert found.id_of(one) == ""
    found.take([one])
    assert found.id_of(one)
    for other in (one.changed(time_ns=one.time_ns + 1), one.changed(rule="attack b"), one.changed(hostname="node-2")):
        assert found.id_of(other) == ""
