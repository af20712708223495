"""Who and what stands beside an alert: other callers of that second, namesakes, and what an owner has set meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import FIRST, MALLORY, SECONDS, alert, earlier, known, leave_event
from tests.lab.scenarios.aws_cloudtrail.test_buckets import ALL_USERS, FLAGS, KMS, PLAIN, PUBLIC, make_bucket, setting
from tests.lab.scenarios.aws_cloudtrail.test_callers import DENIED, LISTED, ROLE
from tests.lab.scenarios.aws_cloudtrail.test_console_logins import LOGIN, NO_MFA
from tests.lab.scenarios.aws_cloudtrail.test_create_aws_user import RULE as MADE_USER
from tests.lab.scenarios.aws_cloudtrail.test_failing_looks import (
    FUNCTION,
    GRANTED,
    LAUNCHED,
    MAKE,
    SHARED,
    STOPPED,
    TASK,
    policy_of,
)
from tests.lab.scenarios.aws_cloudtrail.test_functions import limit
from tests.lab.scenarios.aws_cloudtrail.test_groups_and_trails import is_logging
from tests.lab.scenarios.aws_cloudtrail.test_rules_without_entry import CALL, KEYS, keys, make, told
from tests.lab.story import Tell

OPENED = "Delete Bucket Public Access Block"
RULES = (LISTED, NO_MFA, MADE_USER, FUNCTION, GRANTED, LAUNCHED, SHARED, STOPPED, TASK, OPENED, PLAIN)
BUCKET = {"s3.bucket": "invoices"}


def named(aws: Aws, user: str) -> dict[str, Any]:
    """Make a user and return its identity."""
    aws.call("iam", "create_user", UserName=user)
    return known(aws, {**MALLORY, "userName": user, "arn": f"arn:aws:iam::{ACCOUNT}:user/{user}"})


def policies(aws: Aws, *users: str) -> list[int]:
    """Return how many policies each user has."""
    return [len(aws.call("iam", "list_user_policies", UserName=user)["PolicyNames"]) for user in users]


def test_two_callers_behind_one_address(aws: Aws, tell: Tell) -> None:
    """The office has one address, and alice makes the same call in mallory's second."""
    alice, _ = named(aws, "alice"), named(aws, "mallory")
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"))
    aws.record("ListBuckets", "s3.amazonaws.com", identity=alice, eventTime=aws.events[-1]["eventTime"])
    report.again(FIRST, shows="mallory", hides="alice", seconds=SECONDS)
    report.again(DENIED, shows=f"falco-{report.uid}", seconds=SECONDS)
    assert policies(aws, "alice", "mallory") == [0, 1]


def test_nobody_is_chosen_of_two(aws: Aws, tell: Tell) -> None:
    """The alert does not say whose call it was: the reader's own rule prints no user."""
    alice, _ = named(aws, "alice"), named(aws, "mallory")
    report = alert(aws, tell, LISTED, ("ListBuckets", "s3"), {"ct.user": None})
    aws.record("ListBuckets", "s3.amazonaws.com", identity=alice, eventTime=aws.events[-1]["eventTime"])
    report.again(FIRST, hides=["mallory", "alice"], seconds=SECONDS)
    report.again(DENIED, shows="unknown", seconds=SECONDS)
    assert policies(aws, "alice", "mallory") == [0, 0]


def test_passwords_are_tried_on_several_users(aws: Aws, tell: Tell) -> None:
    """One program tries alice's and mallory's password in one second, and mallory's fits."""
    alice, _ = named(aws, "alice"), named(aws, "mallory")
    report = alert(aws, tell, NO_MFA, LOGIN, responseElements={"ConsoleLogin": "Success"})
    failed = {"eventTime": aws.events[-1]["eventTime"], "responseElements": {"ConsoleLogin": "Failure"}}
    aws.record("ConsoleLogin", "signin.amazonaws.com", identity=alice, **failed)
    report.again("Read this login", shows=["alice", "Failure"], seconds=SECONDS)
    report.again(DENIED, shows=f"falco-{report.uid}", seconds=SECONDS)
    assert policies(aws, "alice", "mallory") == [0, 1], "the victim of a guess was denied, and not who got in"


def test_a_program_launches_twice_in_a_second(aws: Aws, tell: Tell) -> None:
    """Each launch has an alert of its own, and each report stops its own instances."""
    answers = [
        {"reservationId": f"r-{each}", "instancesSet": {"items": [{"instanceId": f"i-{each}"}]}} for each in (1, 2)
    ]
    report = alert(
        aws,
        tell,
        LAUNCHED,
        ("RunInstances", "ec2"),
        {"ct.response.reservationid": "r-1"},
        responseElements=answers[0],
    )
    one = aws.events[-1]
    again = {"eventTime": one["eventTime"], "responseElements": answers[1]}
    aws.record("RunInstances", "ec2.amazonaws.com", identity=one["userIdentity"], **again)
    report.again(FIRST, shows=one["eventID"], seconds=SECONDS)


