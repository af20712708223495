"""What deploy/responder/aws-look.json allows is enough for every look; a look without it says that it was refused."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.lab.places.aws import ACCOUNT, REGION, Aws
from tests.lab.scenarios.aws_cloudtrail.account import FIELDS, MALLORY, SECONDS, alert, known
from tests.lab.steps import Step
from tests.lab.story import Tell

LOOK = json.loads((Path(__file__).parents[4] / "deploy/responder/aws-look.json").read_text("utf-8"))
REFUSED = re.compile(r"AccessDenied|UnauthorizedOperation|not authorized|[(]403[)]|Forbidden")
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-0123456789abcdef0"
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/shadow"
CALLS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "CloudTrail Trail Created": ("CreateTrail", "cloudtrail", {"ct.request.name": "shadow"},
                                 {"responseElements": {"trailARN": TRAIL}}),
    "Console Login Through Assume Role": ("ConsoleLogin", "signin", {"ct.user.arn": SESSION}, {}),
    "Console Login Without MFA": ("ConsoleLogin", "signin", {}, {}),
    "Create AWS user": ("CreateUser", "iam", {"ct.request.username": "backdoor"},
                        {"requestParameters": {"userName": "backdoor"}}),
    "Create Group": ("CreateGroup", "iam", {"ct.request.groupname": "helpers"}, {}),
    "Deactivate MFA for Root User": ("DeactivateMFADevice", "iam", {}, {}),
    "Put Bucket Policy": ("PutBucketPolicy", "s3", {"s3.bucket": "invoices"}, {}),
    "Delete Group": ("DeleteGroup", "iam", {"ct.request.groupname": "helpers"},
                     {"requestParameters": {"groupName": "helpers"}}),
    "ECS Service Created": ("CreateService", "ecs",
                            {"ct.request.cluster": "shop", "ct.request.taskdefinition": "miner:1"}, {}),
    "Run Instances": ("RunInstances", "ec2", {}, {"responseElements": {"instancesSet": {"items": []}}}),
}  # fmt: skip
"""A rule, its call and service, the fields of its alert, and more of its event."""
RULES = tuple(CALLS)
NOW = int(time.time()) * 1_000_000_000
AT = f"{datetime.fromtimestamp(NOW // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
READING = {("look", "verify"), ("look",), ("keep",), ("verify",)}


def furnish(aws: Aws) -> None:
    """Make what the calls are about, so that no look fails for want of it."""
    aws.call("iam", "create_user", UserName="mallory")
    aws.call("iam", "create_user", UserName="backdoor")
    aws.call("iam", "create_group", GroupName="helpers")
    aws.call("s3", "create_bucket", Bucket="invoices", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.call("cloudtrail", "create_trail", Name="shadow", S3BucketName="invoices")
    aws.call("ecs", "create_cluster", clusterName="shop")
    job = {"name": "job", "image": "x", "memory": 128}
    aws.call("ecs", "register_task_definition", family="miner", containerDefinitions=[job])


def looks(aws: Aws, tell: Tell) -> dict[str, tuple[Step, str]]:
    """Paste every look once; return step and answer by the step's digest."""
    found: dict[str, tuple[Step, str]] = {}
    for rule, (name, service, fields, more) in CALLS.items():
        identity = {**MALLORY, "arn": SESSION} if "Role" in rule else MALLORY
        report = alert(aws, tell, rule, (name, service), fields, identity=identity, **more)
        for step in report.steps:
            if step.where == "cloud" and step.phases in READING and step.run_digest not in found:
                found[step.run_digest] = (step, aws.laptop.paste(step.run, "bash", SECONDS).text)
    return found


def test_every_look_works_with_the_policy_and_is_refused_without(aws: Aws, tell: Tell) -> None:
    furnish(aws)
    aws.only(LOOK)
    allowed = looks(aws, tell)
    assert not [(step.title, said) for step, said in allowed.values() if REFUSED.search(said)]
    assert any("mallory" in said for _, said in allowed.values())
    aws.only(None)
    refused = looks(aws, tell)
    assert refused.keys() == allowed.keys()
    # What reads the event that the first step could not keep says so, and asks nothing.
    told = re.compile(rf"{REFUSED.pattern}|unknown|read the event first|the event is not read|no task in it")
    assert not [(step.title, said) for step, said in refused.values() if not told.search(said)]


def test_a_rule_without_an_entry(aws: Aws, tell: Tell) -> None:
    """Its advice is made of shared procedures, some of which no entry uses."""
    aws.call("iam", "create_user", UserName="mallory")
    for _ in range(2):
        aws.call("iam", "create_access_key", UserName="mallory")
    keys = aws.call("iam", "list_access_keys", UserName="mallory")["AccessKeyMetadata"]
    aws.call("iam", "update_access_key", UserName="mallory", AccessKeyId=keys[0]["AccessKeyId"], Status="Inactive")

    def state() -> list[str]:
        return [each["Status"] for each in aws.call("iam", "list_access_keys", UserName="mallory")["AccessKeyMetadata"]]

    before = state()
    elsewhere = tell(FIELDS, rule="Our own rule", source="aws_cloudtrail", cloud=aws.laptop, time_ns=NOW)
    elsewhere.again("Deactivate the user", shows="another account's", seconds=SECONDS)
    assert state() == before, "keys of another account's user of this name were switched off"
    aws.record("CreateVpc", "ec2.amazonaws.com", identity=known(aws, MALLORY), eventTime=AT)
    with tell(FIELDS, rule="Our own rule", source="aws_cloudtrail", cloud=aws.laptop, time_ns=NOW) as report:
        report.looks(seconds=SECONDS)
        report.contain("Deactivate the user", state=state, becomes=["Inactive"] * 2, seconds=SECONDS)
        report.verify("Is every key inactive?", hides="\tActive", not_held="\tActive", seconds=SECONDS)
        report.undo(state=state, becomes=before, seconds=SECONDS)
