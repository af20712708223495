"""Creating a new OKTA user account: an administrator's session makes an account for somebody outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.vendors import Vendor
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

RULE = "Creating a new OKTA user account"


class Org:
    """An Okta org with one new user, whose status follows Okta's lifecycle."""

    def __init__(self, okta: Vendor, name: str) -> None:
        self.user: dict[str, Any] = {
            "id": "00ueve",
            "status": "ACTIVE",
            "profile": {"login": "eve@evil.example", "displayName": name},
            "credentials": {"provider": {"type": "OKTA"}},
        }
        self.events = [
            {
                "published": "2026-11-28T12:00:00Z",
                "eventType": "user.lifecycle.create",
                "outcome": {"result": "SUCCESS"},
                "actor": {"type": "User", "displayName": "Mallory", "alternateId": "mallory@example.com"},
                "client": {"ipAddress": "203.0.113.45", "userAgent": {"rawUserAgent": "curl/8"}},
                "transaction": {"detail": {"requestApiTokenId": "00Ttoken"}},
                "target": [{"id": "00ueve", "type": "User", "displayName": name, "alternateId": "eve@evil.example"}],
            }
        ]
        okta.service.answers("GET /api/v1/logs", self.log)
        okta.service.answers("GET /api/v1/users/{id}", lambda _: self.user)
        okta.service.answers("GET /api/v1/users/{id}/roles", [{"label": "Super Administrator"}])
        okta.service.answers("GET /api/v1/users/{id}/groups", [{"profile": {"name": "Everyone"}}])
        okta.service.answers("POST /api/v1/users/{id}/lifecycle/suspend", self.move("ACTIVE", "SUSPENDED"))
        okta.service.answers("POST /api/v1/users/{id}/lifecycle/unsuspend", self.move("SUSPENDED", "ACTIVE"))

    def log(self, request: Request) -> Any:
        """The System Log; a filter on a name that is not there finds nothing."""
        name = str(self.events[0]["target"][0]["displayName"])  # type: ignore[index]
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return self.events if f'"{quoted}"' in request.query["filter"] else []

    def move(self, before: str, after: str) -> Any:
        """A lifecycle operation, refused in any other status as Okta refuses it."""

        def change(_: Request) -> Reply:
            if self.user["status"] != before:
                return Reply({"errorCode": "E0000001", "errorSummary": f"not {before}"}, 400)
            self.user["status"] = after
            return Reply({})

        return change


def fields(name: str) -> dict[str, str]:
    return {"okta.actor.name": "Mallory", "okta.target.user.name": name}


def test_an_account_is_made_for_somebody_outside(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, "Eve Backdoor")
    with tell(fields("Eve Backdoor"), cloud=okta.laptop) as report:
        report.look("Read the creation event", shows=["mallory@example.com", "eve@evil.example", "00Ttoken"])
        report.look("Read status, admin roles", shows=["Super Administrator", "Everyone", '"status":"ACTIVE"'])
        report.look("List the System Log events", shows="user.lifecycle.create")
        report.contain("suspend the account", state=lambda: org.user["status"], becomes="SUSPENDED")
        assert any(report.uid in name for name in okta.laptop.files()), "the profile was not kept"
        report.undo(state=lambda: org.user["status"], becomes="ACTIVE")

        org.events[0]["target"] = [{"id": "x", "type": "User", "displayName": "Somebody else"}]
        report.again("suspend the account", shows="accounts have this name")
        assert org.user["status"] == "ACTIVE"


@pytest.mark.parametrize("name", words("quotes", "substitution", "dash"))
def test_a_hostile_name(okta: Vendor, tell: Tell, name: str) -> None:
    Org(okta, name)
    with tell(fields(name), cloud=okta.laptop) as report:
        report.everything()
    assert "owned" not in okta.laptop.files()
