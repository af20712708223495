"""A rule of the reader's own about Google Cloud: what was called, what the principal did, and an end to both."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import CALLER, DELTA, FIELDS, SECONDS, Project, entry
from tests.lab.standin import Request
from tests.lab.story import Tell

RULE = "A rule of the reader's own"
GOOGLE = ("logging", "iam")
METHOD = "google.iam.v1.IAMPolicy.SetIamPolicy"
TRAIL = "What else did this principal do, until now?"
KEY = "//iam.googleapis.com/projects/shop-prod/serviceAccounts/mallory/keys/1"


def test_a_call_is_read_and_its_account_disabled(google: Vendor, tell: Tell) -> None:
    project = Project(google, METHOD, "projects/shop-prod", **DELTA)
    project.entries.append(entry("google.iam.admin.v1.CreateServiceAccountKey", "projects/shop-prod/x", {}))
    more = {"gcp.methodName": METHOD}
    with tell(FIELDS | more, rule=RULE, source="gcp_auditlog", cloud=google.laptop) as report:
        project.read(report, "eve@evil.example", "CreateServiceAccountKey", "projects/shop-prod")
        project.freeze(report)
        report.undo(state=lambda: project.caller["disabled"], becomes=False, seconds=SECONDS)


def newest_first(project: Project, asked: list[Request]) -> Any:
    """Answer ``entries:list`` in the order and number that are asked for."""

    def answer(request: Request) -> Any:
        asked.append(request)
        document = request.json()
        found = sorted(
            project.entries, key=lambda each: str(each["timestamp"]), reverse="desc" in document.get("orderBy", "")
        )
        return {"entries": found[: document.get("pageSize", 1000)]}

    return answer


def test_a_call_without_a_method(google: Vendor, tell: Tell) -> None:
    """A busy account's newest calls are those that matter, and come last."""
    project = Project(google, METHOD, "projects/shop-prod", authenticationInfo={"principalEmail": CALLER})
    project.entries[0]["protoPayload"]["authenticationInfo"]["serviceAccountKeyName"] = KEY
    old = entry("storage.objects.get", "projects/_/buckets/x", {})
    project.entries += [{**old, "timestamp": "2026-01-01T00:00:00Z", "insertId": str(one)} for one in range(1200)]
    asked: list[Request] = []
    project.on("POST /v2/entries:list", newest_first(project, asked))
    report = tell(FIELDS, rule=RULE, source="gcp_auditlog", cloud=google.laptop)
    answer = report.look(TRAIL, shows=[METHOD, "203.0.113.45", KEY, "projects/shop-prod"], seconds=SECONDS)
    lines = [line for line in answer.text.splitlines() if "\t" in line]
    assert METHOD in lines[-1], "the newest comes last"
    wanted = f'protoPayload.authenticationInfo.principalEmail="{CALLER}"'
    assert all(wanted in each.json()["filter"] and "timestamp>=" in each.json()["filter"] for each in asked)


@pytest.mark.parametrize("method", words("quotes", "substitution", "dash"))
def test_a_hostile_method(google: Vendor, tell: Tell, method: str) -> None:
    Project(google, METHOD, "projects/shop-prod")
    report = tell(FIELDS | {"gcp.methodName": method}, rule=RULE, source="gcp_auditlog", cloud=google.laptop)
    report.everything(SECONDS)
    assert "owned" not in google.laptop.files()


@pytest.mark.parametrize("user", words("quotes", "substitution", "dash"))
def test_a_hostile_user(google: Vendor, tell: Tell, user: str) -> None:
    Project(google, METHOD, "projects/shop-prod")
    report = tell(FIELDS | {"gcp.user": user}, rule=RULE, source="gcp_auditlog", cloud=google.laptop)
    report.everything(SECONDS)
    assert "owned" not in google.laptop.files()
