"""Somebody else was quicker, or comes later: what they did by hand stays, as does what the event did not do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.okta.org import ADDRESS, EVE, OLD, SECRET, Org, at, event
from tests.lab.scenarios.okta.test_accounts import BLOCKED, BROUGHT_BACK, GIVEN, HELD, SUPPORT, TOKEN, begin, given
from tests.lab.standin import Reply
from tests.lab.story import Tell

FORBIDDEN = Reply({"errorCode": "E0000006", "errorSummary": "You do not have permission"}, 403)
BOTH = "User has been activated in OKTA"
RULES = (*GIVEN, *BROUGHT_BACK, *BLOCKED, TOKEN, SUPPORT, BOTH)


@dataclass(frozen=True)
class Thing:
    """What an alert is about: the step that changes it, its state, and what the owner does by hand."""

    org: Org
    title: str
    state: Callable[[], Any]
    by_hand: Callable[[], Any]


def held(okta: Vendor) -> Thing:
    org = Org(okta, HELD[BOTH][0])
    hand = lambda: org.status.update({"00umal": "SUSPENDED", "00ueve": "SUSPENDED"})  # noqa: E731
    return Thing(org, "and suspend them", lambda: dict(org.status), hand)


def brought_back(okta: Vendor) -> Thing:
    org = Org(okta, BROUGHT_BACK["User has been suspended in OKTA"][0])
    org.status["00ueve"] = "SUSPENDED"
    hand = lambda: org.status.update({"00ueve": "ACTIVE"})  # noqa: E731
    return Thing(org, "Bring the account back", lambda: dict(org.status), hand)


def _given(okta: Vendor, rule: str, by_hand: Callable[[Org], Any]) -> Thing:
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    return Thing(org, title, given(org)[title], lambda: by_hand(org))


def _strip(org: Org) -> None:
    for one in ("ra1", "cr2", *[each for each in org.roles if each.startswith("again")]):
        org.roles.pop(one, None)


def case(okta: Vendor) -> Thing:
    org = Org(okta, "user.session.impersonation.initiate")
    hand = lambda: org.cases.update({"0001": "DISABLED"})  # noqa: E731
    return Thing(org, "End the access", lambda: dict(org.cases), hand)


GROUP, APP, ROLE = GIVEN
THINGS: dict[str, tuple[str, Callable[[Vendor], Thing]]] = {
    "held": (BOTH, held),
    "brought back": ("User has been suspended in OKTA", brought_back),
    "group": (GROUP, lambda okta: _given(okta, GROUP, lambda org: org.groups.pop("00gadmins"))),
    "application": (APP, lambda okta: _given(okta, APP, lambda org: setattr(org, "app", None))),
    "roles": (ROLE, lambda okta: _given(okta, ROLE, _strip)),
    "case": (SUPPORT, case),
}


@pytest.mark.parametrize("name", THINGS)
def test_what_the_owner_did_by_hand_is_not_undone(okta: Vendor, tell: Tell, name: str) -> None:
    """The responder was refused and calls the owner, who does it; then somebody pastes the undo, and both once more."""
    rule, make = THINGS[name]
    thing = make(okta)
    before = thing.state()
    report = begin(tell, okta, rule)
    report.looks()
    thing.org.refuses = True
    report.again(thing.title, shows="403")
    thing.org.refuses = False
    report.again(thing.title, undo=True)
    assert thing.state() == before
    thing.by_hand()
    done = thing.state()
    assert done != before
    for undo in (True, False, True):
        report.again(thing.title, undo=undo)
        assert thing.state() == done, "what somebody else did was taken back"


@pytest.mark.parametrize("name", THINGS)
def test_an_undo_is_good_for_one_time(okta: Vendor, tell: Tell, name: str) -> None:
    """Undone, then done by the owner after all: the undo of yesterday is still in the terminal's history."""
    rule, make = THINGS[name]
    thing = make(okta)
    before = thing.state()
    report = begin(tell, okta, rule)
    report.looks()
    report.again(thing.title)
    assert thing.state() != before
    report.again(thing.title, undo=True)
    assert thing.state() == before
    thing.by_hand()
    done = thing.state()
    report.again(thing.title, undo=True)
    assert thing.state() == done, "what somebody else did was taken back"


