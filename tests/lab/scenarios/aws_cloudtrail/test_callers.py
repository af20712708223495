"""Callers: a user's key or a role's session, traced and denied everything."""

from __future__ import annotations

import json

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, read
from tests.lab.story import Tell

LISTED = "List Buckets"
BY_ROLE = "Console Login Through Assume Role"
RULES = (LISTED, BY_ROLE)
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-0123456789abcdef0"
ROLE = {
    "type": "AssumedRole",
    "principalId": "AROALAB:i-0123456789abcdef0",
    "arn": SESSION,
    "accountId": ACCOUNT,
    "accessKeyId": "ASIALAB",
    "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "web"}},
}
TRACED = "What else did this caller do"
DENIED = "deny everything to the caller"
LOGIN = ("ConsoleLogin", "signin")


def test_a_user_lists_buckets(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    aws.record("RunInstances", "ec2.amazonaws.com", identity=MALLORY, awsRegion="ap-southeast-2")
    with alert(aws, tell, LISTED, ("ListBuckets", "s3")) as report:
        state = lambda: aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"]  # noqa: E731
        read(aws, report)
        report.look(TRACED, shows=["ListBuckets", "ap-southeast-2\tRunInstances"], seconds=SECONDS)
        name = f"falco-{report.uid}"
        report.contain(DENIED, state=state, becomes=[name], shows=name, seconds=SECONDS)
        policy = aws.call("iam", "get_user_policy", UserName="mallory", PolicyName=name)["PolicyDocument"]
        assert policy["Statement"]["Condition"] == {"StringEquals": {"aws:userid": "AIDALABMALLORY"}}
        report.undo(state=state, becomes=[], seconds=SECONDS)
        aws.call("iam", "delete_user", UserName="mallory")
        report.again(DENIED, shows="NoSuchEntity", seconds=SECONDS)


def test_a_machines_session_opens_the_console(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_role", RoleName="web", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    taken = {"assumedRoleUser": {"arn": SESSION}}
    service = {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}
    aws.record("AssumeRole", "sts.amazonaws.com", identity=service, responseElements=taken)
    with alert(aws, tell, BY_ROLE, LOGIN, {"ct.user.arn": SESSION}, identity=ROLE) as report:
        state = lambda: aws.call("iam", "list_role_policies", RoleName="web")["PolicyNames"]  # noqa: E731
        read(aws, report, "ASIALAB")
        report.look("Who took this role's session", shows=["AssumeRole", "ec2.amazonaws.com"], seconds=SECONDS)
        report.look(TRACED, shows="ConsoleLogin", seconds=SECONDS)
        name = f"falco-{report.uid}"
        report.contain(DENIED, state=state, becomes=[name], shows=name, seconds=SECONDS)
        policy = aws.call("iam", "get_role_policy", RoleName="web", PolicyName=name)["PolicyDocument"]
        assert policy["Statement"]["Condition"] == {"StringEquals": {"aws:userid": ROLE["principalId"]}}
        report.undo(state=state, becomes=[], seconds=SECONDS)
