"""Creating a new OKTA user account: an administrator's session makes an account for somebody outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.vendors import Vendor
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

RULE = "Creating a new OKTA user account"
MADE = int(time.time()) * 1_000_000_000
AT = f"{datetime.fromtimestamp(MADE // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.123Z"


class Org:
    """An Okta org with an administrator and one new user, whose status follows Okta's lifecycle."""

    def __init__(self, okta: Vendor, actor: str, status: str = "ACTIVE") -> None:
        self.actor = actor
        self.status = {"00umal": "ACTIVE", "00ueve": status}
        self.ended: set[str] = set()
        self.events = [
            self.event("user.lifecycle.create", AT),
            self.event("user.session.start", "2026-01-01T00:00:00.000Z"),
        ]
        okta.service.answers("GET /api/v1/logs", self.log)
        okta.service.answers("GET /api/v1/users/{id}", self.user)
        okta.service.answers("DELETE /api/v1/users/{id}/sessions", self.end)
        okta.service.answers("POST /api/v1/users/{id}/lifecycle/suspend", self.move("ACTIVE", "SUSPENDED"))
        okta.service.answers("POST /api/v1/users/{id}/lifecycle/unsuspend", self.move("SUSPENDED", "ACTIVE"))
        okta.service.answers("POST /api/v1/users/{id}/lifecycle/deactivate", self.move("PROVISIONED", "DEPROVISIONED"))
        okta.service.answers("POST /api/v1/users/{id}/lifecycle/activate", self.move("DEPROVISIONED", "PROVISIONED"))

    def event(self, kind: str, at: str) -> dict[str, Any]:
        """One event of the System Log."""
        target = {"id": "00ueve", "type": "User", "displayName": "Eve", "alternateId": "eve@evil.example"}
        return {
            "published": at,
            "eventType": kind,
            "outcome": {"result": "SUCCESS"},
            "actor": {"id": "00umal", "type": "User", "displayName": self.actor, "alternateId": "mallory@example.com"},
            "client": {"ipAddress": "203.0.113.45", "userAgent": {"rawUserAgent": "curl/8"}},
            "transaction": {"detail": {"requestApiTokenId": "00Ttoken"}},
            "authenticationContext": {"externalSessionId": "102x"},
            "target": [target] if kind == "user.lifecycle.create" else None,
        }

    def log(self, request: Request) -> Any:
        """The System Log; a filter on a name that is not there finds nothing."""
        quoted = self.actor.replace("\\", "\\\\").replace('"', '\\"')
        return self.events if f'"{quoted}"' in request.query["filter"] else []

    def user(self, request: Request) -> Any:
        """One user's profile and status."""
        one = request.parameters["id"]
        if one == "me":
            return {"id": "00uresponder", "status": "ACTIVE", "profile": {"login": "me@example.com"}}
        return {"id": one, "status": self.status[one], "profile": {"login": f"{one}@example.com"}}

    def end(self, request: Request) -> Reply:
        """End the sessions of a user."""
        self.ended.add(request.parameters["id"])
        return Reply(status=204)

    def move(self, before: str, after: str) -> Any:
        """A lifecycle operation, refused in any other status as Okta refuses it."""

        def change(request: Request) -> Reply:
            if self.status[request.parameters["id"]] != before:
                return Reply({"errorCode": "E0000001", "errorSummary": f"not {before}"}, 400)
            self.status[request.parameters["id"]] = after
            return Reply({})

        return change


def fields(actor: str) -> dict[str, str]:
    return {"okta.actor.name": actor, "okta.target.user.name": "Eve"}


@pytest.mark.parametrize(
    ("before", "after"), [("ACTIVE", "SUSPENDED"), ("PROVISIONED", "DEPROVISIONED"), ("STAGED", "STAGED")]
)
def test_an_account_is_made_for_somebody_outside(okta: Vendor, tell: Tell, before: str, after: str) -> None:
    org = Org(okta, "Mallory", before)
    with tell(fields("Mallory"), cloud=okta.laptop, time_ns=MADE) as report:
        shows = ["mallory@example.com", "eve@evil.example", "00Ttoken", "user.session.start"]
        report.look("Whom was it about", shows=shows)
        done = {"00umal": "SUSPENDED", "00ueve": after}
        report.contain("and suspend them", state=lambda: dict(org.status), becomes=done)
        assert org.ended == {"00umal", "00ueve"}
        report.undo(state=lambda: dict(org.status), becomes={"00umal": "ACTIVE", "00ueve": before})


def test_the_log_is_late(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, "Mallory")
    org.events.pop(0)
    with tell(fields("Mallory"), cloud=okta.laptop, time_ns=MADE) as report:
        report.look("Whom was it about", hides="eve@evil.example")
        report.everything()
    assert org.status == {"00umal": "ACTIVE", "00ueve": "ACTIVE"}


@pytest.mark.parametrize("name", words("quotes", "substitution", "dash"))
def test_a_hostile_name(okta: Vendor, tell: Tell, name: str) -> None:
    Org(okta, name)
    with tell(fields(name), cloud=okta.laptop, time_ns=MADE) as report:
        report.everything()
    assert "owned" not in okta.laptop.files()
