"""Okta: a stolen administrator's session, told once for every rule that sees a part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.hostile import WORDS
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.okta.org import ADDRESS, MADE, Org, at, event
from tests.lab.standin import Reply
from tests.lab.story import Story, Tell

FIELDS = {"okta.actor.name": "Mallory", "okta.target.user.name": "Eve", "okta.client.ip": ADDRESS}
GROUP = {"id": "00gadmins", "type": "UserGroup", "displayName": "Administrators", "alternateId": "unknown"}
APP = {"id": "0oa1", "type": "AppInstance", "displayName": "Shop", "alternateId": "Shop"}
HELD = {
    "User Changing password in to OKTA": ("user.account.update_password", "actor"),
    "User accessing app via single sign on OKTA": ("user.authentication.sso", "actor"),
    "User has been moved from suspended status in OKTA.": ("user.lifecycle.unsuspend", "actor target"),
    "User has been activated in OKTA": ("user.lifecycle.activate", "actor target"),
    "removing MFA factor from user in OKTA": ("user.mfa.factor.deactivate", "actor target"),
    "removing all MFA factor from user in OKTA": ("user.mfa.factor.reset_all", "actor target"),
    "User password reset by OKTA admin": ("user.account.reset_password", "actor target"),
    "User accessing OKTA admin section": ("user.session.access_admin_app", "actor"),
}
BROUGHT_BACK = {
    "User has been deactivated in OKTA": ("user.lifecycle.deactivate", "DEPROVISIONED", "PROVISIONED"),
    "User has been suspended in OKTA": ("user.lifecycle.suspend", "SUSPENDED", "ACTIVE"),
}
BLOCKED = {
    "User has been locked out in OKTA": "user.account.lock",
    "User hitting the rate limit on requests in OKTA": "system.org.rate_limit.violation",
}
RESET = {
    "Detecting unknown logins using geolocation": "user.session.start",
    "Too many failed MFA in last 5min": "user.authentication.auth_via_mfa",
    "Too many denied MFA Pushes in last 5min": "user.mfa.okta_verify",
}
GIVEN: dict[str, tuple[str, str, list[dict[str, str]]]] = {
    "Adding user in OKTA group": ("group.user_membership.add", "Take the account out of the group", [GROUP]),
    "Adding user to application membership in OKTA": ("application.user_membership.add", "Take the application", [APP]),
    "Admin permission has been assigned to a user in OKTA": (
        "user.account.privilege.grant",
        "Take away the roles",
        [],
    ),
}
TOKEN = "Creating a new OKTA API token"
SUPPORT = "User initiating impersonation session in OKTA"
RULES = (*HELD, *BROUGHT_BACK, *BLOCKED, *RESET, *GIVEN, TOKEN, SUPPORT)


def begin(tell: Tell, okta: Vendor, rule: str) -> Story:
    return tell(FIELDS, rule=rule, cloud=okta.laptop, time_ns=MADE)


def hold_actor(report: Story, org: Org) -> None:
    done = {**org.status, "00umal": "SUSPENDED"}
    report.contain("and suspend them", state=lambda: dict(org.status), becomes=done, shows="SUSPENDED")
    assert org.ended == {"00umal"}


@pytest.mark.parametrize("rule", HELD)
def test_accounts_are_held(okta: Vendor, tell: Tell, rule: str) -> None:
    kind, who = HELD[rule]
    org = Org(okta, kind)
    with begin(tell, okta, rule) as report:
        report.look("Whom was it about", shows=["mallory@example.com", "eve@evil.example", kind, "00Ttoken"])
        if "admin section" in rule:
            report.look("Who else came from this address", shows=["mallory@example.com", "Example Hosting"])
        done = {"00umal": "SUSPENDED", "00ueve": "SUSPENDED" if "target" in who else "ACTIVE"}
        report.contain("and suspend them", state=lambda: dict(org.status), becomes=done, shows="SUSPENDED")
        report.undo(state=lambda: dict(org.status), becomes={"00umal": "ACTIVE", "00ueve": "ACTIVE"})


@pytest.mark.parametrize("rule", [*HELD, *RESET])
def test_the_responder_is_left_alone(okta: Vendor, tell: Tell, rule: str) -> None:
    """The actor's token is the responder's own."""
    org = Org(okta, HELD[rule][0] if rule in HELD else RESET[rule])
    org.me = "00umal"
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    title = "and suspend them" if rule in HELD else "void the password"
    report.again(title, shows="you: 00umal" if rule in HELD else "this is you")
    assert org.status["00umal"] == "ACTIVE"
    assert "00umal" not in org.ended


@pytest.mark.parametrize("rule", [*RESET, *HELD])
def test_an_actor_of_a_hostile_name(okta: Vendor, tell: Tell, rule: str) -> None:
    """The name is a filter of the log; nobody else's events come of it."""
    org = Org(okta, RESET[rule] if rule in RESET else HELD[rule][0])
    for word in WORDS.values():
        tell(FIELDS | {"okta.actor.name": word}, rule=rule, cloud=okta.laptop, time_ns=MADE).everything()
    assert set(org.status.values()) == {"ACTIVE"}
    assert not [name for name in okta.laptop.files() if "owned" in name]


