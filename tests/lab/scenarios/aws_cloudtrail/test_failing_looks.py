"""A look that fails says nothing: what was not seen is not changed, and nobody is taken for somebody else by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, granted, leave, leave_event, without_sts
from tests.lab.scenarios.aws_cloudtrail.test_buckets import ALL_USERS, PUBLIC, make_bucket, setting
from tests.lab.scenarios.aws_cloudtrail.test_callers import DENIED, LISTED
from tests.lab.scenarios.aws_cloudtrail.test_create_aws_user import RULE as MADE_USER
from tests.lab.scenarios.aws_cloudtrail.test_functions import limit, make_function
from tests.lab.scenarios.aws_cloudtrail.test_groups_and_trails import DENY, GROUP, is_logging, make_trail
from tests.lab.scenarios.aws_cloudtrail.test_groups_and_trails import MADE as MADE_GROUP
from tests.lab.scenarios.aws_cloudtrail.test_machines import make_definition
from tests.lab.scenarios.aws_cloudtrail.test_root import ROOT, root_of
from tests.lab.scenarios.aws_cloudtrail.test_rules_without_entry import KEYS, begin, keys, make
from tests.lab.story import Story, Tell

FUNCTION = "Create Lambda Function"
LAUNCHED = "Run Instances"
SERVICE = "ECS Service Created"
TASK = "ECS Task Run or Started"
SHARED = "Put Bucket ACL"
GRANTED = "Put Bucket Policy"
TRAIL = "CloudTrail Trail Created"
STOPPED = "CloudTrail Logging Disabled"


@dataclass(frozen=True)
class Thing:
    """What an alert is about, in the account."""

    fields: dict[str, Any]
    """The alert's fields of it."""
    state: Callable[[], Any]
    answer: dict[str, Any] | None = None
    """What the call had returned."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What the looks before have kept."""


def function(aws: Aws) -> Thing:
    make_function(aws)
    return Thing({"ct.request.functionname": "thumbnails"}, lambda: limit(aws))


def instance(aws: Aws) -> Thing:
    image = aws.call("ec2", "describe_images")["Images"][0]["ImageId"]
    made = aws.call("ec2", "run_instances", ImageId=image, MaxCount=1, MinCount=1)["Instances"][0]["InstanceId"]

    def state() -> str:
        found = aws.call("ec2", "describe_instances", InstanceIds=[made])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    listed = {"Reservations": [{"Instances": [{"InstanceId": made}]}]}
    answer = {"instancesSet": {"items": [{"instanceId": made}]}}
    return Thing({}, state, answer, {"instances.json": listed})


def service(aws: Aws) -> Thing:
    fields = make_definition(aws)
    what = {"cluster": "shop", "taskDefinition": "miner:1", "serviceName": "web", "desiredCount": 3}
    made = aws.call("ecs", "create_service", **what)["service"]

    def state() -> Any:
        return aws.call("ecs", "describe_services", cluster="shop", services=["web"])["services"][0]["desiredCount"]

    return Thing(fields, state, {"service": {name: made[name] for name in ("clusterArn", "serviceArn")}})


