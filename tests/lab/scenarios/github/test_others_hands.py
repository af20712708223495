"""Somebody else was quicker, or comes later: what they did by hand stays, and what was made anew is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.github.shop import Shop
from tests.lab.scenarios.github.test_create_deploy_key import FIELDS as KEY_FIELDS
from tests.lab.scenarios.github.test_create_deploy_key import RULE as KEY
from tests.lab.scenarios.github.test_create_deploy_key import Repository
from tests.lab.scenarios.github.test_create_deploy_key import key as deploy_key
from tests.lab.scenarios.github.test_repositories import (
    ADDED,
    BORN,
    CLOSED,
    DELETED,
    LEAKED,
    MINER,
    NEW,
    OPENED,
    REMOVED,
    begin,
)
from tests.lab.standin import Reply
from tests.lab.story import Tell

RULES = (OPENED, LEAKED, CLOSED, BORN, NEW, DELETED[0], ADDED, REMOVED, MINER, KEY)
LATER = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
NOT_FOUND = {"message": "Not Found", "status": "404"}


@dataclass(frozen=True)
class Thing:
    """What an alert is about: its rule and step, its state, and what an owner does by hand."""

    rule: str
    title: str
    state: Callable[[Shop], Any]
    by_hand: Callable[[Shop], Any]
    visibility: str = "public"


def _visible(shop: Shop) -> Any:
    return shop.repository["visibility"]


def _set(value: str) -> Callable[[Shop], Any]:
    return lambda shop: shop.repository.update(visibility=value)


def _remove(shop: Shop) -> None:
    shop.people.pop("peer", None)
    shop.invited.clear()


THINGS = {
    "opened": Thing(OPENED, "Close the repository", _visible, _set("private")),
    "leaked": Thing(LEAKED, "Close the repository", _visible, _set("private")),
    "born": Thing(BORN, "Close it to the public", _visible, _set("private")),
    "closed": Thing(CLOSED, "Open it again", _visible, _set("public"), "private"),
    "actions": Thing(NEW, "Stop its workflows", lambda s: dict(s.actions), lambda s: s.actions.update(enabled=False)),
    "member": Thing(DELETED[0], "Remove the account", lambda s: s.member, lambda s: setattr(s, "member", None)),
    "collaborator": Thing(ADDED, "Remove this", lambda s: s.people | s.invited, _remove),
    "workflow": Thing(
        MINER, "Switch the workflow off", lambda s: s.workflow, lambda s: setattr(s, "workflow", "disabled_manually")
    ),
}


@pytest.mark.parametrize("name", THINGS)
def test_what_the_owner_did_by_hand_is_not_undone(github: Vendor, tell: Tell, name: str) -> None:
    """The responder was refused and calls the owner, who does it; then somebody pastes the undo, and both once more."""
    thing = THINGS[name]
    shop = Shop(github, visibility=thing.visibility)
    before = thing.state(shop)
    report = begin(tell, github, thing.rule)
    report.looks()
    shop.refuses = True
    report.again(thing.title, shows="403")
    shop.refuses = False
    report.again(thing.title, undo=True, shows="nothing was changed")
    assert thing.state(shop) == before
    thing.by_hand(shop)
    done = thing.state(shop)
    assert done != before
    for undo in (True, False, True):
        report.again(thing.title, undo=undo)
        assert thing.state(shop) == done, "what somebody else did was taken back"


@pytest.mark.parametrize("name", THINGS)
def test_an_undo_is_good_for_one_time(github: Vendor, tell: Tell, name: str) -> None:
    """Undone, then done by the owner after all: the undo of yesterday is still in the terminal's history."""
    thing = THINGS[name]
    shop = Shop(github, visibility=thing.visibility)
    before = thing.state(shop)
    report = begin(tell, github, thing.rule)
    report.looks()
    report.again(thing.title)
    assert thing.state(shop) != before
    report.again(thing.title, undo=True)
    assert thing.state(shop) == before
    thing.by_hand(shop)
    done = thing.state(shop)
    report.again(thing.title, undo=True)
    assert thing.state(shop) == done, "what somebody else did was taken back"


