"""GCP IAM service account key created: a caller takes a key of an account that may do more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.lab.places.vendors import Vendor
from tests.lab.standin import Request
from tests.lab.story import Tell

RULE = "GCP IAM service account key created"
GOOGLE = ("logging", "iam")

ACCOUNT = "deployer@shop-prod.iam.gserviceaccount.com"
CALLER = "mallory@shop-prod.iam.gserviceaccount.com"
FIELDS = {
    "gcp.user": CALLER,
    "gcp.callerIP": "203.0.113.45",
    "gcp.projectId": "shop-prod",
    "gcp.userAgent": "google-cloud-sdk gcloud/528.0.0",
}


class Project:
    """A project with an older key of the account and the new one, and the log entry of its creation."""

    def __init__(self, google: Vendor) -> None:
        self.disabled = {"0ld": False, "new1": False}
        self.caller: dict[str, Any] = {"email": CALLER, "disabled": False}
        self.entries = [
            {
                "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "insertId": "1",
                "logName": "projects/shop-prod/logs/cloudaudit.googleapis.com%2Factivity",
                "protoPayload": {
                    "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
                    "methodName": "google.iam.admin.v1.CreateServiceAccountKey",
                    "authenticationInfo": {"principalEmail": CALLER},
                    "requestMetadata": {"callerIp": "203.0.113.45", "callerSuppliedUserAgent": "gcloud"},
                    "resourceName": f"projects/-/serviceAccounts/{ACCOUNT}",
                    "response": {"name": f"projects/shop-prod/serviceAccounts/{ACCOUNT}/keys/new1"},
                },
            }
        ]
        account = "/v1/projects/{project}/serviceAccounts/{account}"
        google.service.answers("POST /v2/entries:list", lambda _: {"entries": self.entries})
        google.service.answers(f"GET {account}", lambda _: self.caller)
        google.service.answers(f"POST {account}:disable", self.freeze(to=True))
        google.service.answers(f"POST {account}:enable", self.freeze(to=False))
        google.service.answers(f"GET {account}/keys", self.listed)
        google.service.answers(f"POST {account}/keys/{{key}}:disable", self.set_disabled(to=True))
        google.service.answers(f"POST {account}/keys/{{key}}:enable", self.set_disabled(to=False))

    def listed(self, request: Request) -> Any:
        account = request.parameters["account"]
        prefix = f"projects/shop-prod/serviceAccounts/{account}/keys/"
        return {"keys": [{"name": prefix + key, "disabled": off} for key, off in self.disabled.items()]}

    def freeze(self, *, to: bool) -> Callable[[Request], Any]:
        def change(_: Request) -> Any:
            self.caller["disabled"] = to
            return {}

        return change

    def set_disabled(self, *, to: bool) -> Callable[[Request], Any]:
        def change(request: Request) -> Any:
            self.disabled[request.parameters["key"]] = to
            return {}

        return change


def test_a_key_of_another_account_is_taken(google: Vendor, tell: Tell) -> None:
    project = Project(google)
    with tell(FIELDS, cloud=google.laptop) as report:
        report.look("What did this call", shows=[ACCOUNT, "203.0.113.45", "CreateServiceAccountKey"], seconds=90)
        report.contain(
            "Disable every key",
            state=lambda: dict(project.disabled),
            becomes={"0ld": False, "new1": True},
            shows="True",
            seconds=90,
        )
        report.contain(
            "Disable the service account",
            state=lambda: project.caller["disabled"],
            becomes=True,
            shows="True",
            seconds=90,
        )
        before = {"0ld": False, "new1": False, "caller": False}
        state = lambda: {**project.disabled, "caller": project.caller["disabled"]}  # noqa: E731
        report.undo(state=state, becomes=before, seconds=90)


def test_a_key_that_its_owner_had_disabled_stays_so(google: Vendor, tell: Tell) -> None:
    project = Project(google)
    project.disabled["new1"] = True
    report = tell(FIELDS, cloud=google.laptop)
    report.again("What did this call", shows=ACCOUNT, seconds=90)
    report.again("Disable every key", shows="True", seconds=90)
    report.again("Disable every key", undo=True, seconds=90)
    assert project.disabled == {"0ld": False, "new1": True}


def test_nothing_is_disabled_where_the_log_has_no_such_call(google: Vendor, tell: Tell) -> None:
    project = Project(google)
    project.entries.clear()
    report = tell(FIELDS, cloud=google.laptop)
    report.again("What did this call", hides=ACCOUNT, seconds=90)
    report.again("Disable every key", seconds=90)
    assert not any(project.disabled.values())
