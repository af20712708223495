"""A rule of the reader's own about Okta: whom the event was about, and what the actor did until now."""

from __future__ import annotations

import pytest

from tests.lab.hostile import words
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.okta.org import ADDRESS, MADE, Org, at, event
from tests.lab.standin import Reply
from tests.lab.story import Story, Tell

RULE = "A rule of the reader's own"
FIELDS = {"okta.actor.name": "Mallory", "okta.client.ip": ADDRESS}
KIND = "user.account.update_profile"
TRAIL = "What else did this actor do, until now?"


def begin(tell: Tell, okta: Vendor, **more: str) -> Story:
    fields = FIELDS | {name.replace("__", "."): value for name, value in more.items()}
    return tell(fields, rule=RULE, source="okta", cloud=okta.laptop, time_ns=MADE)


def test_who_acted_is_suspended(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, KIND)
    org.log.append(event("user.session.start", at(-90000), None))
    with begin(tell, okta, okta__evt__type=KIND) as report:
        shows = ["mallory@example.com", "eve@evil.example", KIND, "user.session.start", "00Ttoken", "102x"]
        answer = report.look("Whom was it about", shows=shows)
        assert at(-90000) not in answer.text, "an event of two days ago is told"
        done = {**org.status, "00umal": "SUSPENDED"}
        report.contain("and suspend them", state=lambda: dict(org.status), becomes=done, shows="SUSPENDED")
        assert org.ended == {"00umal"}, "the target was held too"
        report.undo(state=lambda: dict(org.status), becomes={"00umal": "ACTIVE", "00ueve": "ACTIVE"})


def test_an_event_without_a_type(okta: Vendor, tell: Tell) -> None:
    org = Org(okta, KIND, {"id": "00uzoe", "type": "User", "displayName": "Zoe", "alternateId": "zoe@example.com"})
    with begin(tell, okta) as report:
        report.look(TRAIL, shows=[KIND, "user.session.start", ADDRESS, "Eve", "102x"])
    assert org.status["00umal"] == "ACTIVE"


def test_a_busy_actors_newest_events_are_told(okta: Vendor, tell: Tell) -> None:
    """A token acts every minute; the newest of a thousand and more events are those that matter, and come last."""
    org = Org(okta, KIND)
    org.log += [event("app.oauth2.token.grant", at(3 * one - 80000), None) for one in range(1200)]
    org.log.append(event("user.mfa.factor.deactivate", at(60), None))
    report = begin(tell, okta)
    answer = report.look(TRAIL, shows=["app.oauth2.token.grant", "user.mfa.factor.deactivate"])
    times = [line.split("\t")[0] for line in answer.text.splitlines() if "\tSUCCESS\t" in line]
    assert len(times) > 900
    assert times == sorted(times)


def test_a_wrong_token_is_seen(okta: Vendor, tell: Tell) -> None:
    Org(okta, KIND)
    okta.service.answers("GET /api/v1/logs", Reply({"errorCode": "E0000011", "errorSummary": "Invalid token"}, 401))
    begin(tell, okta).look(TRAIL, shows="401", hides="jq: error")


@pytest.mark.parametrize("name", words("quotes", "substitution", "dash"))
@pytest.mark.parametrize("kind", ["", KIND])
def test_a_hostile_name(okta: Vendor, tell: Tell, name: str, kind: str) -> None:
    Org(okta, KIND)
    more = {"okta__evt__type": kind} if kind else {}
    with begin(tell, okta, okta__actor__name=name, **more) as report:
        report.everything()
    assert "owned" not in okta.laptop.files()
