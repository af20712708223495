"""Names that an attacker chooses in AWS: what AWS permits reaches it as a name; what it forbids does nothing.

IAM takes ``+=,.@_-`` in names of users, groups and sessions, in any place; a function's, a service's and a cluster's
may begin with ``-``; a bucket's and a trail's begin with a letter or digit. Quotes, ``$``, line feeds and globs are in
no name, but in the parameters of a call that was refused.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import WORDS, words
from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, read
from tests.lab.scenarios.aws_cloudtrail.test_functions import limit, make_function
from tests.lab.story import Tell

USER = "Create AWS user"
MADE = "Create Group"
EMPTIED = "Delete Group"
LOGIN = "Console Login Without MFA"
BY_ROLE = "Console Login Through Assume Role"
FUNCTION = "Create Lambda Function"
SERVICE = "ECS Service Created"
OBJECTS = (
    FUNCTION,
    SERVICE,
    "ECS Task Run or Started",
    "CloudTrail Trail Created",
    "CloudTrail Logging Disabled",
    "Delete Bucket Encryption",
    "Delete Bucket Public Access Block",
    "Put Bucket ACL",
    "Put Bucket Policy",
)
"""Rules about things whose names are in the refused call too."""
CALLED = (
    "Deactivate MFA for Root User",
    "List Buckets",
    "Run Instances",
    "Run Instances in Non-approved Region",
    "Update Lambda Function Code",
    "Update Lambda Function Configuration",
)
"""Rules whose first step looks for the caller's name and the thing's among the event's."""
RULES = (USER, MADE, EMPTIED, LOGIN, BY_ROLE, *OBJECTS, *CALLED)
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
    report.contain("Deny everything to the caller", state=state, becomes=[[f"falco-{report.uid}"]], seconds=SECONDS)
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
    more["identity"] = named(word)
    for rule in (USER, LOGIN):
        report = alert(aws, tell, rule, ("CreateUser", "iam"), fields, **more)
        report.everything(SECONDS)
    assert policies(aws, "mallory") == [[]]
    assert not [name for name in aws.laptop.files() if "owned" in name]


def test_a_function_is_stopped_by_its_name(aws: Aws, tell: Tell) -> None:
    for name in ("-rf", "rf"):
        make_function(aws, name)
    report = alert(aws, tell, FUNCTION, ("CreateFunction20150331", "lambda"), {"ct.request.functionname": "-rf"})
    read(aws, report)
    state = lambda: (limit(aws, "-rf"), limit(aws, "rf"))  # noqa: E731
    report.contain("Keep code and settings", state=state, becomes=(0, None), seconds=SECONDS)
    report.undo(state=state, becomes=(None, None), seconds=SECONDS)


def test_a_service_is_scaled_by_its_name(aws: Aws, tell: Tell) -> None:
    aws.call("ecs", "create_cluster", clusterName="-c")
    job = {"name": "job", "image": "x", "memory": 128}
    aws.call("ecs", "register_task_definition", family="-rf", containerDefinitions=[job])
    made = aws.call("ecs", "create_service", cluster="-c", serviceName="-rf", desiredCount=2, taskDefinition="-rf:1")
    answer = {"service": {name: made["service"][name] for name in ("clusterArn", "serviceArn")}}
    fields = {"ct.request.cluster": "-c", "ct.request.taskdefinition": "-rf:1", "ct.request.servicename": "-rf"}
    report = alert(aws, tell, SERVICE, ("CreateService", "ecs"), fields, responseElements=answer)

    def state() -> Any:
        return aws.call("ecs", "describe_services", cluster="-c", services=["-rf"])["services"][0]["desiredCount"]

    read(aws, report)
    report.look("What does it run", shows='"x"', seconds=SECONDS)
    report.contain("scale it to nothing", state=state, becomes=0, seconds=SECONDS)
    report.undo(state=state, becomes=2, seconds=SECONDS)


@pytest.mark.parametrize("rule", OBJECTS)
def test_a_refused_object_does_nothing(aws: Aws, tell: Tell, rule: str) -> None:
    names = ("functionname", "name", "cluster", "servicename", "taskdefinition")
    for word in WORDS.values():
        fields = {f"ct.request.{name}": word for name in names} | {"s3.bucket": word}
        more = {"requestParameters": {"name": word}, "errorCode": "ValidationException", "userAgent": word}
        alert(aws, tell, rule, ("CreateFunction20150331", "lambda"), fields, **more).everything(SECONDS)
    assert not [name for name in aws.laptop.files() if "owned" in name]


@pytest.mark.parametrize("rule", CALLED)
def test_a_hostile_caller_does_nothing(aws: Aws, tell: Tell, rule: str) -> None:
    word = " ".join(WORDS.values())
    fields = {"ct.user": word, "ct.request.functionname": word, "ct.response.reservationid": word}
    more = {"requestParameters": {"name": word}, "errorCode": "ValidationException", "userAgent": word}
    report = alert(aws, tell, rule, ("CreateFunction20150331", "lambda"), fields, identity=named(word), **more)
    report.everything(SECONDS)
    assert not [name for name in aws.laptop.files() if "owned" in name]
