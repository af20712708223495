"""Names that an attacker chooses in AWS: what AWS permits reaches it as a name; what it forbids does nothing.

IAM takes ``+=,.@_-`` in names of users, groups and sessions, in any place; a bucket's and a trail's name begin with a
letter or digit. Quotes, ``$``, line feeds and globs are in no name, but in the parameters of a call that was refused.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, read
from tests.lab.story import Tell

USER = "Create AWS user"
MADE = "Create Group"
EMPTIED = "Delete Group"
LOGIN = "Console Login Without MFA"
BY_ROLE = "Console Login Through Assume Role"
RULES = (USER, MADE, EMPTIED, LOGIN, BY_ROLE)
PERMITTED = ("-rf", "=,.@+-")


def named(name: str) -> dict[str, Any]:
    """An IAM user of this name."""
    return {**MALLORY, "userName": name, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "accessKeyId": None}


def policies(aws: Aws, *users: str) -> list[list[str]]:
    return [aws.call("iam", "list_user_policies", UserName=user)["PolicyNames"] for user in users]


@pytest.mark.parametrize("name", PERMITTED)
def test_a_user_is_denied_by_its_name(aws: Aws, tell: Tell, name: str) -> None:
    made = aws.call("iam", "create_user", UserName=name)["User"]
    aws.call("iam", "create_user", UserName="rf")
    answer = {"user": {"userId": made["UserId"], "userName": name}}
    more = {"requestParameters": {"userName": name}, "responseElements": answer}
    report = alert(aws, tell, USER, ("CreateUser", "iam"), {"ct.request.username": name}, **more)
    report.keep("Read exactly this event", shows="mallory", seconds=SECONDS)
    report.look("What else did this caller do", shows="CreateUser", seconds=SECONDS)
    state = lambda: policies(aws, name, "rf")  # noqa: E731
    report.contain("Deny the new user", state=state, becomes=[[f"falco-{report.uid}"], []], seconds=SECONDS)
    report.undo(state=state, becomes=[[], []], seconds=SECONDS)


@pytest.mark.parametrize("name", PERMITTED)
def test_a_group_and_its_past_are_found_by_its_name(aws: Aws, tell: Tell, name: str) -> None:
    made = aws.call("iam", "create_group", GroupName=name)["Group"]
    answer = {"group": {"groupName": name, "groupId": made["GroupId"]}}
    fields = {"ct.request.groupname": name}
    report = alert(aws, tell, MADE, ("CreateGroup", "iam"), fields, responseElements=answer)
    read(aws, report)
    report.look("Who is in it", shows=made["GroupId"], seconds=SECONDS)
    state = lambda: aws.call("iam", "list_group_policies", GroupName=name)["PolicyNames"]  # noqa: E731
    report.contain("deny everything to the group", state=state, becomes=[f"falco-{report.uid}"], seconds=SECONDS)
    report.undo(state=state, becomes=[], seconds=SECONDS)
    resources = [{"ResourceType": "AWS::IAM::Group", "ResourceName": name}]
    member = {"requestParameters": {"groupName": name, "userName": "eve"}, "resources": resources}
    aws.record("RemoveUserFromGroup", "iam.amazonaws.com", identity=MALLORY, awsRegion="us-east-1", **member)
    fields["ct.region"] = "us-east-1"
    gone = alert(aws, tell, EMPTIED, ("DeleteGroup", "iam"), fields, awsRegion="us-east-1", resources=resources)
    gone.again("Who was in it", shows="eve", seconds=SECONDS)


@pytest.mark.parametrize("name", PERMITTED)
def test_a_caller_without_a_key_is_traced_by_its_name(aws: Aws, tell: Tell, name: str) -> None:
    aws.call("iam", "create_user", UserName=name)
    report = alert(aws, tell, LOGIN, ("ConsoleLogin", "signin"), {"ct.user": name}, identity=named(name))
    report.keep("Read this login", shows=name, seconds=SECONDS)
    report.look("What did this user do", shows="ConsoleLogin", seconds=SECONDS)
    state = lambda: policies(aws, name)  # noqa: E731
    report.contain("Deny everything to this user", state=state, becomes=[[f"falco-{report.uid}"]], seconds=SECONDS)
    report.undo(state=state, becomes=[[]], seconds=SECONDS)
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/web/{name}"
    identity = {"type": "AssumedRole", "principalId": f"AROALAB:{name}", "arn": session, "accountId": ACCOUNT}
    by_role = alert(aws, tell, BY_ROLE, ("ConsoleLogin", "signin"), {"ct.user.arn": session}, identity=identity)
    read(aws, by_role)
    by_role.look("Who took this role's session", seconds=SECONDS)
    by_role.look("What else did this caller do", shows="ConsoleLogin", seconds=SECONDS)


@pytest.mark.parametrize("word", words())
def test_a_refused_name_does_nothing(aws: Aws, tell: Tell, word: str) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    fields = {"ct.request.username": word, "ct.user": word}
    more = {"requestParameters": {"userName": word}, "errorCode": "ValidationException", "userAgent": word}
    for rule in (USER, LOGIN):
        report = alert(aws, tell, rule, ("CreateUser", "iam"), fields, **more)
        report.everything(SECONDS)
    assert policies(aws, "mallory") == [[]]
    assert not [name for name in aws.laptop.files() if "owned" in name]