def test_nobody_is_held_where_the_responder_is_unknown(okta: Vendor, tell: Tell) -> None:
    rule = "User Changing password in to OKTA"
    org = Org(okta, HELD[rule][0])
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    okta.service.answers("GET /api/v1/users/{id}", lambda _: Reply({"errorCode": "E0000011"}, 401))
    report.again("and suspend them", shows="401")
    assert org.status["00umal"] == "ACTIVE"


@pytest.mark.parametrize("rule", BLOCKED)
def test_an_empty_file_of_the_zone_removes_nothing(okta: Vendor, tell: Tell, rule: str) -> None:
    org = Org(okta, BLOCKED[rule])
    report = begin(tell, okta, rule)
    folder = okta.laptop.file(f"evidence/{report.uid}")
    folder.mkdir(parents=True)
    (folder / "zone.json").write_bytes(b"")
    report.again("Refuse this address", undo=True, shows="no zone is noted")
    assert not okta.service.called("DELETE /api/v1/zones/{zone}")
    assert not org.zones


@pytest.mark.parametrize("rule", BROUGHT_BACK)
def test_an_account_is_brought_back(okta: Vendor, tell: Tell, rule: str) -> None:
    kind, before, after = BROUGHT_BACK[rule]
    org = Org(okta, kind)
    org.status["00ueve"] = before
    with begin(tell, okta, rule) as report:
        report.look("Whom was it about", shows=["eve@evil.example", kind])
        hold_actor(report, org)
        back = {"00umal": "SUSPENDED", "00ueve": after}
        report.recover("Bring the account back", state=lambda: dict(org.status), becomes=back, shows=after)
        report.undo(state=lambda: dict(org.status), becomes={"00umal": "ACTIVE", "00ueve": before})
        del org.status["00ueve"]
        report.again("Bring the account back", shows="404")


@pytest.mark.parametrize("rule", BLOCKED)
def test_an_address_is_refused(okta: Vendor, tell: Tell, rule: str) -> None:
    org = Org(okta, BLOCKED[rule])
    refused = lambda: [(zone["status"], zone["gateways"]) for zone in org.zones.values()]  # noqa: E731
    gateways = [{"type": "RANGE", "value": f"{ADDRESS}-{ADDRESS}"}]
    with begin(tell, okta, rule) as report:
        report.look("Who else came from this address", shows=["mallory@example.com", "SUCCESS"])
        report.look("Whom was it about", shows=BLOCKED[rule])
        report.contain("Refuse this address", state=refused, becomes=[("ACTIVE", gateways)], shows=["BLOCKLIST"])
        report.undo(state=refused, becomes=[])
        report.again("Refuse this address", shows="BLOCKLIST")
        assert refused() == [("ACTIVE", gateways)], "after an undo it is refused no more"


@pytest.mark.parametrize("rule", RESET)
def test_a_password_is_void(okta: Vendor, tell: Tell, rule: str) -> None:
    org = Org(okta, RESET[rule])
    with begin(tell, okta, rule) as report:
        report.look("Whom was it about", shows=["mallory@example.com", RESET[rule]])
        if "geolocation" in rule:
            report.look("Who else came from this address", shows="mallory@example.com")
        done = {"00umal": "RECOVERY", "00ueve": "ACTIVE"}
        report.contain("End the user's sessions", state=lambda: dict(org.status), becomes=done, shows="RECOVERY")
        assert org.ended == {"00umal"}
        assert set(org.factors) == {"ufold"}, "what an intruder enrolled opens the account again"


