"""An Okta organization with state: users, a group, an application, roles, tokens, zones and the System Log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.lab.places.vendors import Vendor
from tests.lab.standin import Reply, Request

MADE = int(time.time()) * 1_000_000_000


def at(seconds: int) -> str:
    """Return the time that many seconds after the alert's event, as Okta writes it."""
    return f"{datetime.fromtimestamp(MADE // 1_000_000_000 + seconds, UTC):%Y-%m-%dT%H:%M:%S}.123Z"


AT = at(0)
SECRET = "XE6wE17zmphl3KqAPFxO"
OLD = "2026-01-01T00:00:00.000Z"
ADDRESS = "203.0.113.45"
ACTOR = {"id": "00umal", "type": "User", "displayName": "Mallory", "alternateId": "mallory@example.com"}
EVE = {"id": "00ueve", "type": "User", "displayName": "Eve", "alternateId": "eve@evil.example"}
MISSING = {"errorCode": "E0000007", "errorSummary": "Not found: Resource not found"}
_FORBIDDEN = {"errorCode": "E0000006", "errorSummary": "You do not have permission to perform the requested action"}


class Org:
    """What the rules of Okta are about. ``kind`` is the type of the alert's event, ``targets`` whom it was about."""

    def __init__(self, okta: Vendor, kind: str, *targets: dict[str, str]) -> None:
        self.log = [event(kind, AT, [EVE, *targets]), event("user.session.start", at(-3600), None)]
        self.status = {"00umal": "ACTIVE", "00ueve": "ACTIVE"}
        self.me = "00uresponder"
        """Whose the responder's token is."""
        self.ended: set[str] = set()
        self.groups = {"00geveryone": "Everyone", "00gadmins": "Administrators"}
        self.deleted: set[str] = set()
        """Groups that are deleted."""
        self.app: dict[str, Any] | None = {
            "id": "00ueve",
            "scope": "USER",
            "status": "ACTIVE",
            "credentials": {"userName": "root"},
            "profile": {"team": "a 'b' $(c)"},
        }
        self.roles = {
            "ra1": {"type": "SUPER_ADMIN", "label": "Super Administrator", "assignmentType": "USER", "created": AT},
            "cr2": {"type": "CUSTOM", "label": "Keys", "assignmentType": "USER", "created": AT}
            | {"role": "cr0keys", "resource-set": "iam1"},
            "ra3": {"type": "READ_ONLY_ADMIN", "label": "Read-only", "assignmentType": "USER", "created": OLD},
            "gr4": {"type": "APP_ADMIN", "label": "Applications", "assignmentType": "GROUP", "created": AT},
        }
        self.factors = {"ufold": OLD, "ufnew": AT}
        self.tokens = {"00Tnew": ("00umal", AT), "00Told": ("00umal", OLD), "00Tother": ("00ubob", AT)}
        self.zones: dict[str, dict[str, Any]] = {}
        self.cases = {"0001": "ENABLED", "0002": "DISABLED"}
        self.case_ends = at(3600)
        """When the access of open cases ends by itself."""
        self.refuses = False
        self._okta = okta
        self._users()
        self._memberships()
        self._rights()
        self._network()

    def _on(self, route: str, change: Callable[[Request], Any]) -> None:
        """Answer a route; what changes something is refused while ``refuses`` is set."""

        def answer(request: Request) -> Any:
            return Reply(_FORBIDDEN, 403) if self.refuses and request.method != "GET" else change(request)

        self._okta.service.answers(route, answer)

    def _users(self) -> None:
        user = "/api/v1/users/{id}"
        self._on("GET /api/v1/logs", self._events)
        self._on(f"GET {user}", self.user)
        self._on(f"DELETE {user}/sessions", self._end)
        factor = {"factorType": "push", "provider": "OKTA", "status": "ACTIVE"}
        self._on(
            f"GET {user}/factors",
            lambda _: [{"id": one, "created": made, **factor} for one, made in self.factors.items()],
        )
        self._on(f"DELETE {user}/factors/{{factor}}", lambda request: _gone(self.factors, request.parameters["factor"]))
        for verb, before, after in (
            ("suspend", ("ACTIVE",), "SUSPENDED"),
            ("unsuspend", ("SUSPENDED",), "ACTIVE"),
            ("deactivate", ("ACTIVE", "SUSPENDED", "STAGED", "PROVISIONED"), "DEPROVISIONED"),
            ("activate", ("STAGED", "DEPROVISIONED"), "PROVISIONED"),
            ("reset_password", ("ACTIVE", "RECOVERY"), "RECOVERY"),
        ):
            self._on(f"POST {user}/lifecycle/{verb}", self._move(before, after))

    def _memberships(self) -> None:
        in_group = "/api/v1/groups/{group}/users/{id}"
        listed = lambda _: [{"id": one, "profile": {"name": name}} for one, name in self.groups.items()]  # noqa: E731
        self._on("GET /api/v1/users/{id}/groups", listed)
        self._on(f"DELETE {in_group}", self._leave)
        self._on(f"PUT {in_group}", lambda request: _put(self.groups, request.parameters["group"], "Administrators"))
        in_app = "/api/v1/apps/{app}/users/{id}"
        self._on(f"GET {in_app}", lambda _: self.app or Reply(MISSING, 404))
        self._on(f"DELETE {in_app}", lambda _: self._assign(None))
        self._on("POST /api/v1/apps/{app}/users", lambda request: self._assign(request.json()))

    def _leave(self, request: Request) -> Reply:
        """Take an account out of a group; Okta accepts it for one who is not in the group, too."""
        self.groups.pop(request.parameters["group"], None)
        return Reply(MISSING, 404) if request.parameters["group"] in self.deleted else Reply(status=204)

    def _rights(self) -> None:
        roles = "/api/v1/users/{id}/roles"
        tokens = "/api/v1/api-tokens"
        self._on(f"GET {roles}", lambda _: [{"id": one, **role} for one, role in self.roles.items()])
        self._on(f"DELETE {roles}/{{role}}", lambda request: _gone(self.roles, request.parameters["role"]))
        self._on(f"POST {roles}", self._grant)
        self._on(f"GET {tokens}", lambda _: [_token(one, *about) for one, about in self.tokens.items()])
        self._on(f"DELETE {tokens}/{{token}}", lambda request: _gone(self.tokens, request.parameters["token"]))
        cases = "/api/v1/org/privacy/oktaSupport/cases"
        self._on(
            f"GET {cases}", lambda _: {"supportCases": [_case(*each, self.case_ends) for each in self.cases.items()]}
        )
        self._on(f"PATCH {cases}/{{case}}", self._case)

    def _network(self) -> None:
        zone = "/api/v1/zones/{zone}"
        self._on("POST /api/v1/zones", self._block)
        self._on(f"GET {zone}", lambda request: self.zones.get(request.parameters["zone"]) or Reply(MISSING, 404))
        self._on(f"POST {zone}/lifecycle/deactivate", self._open)
        self._on(f"DELETE {zone}", self._remove_zone)

    def _events(self, request: Request) -> Any:
        asked = request.query["filter"]
        if '"Mallory"' not in asked and f'"{ADDRESS}"' not in asked:
            return []
        found = [each for each in self.log if each["published"][:19] >= request.query["since"][:19]]
        if result := re.search(r'outcome.result eq "(\w+)"', asked):
            found = [each for each in found if each["outcome"]["result"] == result[1]]
        if one := re.search(r'actor.id eq "(\w*)"', asked):
            found = [each for each in found if each["actor"]["id"] == one[1]]
        found.sort(key=lambda each: str(each["published"]), reverse=request.query.get("sortOrder") == "DESCENDING")
        return found[: int(request.query["limit"])]

    def user(self, request: Request) -> Any:
        """One user, or whose the token is."""
        one = request.parameters["id"]
        if one == "me":
            return {"id": self.me, "status": "ACTIVE", "profile": {"login": "me@example.com"}}
        if one not in self.status:
            return Reply(MISSING, 404)
        about = {"login": f"{one}@example.com", "email": f"{one}@mail.example"}
        return {"id": one, "status": self.status[one], "profile": about}

    def _end(self, request: Request) -> Reply:
        self.ended.add(request.parameters["id"])
        return Reply(status=204)

    def _move(self, before: tuple[str, ...], after: str) -> Callable[[Request], Reply]:
        def change(request: Request) -> Reply:
            one = request.parameters["id"]
            if self.status.get(one) not in before:
                return Reply({"errorCode": "E0000001", "errorSummary": f"not {before}"}, 400)
            self.status[one] = after
            # Okta hands out the way in where it is not to send it.
            told = after == "PROVISIONED" and request.query.get("sendEmail") == "false"
            return Reply({"activationToken": SECRET} if told else {})

        return change

    def _assign(self, document: dict[str, Any] | None) -> Any:
        if document is None and self.app is None:
            return Reply(MISSING, 404)
        self.app = document and {"status": "ACTIVE", **document}
        return self.app or Reply(status=204)

    def _grant(self, request: Request) -> Any:
        asked = request.json()
        if any(_is_same(role, asked) for role in self.roles.values()):
            return Reply({"errorCode": "E0000090", "errorSummary": "The role is already assigned"}, 409)
        label = "Keys" if asked["type"] == "CUSTOM" else "Super Administrator"
        self.roles[f"again{len(self.roles)}"] = {**asked, "label": label, "assignmentType": "USER", "created": AT}
        return Reply(asked, 201)

    def _case(self, request: Request) -> Any:
        case = request.parameters["case"]
        self.cases[case] = request.json()["impersonation"]["status"]
        return _case(case, self.cases[case], self.case_ends)

    def _block(self, request: Request) -> Any:
        name = f"nzo{len(self.zones) + 1}"
        if any(zone["name"] == request.json()["name"] for zone in self.zones.values()):
            return Reply({"errorCode": "E0000001", "errorSummary": "name: already exists"}, 400)
        self.zones[name] = {"id": name, **request.json()}
        return self.zones[name]

    def _open(self, request: Request) -> Any:
        if found := self.zones.get(request.parameters["zone"]):
            found["status"] = "INACTIVE"
        return found or Reply(MISSING, 404)

    def _remove_zone(self, request: Request) -> Reply:
        """Remove a zone; Okta refuses an active one."""
        one = request.parameters["zone"]
        if self.zones.get(one, {}).get("status") == "ACTIVE":
            return Reply({"errorCode": "E0000001", "errorSummary": "active"}, 400)
        return _gone(self.zones, one)


