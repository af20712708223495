"""A kept file that is empty, as one is whose command was refused: nothing in it is taken for a yes."""

from __future__ import annotations

import pytest

from tests.lab.places.aws import REGION, Aws
from tests.lab.scenarios.aws_cloudtrail.account import SECONDS, alert
from tests.lab.story import Tell

STEPS: dict[str, tuple[str, dict[str, str], str, str]] = {
    "Create AWS user": ("CreateUser", {"ct.request.username": "backdoor"}, "Deny the new user", "not made by this"),
    "Create Group": ("CreateGroup", {"ct.request.groupname": "helpers"}, "deny everything to the group", "not made by"),
    "ECS Service Created": ("CreateService", {}, "scale it to nothing", "read the event first"),
    "ECS Task Run or Started": ("RunTask", {}, "stop them", "no task in it"),
    "Console Login Through Assume Role": ("ConsoleLogin", {}, "Who took this role's session", "the event is not read"),
    "Console Root Login Without MFA": (
        "ConsoleLogin",
        {"ct.user": "root"},
        "deny everything to root",
        "read the event",
    ),
}
"""A rule, its call and fields, the step that reads the event, and what it says of an empty one."""
TRAIL = "CloudTrail Trail Created"
CLOSED = "Delete Bucket Public Access Block"
RULES = (*STEPS, TRAIL, CLOSED)


def keep_empty(aws: Aws, uid: str, name: str) -> None:
    """Leave an empty file where a step would have kept something."""
    folder = aws.laptop.file(f"evidence/{uid}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")


@pytest.mark.parametrize("rule", STEPS)
def test_an_empty_event_is_no_event(aws: Aws, tell: Tell, rule: str) -> None:
    call, fields, title, said = STEPS[rule]
    aws.call("iam", "create_user", UserName="backdoor")
    aws.call("iam", "create_group", GroupName="helpers")
    report = alert(aws, tell, rule, (call, "iam"), fields)
    keep_empty(aws, report.uid, "event.json")
    report.again(title, shows=said, seconds=SECONDS)
    assert aws.call("iam", "list_user_policies", UserName="backdoor")["PolicyNames"] == []
    assert aws.call("iam", "list_group_policies", GroupName="helpers")["PolicyNames"] == []


def test_a_trail_that_nobody_stopped_is_not_started(aws: Aws, tell: Tell) -> None:
    aws.call("s3", "create_bucket", Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.call("cloudtrail", "create_trail", Name="shadow", S3BucketName="logs")
    report = alert(aws, tell, TRAIL, ("CreateTrail", "cloudtrail"), {"ct.request.name": "shadow"})
    keep_empty(aws, report.uid, "event.json")
    report.again("Stop this trail", undo=True, seconds=SECONDS)
    assert not aws.call("cloudtrail", "get_trail_status", Name="shadow")["IsLogging"]


def test_what_could_not_be_read_is_not_changed(aws: Aws, tell: Tell) -> None:
    """Who may change a setting and not read it does not change it; an undo would make it something else."""
    aws.call("s3", "create_bucket", Bucket="invoices", CreateBucketConfiguration={"LocationConstraint": REGION})
    closed = alert(aws, tell, CLOSED, ("DeleteBucketPublicAccessBlock", "s3"), {"s3.bucket": "invoices"})
    statement = {"Effect": "Allow", "Action": "s3:PutBucketPublicAccessBlock", "Resource": "*"}
    aws.only({"Version": "2012-10-17", "Statement": [statement]})
    closed.again("Block all public", shows="AccessDenied", seconds=SECONDS)
    assert f"evidence/{closed.uid}/block.json" not in aws.laptop.files()
    assert not [event for event in aws.events if event["eventName"].startswith("Put")]