def test_who_tried_before_is_not_who_made_it(aws: Aws, tell: Tell) -> None:
    """Alice was refused the same name some minutes earlier, as she may not make users."""
    alice, _ = named(aws, "alice"), named(aws, "mallory")
    asked = {"requestParameters": {"userName": "backdoor"}}
    refused = {"eventTime": earlier(3), "errorCode": "AccessDenied"}
    aws.record("CreateUser", "iam.amazonaws.com", identity=alice, **asked, **refused)
    report = alert(aws, tell, MADE_USER, ("CreateUser", "iam"), {"ct.request.username": "backdoor"}, **asked)
    report.again(FIRST, shows="mallory", hides="alice", seconds=SECONDS)
    report.again(DENIED, shows=f"falco-{report.uid}", seconds=SECONDS)
    assert policies(aws, "alice", "mallory") == [0, 1]


def test_a_user_of_the_name_is_made_later(aws: Aws, tell: Tell) -> None:
    """The intruder's user was deleted, and somebody new has its name and a key."""
    make(aws, "Active")
    aws.record(CALL[0], f"{CALL[1]}.amazonaws.com", identity={**MALLORY, "another": True})
    report = told(aws, tell)
    report.again(KEYS, shows="another user of this name", seconds=SECONDS)
    assert set(keys(aws).values()) == {"Active"}


