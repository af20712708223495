"""What each step answers when the object of the call has been deleted since: 404, said plainly, and nothing else.

Objects of similar names are there all the time. A step that changes something may ask for the object that is gone, and
for nothing beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.lab.places.vendors import GOOGLES_SERVICES, Vendor
from tests.lab.scenarios.gcp_auditlog.project import CALLER, DELTA, FIELDS, SECONDS, Project
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

GOOGLE = tuple(GOOGLES_SERVICES)
NEW = "new@shop-prod.iam.gserviceaccount.com"
FUNCTION = "projects/shop-prod/locations/europe-west1/functions/resize"
SQL = {"gcp.cloudsql.databaseId": "shop-prod:db1"}
BUCKET = {"gcp.storage.bucket": "invoices"}


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that a call was about: what the call is, and what the object's steps say once it is deleted."""

    method: str
    resource: str
    step: str
    says: str = "not found"
    """The vendor's own words, which the step must show."""
    undone: str | None = ""
    """What the undo says, if anything; None where the step has none."""
    fields: dict[str, str] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    """Steps that come first, besides the one that reads the call."""


SERVICE = "google.cloud.functions.v1.CloudFunctionsService"
FIREWALL = "projects/shop-prod/global/firewalls/open"
ROLE = ("projects/shop-prod/roles/harmless", "Disable the custom roles", "was not found")
CODE = (FUNCTION, "Keep the functions", "does not exist")
CASES = {
    "GCP BigQuery Dataset access configured to be public": Gone(
        "google.iam.v1.IAMPolicy.SetIamPolicy",
        "projects/shop-prod/datasets/sales",
        "Take the public entries",
        says="error: 404",
        undone="error: 404",
        fields={"json.value[/resource/labels/dataset_id]": "sales"},
    ),
    "GCP Bucket configured to be public": Gone(
        "storage.setIamPermissions", "projects/_/buckets/invoices", "Refuse all public", fields=BUCKET
    ),
    "GCP Bucket objects configured to be public": Gone(
        "storage.objects.update", "projects/_/buckets/invoices/objects/a", "Refuse all public", fields=BUCKET
    ),
    "GCP Bucket permissions modified": Gone(
        "storage.setIamPermissions",
        "projects/_/buckets/invoices",
        "Take out the members",
        undone="No such file",
        fields=BUCKET,
        payload=DELTA,
    ),
    "GCP Bucket updated": Gone(
        "storage.buckets.update",
        "projects/_/buckets/invoices",
        "Stop lifecycle",
        says="the bucket is gone",
        undone="nothing was changed",
        fields=BUCKET,
        before=("Keep the settings",),
    ),
    "GCP Cloud SQL database instance data exported": Gone(
        "cloudsql.instances.export",
        "projects/shop-prod/instances/db1",
        "Cancel exports",
        says="does not exist",
        undone=None,
        fields=SQL,
    ),
    "GCP Cloud SQL database instance modified or created": Gone(
        "cloudsql.instances.update",
        "projects/shop-prod/instances/db1",
        "Close the instance",
        says="does not exist",
        fields=SQL,
    ),
    "GCP GCE Firewall rule modified": Gone("v1.compute.firewalls.insert", FIREWALL, "Switch off the allow"),
    "GCP IAM custom role created": Gone("google.iam.admin.v1.CreateRole", *ROLE, "nothing saved"),
    "GCP IAM custom role modified": Gone("google.iam.admin.v1.UpdateRole", *ROLE, "nothing saved"),
    "GCP IAM service account created": Gone(
        "google.iam.admin.v1.CreateServiceAccount",
        "projects/shop-prod",
        "Disable the accounts that",
        says="Unknown service account",
        payload={"response": {"email": NEW}},
    ),
    "GCP IAM service account deleted": Gone(
        "google.iam.admin.v1.DeleteServiceAccount",
        "projects/-/serviceAccounts/1234567890",
        "Bring the account back",
        says="Unknown service account",
        undone=None,
    ),
    "GCP Pub/Sub subscription modified": Gone(
        "google.pubsub.v1.Subscriber.UpdateSubscription",
        "projects/shop-prod/subscriptions/falco",
        "Set the subscriptions",
    ),
    "GCP VM modified": Gone(
        "v1.compute.instances.insert", "projects/shop-prod/zones/europe-west1-b/instances/web-1", "Suspend the machines"
    ),
    "GCP VM stopped": Gone(
        "v1.compute.instances.stop", "projects/shop-prod/zones/europe-west1-b/instances/web-1", "Start them again"
    ),
    "GCP cloud function created": Gone(f"{SERVICE}.CreateFunction", *CODE),
    "GCP cloud function modified": Gone(f"{SERVICE}.UpdateFunction", *CODE),
    "GCP logging sink modified": Gone(
        "google.logging.v2.ConfigServiceV2.UpdateSink",
        "projects/shop-prod/sinks/audit",
        "Enable the sinks",
        "does not exist",
    ),
}
RULES = tuple(CASES)
WORDS = {
    "bigquery.googleapis.com": ("Not found: Dataset shop-prod:sales", "notFound"),
    "cloudfunctions.googleapis.com": ("Function resize in region europe-west1 in project shop-prod does not exist", ""),
    "compute.googleapis.com": ("The resource '{path}' was not found", "notFound"),
    "iam.googleapis.com": ("Unknown service account", ""),
    "logging.googleapis.com": ("Sink audit does not exist", ""),
    "pubsub.googleapis.com": ("Resource not found (resource={name}).", ""),
    "sqladmin.googleapis.com": ("The Cloud SQL instance does not exist.", "instanceDoesNotExist"),
    "storage.googleapis.com": ("The specified bucket does not exist.", "notFound"),
}
READS = (":getIamPolicy", "entries:list")


