"""Somebody else was quicker: what they did by hand stays, and what they made anew under the name is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.places.aws import Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, earlier, known, leave_event
from tests.lab.scenarios.aws_cloudtrail.test_buckets import FLAGS, PLAIN, make_bucket, setting
from tests.lab.scenarios.aws_cloudtrail.test_bystanders import OPENED, encrypted, remember
from tests.lab.scenarios.aws_cloudtrail.test_failing_looks import (
    FUNCTION,
    LAUNCHED,
    MAKE,
    SERVICE,
    SHARED,
    STOPPED,
    TRAIL,
    Thing,
    looked_at,
)
from tests.lab.scenarios.aws_cloudtrail.test_functions import limit, make_function
from tests.lab.scenarios.aws_cloudtrail.test_groups_and_trails import is_logging
from tests.lab.scenarios.aws_cloudtrail.test_rules_without_entry import CALL, KEYS, keys, make, told
from tests.lab.story import Tell

CLOSED = dict.fromkeys(FLAGS, True)


def opened_bucket(aws: Aws) -> Thing:
    make_bucket(aws)
    block = {**CLOSED, "BlockPublicPolicy": False}
    aws.call("s3", "put_public_access_block", Bucket="invoices", PublicAccessBlockConfiguration=block)
    state = lambda: setting(aws, "get_public_access_block", "PublicAccessBlockConfiguration")  # noqa: E731
    return Thing({"s3.bucket": "invoices"}, state)


def plain_bucket(aws: Aws) -> Thing:
    make_bucket(aws)
    remember(aws, "invoices", "alias/invoices", earlier(9))
    state = lambda: setting(aws, "get_bucket_encryption", "ServerSideEncryptionConfiguration")  # noqa: E731
    return Thing({"s3.bucket": "invoices"}, state)


def stop_instances(aws: Aws) -> None:
    groups = aws.call("ec2", "describe_instances")["Reservations"]
    aws.call("ec2", "stop_instances", InstanceIds=[each["InstanceId"] for one in groups for each in one["Instances"]])


MADE = MAKE | {
    OPENED: ("PutBucketPublicAccessBlock", "s3", "Block all public", opened_bucket),
    PLAIN: ("DeleteBucketEncryption", "s3", "Put back the encryption", plain_bucket),
}
HANDS: dict[str, tuple[str, Callable[[Aws], Any]]] = {
    FUNCTION: (
        "lambda:PutFunctionConcurrency",
        lambda aws: aws.call(
            "lambda", "put_function_concurrency", FunctionName="thumbnails", ReservedConcurrentExecutions=0
        ),
    ),
    LAUNCHED: ("ec2:StopInstances", stop_instances),
    SERVICE: (
        "ecs:UpdateService",
        lambda aws: aws.call("ecs", "update_service", cluster="shop", service="web", desiredCount=0),
    ),
    SHARED: ("s3:PutBucketAcl", lambda aws: aws.call("s3", "put_bucket_acl", Bucket="invoices", ACL="private")),
    TRAIL: ("cloudtrail:StopLogging", lambda aws: aws.call("cloudtrail", "stop_logging", Name="shadow")),
    STOPPED: ("cloudtrail:StartLogging", lambda aws: aws.call("cloudtrail", "start_logging", Name="audit")),
    OPENED: (
        "s3:PutBucketPublicAccessBlock",
        lambda aws: aws.call("s3", "put_public_access_block", Bucket="invoices", PublicAccessBlockConfiguration=CLOSED),
    ),
    PLAIN: (
        "s3:PutEncryptionConfiguration",
        lambda aws: aws.call(
            "s3",
            "put_bucket_encryption",
            Bucket="invoices",
            ServerSideEncryptionConfiguration={"Rules": [encrypted("alias/invoices")]},
        ),
    ),
}
"""By rule, the right without which its step is refused, and how the owner does the same by hand."""
RULES = tuple(HANDS)


@pytest.mark.parametrize("rule", HANDS)
def test_what_the_owner_did_by_hand_is_not_undone(aws: Aws, tell: Tell, rule: str) -> None:
    """The responder was refused and calls the owner, who does it; then somebody pastes the undo, and both once more."""
    thing, title, report = looked_at(aws, tell, rule, MADE[rule])
    right, by_hand = HANDS[rule]
    before = thing.state()
    aws.without(right)
    report.again(title, shows="not authorized", seconds=SECONDS)
    assert thing.state() == before
    by_hand(aws)
    done = thing.state()
    assert done != before
    aws.with_all()
    for undo in (True, False, True):
        report.again(title, undo=undo, seconds=SECONDS)
        assert thing.state() == done, "what the owner had done was undone"


def test_keys_that_the_owner_deactivated_stay_so(aws: Aws, tell: Tell) -> None:
    make(aws, "Active")
    aws.record(CALL[0], f"{CALL[1]}.amazonaws.com", identity=known(aws, MALLORY))
    report = told(aws, tell)
    aws.without("iam:UpdateAccessKey")
    report.again(KEYS, shows="not authorized", seconds=SECONDS)
    (key,) = keys(aws)
    aws.call("iam", "update_access_key", UserName="mallory", AccessKeyId=key, Status="Inactive")
    aws.with_all()
    for undo in (True, False, True):
        report.again(KEYS, undo=undo, seconds=SECONDS)
        assert keys(aws) == {key: "Inactive"}, "a stolen key works again"


def test_a_function_of_the_name_is_made_since(aws: Aws, tell: Tell) -> None:
    """The intruder's is deleted, and the shop deploys its own under the name."""
    make_function(aws)
    response = {"functionName": "thumbnails"}
    call = ("CreateFunction20150331", "lambda")
    report = alert(aws, tell, FUNCTION, call, {"ct.request.functionname": "thumbnails"}, responseElements=response)
    leave_event(aws, report)
    aws.call("lambda", "delete_function", FunctionName="thumbnails")
    aws.call("iam", "delete_role", RoleName="strongthumbnails")
    make_function(aws)
    # Neither another function nor a refused call makes it another one.
    for more in ({"responseElements": {"functionName": "resize"}}, {"errorCode": "ResourceConflictException"}):
        aws.record(call[0], "lambda.amazonaws.com", identity=MALLORY, **more)
    report.again("Keep code and settings", hides="made again since", seconds=SECONDS)
    assert limit(aws) == 0
    report.again("Keep code and settings", undo=True, seconds=SECONDS)
    assert limit(aws) is None
    aws.record(call[0], "lambda.amazonaws.com", identity=MALLORY, responseElements=response)
    report.again("Keep code and settings", shows="made again since?", seconds=SECONDS)
    assert limit(aws) is None, "the shop's function was stopped"


