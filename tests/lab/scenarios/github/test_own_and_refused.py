"""What would turn on the responder, what a refused look must not lead to, and what is on the second page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.github.shop import OLD, ZIP, Shop, leak, push
from tests.lab.scenarios.github.test_create_deploy_key import FIELDS as KEY_FIELDS
from tests.lab.scenarios.github.test_create_deploy_key import RULE as KEY
from tests.lab.scenarios.github.test_create_deploy_key import Repository
from tests.lab.scenarios.github.test_repositories import (
    ADDED,
    BORN,
    CLOSED,
    DELETED,
    LEAKED_INSIDE,
    MINER,
    NEW,
    OPENED,
    TOKEN,
    begin,
    saved,
)
from tests.lab.standin import Reply
from tests.lab.story import Tell

AT = "/repos/{o}/{r}"
WEB = "/repos/shop/web"
REFUSED = Reply({"message": "You have exceeded a secondary rate limit.", "status": "403"}, 403)
KEPT: dict[str, tuple[str, str, Callable[[Shop], Any]]] = {
    OPENED: ("Close the repository", WEB, lambda shop: shop.is_public),
    BORN: ("Close it to the public", WEB, lambda shop: shop.is_public),
    NEW: ("Stop its workflows", f"{WEB}/actions/permissions", lambda shop: shop.actions["enabled"]),
    MINER: ("Switch the workflow off", f"{WEB}/actions/workflows/ci.yml", lambda shop: shop.workflow),
    DELETED[0]: ("Remove the account", "/orgs/shop/memberships/mallory", lambda shop: shop.member),
}
RULES = (*KEPT, ADDED, CLOSED, LEAKED_INSIDE, KEY)


@pytest.mark.parametrize("rule", KEPT)
def test_what_could_not_be_kept_is_not_changed(github: Vendor, tell: Tell, rule: str) -> None:
    """GitHub refuses the first look for being one too many, and what it said is not kept as the state before."""
    title, path, state = KEPT[rule]
    shop = Shop(github)
    before = state(shop)
    report = begin(tell, github, rule)
    if rule == MINER:
        report.look("What does the workflow")
    github.service.guard = lambda request: REFUSED if (request.method, request.path) == ("GET", path) else None
    report.again(title, shows="403", hides=["another time", "made since"])
    assert state(shop) == before, "changed without what the undo needs"
    github.service.guard = lambda _: None
    report.again(title)
    assert state(shop) != before
    report.again(title, undo=True)
    assert state(shop) == before


@pytest.mark.parametrize("me", ["peer", ""])
def test_the_responder_keeps_their_own_access(github: Vendor, tell: Tell, me: str) -> None:
    """An owner has just added the responder; and a token of an app says of nobody whose it is."""
    shop = Shop(github)
    shop.me = me
    if not me:
        github.service.answers("GET /user", Reply({"message": "Resource not accessible", "status": "403"}, 403))
    report = begin(tell, github, ADDED)
    report.again("Whose account is it")
    report.again("Remove this", shows="your own account")
    assert shop.people["peer"] == "write"
    if not me:
        report = begin(tell, github, OPENED)
        report.again("Remove the account", shows="yours is unknown")
        assert shop.member == "member"


@pytest.mark.parametrize("rule", [OPENED, BORN, NEW])
def test_a_repository_that_may_not_be_seen_is_not_called_another(github: Vendor, tell: Tell, rule: str) -> None:
    """Who reads that it is another one, or closed already, goes to bed."""
    title, _, state = KEPT[rule]
    shop = Shop(github)
    before = state(shop)
    report = begin(tell, github, rule)
    github.service.guard = lambda request: REFUSED if request.path == WEB else None
    report.again(title, shows="403", hides=["another time", "made since", "false"])
    assert state(shop) == before


def test_people_who_may_not_be_seen_are_not_called_none(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    report = begin(tell, github, ADDED)
    github.service.guard = lambda request: REFUSED if request.path == f"{WEB}/collaborators" else None
    report.again("Remove this", shows="403", hides="no collaborator")
    assert shop.people["peer"] == "write"


def test_who_has_access_by_a_team_keeps_what_is_assigned(github: Vendor, tell: Tell) -> None:
    """An owner has removed the collaborator; to GitHub a removal once more ends assignments, too."""
    shop = Shop(github)
    del shop.people["peer"]
    report = begin(tell, github, ADDED)
    report.again("Remove this", shows="no collaborator of this name")
    assert not github.service.called(f"DELETE {WEB}/collaborators/peer")


def test_a_key_whose_repository_may_not_be_seen_is_not_lost(github: Vendor, tell: Tell) -> None:
    """The first time the deletion was refused, the second time the look."""
    shop = Repository(github)
    report = tell(KEY_FIELDS, rule=KEY, cloud=github.laptop)
    for refused in (("DELETE", f"{WEB}/keys/2"), ("GET", WEB)):
        github.service.guard = lambda request, asked=refused: (
            REFUSED if (request.method, request.path) == asked else None
        )
        report.again("Delete the keys", shows="403")
    assert [each["title"] for each in shop.keys] == ["deploy", "x"]


def test_the_log_of_the_first_attempt_is_kept(github: Vendor, tell: Tell) -> None:
    """Somebody starts the run once more: GitHub then has the second attempt's log under its number."""
    shop = Shop(github)
    report = begin(tell, github, MINER)
    report.look("What does the workflow")
    report.again("Switch the workflow off")
    assert shop.runs[8] == "completed"
    github.service.answers(f"GET {AT}/actions/runs/{{id}}/logs", Reply(b"PK nothing", headers=ZIP))
    report.again("Switch the workflow off")
    assert saved(github, "run-8.zip") == b"PK log of 8"


