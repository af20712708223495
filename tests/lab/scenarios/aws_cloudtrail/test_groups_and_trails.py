"""IAM groups made and deleted, and trails that mallory makes or stops."""

from __future__ import annotations

from typing import Any

from tests.lab.places.aws import REGION, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, read
from tests.lab.story import Tell

MADE = "Create Group"
DELETED = "Delete Group"
TRAIL = "CloudTrail Trail Created"
STOPPED = "CloudTrail Logging Disabled"
RULES = (MADE, DELETED, TRAIL, STOPPED)
GROUP = {"ct.request.groupname": "helpers"}
DENY = "deny everything to the group's members"


def test_a_group_lifts_its_members(aws: Aws, tell: Tell) -> None:
    group = aws.call("iam", "create_group", GroupName="helpers")["Group"]
    aws.call("iam", "create_user", UserName="mallory")
    aws.call("iam", "add_user_to_group", GroupName="helpers", UserName="mallory")
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    aws.call("iam", "attach_group_policy", GroupName="helpers", PolicyArn=admin)
    answer = {"group": {"groupName": "helpers", "groupId": group["GroupId"]}}
    report = alert(aws, tell, MADE, ("CreateGroup", "iam"), GROUP, responseElements=answer)
    state = lambda: aws.call("iam", "list_group_policies", GroupName="helpers")["PolicyNames"]  # noqa: E731
    read(aws, report)
    report.look("Who is in it", shows=["mallory", "AdministratorAccess", group["GroupId"]], seconds=SECONDS)
    name = f"falco-{report.uid}"
    report.contain(DENY, state=state, becomes=[name], shows=name, seconds=SECONDS)
    report.undo(state=state, becomes=[], seconds=SECONDS)

    aws.call("iam", "remove_user_from_group", GroupName="helpers", UserName="mallory")
    aws.call("iam", "detach_group_policy", GroupName="helpers", PolicyArn=admin)
    aws.call("iam", "delete_group", GroupName="helpers")
    report.again(DENY, shows="another group of this name", seconds=SECONDS)
    aws.call("iam", "create_group", GroupName="helpers")
    report.again(DENY, shows="another group of this name", seconds=SECONDS)
    assert state() == []


def test_a_refused_creation_leaves_the_older_group_alone(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_group", GroupName="helpers")
    report = alert(aws, tell, MADE, ("CreateGroup", "iam"), GROUP, errorCode="EntityAlreadyExistsException")
    read(aws, report)
    report.again(DENY, shows="not made by IAM in this event", seconds=SECONDS)
    assert aws.call("iam", "list_group_policies", GroupName="helpers")["PolicyNames"] == []


def test_a_group_is_emptied_and_deleted(aws: Aws, tell: Tell) -> None:
    about = {"identity": MALLORY, "resources": [{"ResourceType": "AWS::IAM::Group", "ResourceName": "helpers"}]}
    asked = {"requestParameters": {"groupName": "helpers", "userName": "alice"}}
    aws.record("RemoveUserFromGroup", "iam.amazonaws.com", **about, **asked)
    report = alert(aws, tell, DELETED, ("DeleteGroup", "iam"), GROUP, **about)
    read(aws, report)
    report.look("Who was in it", shows=["RemoveUserFromGroup\talice", "DeleteGroup"], seconds=SECONDS)


def make_trail(aws: Aws, name: str, *, is_on: bool) -> dict[str, Any]:
    """Make a trail and its bucket; return the alert's field of it."""
    where = {"LocationConstraint": REGION}
    aws.call("s3", "create_bucket", Bucket=f"logs-{name}", CreateBucketConfiguration=where)
    made = aws.call("cloudtrail", "create_trail", Name=name, S3BucketName=f"logs-{name}")
    if is_on:
        aws.call("cloudtrail", "start_logging", Name=name)
    return {"ct.request.name": name, "arn": made["TrailARN"]}


def is_logging(aws: Aws, name: str) -> bool:
    return bool(aws.call("cloudtrail", "get_trail_status", Name=name)["IsLogging"])


def test_a_trail_writes_elsewhere(aws: Aws, tell: Tell) -> None:
    make_trail(aws, "audit", is_on=True)
    fields = make_trail(aws, "shadow", is_on=True)
    answer = {"name": "shadow", "trailARN": fields.pop("arn")}
    report = alert(aws, tell, TRAIL, ("CreateTrail", "cloudtrail"), fields, responseElements=answer)
    read(aws, report)
    shows = ["logs-shadow", "own bucket", "trail/audit True"]
    kept = lambda _: [text for name, text in aws.laptop.files().items() if name.endswith("trail.json")]  # noqa: E731
    report.keep("Where does it write", keeps=kept, shows=shows, seconds=SECONDS)
    state = lambda: (is_logging(aws, "shadow"), is_logging(aws, "audit"))  # noqa: E731
    report.contain("Stop this trail", state=state, becomes=(False, True), shows="alse", seconds=SECONDS)
    report.undo(state=state, becomes=(True, True), seconds=SECONDS)

    aws.call("cloudtrail", "delete_trail", Name="shadow")
    report.again("Stop this trail", shows="TrailNotFoundException", seconds=SECONDS)

    # A trail of the same name in the account of another event: its place is in its ARN.
    make_trail(aws, "shadow-2", is_on=True)
    there = f"arn:aws:cloudtrail:{REGION}:210987654321:trail/shadow-2"
    more = {"responseElements": {"trailARN": there}, "recipientAccountId": "210987654321"}
    fields = {"ct.request.name": "shadow-2", "ct.srcip": "203.0.113.46"}
    elsewhere = alert(aws, tell, TRAIL, ("CreateTrail", "cloudtrail"), fields, sourceIPAddress="203.0.113.46", **more)
    read(aws, elsewhere)
    elsewhere.again("Stop this trail", shows="NotFound", seconds=SECONDS)
    assert is_logging(aws, "shadow-2"), "a trail of another account was stopped"


def test_a_trail_is_stopped(aws: Aws, tell: Tell) -> None:
    fields = make_trail(aws, "audit", is_on=True)
    fields.pop("arn")
    aws.call("cloudtrail", "stop_logging", Name="audit")
    report = alert(aws, tell, STOPPED, ("StopLogging", "cloudtrail"), fields)
    read(aws, report)
    state = lambda: is_logging(aws, "audit")  # noqa: E731
    report.contain("start it again", state=state, becomes=True, shows="IsLogging", seconds=SECONDS)
    report.undo(state=state, becomes=False, seconds=SECONDS)

    aws.call("cloudtrail", "start_logging", Name="audit")
    aws.laptop.file(f"evidence/{report.uid}/trail.json").unlink()
    report.again("start it again", seconds=SECONDS)
    report.again("start it again", undo=True, seconds=SECONDS)
    assert state(), "a trail was stopped that somebody else had started"

    aws.call("cloudtrail", "delete_trail", Name="audit")
    report.again("start it again", shows="TrailNotFoundException", seconds=SECONDS)