@pytest.mark.parametrize("name", THINGS)
def test_what_the_first_run_saw_is_not_taken_for_today(okta: Vendor, tell: Tell, name: str) -> None:
    """Undone, then done by the owner; the next run may not look, and notes nothing that was seen before."""
    rule, make = THINGS[name]
    thing = make(okta)
    report = begin(tell, okta, rule)
    report.looks()
    report.again(thing.title)
    report.again(thing.title, undo=True)
    thing.by_hand()
    done = thing.state()
    limit = Reply({"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit"}, 429)
    okta.service.guard = lambda request: limit if request.method == "GET" and not request.path.endswith("/me") else None
    report.again(thing.title, shows="429")
    okta.service.guard = lambda _: None
    report.again(thing.title, undo=True)
    assert thing.state() == done, "what somebody else did was taken back"


def refused_event(okta: Vendor, kind: str, *targets: dict[str, str]) -> Org:
    """The intruder tried, and Okta refused it: what was there before is the company's own."""
    org = Org(okta, kind, *targets)
    org.log[0]["outcome"] = {"result": "FAILURE", "reason": "insufficient permissions"}
    return org


@pytest.mark.parametrize("rule", GIVEN)
def test_what_was_held_before_a_refused_attempt_stays(okta: Vendor, tell: Tell, rule: str) -> None:
    """Eve has been an administrator for a year."""
    kind, title, targets = GIVEN[rule]
    org = refused_event(okta, kind, *targets)
    before = {name: state() for name, state in given(org).items()}
    report = begin(tell, okta, rule)
    report.look("Whom was it about", shows="refused")
    report.again(title, shows="refused")
    assert {name: state() for name, state in given(org).items()} == before


@pytest.mark.parametrize("rule", [rule for rule, (_, who) in HELD.items() if "target" in who])
def test_the_victim_of_a_refused_attempt_is_not_suspended(okta: Vendor, tell: Tell, rule: str) -> None:
    org = refused_event(okta, HELD[rule][0])
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("and suspend them", shows="SUSPENDED")
    assert org.status == {"00umal": "SUSPENDED", "00ueve": "ACTIVE"}
    assert org.ended == {"00umal"}


@pytest.mark.parametrize("rule", BROUGHT_BACK)
def test_an_account_that_others_had_suspended_stays_so(okta: Vendor, tell: Tell, rule: str) -> None:
    """The security team had; the event of the alert is somebody's attempt to do so again."""
    org = refused_event(okta, BROUGHT_BACK[rule][0])
    org.status["00ueve"] = "SUSPENDED"
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("Bring the account back", shows="refused")
    assert org.status["00ueve"] == "SUSPENDED"


def test_tokens_made_since_the_first_run_are_revoked(okta: Vendor, tell: Tell) -> None:
    """The intruder makes another one while the responder reads."""
    org = Org(okta, "system.api_token.create", {"id": "00Tnew", "type": "Token"})
    report = begin(tell, okta, TOKEN)
    report.look("Whom was it about")
    report.again("Revoke the API tokens")
    org.tokens["00Tsecond"] = ("00umal", at(60))
    report.again("Revoke the API tokens", hides="00Tsecond")
    assert set(org.tokens) == {"00Told", "00Tother"}


def test_roles_and_cases_given_since_the_first_run_go_too(okta: Vendor, tell: Tell) -> None:
    kind, title, _ = GIVEN[ROLE]
    org = Org(okta, kind)
    report = begin(tell, okta, ROLE)
    report.look("Whom was it about")
    report.again(title)
    org.roles["ra9"] = {"type": "ORG_ADMIN", "label": "Organization", "assignmentType": "USER", "created": at(60)}
    report.again(title)
    assert set(org.roles) == {"ra3", "gr4"}
    report.again(title, undo=True)
    assert {role["type"] for role in org.roles.values()} >= {"ORG_ADMIN", "SUPER_ADMIN", "CUSTOM"}
    report = begin(tell, okta, SUPPORT)
    report.again("End the access")
    org.cases["0003"] = "ENABLED"
    report.again("End the access", hides="ENABLED")
    assert set(org.cases.values()) == {"DISABLED"}


