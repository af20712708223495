"""A rule of the reader's own about AWS: its event is read; a user whose event cannot be told has no active key left."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, known, read
from tests.lab.scenarios.aws_cloudtrail.test_callers import ROLE
from tests.lab.story import Story, Tell

RULE = "A rule of the reader's own"
CALL = ("PutParameter", "ssm")
KEYS = "Deactivate the user's access keys"
CHECK = "Is every key inactive?"


def begin(aws: Aws, tell: Tell, user: str = "mallory") -> Story:
    """The story of an alert whose fields name the user and no address, so that its event cannot be told from others."""
    name, service = CALL
    identity = {**MALLORY, "userName": user, "arn": f"arn:aws:iam::{ACCOUNT}:user/{user}"}
    aws.record(name, f"{service}.amazonaws.com", identity=known(aws, identity))
    return told(aws, tell, user)


def told(aws: Aws, tell: Tell, user: str = "mallory") -> Story:
    """The story of an alert of the second of the newest event."""
    moment = datetime.fromisoformat(aws.events[-1]["eventTime"].replace("Z", "+00:00"))
    fields = {"ct.user": user, "ct.name": CALL[0], "ct.region": aws.events[-1]["awsRegion"]}
    time_ns = int(moment.timestamp()) * 1_000_000_000
    return tell(fields, rule=RULE, source="aws_cloudtrail", cloud=aws.laptop, time_ns=time_ns)


def make(aws: Aws, *statuses: str, user: str = "mallory") -> None:
    """Make a user with a key of each status."""
    aws.call("iam", "create_user", UserName=user)
    for status in statuses:
        add_key(aws, status, user)


def add_key(aws: Aws, status: str = "Active", user: str = "mallory") -> str:
    made = str(aws.call("iam", "create_access_key", UserName=user)["AccessKey"]["AccessKeyId"])
    aws.call("iam", "update_access_key", UserName=user, AccessKeyId=made, Status=status)
    return made


def keys(aws: Aws, user: str = "mallory") -> dict[str, str]:
    """The status of each key of a user."""
    found = aws.call("iam", "list_access_keys", UserName=user)["AccessKeyMetadata"]
    return {each["AccessKeyId"]: each["Status"] for each in found}


def test_an_event_is_read_and_its_caller_denied(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    more = {"requestParameters": {"name": "/prod/db", "overwrite": True}}
    # The same call of the same second from elsewhere is another event.
    aws.record(
        CALL[0], f"{CALL[1]}.amazonaws.com", identity={**MALLORY, "userName": "bob"}, sourceIPAddress="192.0.2.1"
    )
    with alert(aws, tell, RULE, CALL, {"ct.name": CALL[0]}, **more) as report:
        state = lambda: aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"]  # noqa: E731
        read(aws, report, "AKIALAB", "/prod/db")
        report.looks(seconds=SECONDS)
        report.contain("deny everything to the caller", state=state, becomes=[f"falco-{report.uid}"], seconds=SECONDS)
        report.undo(state=state, becomes=[], seconds=SECONDS)


def test_a_users_keys_are_deactivated(aws: Aws, tell: Tell) -> None:
    make(aws, "Active", "Inactive")
    make(aws, "Active", user="bob")
    before = keys(aws)
    with begin(aws, tell) as report:
        report.looks(shows=CALL[0], seconds=SECONDS)
        off = dict.fromkeys(before, "Inactive")
        report.contain(KEYS, state=lambda: keys(aws), becomes=off, seconds=SECONDS)
        report.verify(CHECK, hides="\tActive", not_held="\tActive", seconds=SECONDS)
        assert set(keys(aws, "bob").values()) == {"Active"}
        report.undo(state=lambda: keys(aws), becomes=before, seconds=SECONDS)


def test_a_key_that_is_made_since_is_deactivated_too(aws: Aws, tell: Tell) -> None:
    make(aws, "Active")
    report = begin(aws, tell)
    report.again(KEYS, seconds=SECONDS)
    add_key(aws)
    report.again(CHECK, shows="\tActive", seconds=SECONDS)
    report.again(KEYS, seconds=SECONDS)
    report.again(CHECK, shows="\tInactive", hides="\tActive", seconds=SECONDS)


def test_the_user_is_gone(aws: Aws, tell: Tell) -> None:
    make(aws, user="bob")
    report = begin(aws, tell)
    report.again(KEYS, shows="NoSuchEntity", seconds=SECONDS)
    report.again(CHECK, shows="NoSuchEntity", hides="active", seconds=SECONDS)
    report.again(KEYS, undo=True, seconds=SECONDS)


def test_a_session_of_the_users_name_is_another_identity(aws: Aws, tell: Tell) -> None:
    """CloudTrail's user name of a role's session is the session's; an honest user may be called the same."""
    make(aws, "Active")
    session = {**ROLE, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/mallory", "principalId": "AROALAB:mallory"}
    aws.record(CALL[0], f"{CALL[1]}.amazonaws.com", identity=session)
    report = told(aws, tell)
    report.again(KEYS, shows="no user's event", seconds=SECONDS)
    report.again(KEYS, undo=True, shows="No such file", seconds=SECONDS)
    assert set(keys(aws).values()) == {"Active"}


def test_the_event_is_of_another_account(aws: Aws, tell: Tell) -> None:
    """The responder's account has a user of this name, and no such event."""
    make(aws, "Active")
    report = begin(aws, tell)
    aws.events.clear()
    report.again(KEYS, shows="another account's", seconds=SECONDS)
    assert set(keys(aws).values()) == {"Active"}


@pytest.mark.parametrize("user", ["-rf", "=,.@+-"])
def test_a_name_that_looks_like_an_option(aws: Aws, tell: Tell, user: str) -> None:
    make(aws, "Active", user=user)
    make(aws, "Active", user="rf")
    report = begin(aws, tell, user)
    report.looks(shows=CALL[0], seconds=SECONDS)
    state = lambda: [*keys(aws, user).values(), *keys(aws, "rf").values()]  # noqa: E731
    report.contain(KEYS, state=state, becomes=["Inactive", "Active"], seconds=SECONDS)
    report.verify(CHECK, held="\tInactive", not_held="\tActive", seconds=SECONDS)
    report.undo(state=state, becomes=["Active", "Active"], seconds=SECONDS)
