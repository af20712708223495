"""The reader's disk is full: what cannot be written down is not changed, or the undo brings it back all the same."""

from __future__ import annotations

import pytest

from tests.lab.places.laptop import almost_full
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.okta.org import Org
from tests.lab.scenarios.okta.test_accounts import BLOCKED, begin
from tests.lab.scenarios.okta.test_others_hands import THINGS, Thing
from tests.lab.story import Tell


def zone(okta: Vendor) -> Thing:
    org = Org(okta, next(iter(BLOCKED.values())))
    return Thing(org, "Refuse this address", lambda: [each["gateways"] for each in org.zones.values()], lambda: None)


ALL = {**THINGS, "zone": (next(iter(BLOCKED)), zone)}
RULES = tuple({rule: None for rule, _ in ALL.values()})


@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("name", ALL)
def test_what_is_changed_can_be_undone(okta: Vendor, tell: Tell, name: str, blocks: int) -> None:
    rule, make = ALL[name]
    thing = make(okta)
    before = thing.state()
    report = begin(tell, okta, rule)
    if name != "zone":
        report.looks()
    make_room = almost_full(okta.laptop, f"evidence/{report.uid}", blocks)
    report.again(thing.title)
    assert blocks or thing.state() == before, "changed although nothing could be written down"
    make_room()
    report.again(thing.title, undo=True)
    assert thing.state() == before, "the undo knows nothing of what was changed"
    report.again(thing.title)
    assert thing.state() != before
    report.again(thing.title, undo=True)
    assert thing.state() == before