def test_a_busy_actors_event_is_found(okta: Vendor, tell: Tell) -> None:
    """The newest thousand of its events are all of later hours."""
    kind = HELD["User has been activated in OKTA"][0]
    org = Org(okta, kind)
    org.log += [event("app.oauth2.token.grant", at(3 * one), None) for one in range(1, 1200)]
    report = begin(tell, okta, "User has been activated in OKTA")
    report.look("Whom was it about", shows=["eve@evil.example", "mallory@example.com"])


def test_a_role_that_may_have_held_for_a_group_only_does_not_come_back_for_all(okta: Vendor, tell: Tell) -> None:
    rule = "Admin permission has been assigned to a user in OKTA"
    org = Org(okta, GIVEN[rule][0])
    org.roles["ra1"]["type"] = "USER_ADMIN"
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("Take away the roles")
    report.again("Take away the roles", undo=True)
    assert "USER_ADMIN" not in {role["type"] for role in org.roles.values()}
    assert "CUSTOM" in {role["type"] for role in org.roles.values()}


def given(org: Org) -> dict[str, Callable[[], Any]]:
    """What each rule of ``GIVEN`` gives, without the numbers that Okta chooses anew."""
    return {
        "Take the account out of the group": lambda: set(org.groups),
        "Take the application": lambda: org.app,
        "Take away the roles": lambda: {
            (role["type"], role.get("role"), role["assignmentType"]) for role in org.roles.values()
        },
    }


LEFT: dict[str, Any] = {
    "Take the account out of the group": {"00geveryone"},
    "Take the application": None,
    "Take away the roles": {("READ_ONLY_ADMIN", None, "USER"), ("APP_ADMIN", None, "GROUP")},
}


@pytest.mark.parametrize("rule", GIVEN)
def test_what_was_given_is_taken_away(okta: Vendor, tell: Tell, rule: str) -> None:
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    state = given(org)[title]
    before = state()
    with begin(tell, okta, rule) as report:
        report.look("Whom was it about", shows=["eve@evil.example", *[each["id"] for each in targets]])
        report.contain(title, state=state, becomes=LEFT[title])
        hold_actor(report, org)
        report.undo(state=state, becomes=before)
        assert org.status["00umal"] == "ACTIVE"


@pytest.mark.parametrize("rule", [*GIVEN, *BROUGHT_BACK, TOKEN])
def test_the_log_is_late(okta: Vendor, tell: Tell, rule: str) -> None:
    org = Org(okta, "none")
    org.log.clear()
    before = {name: state() for name, state in given(org).items()}
    with begin(tell, okta, rule) as report:
        report.look("Whom was it about", hides="eve@evil.example")
        report.everything()
    assert {name: state() for name, state in given(org).items()} == before
    assert set(org.status.values()) == {"ACTIVE"}
    assert len(org.tokens) == 3


@pytest.mark.parametrize("rule", [*GIVEN, TOKEN, *BLOCKED, SUPPORT])
def test_okta_refuses(okta: Vendor, tell: Tell, rule: str) -> None:
    kind, _, targets = GIVEN.get(rule, ("system.api_token.create", "", []))
    org = Org(okta, kind, *targets)
    org.refuses = True
    before = {name: state() for name, state in given(org).items()}
    with begin(tell, okta, rule) as report:
        answers = report.everything()
    assert any("403" in answer.text for answer in answers), "a refusal is not seen"
    assert {name: state() for name, state in given(org).items()} == before


def test_a_token_is_revoked(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, "system.api_token.create", {"id": "00Tnew", "type": "Token"})
    with begin(tell, okta, TOKEN) as report:
        report.look("Whom was it about", shows=["mallory@example.com", "00Tnew"])
        left = {"00Told", "00Tother"}
        report.contain("Revoke the API tokens", state=lambda: set(org.tokens), becomes=left, shows="00Told")
        hold_actor(report, org)
        report.undo(state=lambda: org.status["00umal"], becomes="ACTIVE")


def test_support_is_shut_out(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, "user.session.impersonation.initiate")
    with begin(tell, okta, SUPPORT) as report:
        report.look("Who granted it", shows=["user.session.impersonation.initiate", "mallory@example.com"])
        shut = {"0001": "DISABLED", "0002": "DISABLED"}
        report.contain("End the access", state=lambda: dict(org.cases), becomes=shut, shows="DISABLED")
        report.undo(state=lambda: dict(org.cases), becomes={"0001": "ENABLED", "0002": "DISABLED"})