def task(aws: Aws) -> Thing:
    fields = make_definition(aws)
    subnet = aws.call("ec2", "describe_subnets")["Subnets"][0]["SubnetId"]
    where = {"launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}}}
    made = aws.call("ecs", "run_task", cluster="shop", taskDefinition="miner:1", **where)["tasks"][0]

    def state() -> Any:
        return aws.call("ecs", "describe_tasks", cluster="shop", tasks=[made["taskArn"]])["tasks"][0]["desiredStatus"]

    return Thing(fields, state, {"tasks": [{name: made[name] for name in ("clusterArn", "taskArn")}]})


def shared_bucket(aws: Aws) -> Thing:
    make_bucket(aws)
    aws.call("s3", "put_bucket_acl", Bucket="invoices", ACL="public-read")
    return Thing({"s3.bucket": "invoices"}, lambda: ALL_USERS in str(setting(aws, "get_bucket_acl", "Grants")))


def granted_bucket(aws: Aws) -> Thing:
    make_bucket(aws)
    aws.call("s3", "put_bucket_policy", Bucket="invoices", Policy=json.dumps(PUBLIC))
    return Thing({"s3.bucket": "invoices"}, lambda: setting(aws, "get_bucket_policy", "Policy"))


def new_trail(aws: Aws) -> Thing:
    fields = make_trail(aws, "shadow", is_on=True)
    return Thing(fields, lambda: is_logging(aws, "shadow"), {"name": "shadow", "trailARN": fields.pop("arn")})


def stopped_trail(aws: Aws) -> Thing:
    fields = make_trail(aws, "audit", is_on=False)
    fields.pop("arn")
    return Thing(fields, lambda: is_logging(aws, "audit"))


MAKE: dict[str, tuple[str, str, str, Callable[[Aws], Thing]]] = {
    FUNCTION: ("CreateFunction20150331", "lambda", "Keep code and settings", function),
    LAUNCHED: ("RunInstances", "ec2", "Snapshot their disks", instance),
    SERVICE: ("CreateService", "ecs", "scale it to nothing", service),
    TASK: ("RunTask", "ecs", "stop them", task),
    SHARED: ("PutBucketAcl", "s3", "set the ACL to private", shared_bucket),
    GRANTED: ("PutBucketPolicy", "s3", "add a Deny", granted_bucket),
    TRAIL: ("CreateTrail", "cloudtrail", "Stop this trail", new_trail),
    STOPPED: ("StopLogging", "cloudtrail", "start it again", stopped_trail),
}
"""A rule, its call and service, the step that changes something, and what makes the thing."""
RULES = (*MAKE, LISTED, MADE_USER, MADE_GROUP, ROOT)


def looked_at(
    aws: Aws, tell: Tell, rule: str, made: tuple[str, str, str, Callable[[Aws], Thing]]
) -> tuple[Thing, str, Story]:
    """Make what an alert is about, as ``MAKE`` has it; return it, its step's title, and the report after its looks."""
    call, named, title, make_thing = made
    thing = make_thing(aws)
    report = alert(aws, tell, rule, (call, named), thing.fields, responseElements=thing.answer)
    leave_event(aws, report)
    for name, content in thing.kept.items():
        leave(aws, report, name, content)
    return thing, title, report


@pytest.mark.parametrize(
    ("rule", "rights"),
    [
        (FUNCTION, ("lambda:PutFunctionConcurrency", "lambda:GetFunctionConcurrency")),
        (FUNCTION, ("lambda:PutFunctionConcurrency", "lambda:GetFunction")),
        (LAUNCHED, ("ec2:StopInstances", "ec2:DescribeInstances")),
        (SERVICE, ("ecs:UpdateService",)),
        (TASK, ("ecs:StopTask",)),
        (SHARED, ("s3:PutBucketAcl",)),
        (TRAIL, ("cloudtrail:StopLogging",)),
        (STOPPED, ("cloudtrail:StartLogging",)),
    ],
)
def test_what_could_not_be_kept_is_not_changed(aws: Aws, tell: Tell, rule: str, rights: tuple[str, ...]) -> None:
    """Somebody may change the thing and not read it: without its record the change has no way back."""
    thing, title, report = looked_at(aws, tell, rule, MAKE[rule])
    before = thing.state()
    aws.only(granted(*rights))
    report.again(title, seconds=SECONDS)
    assert thing.state() == before, "changed without a record of what it was"


@pytest.mark.parametrize("rule", [FUNCTION, STOPPED, GRANTED])
def test_whose_account_it_is_cannot_be_told(aws: Aws, tell: Tell, rule: str) -> None:
    """The event was not read and STS does not answer: two answers that are empty are not the same account."""
    call, named, title, make_thing = MAKE[rule]
    thing = make_thing(aws)
    before = thing.state()
    report = alert(aws, tell, rule, (call, named), thing.fields)
    leave(aws, report, "seen", "the folder is there")
    without_sts(aws)
    report.again(title, seconds=SECONDS)
    assert thing.state() == before


def test_who_the_responder_is_cannot_be_told(aws: Aws, tell: Tell) -> None:
    """They may be who is about to be denied."""
    make(aws, "Active")
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"))
    leave_event(aws, report)
    by_name = begin(aws, tell)
    without_sts(aws)
    report.again(DENIED, seconds=SECONDS)
    assert aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"] == []
    by_name.again(KEYS, seconds=SECONDS)
    assert set(keys(aws).values()) == {"Active"}


def test_whether_it_is_made_for_the_responder_cannot_be_told(aws: Aws, tell: Tell) -> None:
    """The new user may be theirs, and so may be a member of the new group."""
    user = aws.call("iam", "create_user", UserName="backdoor")["User"]["UserId"]
    group = aws.call("iam", "create_group", GroupName="helpers")["Group"]["GroupId"]
    aws.call("iam", "add_user_to_group", GroupName="helpers", UserName="backdoor")
    answer: dict[str, Any] = {"user": {"userId": user, "userName": "backdoor"}}
    made = alert(
        aws, tell, MADE_USER, ("CreateUser", "iam"), {"ct.request.username": "backdoor"}, responseElements=answer
    )
    leave_event(aws, made)
    answer = {"group": {"groupId": group, "groupName": "helpers"}}
    grouped = alert(aws, tell, MADE_GROUP, ("CreateGroup", "iam"), GROUP, responseElements=answer)
    leave_event(aws, grouped)
    without_sts(aws)
    made.again("Deny the new user", shows="unknown", seconds=SECONDS)
    assert aws.call("iam", "list_user_policies", UserName="backdoor")["PolicyNames"] == []
    grouped.again(DENY, shows="unknown", seconds=SECONDS)
    assert aws.call("iam", "list_group_policies", GroupName="helpers")["PolicyNames"] == []


def test_whether_root_is_the_management_accounts_cannot_be_told(aws: Aws, tell: Tell) -> None:
    """A policy would bind nobody there, and the list of it would say that it held."""
    aws.call("organizations", "create_organization", FeatureSet="ALL")
    report = alert(aws, tell, ROOT, ("ConsoleLogin", "signin"), identity=root_of(ACCOUNT))
    leave_event(aws, report)
    aws.only(granted("organizations:CreatePolicy", "organizations:AttachPolicy"))
    report.again("deny everything to root", shows="unknown", seconds=SECONDS)
    found = aws.call("organizations", "list_policies", Filter="SERVICE_CONTROL_POLICY")["Policies"]
    assert [each["Name"] for each in found] == ["FullAWSAccess"]


def test_an_event_without_an_id_is_nobodys(aws: Aws, tell: Tell) -> None:
    """CloudTrail leaves the id out of some identities, and the responder may not read roles: nothing equals nothing."""
    aws.call("iam", "create_user", UserName="mallory")
    aws.call("iam", "create_role", RoleName="mallory", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    nameless = {name: value for name, value in MALLORY.items() if name != "principalId"} | {"another": True}
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"), identity=nameless)
    leave_event(aws, report)
    aws.only(granted("iam:PutRolePolicy", "iam:PutUserPolicy"))
    report.again(DENIED, seconds=SECONDS)
    assert aws.call("iam", "list_role_policies", RoleName="mallory")["PolicyNames"] == []
    assert aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"] == []


def test_a_caller_is_only_who_was_looked_up(aws: Aws, tell: Tell) -> None:
    """A role has the user's name; who may not read users denies neither."""
    aws.call("iam", "create_user", UserName="mallory")
    aws.call("iam", "create_role", RoleName="mallory", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"))
    leave_event(aws, report)
    aws.only(granted("iam:PutRolePolicy", "iam:PutUserPolicy", "iam:GetRole"))
    report.again(DENIED, shows="not held", seconds=SECONDS)
    assert aws.call("iam", "list_role_policies", RoleName="mallory")["PolicyNames"] == []
    assert aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"] == []


def policy_of(aws: Aws) -> Any:
    try:
        return aws.call("s3", "get_bucket_policy", Bucket="invoices")["Policy"]
    except ClientError as error:
        return error.response["Error"]["Code"]


def test_a_policy_that_is_gone_is_not_made(aws: Aws, tell: Tell) -> None:
    """The owner has removed it meanwhile; a step or its undo does not write one of its own."""
    make_bucket(aws)
    report = alert(aws, tell, GRANTED, ("PutBucketPolicy", "s3"), {"s3.bucket": "invoices"})
    leave_event(aws, report)
    for undo in (False, True):
        report.again("add a Deny", undo=undo, shows="NoSuchBucketPolicy", seconds=SECONDS)
        assert policy_of(aws) == "NoSuchBucketPolicy"
