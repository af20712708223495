"""The responder's own user, key, group and session are left alone: who denies themselves can undo nothing."""

from __future__ import annotations

from typing import Any

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, known, read
from tests.lab.scenarios.aws_cloudtrail.test_callers import DENIED, FEDERATED, LISTED
from tests.lab.scenarios.aws_cloudtrail.test_create_aws_user import RULE as MADE_USER
from tests.lab.scenarios.aws_cloudtrail.test_groups_and_trails import DENY, GROUP, MADE
from tests.lab.scenarios.aws_cloudtrail.test_rules_without_entry import CALL, KEYS, keys, told
from tests.lab.story import Tell

RULES = (LISTED, MADE_USER, MADE)
ME = {**MALLORY, "userName": "responder", "arn": f"arn:aws:iam::{ACCOUNT}:user/responder"}


def denied(aws: Aws) -> Any:
    return aws.call("iam", "list_user_policies", UserName="responder")["PolicyNames"]


def test_a_session_that_came_of_the_responders_key(aws: Aws, tell: Tell) -> None:
    """A policy against the session would be the user's, and so the responder's."""
    aws.begin("contain")
    mine = known(aws, ME)["principalId"]
    issuer = {"type": "IAMUser", "principalId": mine, "userName": "responder"}
    session = {**FEDERATED, "sessionContext": {"sessionIssuer": issuer}}
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"), identity=session)
    read(aws, report)
    report.again(DENIED, shows="this is you", seconds=SECONDS)
    assert denied(aws) == []


def test_the_responders_keys_stay(aws: Aws, tell: Tell) -> None:
    aws.begin("contain")
    aws.record(CALL[0], f"{CALL[1]}.amazonaws.com", identity=known(aws, ME))
    report = told(aws, tell, "responder")
    report.again(KEYS, shows="this is you", seconds=SECONDS)
    assert set(keys(aws, "responder").values()) == {"Active"}


def test_the_user_was_made_for_the_responder(aws: Aws, tell: Tell) -> None:
    """Somebody made it for this very incident."""
    aws.begin("contain")
    mine = known(aws, ME)["principalId"]
    fields = {"ct.request.username": "responder"}
    asked = {"requestParameters": {"userName": "responder"}, "responseElements": {"user": {"userId": mine}}}
    report = alert(aws, tell, MADE_USER, ("CreateUser", "iam"), fields, **asked)
    report.again("Read exactly this event", shows=mine, seconds=SECONDS)
    report.again("Deny the new user everything", shows="this is you", seconds=SECONDS)
    assert denied(aws) == []


def test_the_responder_is_in_the_group(aws: Aws, tell: Tell) -> None:
    aws.begin("contain")
    group = aws.call("iam", "create_group", GroupName="helpers")["Group"]
    aws.call("iam", "add_user_to_group", GroupName="helpers", UserName="responder")
    answer = {"group": {"groupName": "helpers", "groupId": group["GroupId"]}}
    report = alert(aws, tell, MADE, ("CreateGroup", "iam"), GROUP, responseElements=answer)
    read(aws, report)
    report.again(DENY, shows="you are in it", seconds=SECONDS)
    assert aws.call("iam", "list_group_policies", GroupName="helpers")["PolicyNames"] == []