def missing(request: Request) -> Reply:
    """Google's 404: the older interfaces (with a reason) name ``errors``, the newer ones a status."""
    words, reason = WORDS[request.host]
    if "/roles/" in request.path:
        words = f"The role named {request.path.removeprefix('/v1/')} was not found."
    message = words.format(path=request.path.removeprefix("/compute/v1/"), name=request.path.rpartition("/")[2])
    error: dict[str, Any] = {"code": 404, "message": message}
    if reason:
        error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
    else:
        error["status"] = "NOT_FOUND"
    return Reply({"error": error}, 404)


def delete_all_but_the_log(google: Vendor, *, caller: bool = True) -> None:
    """Have the stand-in answer 404 to all that is asked of an object."""
    lacks_right = google.service.guard

    def guard(request: Request) -> Reply | None:
        is_there = "entries:list" in request.path or (caller and CALLER in request.path)
        is_there |= request.path == "/storage/v1/b"
        return lacks_right(request) or (None if is_there else missing(request))

    google.service.answers("GET /storage/v1/b", lambda _: {"items": []})
    google.service.guard = guard


def changes(google: Vendor) -> list[Request]:
    """The requests that would have changed something."""
    asked = google.service.requests
    return [each for each in asked if each.method != "GET" and not each.path.endswith(READS)]


@pytest.mark.parametrize("rule", CASES)
def test_the_object_is_gone(google: Vendor, tell: Tell, rule: str) -> None:
    case = CASES[rule]
    Project(google, case.method, case.resource, **case.payload)
    delete_all_but_the_log(google)
    report = tell(FIELDS | case.fields, rule=rule, cloud=google.laptop)
    for title in (*case.before, "What did this call"):
        report.again(title, seconds=SECONDS)
    google.service.requests.clear()
    report.again(case.step, shows=case.says, hides="Traceback", seconds=SECONDS)
    if case.undone is not None:
        report.again(case.step, undo=True, shows=case.undone, hides=["Traceback", "argument"], seconds=SECONDS)
    name = NEW if "response" in case.payload else case.resource.removesuffix("/objects/a").rpartition("/")[2]
    beside = [f"{each.method} {each.path}" for each in changes(google) if f"/{name}" not in each.path]
    assert not beside, "the step reached past the object"


def test_the_caller_is_gone(google: Vendor, tell: Tell) -> None:
    Project(google, "storage.buckets.delete", "projects/_/buckets/invoices")
    delete_all_but_the_log(google, caller=False)
    report = tell(FIELDS | BUCKET, rule="GCP Bucket deleted", cloud=google.laptop)
    report.again("Disable the service account that", shows="Unknown service account", seconds=SECONDS)
    report.again("Disable the service account that", undo=True, seconds=SECONDS)
    assert not changes(google)
