"""What would turn on the responder, and what a refused look in the middle must not lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.okta.org import ADDRESS, AT, EVE, MISSING, Org
from tests.lab.scenarios.okta.test_accounts import (
    APP,
    BLOCKED,
    BROUGHT_BACK,
    GIVEN,
    HELD,
    RESET,
    TOKEN,
    begin,
    given,
)
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

REFUSED = Reply({"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit"}, 429)
OWN = {rule: title for rule, (_, title, _) in GIVEN.items() if "application" not in rule}
BOTH = "User has been activated in OKTA"
ADMIN = "User accessing OKTA admin section"
RULES = (*HELD, *BROUGHT_BACK, *BLOCKED, *RESET, *GIVEN, TOKEN)


@pytest.mark.parametrize("rule", OWN)
def test_the_responder_keeps_what_they_were_given(okta: Vendor, tell: Tell, rule: str) -> None:
    """Somebody made the responder an administrator for this very incident."""
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    org.me = "00ueve"
    state = given(org)[title]
    before = state()
    report = begin(tell, okta, rule)
    report.look("Whom was it about", shows="00ueve")
    report.again(title, shows="yourself")
    assert state() == before


def test_the_responders_tokens_are_left(okta: Vendor, tell: Tell) -> None:
    """The token that the step itself uses may be among them."""
    org = Org(okta, "system.api_token.create", {"id": "00Tnew", "type": "Token"})
    org.me = "00umal"
    report = begin(tell, okta, TOKEN)
    report.look("Whom was it about")
    report.again("Revoke the API tokens", shows="yourself")
    assert len(org.tokens) == 3


def refuse(okta: Vendor, ending: str) -> None:
    """Refuse the looks at paths of this ending for a minute, as Okta does by the kind of call."""
    okta.service.guard = lambda request: REFUSED if request.method == "GET" and request.path.endswith(ending) else None


@pytest.mark.parametrize("rule", [*OWN, TOKEN, BOTH, ADMIN, next(iter(RESET))])
def test_nothing_is_done_where_the_responder_is_unknown(okta: Vendor, tell: Tell, rule: str) -> None:
    """The alert may be about the responder, whose own account is the only one that cannot be read."""
    kind, title, targets = GIVEN.get(rule, ("system.api_token.create", "Revoke the API tokens", []))
    title = {BOTH: "and suspend them", ADMIN: "and suspend them", next(iter(RESET)): "void the password"}.get(
        rule, title
    )
    org = Org(okta, HELD[rule][0] if rule in HELD else kind, *targets)
    org.me = "00umal"
    before = {name: state() for name, state in given(org).items()}
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    refuse(okta, "/users/me")
    report.again(title, shows="429")
    assert {name: state() for name, state in given(org).items()} == before
    assert (len(org.tokens), set(org.status.values()), org.ended) == (3, {"ACTIVE"}, set())


@pytest.mark.parametrize("rule", BLOCKED)
def test_the_responders_own_address_is_not_refused(okta: Vendor, tell: Tell, rule: str) -> None:
    """Everybody behind the office's address would lose Okta, and the responder the undo."""
    org = Org(okta, BLOCKED[rule])
    org.me = "00umal"
    report = begin(tell, okta, rule)
    report.again("Refuse this address", shows="you came from it yourself")
    assert not org.zones
    org.me = "00uresponder"
    okta.service.answers("GET /api/v1/logs", Reply({"errorCode": "E0000006"}, 403))
    report.again("Refuse this address", shows="403")
    assert not org.zones, "refused although nobody could tell whose address it is"


@pytest.mark.parametrize("rule", BLOCKED)
def test_an_address_is_not_refused_where_the_responder_is_unknown(okta: Vendor, tell: Tell, rule: str) -> None:
    """The log can be read, but not for whom to look in it."""
    org = Org(okta, BLOCKED[rule])
    org.me = "00umal"
    report = begin(tell, okta, rule)
    refuse(okta, "/users/me")
    report.again("Refuse this address", shows="429")
    assert not org.zones, "the responder's own address may be refused"


@pytest.mark.parametrize("rule", HELD)
def test_sessions_end_and_only_users_are_held(okta: Vendor, tell: Tell, rule: str) -> None:
    """The event names an application too, which no call for users knows."""
    kind, who = HELD[rule]
    org = Org(okta, kind, APP)
    report = begin(tell, okta, rule)
    report.look("Whom was it about", shows=["00ueve", "0oa1"])
    report.again("and suspend them", hides="404")
    assert org.ended == ({"00umal", "00ueve"} if "target" in who else {"00umal"})
    assert not [each for each in okta.service.requests if "0oa1" in each.path]


@pytest.mark.parametrize("rule", RESET)
def test_a_reset_names_one_user_and_ends_its_sessions(okta: Vendor, tell: Tell, rule: str) -> None:
    """Okta itself acts under the person's name in some events, and is no user."""
    org = Org(okta, RESET[rule])
    org.log[1]["actor"] = {**org.log[1]["actor"], "id": "sys1", "type": "SystemPrincipal"}
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("void the password", shows=["RECOVERY", "push"])
    assert (org.status["00umal"], org.ended, set(org.factors)) == ("RECOVERY", {"00umal"}, {"ufold"})


def test_two_people_of_one_name_are_not_told_apart_by_guessing(okta: Vendor, tell: Tell) -> None:
    rule = next(iter(RESET))
    org = Org(okta, RESET[rule])
    org.status["00usame"] = "ACTIVE"
    org.log[1]["actor"] = {**org.log[1]["actor"], "id": "00usame"}
    org.log[1]["published"] = AT
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("void the password", shows="not one user of this name")
    assert set(org.status.values()) == {"ACTIVE"}