def event(kind: str, when: str, targets: list[dict[str, str]] | None) -> dict[str, Any]:
    """One event of the System Log."""
    return {
        "published": when,
        "eventType": kind,
        "outcome": {"result": "SUCCESS"},
        "actor": ACTOR,
        "client": {"ipAddress": ADDRESS, "zone": "null"},
        "securityContext": {"isp": "Example Hosting", "isProxy": True},
        "transaction": {"detail": {"requestApiTokenId": "00Ttoken"}},
        "authenticationContext": {"externalSessionId": "102x"},
        "target": targets,
    }


def _is_same(role: dict[str, Any], asked: dict[str, Any]) -> bool:
    return all(role.get(name) == asked.get(name) for name in ("type", "role", "resource-set"))


def _token(one: str, user: str, made: str) -> dict[str, Any]:
    return {"id": one, "name": "t", "userId": user, "created": made, "lastUpdated": made}


def _case(number: str, status: str, ends: str) -> dict[str, Any]:
    return {"caseNumber": number, "impersonation": {"status": status, "expiration": ends}}


def _gone(things: dict[str, Any], one: str) -> Reply:
    return Reply(status=204) if things.pop(one, None) is not None else Reply(MISSING, 404)


def _put(things: dict[str, Any], one: str, value: Any) -> Reply:
    things[one] = value
    return Reply(status=204)
