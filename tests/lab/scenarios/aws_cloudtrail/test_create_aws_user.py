"""Create AWS user: a stolen key makes a second way in."""

from __future__ import annotations

from typing import Any

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.story import Tell

RULE = "Create AWS user"
MALLORY = {
    "type": "IAMUser",
    "userName": "mallory",
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
    """Mallory's key makes a user with a key and an administrator's policy; CloudTrail tells."""
    aws.call("iam", "create_user", UserName="mallory")
    aws.call("iam", "create_user", UserName="backdoor")
    aws.call("iam", "create_access_key", UserName="backdoor")
    for name, parameters in (("CreateUser", {"userName": "backdoor"}), ("CreateAccessKey", {"userName": "backdoor"})):
        aws.record(name, "iam.amazonaws.com", identity=MALLORY, awsRegion="us-east-1", requestParameters=parameters)


def keys(aws: Aws) -> Any:
    return [each["Status"] for each in aws.call("iam", "list_access_keys", UserName="backdoor")["AccessKeyMetadata"]]


def denied(aws: Aws, user: str) -> bool:
    found = aws.call("iam", "list_attached_user_policies", UserName=user)["AttachedPolicies"]
    return any(each["PolicyName"] == "AWSDenyAll" for each in found)


def test_a_stolen_key_makes_a_user(aws: Aws, tell: Tell) -> None:
    make_the_backdoor(aws)
    with tell(FIELDS, cloud=aws.laptop) as report:
        report.look("Read the event", shows=["iam.amazonaws.com", '"userName":"backdoor"', "AKIALAB"])
        report.look("See what backdoor can use", shows=["AKIA", "Active"], seconds=60)
        report.look("List all changes by this caller", shows=["CreateUser", "CreateAccessKey"])
        report.look("see who assumed it", seconds=60)
        report.contain(
            "Deny backdoor everything", state=lambda: (denied(aws, "backdoor"), keys(aws)), becomes=(True, ["Inactive"])
        )
        report.contain("deny mallory everything", state=lambda: denied(aws, "mallory"), becomes=True, seconds=60)
        report.undo(
            state=lambda: (denied(aws, "backdoor"), keys(aws), denied(aws, "mallory")),
            becomes=(False, ["Active"], False),
            seconds=60,
        )


def test_a_refused_creation_leaves_the_older_user_alone(aws: Aws, tell: Tell) -> None:
    """Mallory may not create `backdoor`, which exists already and does honest work."""
    make_the_backdoor(aws)
    # The alert comes long after the user was made.
    report = tell(FIELDS, cloud=aws.laptop, time_ns=4_000_000_000 * 1_000_000_000)
    report.again("Deny backdoor", shows="nothing changed")
    assert not denied(aws, "backdoor")
    assert keys(aws) == ["Active"]
