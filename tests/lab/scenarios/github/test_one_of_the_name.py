"""A repository that a colleague has made under the name since: its people, keys and workflows are left."""

from __future__ import annotations

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.github.shop import Shop
from tests.lab.scenarios.github.test_create_deploy_key import FIELDS as KEY_FIELDS
from tests.lab.scenarios.github.test_create_deploy_key import RULE as KEY
from tests.lab.scenarios.github.test_create_deploy_key import Repository
from tests.lab.scenarios.github.test_create_deploy_key import key as deploy_key
from tests.lab.scenarios.github.test_others_hands import LATER, made_anew
from tests.lab.scenarios.github.test_repositories import ADDED, MINER, REMOVED, begin
from tests.lab.story import Tell

RULES = (ADDED, REMOVED, MINER, KEY)


def test_its_people_are_left(github: Vendor, tell: Tell) -> None:
    """The colleague has asked the same person to help."""
    shop = Shop(github)
    report = begin(tell, github, ADDED)
    report.looks()
    made_anew(shop, "private")
    report.again("Remove this", shows="made since")
    report.again("Remove this", undo=True, shows="nothing was changed")
    assert shop.people["peer"] == "write"
    assert not shop.invited


def test_who_was_removed_from_the_former_one_is_not_let_in(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    report = begin(tell, github, ADDED)
    report.looks()
    report.again("Remove this")
    assert "peer" not in shop.people
    made_anew(shop, "private")
    report.again("Remove this", undo=True, shows="made since")
    assert (shop.people.get("peer"), shop.invited) == (None, {})


def test_nobody_is_invited_into_it(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    del shop.people["peer"]
    report = begin(tell, github, REMOVED)
    made_anew(shop, "private")
    report.again("Invite the removed", shows="made since")
    assert not shop.invited


def test_its_keys_are_left(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    report = tell(KEY_FIELDS, rule=KEY, cloud=github.laptop)
    shop.number, shop.created, shop.keys = 2, LATER, [deploy_key(7, "release", LATER)]
    report.again("Delete the keys", shows="made since")
    assert [each["title"] for each in shop.keys] == ["release"]


def test_its_workflows_go_on(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    report = begin(tell, github, MINER)
    report.look("What does the workflow")
    made_anew(shop, "private")
    report.again("Switch the workflow off", shows="made since")
    report.again("Switch the workflow off", undo=True, shows="nothing was changed")
    assert (shop.workflow, shop.cancelled) == ("active", set())
