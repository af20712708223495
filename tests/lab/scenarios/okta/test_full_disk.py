"""The reader's disk is full: what cannot be written down is not changed, or the undo brings it back all the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.lab.places.laptop import Laptop
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


def almost_full(laptop: Laptop, uid: str, blocks: int) -> Callable[[], object]:
    """Leave room for so many small files beside the evidence; return what makes more."""
    folder = laptop.home / "evidence" / uid

    def run(script: str) -> None:
        enter = ["nsenter", "--target", str(laptop.pid), "--mount", "sh", "-ec", script, "sh", str(folder)]
        subprocess.run(enter, check=True, capture_output=True, timeout=30)

    run(
        'mkdir -p "$1"; cp -a "$1" "$1.before"; mount -t tmpfs -o size=256k,mode=700 tmpfs "$1"; '
        f'cp -a "$1.before/." "$1"; dd if=/dev/zero of="$1/fill" bs=4k count=65 || truncate -s -{4 * blocks}k "$1/fill"'
    )
    return lambda: run('mount -o remount,size=64m "$1"; rm "$1/fill"')


@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("name", ALL)
def test_what_is_changed_can_be_undone(okta: Vendor, tell: Tell, name: str, blocks: int) -> None:
    rule, make = ALL[name]
    thing = make(okta)
    before = thing.state()
    report = begin(tell, okta, rule)
    if name != "zone":
        report.looks()
    make_room = almost_full(okta.laptop, report.uid, blocks)
    report.again(thing.title)
    assert blocks or thing.state() == before, "changed although nothing could be written down"
    make_room()
    report.again(thing.title, undo=True)
    assert thing.state() == before, "the undo knows nothing of what was changed"
    report.again(thing.title)
    assert thing.state() != before
    report.again(thing.title, undo=True)
    assert thing.state() == before
