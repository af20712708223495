"""Create AWS user: a stolen key makes a second way in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import known
from tests.lab.story import Story, Tell

RULE = "Create AWS user"
MALLORY = {
    "type": "IAMUser",
    "userName": "mallory",
    "principalId": "AIDALABMALLORY",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/mallory",
    "accessKeyId": "AKIALAB",
}
FIELDS = {
    "ct.user": "mallory",
    "ct.request.username": "backdoor",
    "ct.srcip": "203.0.113.45",
    "ct.region": "us-east-1",
}


def make_the_backdoor(aws: Aws) -> None:
    """Mallory's key makes a user with a key; CloudTrail tells, and where else the key was used."""
    aws.call("iam", "create_user", UserName="mallory")
    user = aws.call("iam", "create_user", UserName="backdoor")["User"]
    aws.call("iam", "create_access_key", UserName="backdoor")
    tell_of(aws, "CreateUser", {"user": {"userId": user["UserId"], "userName": "backdoor"}})
    tell_of(aws, "CreateAccessKey", {})
    aws.record("RunInstances", "ec2.amazonaws.com", identity=known(aws, MALLORY), awsRegion="ap-southeast-2")


def tell_of(aws: Aws, name: str, response: dict[str, Any] | None, **more: Any) -> None:
    """Let CloudTrail tell of a call about the user by mallory's key."""
    more |= {
        "awsRegion": "us-east-1",
        "requestParameters": {"userName": "backdoor"},
        "responseElements": response,
    }
    aws.record(name, "iam.amazonaws.com", identity=known(aws, MALLORY), **more)


def alert_of_the_user(aws: Aws, tell: Tell) -> Story:
    """The story of the alert, of the second of the user's creation."""
    (made,) = (each["eventTime"] for each in aws.events if each["eventName"] == "CreateUser")
    moment = datetime.fromisoformat(made.replace("Z", "+00:00"))
    return tell(FIELDS, cloud=aws.laptop, time_ns=int(moment.timestamp()) * 1_000_000_000)


def policies(aws: Aws, user: str) -> Any:
    return aws.call("iam", "list_user_policies", UserName=user)["PolicyNames"]


def test_a_stolen_key_makes_a_user(aws: Aws, tell: Tell) -> None:
    make_the_backdoor(aws)
    with alert_of_the_user(aws, tell) as report:
        kept = f"evidence/{report.uid}/event.json"
        report.keep(
            "Read exactly this event",
            shows=["iam.amazonaws.com", "AKIALAB", '"Active"'],
            keeps=lambda _: aws.laptop.files().get(kept),
            seconds=300,
        )
        report.look("What else did this caller do", shows=["CreateAccessKey", "RunInstances"], seconds=300)
        report.contain(
            "Deny the new user everything", state=lambda: policies(aws, "backdoor"), becomes=[f"falco-{report.uid}"]
        )
        assert policies(aws, "mallory") == []
        report.undo(state=lambda: policies(aws, "backdoor"), becomes=[])
        report.contain(
            "Deny everything to the caller", state=lambda: policies(aws, "mallory"), becomes=[f"falco-{report.uid}"]
        )
        report.undo(state=lambda: policies(aws, "mallory"), becomes=[])

        aws.call("iam", "delete_access_key", UserName="backdoor", AccessKeyId=key_of(aws))
        aws.call("iam", "delete_user", UserName="backdoor")
        report.again("Deny the new user everything", shows=["NoSuchEntity", "another user of this name"])


def key_of(aws: Aws) -> str:
    keys = aws.call("iam", "list_access_keys", UserName="backdoor")["AccessKeyMetadata"]
    return str(keys[0]["AccessKeyId"])


def test_a_refused_creation_leaves_the_older_user_alone(aws: Aws, tell: Tell) -> None:
    """Mallory may not create `backdoor`, which exists already and does honest work."""
    aws.call("iam", "create_user", UserName="backdoor")
    tell_of(aws, "CreateUser", None, errorCode="EntityAlreadyExistsException")
    report = alert_of_the_user(aws, tell)
    report.again("Read exactly this event", shows="mallory")
    report.again("Deny the new user everything", shows="not made by this event")
    assert policies(aws, "backdoor") == []