@pytest.mark.parametrize("rule", [TRAIL, STOPPED])
def test_a_trail_of_the_name_is_made_since(aws: Aws, tell: Tell, rule: str) -> None:
    """The logging team has deleted it and made its own; what it has set that to is its own affair."""
    call, named, title, make_thing = MAKE[rule]
    thing = make_thing(aws)
    before = thing.state()
    name = thing.fields["ct.request.name"]
    about = {"responseElements": thing.answer, "eventTime": earlier(3)}
    report = alert(aws, tell, rule, (call, named), thing.fields, **about)
    leave_event(aws, report)
    arn = aws.call("cloudtrail", "describe_trails", trailNameList=[name])["trailList"][0]["TrailARN"]
    response = {"name": name, "trailARN": arn}
    aws.record("CreateTrail", "cloudtrail.amazonaws.com", identity=MALLORY, responseElements=response)
    report.again(title, shows="made again since?", seconds=SECONDS)
    assert is_logging(aws, name) == before


def test_a_service_of_the_name_is_made_since(aws: Aws, tell: Tell) -> None:
    """ECS has one ARN for both: that of five minutes ago was deleted, and the shop's is of now."""
    call, named, title, make_thing = MAKE[SERVICE]
    thing = make_thing(aws)
    about = {"responseElements": thing.answer, "eventTime": earlier(5)}
    report = alert(aws, tell, SERVICE, (call, named), thing.fields, **about)
    leave_event(aws, report)
    report.again(title, shows="made since", seconds=SECONDS)
    assert thing.state() == 3, "the shop's service was scaled to nothing"
