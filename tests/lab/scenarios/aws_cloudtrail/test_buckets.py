"""Buckets: who may enter them, and with which key they are encrypted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.places.aws import Aws
from tests.lab.scenarios.aws_cloudtrail.account import SECONDS, alert, earlier, read
from tests.lab.story import Story, Tell

OPENED = "Delete Bucket Public Access Block"
SHARED = "Put Bucket ACL"
GRANTED = "Put Bucket Policy"
PLAIN = "Delete Bucket Encryption"
RULES = (OPENED, SHARED, GRANTED, PLAIN)
FIELDS = {"s3.bucket": "invoices"}
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
KMS = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/invoices"}
PUBLIC = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::invoices/*",
    },
}


def make_bucket(aws: Aws) -> None:
    """Make the bucket. The responder's client prints text unless it is asked for JSON."""
    aws.laptop.environment["AWS_DEFAULT_OUTPUT"] = "text"
    where = {"LocationConstraint": "eu-central-1"}
    aws.call("s3", "create_bucket", Bucket="invoices", CreateBucketConfiguration=where)


def setting(aws: Aws, operation: str, member: str) -> Any:
    """Return a setting of the bucket, or the error's code."""
    try:
        return aws.call("s3", operation, Bucket="invoices")[member]
    except ClientError as error:
        return error.response["Error"]["Code"]


def may_enter(report: Story, *shows: str) -> None:
    report.look("Who may enter the bucket now?", shows=shows, seconds=SECONDS)


@pytest.mark.parametrize("kept", [None, dict.fromkeys(FLAGS, False)], ids=["deleted", "all off"])
def test_the_block_is_taken_away(aws: Aws, tell: Tell, kept: dict[str, bool] | None) -> None:
    make_bucket(aws)
    if kept:
        aws.call("s3", "put_public_access_block", Bucket="invoices", PublicAccessBlockConfiguration=kept)
    report = alert(aws, tell, OPENED, ("PutBucketPublicAccessBlock", "s3"), FIELDS)
    state = lambda: setting(aws, "get_public_access_block", "PublicAccessBlockConfiguration")  # noqa: E731
    before = state()
    read(aws, report)
    may_enter(report, "FULL_CONTROL", *(["BlockPublicAcls"] if kept else []))
    report.contain("Block all public", state=state, becomes=dict.fromkeys(FLAGS, True), shows="rue", seconds=SECONDS)
    report.undo(state=state, becomes=before, seconds=SECONDS)
    since = {**dict.fromkeys(FLAGS, True), "BlockPublicAcls": False}
    aws.call("s3", "put_public_access_block", Bucket="invoices", PublicAccessBlockConfiguration=since)
    report.again("Block all public", undo=True, shows="changed since", seconds=SECONDS)
    assert state() == since, "what somebody set since was changed"

    aws.call("s3", "delete_bucket", Bucket="invoices")
    report.again("Block all public", shows="NoSuchBucket", seconds=SECONDS)
    report.again("Who may enter", shows="NoSuchBucket", seconds=SECONDS)


def test_everybody_is_granted_to_read(aws: Aws, tell: Tell) -> None:
    make_bucket(aws)
    aws.call("s3", "put_bucket_acl", Bucket="invoices", ACL="public-read")
    report = alert(aws, tell, SHARED, ("PutBucketAcl", "s3"), FIELDS)
    state = lambda: sorted(each["Permission"] for each in setting(aws, "get_bucket_acl", "Grants"))  # noqa: E731
    read(aws, report)
    may_enter(report, ALL_USERS)
    report.contain(
        "set the ACL to private", state=state, becomes=["FULL_CONTROL"], shows="FULL_CONTROL", seconds=SECONDS
    )
    report.undo(state=state, becomes=["FULL_CONTROL", "READ"], seconds=SECONDS)
    aws.call("s3", "put_bucket_acl", Bucket="invoices", ACL="authenticated-read")
    report.again("set the ACL to private", undo=True, shows="changed since", seconds=SECONDS)
    assert "AuthenticatedUsers" in str(setting(aws, "get_bucket_acl", "Grants")), "a grant made since was changed"

    aws.call("s3", "delete_bucket", Bucket="invoices")
    report.again("set the ACL to private", shows="NoSuchBucket", seconds=SECONDS)