def test_runs_beyond_the_first_page_are_cancelled(github: Vendor, tell: Tell) -> None:
    """The runs that mine are older than a page of others that have ended since."""
    shop = Shop(github)
    shop.page = 2
    shop.runs = {
        9: "completed",
        8: "completed",
        7: "completed",
        6: "queued",
        5: "queued",
        4: "queued",
        3: "in_progress",
    }
    report = begin(tell, github, MINER)
    report.look("What does the workflow")
    report.again("Switch the workflow off", shows=["disabled_manually"])
    assert shop.cancelled == {3, 4, 5, 6}
    assert set(shop.runs.values()) == {"completed"}
    shop.runs |= {2: "waiting"}
    github.service.answers("POST /repos/{o}/{r}/actions/runs/{id}/cancel", REFUSED)
    report.again("Switch the workflow off", shows=["2\twaiting", "403"])


def test_a_token_among_many_leaks_is_revoked(github: Vendor, tell: Tell) -> None:
    """The push had a file of a hundred keys of somebody's tests; GitHub lists those first."""
    shop = Shop(github, visibility="private")
    shop.leaks = [leak("aws_key", f"AKIALAB{one}") for one in range(120)]
    shop.leaks.append(leak("github_personal_access_token", TOKEN))
    report = begin(tell, github, LEAKED_INSIDE)
    report.again("Revoke the GitHub tokens", shows="202")
    assert shop.revoked == [TOKEN]


def test_leaks_that_cannot_be_read_revoke_nothing(github: Vendor, tell: Tell) -> None:
    shop = Shop(github, visibility="private")
    github.service.answers(f"GET {AT}/secret-scanning/alerts", REFUSED)
    report = begin(tell, github, LEAKED_INSIDE)
    report.again("Revoke the GitHub tokens", shows="403", hides="no token of GitHub")
    assert not shop.revoked


def test_a_push_before_it_was_closed_is_no_reason_against_opening(github: Vendor, tell: Tell) -> None:
    shop = Shop(github, created=OLD, visibility="private")
    shop.pushes.append(push(OLD))
    report = begin(tell, github, CLOSED)
    report.again("Open it again", shows="public")
    assert shop.is_public


def test_workflows_that_were_off_before_stay_off(github: Vendor, tell: Tell) -> None:
    """GitHub then says nothing of which actions are allowed, and refuses null."""
    shop = Shop(github)
    shop.actions = {"enabled": False, "allowed_actions": None}
    report = begin(tell, github, NEW)
    report.again("Stop its workflows", shows="false")
    report.again("Stop its workflows", undo=True)
    assert shop.actions == {"enabled": False, "allowed_actions": None}


def test_a_workflow_that_was_off_before_stays_off(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    shop.workflow = "disabled_manually"
    report = begin(tell, github, MINER)
    report.look("What does the workflow")
    report.again("Switch the workflow off", shows="disabled_manually")
    report.again("Switch the workflow off", undo=True)
    assert shop.workflow == "disabled_manually"