def made_anew(shop: Shop, visibility: str) -> None:
    """The repository was deleted, and a colleague made another one of the name."""
    shop.repository |= {"id": 2, "created_at": LATER, "visibility": visibility, "pushed_at": LATER}


@pytest.mark.parametrize("name", ["opened", "leaked", "born", "closed", "actions"])
def test_a_repository_that_was_made_anew_is_left(github: Vendor, tell: Tell, name: str) -> None:
    thing = THINGS[name]
    shop = Shop(github, visibility=thing.visibility)
    report = begin(tell, github, thing.rule)
    report.looks()
    made_anew(shop, thing.visibility)
    before = thing.state(shop)
    report.again(thing.title)
    assert thing.state(shop) == before, "another repository was changed"
    report.again(thing.title, undo=True)
    assert thing.state(shop) == before


@pytest.mark.parametrize("name", ["opened", "leaked", "born", "closed", "actions"])
def test_the_undo_leaves_a_repository_that_was_made_anew(github: Vendor, tell: Tell, name: str) -> None:
    thing = THINGS[name]
    shop = Shop(github, visibility=thing.visibility)
    report = begin(tell, github, thing.rule)
    report.looks()
    report.again(thing.title)
    made_anew(shop, shop.repository["visibility"])
    left = thing.state(shop)
    report.again(thing.title, undo=True)
    assert thing.state(shop) == left, "another repository was changed"


@pytest.mark.parametrize("name", ["opened", "leaked", "born"])
def test_what_was_pushed_in_private_is_not_published(github: Vendor, tell: Tell, name: str) -> None:
    """A colleague saw that it was private, and pushed the customers' list."""
    thing = THINGS[name]
    shop = Shop(github)
    report = begin(tell, github, thing.rule)
    report.looks()
    report.again(thing.title)
    shop.repository["pushed_at"] = LATER
    report.again(thing.title, undo=True, shows="pushed to since")
    assert not shop.is_public


@pytest.mark.parametrize("name", ["opened", "closed", "actions"])
def test_an_undo_that_may_not_look_changes_nothing(github: Vendor, tell: Tell, name: str) -> None:
    thing = THINGS[name]
    shop = Shop(github, visibility=thing.visibility)
    report = begin(tell, github, thing.rule)
    report.looks()
    report.again(thing.title)
    done = thing.state(shop)
    shop.gone = True
    report.again(thing.title, undo=True, shows="404")
    assert thing.state(shop) == done


def test_actions_that_were_allowed_anew_keep_their_limits(github: Vendor, tell: Tell) -> None:
    """The owner let the company's own actions run again; all were allowed before."""
    shop = Shop(github)
    report = begin(tell, github, NEW)
    report.again("Stop its workflows", shows="false")
    shop.actions = {"enabled": True, "allowed_actions": "local_only"}
    report.again("Stop its workflows", undo=True, shows="changed since")
    assert shop.actions == {"enabled": True, "allowed_actions": "local_only"}


