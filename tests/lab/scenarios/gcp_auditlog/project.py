"""A project of Google Cloud: the audit log with the alert's call, the account that called, and policies with state."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.lab.places.vendors import Vendor
from tests.lab.standin import Reply, Request
from tests.lab.story import Story

CALLER = "mallory@shop-prod.iam.gserviceaccount.com"
PERSON = "mallory@example.com"
FIELDS = {
    "gcp.user": CALLER,
    "gcp.callerIP": "203.0.113.45",
    "gcp.projectId": "shop-prod",
    "gcp.userAgent": "google-cloud-sdk gcloud/528.0.0",
}
EVE = {"action": "ADD", "role": "roles/owner", "member": "user:eve@evil.example"}
DELTA = {"serviceData": {"policyDelta": {"bindingDeltas": [EVE]}}}
SECONDS = 900.0
MISSING = Reply({"error": {"code": 404, "message": "it is not found", "status": "NOT_FOUND"}}, 404)


class Project:
    """The project. ``resource`` is what the call was about; ``payload`` is more of its log entry."""

    def __init__(self, google: Vendor, method: str, resource: str, **payload: Any) -> None:
        self.google = google
        self.caller: dict[str, Any] = {"email": CALLER, "disabled": False}
        self.entries = [entry(method, resource, payload)]
        account = "/v1/projects/{p}/serviceAccounts/mallory@shop-prod.iam.gserviceaccount.com"
        self.on("POST /v2/entries:list", lambda _: {"entries": self.entries})
        self.on(f"GET {account}", lambda _: self.caller)
        self.on(f"POST {account}:disable", lambda _: self.disable(to=True))
        self.on(f"POST {account}:enable", lambda _: self.disable(to=False))

    def on(self, route: str, answer: Callable[[Request], Any]) -> None:
        """Answer a route."""
        self.google.service.answers(route, answer)

    def disable(self, *, to: bool) -> dict[str, Any]:
        """Disable or enable the account that called."""
        self.caller["disabled"] = to
        return {}

    def read(self, report: Story, *shows: str) -> None:
        """Run the first step, which reads the call from the log."""
        report.look(
            "What did this call", shows=[self.entries[0]["protoPayload"]["methodName"], *shows], seconds=SECONDS
        )

    def freeze(self, report: Story) -> None:
        """Run the step that disables the account that called."""
        state = lambda: self.caller["disabled"]  # noqa: E731
        report.contain("Disable the service account that", state=state, becomes=True, shows="True", seconds=SECONDS)


class Policy:
    """An IAM policy under some routes: ``/iam`` of storage, or ``:getIamPolicy`` and ``:setIamPolicy``."""

    def __init__(self, *bindings: tuple[str, str]) -> None:
        self.document: dict[str, Any] = {"etag": "abc=", "version": 1, "bindings": []}
        for role, member in bindings:
            self.document["bindings"].append({"role": role, "members": [member]})

    @property
    def grants(self) -> set[tuple[str, str]]:
        """Role and member of each grant."""
        return {(each["role"], member) for each in self.document["bindings"] for member in each["members"]}

    def get(self, _: Request) -> Any:
        """Answer with a copy of the policy."""
        return deepcopy(self.document)

    def put(self, request: Request) -> Any:
        """Replace the policy."""
        asked = request.json()
        self.document["bindings"] = asked.get("policy", asked).get("bindings", [])
        return self.get(request)


def entry(method: str, resource: str, payload: dict[str, Any]) -> dict[str, Any]:
    """An entry of the audit log, of this minute."""
    user = payload.pop("user", CALLER)
    about = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "methodName": method,
        "authenticationInfo": {"principalEmail": user},
        "requestMetadata": {"callerIp": "203.0.113.45"},
        "resourceName": resource,
    }
    return {
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "insertId": "1",
        "logName": "projects/shop-prod/logs/cloudaudit.googleapis.com%2Factivity",
        "resource": {"type": "gcs_bucket", "labels": {"bucket_name": "invoices"}},
        "protoPayload": {**about, **payload},
    }
