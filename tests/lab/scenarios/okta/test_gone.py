"""What the steps answer when account, group, application, token or case is gone: 404, or nothing left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.okta.org import MISSING, Org
from tests.lab.scenarios.okta.test_accounts import GIVEN, SUPPORT, TOKEN, begin, given
from tests.lab.standin import Reply
from tests.lab.story import Tell

RULES = (*GIVEN, TOKEN, SUPPORT)
ROUTES = {
    "Take the account out of the group": ("/api/v1/users/{id}/groups", "/api/v1/groups/{group}/users/{id}"),
    "Take the application": ("/api/v1/apps/{app}/users/{id}", "/api/v1/apps/{app}/users"),
    "Take away the roles": ("/api/v1/users/{id}/roles", "/api/v1/users/{id}/roles/{role}"),
}


@pytest.mark.parametrize("rule", GIVEN)
def test_the_account_is_deleted(okta: Vendor, tell: Tell, rule: str) -> None:
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    before = {name: state() for name, state in given(org).items()}
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    for route in ROUTES[title]:
        for verb in ("GET", "PUT", "POST", "DELETE"):
            okta.service.answers(f"{verb} {route}", Reply(MISSING, 404))
    report.again(title, shows="404")
    report.again(title, undo=True)
    assert {name: state() for name, state in given(org).items()} == before
    assert not [each for each in okta.service.requests if each.method in {"POST", "PUT"}], "it changed something"


def test_the_group_is_deleted(okta: Vendor, tell: Tell) -> None:
    """The account is in other groups, and stays there."""
    rule = next(iter(GIVEN))
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    del org.groups["00gadmins"]
    org.deleted.add("00gadmins")
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again(title, shows=["404", "Everyone"])
    report.again(title, undo=True, shows="nothing was changed")
    assert org.groups == {"00geveryone": "Everyone"}


def test_the_token_is_gone(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, "system.api_token.create", {"id": "00Tnew", "type": "Token"})
    report = begin(tell, okta, TOKEN)
    report.look("Whom was it about")
    del org.tokens["00Tnew"]
    left = dict(org.tokens)
    report.again("Revoke the API tokens", shows="00Told", hides=["00Tnew", "00Tother"])
    assert org.tokens == left


@pytest.mark.parametrize("cases", [{}, {"0002": "DISABLED"}])
def test_no_case_is_open(okta: Vendor, tell: Tell, cases: dict[str, Any]) -> None:
    org = Org(okta, "user.session.impersonation.initiate")
    org.cases = dict(cases)
    report = begin(tell, okta, SUPPORT)
    report.again("End the access", shows=list(cases), hides="ENABLED")
    report.again("End the access", undo=True)
    assert org.cases == cases
    assert not okta.service.called("PATCH /api/v1/org/.*")