def test_actions_that_must_be_pinned_stay_so(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    shop.actions["sha_pinning_required"] = True
    report = begin(tell, github, NEW)
    report.again("Stop its workflows", shows="false")
    shop.actions.pop("sha_pinning_required")
    report.again("Stop its workflows", undo=True)
    assert shop.actions == {"enabled": True, "allowed_actions": "all", "sha_pinning_required": True}


def test_who_has_the_name_now_is_not_invited(github: Vendor, tell: Tell) -> None:
    """The account was renamed, and a stranger took its name: the organization invites the account."""
    shop = Shop(github)
    report = begin(tell, github, DELETED[0])
    report.again("Remove the account", shows="404")
    shop.numbers["mallory"] = 666
    report.again("Remove the account", undo=True)
    assert shop.asked_back == [4]


def test_a_member_who_is_back_is_not_made_an_owner_again(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    shop.member = "admin"
    report = begin(tell, github, DELETED[0])
    report.again("Remove the account", shows="admin")
    shop.member = "member"
    report.again("Remove the account", undo=True, shows="422")
    assert shop.member == "member"


def test_a_membership_that_cannot_be_read_is_not_called_none(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    refused = Reply({"message": "Resource protected by organization SAML enforcement.", "status": "403"}, 403)
    github.service.answers("GET /orgs/{org}/memberships/{user}", refused)
    report = begin(tell, github, DELETED[0])
    report.again("Remove the account", shows="SAML", hides="no member")
    assert shop.member == "member"


def test_a_stranger_of_the_collaborators_name_is_not_invited(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    report = begin(tell, github, ADDED)
    report.looks()
    report.again("Remove this")
    shop.numbers["peer"] = 666
    report.again("Remove this", undo=True, shows="another account")
    assert not shop.invited


@pytest.mark.parametrize("lost", [False, True])
def test_a_collaborator_who_is_back_keeps_the_new_role(github: Vendor, tell: Tell, lost: bool) -> None:
    """An owner let them back, to read; where nobody can say who is in, nobody is invited."""
    shop = Shop(github)
    report = begin(tell, github, ADDED)
    report.looks()
    report.again("Remove this")
    if lost:
        github.service.answers("GET /repos/{o}/{r}/collaborators", Reply(b"", 502))
    else:
        shop.people["peer"] = "read"
    report.again("Remove this", undo=True, shows="unexpected end" if lost else "back since")
    assert (shop.people.get("peer"), shop.invited) == (None if lost else "read", {})


@pytest.mark.parametrize("lost", [False, True])
def test_a_removed_collaborator_who_is_back_keeps_the_role(github: Vendor, tell: Tell, lost: bool) -> None:
    """The owner has put the administrator back before the responder came to this step."""
    shop = Shop(github)
    shop.people["peer"] = "admin"
    if lost:
        github.service.answers("GET /repos/{o}/{r}/collaborators", Reply(b"", 502))
    report = begin(tell, github, REMOVED)
    report.again("Invite the removed", shows="unexpected end" if lost else "back already")
    assert (shop.people["peer"], shop.invited) == ("admin", {})


def test_keys_that_others_deleted_do_not_come_back(github: Vendor, tell: Tell) -> None:
    """The responder may not delete them; the owner does."""
    shop = Repository(github)
    report = tell(KEY_FIELDS, rule=KEY, cloud=github.laptop)
    answers = github.service.guard
    github.service.guard = lambda request: Reply(NOT_FOUND, 403) if request.method == "DELETE" else None
    report.again("Delete the keys", shows="403")
    github.service.guard = answers
    shop.keys.pop()
    report.again("Delete the keys", undo=True)
    assert [each["title"] for each in shop.keys] == ["deploy"]


def test_a_key_that_was_added_since_the_first_run_goes_too(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    report = tell(KEY_FIELDS, rule=KEY, cloud=github.laptop)
    report.again("Delete the keys")
    shop.keys.append(deploy_key(9, "second", LATER))
    report.again("Delete the keys", hides="second")
    assert [each["title"] for each in shop.keys] == ["deploy"]
    report.again("Delete the keys", undo=True)
    assert {each["title"] for each in shop.keys} == {"deploy", "x", "second"}


def test_a_key_is_not_given_to_another_repository(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    report = tell(KEY_FIELDS, rule=KEY, cloud=github.laptop)
    report.again("Delete the keys")
    shop.number, shop.keys = 2, []
    report.again("Delete the keys", undo=True)
    assert not shop.keys


def test_an_undo_of_keys_is_good_for_one_time(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    report = tell(KEY_FIELDS, rule=KEY, cloud=github.laptop)
    report.again("Delete the keys")
    report.again("Delete the keys", undo=True)
    assert len(shop.keys) == 2
    shop.keys.pop()
    report.again("Delete the keys", undo=True)
    assert [each["title"] for each in shop.keys] == ["deploy"]


def test_without_the_token_nothing_is_answered(github: Vendor, tell: Tell) -> None:
    """The stand-in itself: it refuses a request without the token, and a change by a step that looks."""
    Shop(github)
    asked = "curl -sS https://api.github.com/repos/shop/web"
    assert "Bad credentials" in github.laptop.paste(asked).text
    assert "shop/web" in github.laptop.paste(f'{asked} -H"Authorization: token $GH_TOKEN"').text
    github.laptop.begin("look")
    assert "403" in github.laptop.paste("gh api --method PATCH repos/shop/web -F private=true").text