def test_a_namesake_does_not_keep_the_account_from_being_reset(okta: Vendor, tell: Tell) -> None:
    """The other one signed in an hour ago; the alert's second says whose attempts these were."""
    rule = next(iter(RESET))
    org = Org(okta, RESET[rule])
    org.status["00usame"] = "ACTIVE"
    org.log[1]["actor"] = {**org.log[1]["actor"], "id": "00usame"}
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("void the password", shows="00umal@mail.example")
    assert (org.status["00umal"], org.status["00usame"]) == ("RECOVERY", "ACTIVE")


@pytest.mark.parametrize("rule", BROUGHT_BACK)
def test_the_account_is_brought_back_beside_an_application(okta: Vendor, tell: Tell, rule: str) -> None:
    kind, before, after = BROUGHT_BACK[rule]
    org = Org(okta, kind, APP)
    org.status["00ueve"] = before
    report = begin(tell, okta, rule)
    report.look("Whom was it about", shows="0oa1")
    report.again("Bring the account back", shows=after)
    assert org.status["00ueve"] == after


def first_refused(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Answer 429 once, then as before."""
    left = [REFUSED]
    return lambda request: left.pop() if left else answer(request)


@pytest.mark.parametrize("rule", [rule for rule in GIVEN if "role" not in GIVEN[rule][1]])
def test_what_could_not_be_kept_is_not_taken(okta: Vendor, tell: Tell, rule: str) -> None:
    """Okta counts each kind of call by itself: the look is refused, the change would not be."""
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    state = given(org)[title]
    before = state()
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    groups = lambda _: [{"id": one, "profile": {"name": name}} for one, name in org.groups.items()]  # noqa: E731
    okta.service.answers("GET /api/v1/users/{id}/groups", first_refused(groups))
    okta.service.answers("GET /api/v1/apps/{app}/users/{id}", first_refused(lambda _: org.app or Reply(MISSING, 404)))
    report.again(title, shows="429")
    assert state() == before, "changed without what the undo needs"
    report.again(title)
    assert state() != before
    report.again(title, undo=True)
    assert state() == before


def test_an_account_that_could_not_be_kept_is_not_held(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, HELD[BOTH][0])
    report = begin(tell, okta, BOTH)
    report.look("Whom was it about")
    asked: list[str] = []

    def user(request: Request) -> Any:
        asked.append(request.parameters["id"])
        if request.parameters["id"] == "me":
            return {"id": org.me}
        if asked[-1] == "00ueve" and asked.count("00ueve") == 1:
            return REFUSED
        return org.user(request)

    okta.service.answers("GET /api/v1/users/{id}", user)
    report.again("and suspend them", shows=["429", "SUSPENDED"])
    report.again("and suspend them", undo=True)
    assert org.status == {"00umal": "ACTIVE", "00ueve": "ACTIVE"}


def test_an_address_of_others_is_refused(okta: Vendor, tell: Tell) -> None:
    """What somebody else did from there is no sign that it is the responder's."""
    rule = next(iter(BLOCKED))
    org = Org(okta, BLOCKED[rule])
    report = begin(tell, okta, rule)
    report.again("Refuse this address", shows=[ADDRESS, "BLOCKLIST"])
    assert org.zones


@pytest.mark.parametrize(("rule", "one"), [(BOTH, "00ueve"), (ADMIN, "00umal")])
def test_an_account_that_is_used_by_now_loses_no_applications(okta: Vendor, tell: Tell, rule: str, one: str) -> None:
    """Not signed in yet at the first run, which Okta refused; then the person followed the mail."""
    org = Org(okta, HELD[rule][0])
    org.status[one] = "PROVISIONED"
    org.refuses = True
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    report.again("and suspend them", shows="403")
    org.refuses = False
    org.status[one] = "ACTIVE"
    refuse(okta, f"/users/{one}")
    report.again("and suspend them", shows="429")
    assert org.status[one] == "ACTIVE", "deactivated by what it was an hour ago"


def test_a_group_that_the_owner_took_is_not_given_by_the_undo(okta: Vendor, tell: Tell) -> None:
    """The first run was refused, the owner did it by hand, and the second run could not see that."""
    rule = next(iter(GIVEN))
    kind, title, targets = GIVEN[rule]
    org = Org(okta, kind, *targets)
    report = begin(tell, okta, rule)
    report.look("Whom was it about")
    org.refuses = True
    report.again(title, shows="403")
    org.refuses = False
    org.groups.pop("00gadmins")
    refuse(okta, "/groups")
    report.again(title, shows="429")
    okta.service.guard = lambda _: None
    report.again(title, undo=True, shows="nothing was changed")
    assert set(org.groups) == {"00geveryone"}


@pytest.mark.parametrize("targets", [[EVE], [APP]])
def test_nothing_is_said_to_be_gone_that_no_event_names(
    okta: Vendor, tell: Tell, targets: list[dict[str, str]]
) -> None:
    """An event with a person only, or an application only: `Not found` would mean that it was taken away."""
    rule = "Adding user to application membership in OKTA"
    kind, title, _ = GIVEN[rule]
    org = Org(okta, kind)
    org.log[0]["target"] = targets
    report = begin(tell, okta, rule)
    report.look("Whom was it about", shows=targets[0]["id"])
    report.again(title, shows="look first", hides=["Not found", "errorSummary"])
    assert org.app
