"""Create Deploy Key: a stolen session leaves a key that writes to the repository."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.lab.places.vendors import Vendor
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

RULE = "Create Deploy Key"
FIELDS = {
    "github.user": "mallory",
    "github.repo.name": "shop/web",
    "github.repo.url": "https://github.com/shop/web",
    "github.org": "shop",
    "github.owner": "shop",
}


class Repository:
    """The repository's keys: one of last year, and the new one."""

    def __init__(self, github: Vendor) -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.keys = [key(1, "deploy", "2025-03-01T08:00:00Z"), key(2, "x", now)]
        self.member: str | None = "member"
        self.me = "responder"
        self.number = 1
        """The repository's."""
        self.created = "2025-01-01T08:00:00Z"
        push = {"id": 1, "node_id": "x", "before": "0" * 40, "after": "f" * 40, "ref": "refs/heads/main"}
        push |= {"timestamp": now, "activity_type": "force_push", "actor": {"login": "mallory"}}
        github.service.answers("GET /repos/{owner}/{repo}/keys", lambda _: self.keys)
        github.service.answers("DELETE /repos/{owner}/{repo}/keys/{id}", self.delete)
        github.service.answers("POST /repos/{owner}/{repo}/keys", self.add)
        github.service.answers("GET /repos/{owner}/{repo}/activity", [push])
        github.service.answers("GET /user", lambda _: {"login": self.me})
        github.service.answers("GET /orgs/{org}/memberships/{user}", self.membership)
        github.service.answers("DELETE /orgs/{org}/memberships/{user}", self.leave)
        github.service.answers("POST /orgs/{org}/invitations", self.come_back)
        github.service.answers("GET /repos/{owner}/{repo}", lambda _: self.repository())

    def repository(self) -> dict[str, Any]:
        """What GitHub says of the repository."""
        return {"id": self.number, "created_at": self.created}

    def delete(self, request: Request) -> Reply:
        """Delete a key; 404 where there is none."""
        before = len(self.keys)
        self.keys = [each for each in self.keys if str(each["id"]) != request.parameters["id"]]
        return Reply(status=204 if len(self.keys) < before else 404)

    def add(self, request: Request) -> Reply:
        """Add a key under a new number; GitHub refuses one that is there."""
        if request.json()["title"] in [each["title"] for each in self.keys]:
            return Reply({"message": "key is already in use", "status": "422"}, 422)
        self.keys.append({**key(len(self.keys) + 2, "", "2026-11-28T12:00:00Z"), **request.json()})
        return Reply(self.keys[-1], 201)

    def membership(self, _: Request) -> Reply:
        """The account's role, or 404 where it is no member."""
        found = {"role": self.member, "state": "active", "user": {"id": 4}}
        return Reply(found) if self.member else Reply({"message": "Not Found", "status": "404"}, 404)

    def leave(self, _: Request) -> Reply:
        """Remove the account."""
        self.member = None
        return Reply(status=204)

    def come_back(self, request: Request) -> Reply:
        """Invite the account again."""
        assert request.json() == {"invitee_id": 4, "role": "direct_member"}
        self.member = "member"
        return Reply({"login": "mallory", "role": "direct_member"}, 201)


def key(number: int, title: str, created: str) -> dict[str, Any]:
    """A deploy key as GitHub lists it."""
    return {
        "id": number,
        "key": "ssh-ed25519 AAAA",
        "url": f"https://api.github.com/repos/shop/web/keys/{number}",
        "title": title,
        "verified": True,
        "created_at": created,
        "read_only": False,
        "added_by": "mallory",
        "last_used": None,
    }


def test_a_key_is_left_that_writes(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    with tell(FIELDS, cloud=github.laptop) as report:
        report.look("Which keys are there", shows=["mallory", "false", "never", "force_push"])
        report.contain("Delete the keys", state=lambda: [each["title"] for each in shop.keys], becomes=["deploy"])
        kept = [content for name, content in github.laptop.files().items() if name.endswith("key-1-2.json")]
        assert kept, "the key was not kept"
        assert b'"added_by": "mallory"' in kept[0], "who added it was not kept"
        report.contain("Remove the account", state=lambda: shop.member, becomes=None, shows="404")
        report.undo(
            state=lambda: (shop.member, {each["title"] for each in shop.keys}), becomes=("member", {"deploy", "x"})
        )
    assert len(github.service.called("DELETE /repos/shop/web/keys/1")) == 0


def test_a_title_with_a_backslash_comes_back_from_zsh(github: Vendor, tell: Tell) -> None:
    """What zsh's echo makes of it is no JSON any more."""
    shop = Repository(github)
    shop.keys[1]["title"] = "ci \\d \\n"
    report = tell(FIELDS, cloud=github.laptop)
    report.again("Delete the keys")
    assert [each["title"] for each in shop.keys] == ["deploy"]
    undo = next(step.undo for step in report.steps if "delete the keys" in step.title.casefold())
    github.laptop.paste(undo, "zsh")
    assert [each["title"] for each in shop.keys] == ["deploy", "ci \\d \\n"]


def test_who_is_no_member_is_said_to_be_none(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    shop.member = None
    report = tell(FIELDS, cloud=github.laptop)
    report.again("Remove the account", shows="no member")
    assert not github.service.called("DELETE /orgs/shop/memberships/mallory")


def test_the_responder_does_not_remove_themselves(github: Vendor, tell: Tell) -> None:
    shop = Repository(github)
    shop.me = "mallory"
    report = tell(FIELDS, cloud=github.laptop)
    report.again("Remove the account", shows="that is your own account")
    assert shop.member == "member"