def test_a_session_of_the_name_after_an_honest_call(aws: Aws, tell: Tell) -> None:
    """Mallory worked five minutes ago; what raised the alert is a role's session that calls itself mallory."""
    make(aws, "Active")
    call = f"{CALL[1]}.amazonaws.com"
    aws.record(CALL[0], call, identity=known(aws, MALLORY), eventTime=earlier(2))
    session = {**ROLE, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/mallory", "principalId": "AROALAB:mallory"}
    aws.record(CALL[0], call, identity=session)
    report = told(aws, tell)
    report.again(KEYS, shows="no user's event", seconds=SECONDS)
    assert set(keys(aws).values()) == {"Active"}


def test_the_owner_has_stopped_the_function(aws: Aws, tell: Tell) -> None:
    """The undo is pasted though the step never ran: the owner's own stop stays."""
    thing = MAKE[FUNCTION][3](aws)
    aws.call("lambda", "put_function_concurrency", FunctionName="thumbnails", ReservedConcurrentExecutions=0)
    report = alert(aws, tell, FUNCTION, ("CreateFunction20150331", "lambda"), thing.fields)
    leave_event(aws, report)
    report.again("Keep code and settings", undo=True, shows="nothing was changed", seconds=SECONDS)
    assert limit(aws) == 0, "a function that its owner had stopped runs again"


def test_the_record_is_of_the_first_run(aws: Aws, tell: Tell) -> None:
    """The intruder clears the function's settings after it was stopped; the evidence is what it was."""
    thing = MAKE[FUNCTION][3](aws)
    report = alert(aws, tell, FUNCTION, ("CreateFunction20150331", "lambda"), thing.fields)
    leave_event(aws, report)
    report.again("Keep code and settings", shows="app.handler", seconds=SECONDS)
    aws.call("lambda", "update_function_configuration", FunctionName="thumbnails", Handler="innocent.handler")
    report.again("Keep code and settings", seconds=SECONDS)
    assert limit(aws) == 0
    kept = json.loads(aws.laptop.files()[f"evidence/{report.uid}/function.json"])
    assert kept["Configuration"]["Handler"] == "app.handler"


def test_the_record_of_a_task_is_of_while_it_ran(aws: Aws, tell: Tell) -> None:
    """ECS forgets a stopped task; a second run an hour later must not write that over the record."""
    call, named_, title, make_thing = MAKE[TASK]
    thing = make_thing(aws)
    report = alert(aws, tell, TASK, (call, named_), thing.fields, responseElements=thing.answer)
    leave_event(aws, report)
    for _ in range(2):
        report.again(title, seconds=SECONDS)
    assert thing.state() == "STOPPED"
    (record,) = (
        json.loads(content) for name, content in aws.laptop.files().items() if "taskArn" in content.decode() and
        name.endswith(".json") and "event" not in name
    )  # fmt: skip
    assert record["tasks"][0]["desiredStatus"] != "STOPPED", "the record of the running task was written over"


def test_the_owner_has_closed_the_bucket(aws: Aws, tell: Tell) -> None:
    """The undo is pasted though the step never ran: the owner's own block stays."""
    make_bucket(aws)
    closed = dict.fromkeys(FLAGS, True)
    aws.call("s3", "put_public_access_block", Bucket="invoices", PublicAccessBlockConfiguration=closed)
    report = alert(aws, tell, OPENED, ("PutBucketPublicAccessBlock", "s3"), BUCKET)
    report.again("Block all public", undo=True, shows="nothing was changed", seconds=SECONDS)
    assert setting(aws, "get_public_access_block", "PublicAccessBlockConfiguration") == closed


def test_the_acl_is_changed_between_look_and_step(aws: Aws, tell: Tell) -> None:
    """The owner takes the Internet's grant away and gives one of their own; the undo brings back theirs."""
    make_bucket(aws)
    aws.call("s3", "put_bucket_acl", Bucket="invoices", ACL="public-read")
    report = alert(aws, tell, SHARED, ("PutBucketAcl", "s3"), BUCKET)
    report.again("Who may enter the bucket now?", shows=ALL_USERS, seconds=SECONDS)
    aws.call("s3", "put_bucket_acl", Bucket="invoices", ACL="authenticated-read")
    before = setting(aws, "get_bucket_acl", "Grants")
    report.again("set the ACL to private", seconds=SECONDS)
    assert len(setting(aws, "get_bucket_acl", "Grants")) == 1
    report.again("set the ACL to private", undo=True, seconds=SECONDS)
    assert setting(aws, "get_bucket_acl", "Grants") == before, "the Internet was let in again"


def test_the_owner_removes_the_only_statement(aws: Aws, tell: Tell) -> None:
    """What is left is the step's own Deny; without it there is no policy, and S3 takes none without a statement."""
    make_bucket(aws)
    aws.call("s3", "put_bucket_policy", Bucket="invoices", Policy=json.dumps(PUBLIC))
    report = alert(aws, tell, GRANTED, ("PutBucketPolicy", "s3"), BUCKET)
    report.again("add a Deny", shows="aws:PrincipalAccount", seconds=SECONDS)
    left = json.loads(policy_of(aws))
    left["Statement"] = [each for each in left["Statement"] if each["Effect"] == "Deny"]
    aws.call("s3", "put_bucket_policy", Bucket="invoices", Policy=json.dumps(left))
    report.again("add a Deny", undo=True, seconds=SECONDS)
    assert policy_of(aws) == "NoSuchBucketPolicy", "everybody outside stays shut out"


def encrypted(key: str) -> dict[str, Any]:
    return {"ApplyServerSideEncryptionByDefault": {**KMS, "KMSMasterKeyID": key}, "BucketKeyEnabled": True}


def remember(aws: Aws, bucket: str, key: str, when: str) -> None:
    """Let the trail have that somebody gave a bucket a key."""
    asked = {"bucketName": bucket, "ServerSideEncryptionConfiguration": {"Rule": encrypted(key)}}
    aws.record("PutBucketEncryption", "s3.amazonaws.com", identity=MALLORY, requestParameters=asked, eventTime=when)


@pytest.mark.parametrize("later", [False, True], ids=["another bucket", "set since"])
def test_the_key_is_the_buckets_own(aws: Aws, tell: Tell, *, later: bool) -> None:
    """Another bucket got another key last; and a key that the owner has set since is not written over."""
    make_bucket(aws)
    remember(aws, "invoices", "alias/invoices", earlier(9))
    remember(aws, "wages", "alias/wages", earlier(4))
    report = alert(aws, tell, PLAIN, ("DeleteBucketEncryption", "s3"), BUCKET)
    if later:
        new = {"Rules": [encrypted("alias/new")]}
        aws.call("s3", "put_bucket_encryption", Bucket="invoices", ServerSideEncryptionConfiguration=new)
    report.again("Put back the encryption", shows="alias/new" if later else "alias/invoices", seconds=SECONDS)
    state = str(setting(aws, "get_bucket_encryption", "ServerSideEncryptionConfiguration"))
    assert ("alias/new" if later else "alias/invoices") in state


def test_what_the_trail_has_since_is_not_what_was_before(aws: Aws, tell: Tell) -> None:
    """The intruder tried a key of their own on the bucket after the deletion, and took it away again."""
    make_bucket(aws)
    remember(aws, "invoices", "alias/invoices", earlier(9))
    report = alert(aws, tell, PLAIN, ("DeleteBucketEncryption", "s3"), BUCKET, eventTime=earlier(5))
    remember(aws, "invoices", "alias/intruder", earlier(3))
    report.again("Put back the encryption", shows="alias/invoices", hides="alias/intruder", seconds=SECONDS)


def test_a_trail_of_the_name_in_another_account(aws: Aws, tell: Tell) -> None:
    """Staging has stopped its own trail of the name on purpose; the responder's profile is of staging."""
    call, named_, title, make_thing = MAKE[STOPPED]
    thing = make_thing(aws)
    report = alert(aws, tell, STOPPED, (call, named_), thing.fields, recipientAccountId="210987654321")
    leave_event(aws, report)
    report.again(title, shows="another account's event", seconds=SECONDS)
    assert not thing.state()


def test_a_trail_is_stopped_again_where_the_client_prints_text(aws: Aws, tell: Tell) -> None:
    """The undo reads what the step has kept, whatever form the responder's client prints by default."""
    aws.laptop.environment["AWS_DEFAULT_OUTPUT"] = "text"
    call, named_, title, make_thing = MAKE[STOPPED]
    thing = make_thing(aws)
    report = alert(aws, tell, STOPPED, (call, named_), thing.fields)
    leave_event(aws, report)
    report.again(title, seconds=SECONDS)
    assert is_logging(aws, "audit")
    report.again(title, undo=True, seconds=SECONDS)
    assert not is_logging(aws, "audit")
