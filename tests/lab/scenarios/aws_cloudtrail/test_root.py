"""Root: its logins and its second factor, and the policy of the organization that denies it everything."""

from __future__ import annotations

from typing import Any

from tests.lab.places.aws import ACCOUNT, Aws
from tests.lab.scenarios.aws_cloudtrail.account import SECONDS, alert, read
from tests.lab.story import Tell

ROOT = "Console Root Login Without MFA"
NO_DEVICE = "Deactivate MFA for Root User"
RULES = (ROOT, NO_DEVICE)
TRACED = "What else did this caller do"
LOGIN = ("ConsoleLogin", "signin")


def root_of(account: str) -> dict[str, Any]:
    """Return the identity of an account's root user."""
    return {"type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root", "accountId": account}


def test_root_is_denied(aws: Aws, tell: Tell) -> None:
    aws.call("organizations", "create_organization", FeatureSet="ALL")
    made = aws.call("organizations", "create_account", AccountName="shop", Email="shop@example.com")
    member = made["CreateAccountStatus"]["AccountId"]
    with alert(aws, tell, ROOT, LOGIN, identity=root_of(member), recipientAccountId=member) as report:

        def state() -> list[str]:
            which = {"TargetId": member, "Filter": "SERVICE_CONTROL_POLICY"}
            found = aws.call("organizations", "list_policies_for_target", **which)["Policies"]
            return [each["Name"] for each in found if each["Name"] != "FullAWSAccess"]

        read(aws, report)
        report.look(TRACED, shows="ConsoleLogin", seconds=SECONDS)
        name = f"falco-{report.uid}"
        report.contain("deny everything to root", state=state, becomes=[name], shows=name, seconds=SECONDS)
        report.undo(state=state, becomes=[], seconds=SECONDS)


def test_root_of_the_management_account_is_left_alone(aws: Aws, tell: Tell) -> None:
    aws.call("organizations", "create_organization", FeatureSet="ALL")
    report = alert(aws, tell, ROOT, LOGIN, identity=root_of(ACCOUNT))
    read(aws, report)
    report.again("deny everything to root", shows="no SCP binds the management account", seconds=SECONDS)
    made = aws.call("organizations", "list_policies", Filter="SERVICE_CONTROL_POLICY")["Policies"]
    assert [each["Name"] for each in made] == ["FullAWSAccess"], "a policy that binds nobody was made"


def test_root_takes_its_device_away(aws: Aws, tell: Tell) -> None:
    call = ("DeactivateMFADevice", "iam")
    report = alert(aws, tell, NO_DEVICE, call, identity=root_of(ACCOUNT))
    read(aws, report)
    report.look("Is a device left?", shows="0", seconds=SECONDS)
