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
        self.authorized = [{"login": "mallory", "credential_id": 7, "credential_type": "personal access token"}]
        event = {"@timestamp": int(datetime.now(UTC).timestamp() * 1000), "action": "public_key.create"}
        event |= {"actor": "mallory", "actor_ip": "203.0.113.45", "repo": "shop/web", "user_agent": "curl/8"}
        github.service.answers("GET /repos/{owner}/{repo}/keys", lambda _: self.keys)
        github.service.answers("DELETE /repos/{owner}/{repo}/keys/{id}", self.delete)
        github.service.answers("GET /orgs/{org}/audit-log", [event])
        github.service.answers("GET /orgs/{org}/credential-authorizations", lambda _: self.authorized)
        github.service.answers("DELETE /orgs/{org}/credential-authorizations/{id}", self.revoke)

    def delete(self, request: Request) -> Reply:
        """Delete a key; 404 where there is none."""
        before = len(self.keys)
        self.keys = [each for each in self.keys if str(each["id"]) != request.parameters["id"]]
        return Reply(status=204 if len(self.keys) < before else 404)

    def revoke(self, _: Request) -> Reply:
        """Take the authorisation from a token."""
        self.authorized = []
        return Reply(status=204)


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
        report.look("Read the keys", shows=["mallory", "false", "never"])
        report.look("List the audit log of shop/web", shows=["public_key.create", "203.0.113.45"])
        report.look("List what mallory did", shows="shop/web")
        report.contain("delete the keys made", state=lambda: [each["id"] for each in shop.keys], becomes=[1])
        assert any(b'"id": 2' in content for content in github.laptop.files().values()), "the list was not kept"
        report.contain("revoke the SSO authorisations", state=lambda: shop.authorized, becomes=[])
    assert len(github.service.called("DELETE /repos/shop/web/keys/1")) == 0