def test_no_way_into_an_account_is_shown_or_kept(okta: Vendor, tell: Tell) -> None:
    """The mail goes to the person; the terminal and its log are read by others."""
    org = Org(okta, HELD[BOTH][0])
    org.status["00ueve"] = "PROVISIONED"
    report = begin(tell, okta, BOTH)
    report.look("Whom was it about")
    report.again("and suspend them", shows="DEPROVISIONED")
    report.again("and suspend them", undo=True, hides=SECRET)
    assert org.status["00ueve"] == "PROVISIONED"
    assert not [name for name, content in okta.laptop.files().items() if SECRET.encode() in content]


def test_access_that_was_to_end_by_now_is_not_given_anew(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, "user.session.impersonation.initiate")
    org.case_ends = OLD
    report = begin(tell, okta, SUPPORT)
    report.again("End the access")
    report.again("End the access", undo=True)
    assert org.cases["0001"] == "DISABLED"


def test_an_assignment_that_was_made_anew_is_left(okta: Vendor, tell: Tell) -> None:
    """The owner gave the application back under the person's own name; the old one was root."""
    kind, title, targets = GIVEN[APP]
    org = Org(okta, kind, *targets)
    report = begin(tell, okta, APP)
    report.look("Whom was it about")
    report.again(title, shows="Not found")
    org.app = {"id": "00ueve", "scope": "USER", "status": "ACTIVE", "credentials": {"userName": "eve"}, "profile": {}}
    report.again(title, undo=True, shows="assigned since")
    assert org.app["credentials"]["userName"] == "eve"
    org.app = None
    okta.service.answers("GET /api/v1/apps/{app}/users/{id}", FORBIDDEN)
    report.again(title, undo=True, shows="assigned since")
    assert org.app is None, "assigned although nobody could see what is there"


def test_a_zone_that_others_use_by_now_stays(okta: Vendor, tell: Tell) -> None:
    """A colleague put the next address of this attack into it."""
    rule = next(iter(BLOCKED))
    org = Org(okta, BLOCKED[rule])
    report = begin(tell, okta, rule)
    report.again("Refuse this address", shows=ADDRESS)
    (zone,) = org.zones.values()
    zone["gateways"].append({"type": "RANGE", "value": "198.51.100.7-198.51.100.7"})
    report.again("Refuse this address", undo=True, shows="others use it")
    assert zone["status"] == "ACTIVE"


def spray(org: Org) -> None:
    """One success this morning, and a thousand failures and more since."""
    org.log += [event("user.session.start", at(-7200 + one), None) for one in range(1200)]
    for each in org.log[-1200:]:
        each |= {"outcome": {"result": "FAILURE"}, "actor": {**EVE, "alternateId": "many@example.com"}}


@pytest.mark.parametrize("rule", BLOCKED)
def test_a_success_before_a_thousand_failures_is_told(okta: Vendor, tell: Tell, rule: str) -> None:
    org = Org(okta, BLOCKED[rule])
    org.log = [event("user.session.start", at(-36000), None)]
    spray(org)
    report = begin(tell, okta, rule)
    report.look("Who else came from this address", shows=["user.session.start\tSUCCESS", "FAILURE"])


def test_without_the_token_nothing_is_answered(okta: Vendor, tell: Tell) -> None:
    """The stand-in itself: a block that forgot its header would be refused, and so is a change by a step that looks."""
    Org(okta, HELD[BOTH][0])
    asked = "curl -sS https://$OKTA_ORG/api/v1/users/00umal"
    assert "E0000011" in okta.laptop.paste(asked).text
    signed = '-H"Authorization: SSWS $OKTA_TOKEN"'
    assert "ACTIVE" in okta.laptop.paste(f"{asked} {signed}").text
    okta.laptop.begin("look")
    assert "E0000006" in okta.laptop.paste(f"{asked}/sessions -XDELETE {signed}").text


def test_a_group_that_is_not_the_accounts_is_not_given_by_the_undo(okta: Vendor, tell: Tell) -> None:
    """Somebody took the account out a minute before; Okta accepts the second removal as well."""
    kind, title, targets = GIVEN[GROUP]
    org = Org(okta, kind, *targets)
    org.groups.pop("00gadmins")
    report = begin(tell, okta, GROUP)
    report.look("Whom was it about")
    report.again(title, shows="Everyone", hides="404")
    report.again(title, undo=True, shows="nothing was changed")
    assert org.groups == {"00geveryone": "Everyone"}