def test_everybody_is_let_in_by_policy(aws: Aws, tell: Tell) -> None:
    make_bucket(aws)
    aws.call("s3", "put_bucket_policy", Bucket="invoices", Policy=json.dumps(PUBLIC))
    report = alert(aws, tell, GRANTED, ("PutBucketPolicy", "s3"), FIELDS)

    def state() -> Any:
        statements = json.loads(setting(aws, "get_bucket_policy", "Policy"))["Statement"]
        return [each["Effect"] for each in ([statements] if isinstance(statements, dict) else statements)]

    read(aws, report)
    may_enter(report, '"Principal": "*"')
    report.contain("add a Deny", state=state, becomes=["Allow", "Deny"], shows="aws:PrincipalAccount", seconds=SECONDS)
    added = json.loads(setting(aws, "get_bucket_policy", "Policy"))["Statement"][1]
    assert added["Resource"] == ["arn:aws:s3:::invoices", "arn:aws:s3:::invoices/*"]
    assert added["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": "123456789012"}
    report.undo(state=state, becomes=["Allow"], seconds=SECONDS)
    assert json.loads(setting(aws, "get_bucket_policy", "Policy"))["Statement"] == [PUBLIC["Statement"]]

    # A statement that somebody adds between the look, the step and its undo stays.
    own = {**PUBLIC["Statement"], "Effect": "Deny", "Action": "s3:DeleteObject"}  # type: ignore[dict-item]
    since = {**PUBLIC, "Statement": [PUBLIC["Statement"], own]}
    aws.call("s3", "put_bucket_policy", Bucket="invoices", Policy=json.dumps(since))
    report.again("add a Deny", shows=["s3:DeleteObject", "aws:PrincipalAccount"], seconds=SECONDS)
    report.again("add a Deny", undo=True, seconds=SECONDS)
    assert json.loads(setting(aws, "get_bucket_policy", "Policy")) == since

    aws.call("s3", "delete_bucket_policy", Bucket="invoices")
    aws.call("s3", "delete_bucket", Bucket="invoices")
    report.again("add a Deny", shows="NoSuchBucket", seconds=SECONDS)


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "set long ago"])
def test_encryption_is_reset(aws: Aws, tell: Tell, *, is_known: bool) -> None:
    make_bucket(aws)
    rule = {"ApplyServerSideEncryptionByDefault": KMS, "BucketKeyEnabled": True}
    asked = {"bucketName": "invoices", "ServerSideEncryptionConfiguration": {"Rule": rule}}
    if is_known:
        who = {"type": "IAMUser", "userName": "bob", "arn": "arn:aws:iam::123456789012:user/bob"}
        about = {"identity": who, "requestParameters": asked}
        aws.record("PutBucketEncryption", "s3.amazonaws.com", eventTime=earlier(9), **about)
        # A refused attempt since, with a key of the intruder's, is nothing that the bucket ever had.
        theirs = {"ApplyServerSideEncryptionByDefault": {**KMS, "KMSMasterKeyID": "alias/intruder"}}
        refused = {**asked, "ServerSideEncryptionConfiguration": {"Rule": theirs}}
        more = about | {"requestParameters": refused, "errorCode": "AccessDenied"}
        aws.record("PutBucketEncryption", "s3.amazonaws.com", eventTime=earlier(5), **more)
    report = alert(aws, tell, PLAIN, ("DeleteBucketEncryption", "s3"), FIELDS)
    state = lambda: setting(aws, "get_bucket_encryption", "ServerSideEncryptionConfiguration")  # noqa: E731
    before = state()
    read(aws, report)
    if not is_known:
        report.again("Put back the encryption", shows="more than 90 days ago", seconds=SECONDS)
        report.again("Put back the encryption", undo=True, shows="nothing was put back", seconds=SECONDS)
        assert state() == before
        return
    report.contain(
        "Put back the encryption", state=state, becomes={"Rules": [rule]}, shows="alias/invoices", seconds=SECONDS
    )
    report.undo(state=state, becomes=before, seconds=SECONDS)
    since = {"Rules": [{"ApplyServerSideEncryptionByDefault": {**KMS, "KMSMasterKeyID": "alias/new"}}]}
    aws.call("s3", "put_bucket_encryption", Bucket="invoices", ServerSideEncryptionConfiguration=since)
    report.again("Put back the encryption", undo=True, shows="changed since", seconds=SECONDS)
    assert "alias/new" in str(state()), "a key that somebody set since was taken away"

    aws.call("s3", "delete_bucket", Bucket="invoices")
    report.again("Put back the encryption", shows="NoSuchBucket", seconds=SECONDS)
