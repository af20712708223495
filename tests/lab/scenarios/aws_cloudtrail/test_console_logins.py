"""A console login without a second factor, after guesses; and an event that is found by its id."""

from __future__ import annotations

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY, SECONDS, alert, earlier, known
from tests.lab.story import Tell

NO_MFA = "Console Login Without MFA"
EVERY = "All Cloudtrail Events"
RULES = (NO_MFA, EVERY)
LOGIN = ("ConsoleLogin", "signin")


def test_a_password_is_guessed(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    failed = {"responseElements": {"ConsoleLogin": "Failure"}, "eventTime": earlier()}
    aws.record("ConsoleLogin", "signin.amazonaws.com", identity=MALLORY, **failed)
    with alert(aws, tell, NO_MFA, LOGIN, responseElements={"ConsoleLogin": "Success"}) as report:
        kept = lambda _: aws.laptop.files().get(f"evidence/{report.uid}/logins.json")  # noqa: E731
        report.keep("Read this login", keeps=kept, shows=["mallory", "Failure", "Success"], seconds=SECONDS)
        report.look("What did this user do", shows="ConsoleLogin", seconds=SECONDS)
        state = lambda: aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"]  # noqa: E731
        name = f"falco-{report.uid}"
        report.contain("Deny everything to the caller", state=state, becomes=[name], shows=name, seconds=SECONDS)
        report.undo(state=state, becomes=[], seconds=SECONDS)
        aws.call("iam", "delete_user", UserName="mallory")
        report.again("Deny everything to the caller", shows="NoSuchEntity", seconds=SECONDS)


def test_a_login_that_the_trail_has_late(aws: Aws, tell: Tell) -> None:
    """What the first run found is not taken for all: the alert's own login came to the history afterwards."""
    aws.call("iam", "create_user", UserName="mallory")
    failed = {"responseElements": {"ConsoleLogin": "Failure"}, "eventTime": earlier()}
    aws.record("ConsoleLogin", "signin.amazonaws.com", identity=known(aws, MALLORY), **failed)
    report = alert(aws, tell, NO_MFA, LOGIN, responseElements={"ConsoleLogin": "Success"})
    late = aws.events.pop()
    report.again("Read this login", shows="Failure", hides="Success", seconds=SECONDS)
    report.again("Deny everything to the caller", shows="unknown", seconds=SECONDS)
    aws.events.append(late)
    report.again("Read this login", shows=["Failure", "Success"], seconds=SECONDS)
    report.again("Deny everything to the caller", shows=f"falco-{report.uid}", seconds=SECONDS)


def test_a_namesake_in_the_responders_account_is_left_alone(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    report = alert(aws, tell, NO_MFA, LOGIN, identity={**MALLORY, "another": True})
    report.again("Read this login", shows="mallory", seconds=SECONDS)
    report.again("Deny everything to the caller", shows="not held", seconds=SECONDS)
    assert aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"] == []


def test_the_responder_is_not_denied(aws: Aws, tell: Tell) -> None:
    """The alert is about the responder's own login."""
    aws.begin("contain")
    me = {**MALLORY, "userName": "responder", "arn": f"arn:aws:iam::{ACCOUNT}:user/responder"}
    report = alert(aws, tell, NO_MFA, LOGIN, {"ct.user": "responder"}, identity=me)
    report.again("Read this login", shows="responder", seconds=SECONDS)
    report.again("Deny everything to the caller", shows="this is you", seconds=SECONDS)


def test_an_event_is_found_by_its_id(aws: Aws, tell: Tell) -> None:
    aws.call("iam", "create_user", UserName="mallory")
    event = aws.record("CreateVpc", "ec2.amazonaws.com", identity=known(aws, MALLORY), awsRegion="us-east-1")
    aws.record("DeleteVpc", "ec2.amazonaws.com", identity=MALLORY)
    report = tell({"ct.id": event["eventID"], "ct.region": "us-east-1"}, rule=EVERY, cloud=aws.laptop)
    report.look("Which event was it?", shows=["CreateVpc", "mallory"], hides="DeleteVpc", seconds=SECONDS)
    state = lambda: aws.call("iam", "list_user_policies", UserName="mallory")["PolicyNames"]  # noqa: E731
    report.contain("Deny everything to the caller", state=state, becomes=[f"falco-{report.uid}"], seconds=SECONDS)
    report.undo(state=state, becomes=[], seconds=SECONDS)
