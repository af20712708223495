"""Callers: a user's key or a role's session, traced and denied everything."""

from __future__ import annotations

import json

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, known, read
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
    "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROALAB", "userName": "web"}},
}
FEDERATED = {
    "type": "FederatedUser",
    "principalId": f"{ACCOUNT}:eve",
    "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/eve",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAEVE",
    "sessionContext": {"sessionIssuer": {"type": "IAMUser", "principalId": "AIDALAB", "userName": "mallory"}},
}
"""What GetFederationToken makes of mallory's key; in its calls ``aws:userid`` is the account's number and this name."""
TRACED = "What else did this caller do"
DENIED = "deny everything to the caller"
LOGIN = ("ConsoleLogin", "signin")


def test_a_user_lists_buckets(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    own = known(aws, MALLORY)
    aws.record("RunInstances", "ec2.amazonaws.com", identity=own, awsRegion="ap-southeast-2")
    # The console gives a session keys of its own, and a user may have made another key.
    console = {**own, "accessKeyId": "ASIACONSOLE"}
    aws.record("CreateAccessKey", "iam.amazonaws.com", identity=console, awsRegion="us-east-1")
    other = {**MALLORY, "principalId": "AIDAELSE", "accessKeyId": "AKIAELSE"}
    aws.record("CreateVpc", "ec2.amazonaws.com", identity=other)
    with alert(aws, tell, LISTED, ("ListBuckets", "s3")) as report:
        state = lambda: aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"]  # noqa: E731
        read(aws, report)
        shows = ["ListBuckets", "ap-southeast-2\tRunInstances", "us-east-1\tCreateAccessKey", "ASIACONSOLE"]
        report.look(TRACED, shows=shows, hides="CreateVpc", seconds=SECONDS)
        name = f"falco-{report.uid}"
        report.contain(DENIED, state=state, becomes=[name], shows=name, seconds=SECONDS)
        policy = aws.call("iam", "get_user_policy", UserName="mallory", PolicyName=name)["PolicyDocument"]
        assert "Condition" not in policy["Statement"], "a session of GetFederationToken has another aws:userid"
        report.undo(state=state, becomes=[], seconds=SECONDS)
        aws.call("iam", "delete_user", UserName="mallory")
        report.again(DENIED, shows=["NoSuchEntity", "not held"], seconds=SECONDS)


def test_a_federated_session_is_denied_by_its_user(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"), identity=FEDERATED)
    state = lambda: aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"]  # noqa: E731
    read(aws, report, "federated-user/eve")
    report.look(TRACED, shows="ASIAEVE", seconds=SECONDS)
    report.contain(DENIED, state=state, becomes=[f"falco-{report.uid}"], seconds=SECONDS)
    report.undo(state=state, becomes=[], seconds=SECONDS)


def test_a_caller_of_another_account_is_not_mistaken_for_a_namesake(aws: Aws, tell: Tell) -> None:
    """The responder's profile is of the staging account, which has a user and a role of the same names."""
    aws.call("iam", "create_user", UserName="mallory")
    aws.call("iam", "create_role", RoleName="web", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    for rule, call, identity in ((LISTED, ("ListBuckets", "s3"), MALLORY), (BY_ROLE, LOGIN, ROLE)):
        fields = {"ct.user.arn": identity["arn"]}
        report = alert(aws, tell, rule, call, fields, identity={**identity, "another": True})
        read(aws, report)
        report.again(DENIED, shows="not held", hides=f"falco-{report.uid}", seconds=SECONDS)
    assert aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"] == []
    assert aws.call("iam", "list_role_policies", RoleName="web")["PolicyNames"] == []


def test_a_session_is_taken_from_another_account(aws: Aws, tell: Tell) -> None:
    """In the role's account CloudTrail has a number and an id of the caller, and no name."""
    taken = {"assumedRoleUser": {"arn": SESSION}}
    stranger = {"type": "AWSAccount", "principalId": "AIDASTRANGER", "accountId": "210987654321"}
    aws.record("AssumeRole", "sts.amazonaws.com", identity=stranger, responseElements=taken)
    report = alert(aws, tell, BY_ROLE, LOGIN, {"ct.user.arn": SESSION}, identity=ROLE)
    read(aws, report)
    report.look("Who took this role's session", shows="210987654321 AIDASTRANGER", seconds=SECONDS)


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
        one = aws.call("iam", "get_role", RoleName="web")["Role"]["RoleId"]
        assert policy["Statement"]["Condition"] == {"StringEquals": {"aws:userid": f"{one}:i-0123456789abcdef0"}}
        report.undo(state=state, becomes=[], seconds=SECONDS)
