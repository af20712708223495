"""Cloud Storage and BigQuery: what a stolen service account makes public, shortens or deletes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.lab.places.laptop import almost_full
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import DELTA, FIELDS, MISSING, SECONDS, Policy, Project, entry
from tests.lab.standin import Reply, Request
from tests.lab.story import Story, Tell

PUBLIC = {
    "GCP Bucket configured to be public": "storage.setIamPermissions",
    "GCP Bucket objects configured to be public": "storage.objects.update",
}
GRANTED = "GCP Bucket permissions modified"
LISTED = "GCP Bucket enumerated"
DELETED = "GCP Bucket deleted"
CHANGED = "GCP Bucket updated"
DATASET = "GCP BigQuery Dataset access configured to be public"
RULES = (*PUBLIC, GRANTED, LISTED, DELETED, CHANGED, DATASET)
GOOGLE = ("logging", "iam", "storage", "bigquery")
WEEK = {"retentionDurationSeconds": "604800"}
MONTH = {"retentionDurationSeconds": "2592000"}
BUCKET = "/storage/v1/b/{b}"


class Bucket(Project):
    """A project with the bucket ``invoices``."""

    def __init__(self, google: Vendor, method: str, **payload: Any) -> None:
        super().__init__(google, method, "projects/_/buckets/invoices", **payload)
        self.about: dict[str, Any] = {
            "name": "invoices",
            "id": "invoices",
            "kind": "storage#bucket",
            "generation": "17",
        }
        self.about |= {"iamConfiguration": {"publicAccessPrevention": "inherited"}, "softDeletePolicy": WEEK}
        self.policy = Policy(("roles/storage.admin", "user:bob@example.com"), ("roles/owner", "user:eve@evil.example"))
        self.is_there = True
        self.is_kept = True
        self.objects_back = 0
        self.restored_from = ""
        """Since when objects were deleted that come back."""
        self.on("GET /storage/v1/b", self.listed)
        self.on(f"GET {BUCKET}", lambda _: deepcopy(self.about) if self.is_there else MISSING)
        self.on(f"PATCH {BUCKET}", self.patch)
        self.on(f"GET {BUCKET}/iam", self.policy.get)
        self.on(f"PUT {BUCKET}/iam", self.policy.put)
        self.on(f"POST {BUCKET}/restore", self.restore)
        self.on(f"POST {BUCKET}/o/bulkRestore", self.restore_objects)

    def listed(self, request: Request) -> Any:
        """The buckets, or those that are soft-deleted."""
        wanted = self.is_kept and not self.is_there if request.query.get("softDeleted") else self.is_there
        older = [{**self.about, "generation": "9"}] if request.query.get("softDeleted") else []
        return {"items": [self.about, *older]} if wanted else {"items": []}

    def patch(self, request: Request) -> Any:
        """Change settings; what is null goes away."""
        for name, value in request.json().items():
            if value is None:
                self.about.pop(name, None)
            elif isinstance(value, dict):
                self.about[name] = {**self.about.get(name, {}), **value}
        return deepcopy(self.about)

    def restore(self, request: Request) -> Any:
        """Restore the bucket of this generation."""
        if request.query["generation"] != "17":
            return MISSING
        self.is_there = True
        return self.about

    def restore_objects(self, request: Request) -> Any:
        """Restore its objects."""
        self.objects_back += 1
        self.restored_from = request.json().get("softDeletedAfterTime", "")
        return {"kind": "storage#operation", "name": "projects/_/buckets/invoices/operations/x", "done": False}


def begin(tell: Tell, google: Vendor, rule: str) -> Story:
    return tell(FIELDS | {"gcp.storage.bucket": "invoices"}, rule=rule, cloud=google.laptop)


@pytest.mark.parametrize("rule", PUBLIC)
def test_a_bucket_is_made_public(google: Vendor, tell: Tell, rule: str) -> None:
    bucket = Bucket(google, PUBLIC[rule])
    report = begin(tell, google, rule)
    bucket.read(report)
    state = lambda: bucket.about["iamConfiguration"]["publicAccessPrevention"]  # noqa: E731
    report.contain("Refuse all public", state=state, becomes="enforced", shows="enforced", seconds=SECONDS)
    report.undo(state=state, becomes="inherited", seconds=SECONDS)


def test_a_bucket_that_was_closed_before_stays_closed(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.setIamPermissions")
    bucket.about["iamConfiguration"]["publicAccessPrevention"] = "enforced"
    report = begin(tell, google, next(iter(PUBLIC)))
    bucket.read(report)
    for undo in (False, True):
        report.again("Refuse all public", undo=undo, seconds=SECONDS)
        assert bucket.about["iamConfiguration"]["publicAccessPrevention"] == "enforced"


def test_a_bucket_that_could_not_be_kept_is_not_changed(google: Vendor, tell: Tell) -> None:
    """Whether it was closed before, and what expired in it, is what the undo must know."""
    bucket = Bucket(google, "storage.buckets.update")
    before = deepcopy(bucket.about)
    refused = Reply({"error": {"code": 403, "message": "denied"}}, 403)
    bucket.on(f"GET {BUCKET}", lambda _: refused)
    report = begin(tell, google, next(iter(PUBLIC)))
    report.again("Refuse all public", shows="denied", seconds=SECONDS)
    report = begin(tell, google, CHANGED)
    report.again("Keep the settings", shows="denied", seconds=SECONDS)
    report.again("Stop lifecycle", shows="no settings are kept", seconds=SECONDS)
    assert bucket.about == before


def test_a_stranger_is_let_in(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.setIamPermissions", **DELTA)
    before = bucket.policy.grants
    report = begin(tell, google, GRANTED)
    bucket.read(report, "eve@evil.example")
    left = {("roles/storage.admin", "user:bob@example.com")}
    report.contain("Take out the members", state=lambda: bucket.policy.grants, becomes=left, seconds=SECONDS)
    report.undo(state=lambda: bucket.policy.grants, becomes=before, seconds=SECONDS)


def test_a_policy_with_a_condition_takes_the_members_back(google: Vendor, tell: Tell) -> None:
    """Where any binding has a condition, gcloud adds none without being told of which."""
    bucket = Bucket(google, "storage.setIamPermissions", **DELTA)
    until = {"title": "until May", "expression": 'request.time < timestamp("2027-05-01T00:00:00Z")'}
    since = {"role": "roles/storage.objectViewer", "members": ["user:carol@example.com"], "condition": until}
    bucket.policy.document["bindings"].append(since)
    bucket.policy.document["version"] = 3
    before = bucket.policy.grants
    report = begin(tell, google, GRANTED)
    bucket.read(report)
    report.again("Take out the members", seconds=SECONDS)
    assert before - bucket.policy.grants == {("roles/owner", "user:eve@evil.example")}
    report.again("Take out the members", undo=True, seconds=SECONDS)
    assert bucket.policy.grants == before


def test_what_others_took_from_the_stranger_is_not_given_back(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.setIamPermissions", **DELTA)
    report = begin(tell, google, GRANTED)
    bucket.read(report)
    del bucket.policy.document["bindings"][1]
    left = bucket.policy.grants
    report.again("Take out the members", shows="not found", seconds=SECONDS)
    report.again("Take out the members", undo=True, seconds=SECONDS)
    assert bucket.policy.grants == left


def test_the_responder_keeps_what_the_calls_gave_them(google: Vendor, tell: Tell) -> None:
    """An owner let the responder in for this very incident; gcloud has a token and does not say whose."""
    google.laptop.environment["CLOUDSDK_CORE_ACCOUNT"] = ""
    mine = {"action": "ADD", "role": "roles/storage.admin", "member": "user:bob@example.com"}
    bucket = Bucket(google, "storage.setIamPermissions", serviceData={"policyDelta": {"bindingDeltas": [mine]}})
    before = bucket.policy.grants
    report = begin(tell, google, GRANTED)
    bucket.read(report)
    report.again("Take out the members", shows="gcloud has no account", seconds=SECONDS)
    assert bucket.policy.grants == before
    google.laptop.environment["CLOUDSDK_CORE_ACCOUNT"] = "bob@example.com"


def test_what_was_refused_or_of_another_bucket_takes_nothing_away(google: Vendor, tell: Tell) -> None:
    """Eve has had her role from the owner for years; Mallory may grant nothing here."""
    bucket = Bucket(google, "storage.setIamPermissions", **DELTA, status={"code": 7})
    bucket.entries.append(entry("storage.setIamPermissions", "projects/_/buckets/public-site", dict(DELTA)))
    before = bucket.policy.grants
    report = begin(tell, google, GRANTED)
    bucket.read(report)
    report.again("Take out the members", seconds=SECONDS)
    assert bucket.policy.grants == before


def test_rights_for_a_time_do_not_come_back_for_good(google: Vendor, tell: Tell) -> None:
    """The undo cannot make conditions; without them it would give more than there was."""
    bucket = Bucket(google, "storage.setIamPermissions", **DELTA)
    until = {"title": "until May", "expression": 'request.time < timestamp("2027-05-01T00:00:00Z")'}
    bucket.policy.document["bindings"][1]["condition"] = until
    bucket.policy.document["version"] = 3
    report = begin(tell, google, GRANTED)
    bucket.read(report)
    for undo in (False, True):
        report.again("Take out the members", undo=undo, seconds=SECONDS)
        assert bucket.policy.grants == {("roles/storage.admin", "user:bob@example.com")}


def test_buckets_are_listed(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.buckets.list")
    report = begin(tell, google, LISTED)
    bucket.read(report)
    report.look("Which buckets", shows=["invoices", "203.0.113.45"], seconds=SECONDS)


def test_a_bucket_is_deleted(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.buckets.delete")
    bucket.is_there = False
    with begin(tell, google, DELETED) as report:
        bucket.read(report)
        bucket.freeze(report)
        report.recover("Restore the bucket", state=lambda: bucket.is_there, becomes=True, seconds=SECONDS)
        assert bucket.objects_back
        assert bucket.restored_from[:4] > "2000", "what was deleted on purpose long before comes back too"
        report.undo(state=lambda: bucket.caller["disabled"], becomes=False, seconds=SECONDS)
        bucket.is_there = bucket.is_kept = False
        report.again("Restore the bucket", shows="no soft-deleted bucket of this name", seconds=SECONDS)
    assert not bucket.is_there


def test_objects_are_made_to_expire(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.buckets.update")
    rule = {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 0}}]}
    bucket.about["lifecycle"] = rule
    state = lambda: (bool(bucket.about.get("lifecycle")), bucket.about["softDeletePolicy"])  # noqa: E731
    with begin(tell, google, CHANGED) as report:
        kept = lambda _: [each for name, each in google.laptop.files().items() if name.endswith("bucket.json")]  # noqa: E731
        report.keep("Keep the settings", keeps=kept, shows=["Delete", "604800"], seconds=SECONDS)
        bucket.read(report)
        report.contain("Stop lifecycle", state=state, becomes=(False, MONTH), shows="2592000", seconds=SECONDS)
        report.undo(state=state, becomes=(True, WEEK), seconds=SECONDS)
    assert bucket.about["lifecycle"] == rule


def test_a_longer_soft_delete_is_left(google: Vendor, tell: Tell) -> None:
    bucket = Bucket(google, "storage.buckets.update")
    bucket.about["softDeletePolicy"] = {"retentionDurationSeconds": "7776000"}
    report = begin(tell, google, CHANGED)
    report.again("Keep the settings", seconds=SECONDS)
    report.again("Stop lifecycle", shows="7776000", seconds=SECONDS)
    assert int(bucket.about["softDeletePolicy"]["retentionDurationSeconds"]) == 7776000


OWNER = {"role": "OWNER", "userByEmail": "bob@example.com"}
READERS = [{"role": "READER", "iamMember": "allUsers"}, {"role": "READER", "specialGroup": "allAuthenticatedUsers"}]


def public_dataset(google: Vendor) -> tuple[Project, dict[str, Any]]:
    """A project with a dataset ``sales`` that everybody may read."""
    project = Project(google, "google.iam.v1.IAMPolicy.SetIamPolicy", "projects/shop-prod/datasets/sales")
    dataset: dict[str, Any] = {"access": [*READERS, OWNER]}

    def patch(request: Request) -> Any:
        dataset.update(request.json())
        return dataset

    at = "/bigquery/v2/projects/{p}/datasets/{d}"
    project.on(f"GET {at}", lambda _: dataset)
    project.on(f"PATCH {at}", patch)
    return project, dataset


SALES = FIELDS | {"json.value[/resource/labels/dataset_id]": "sales"}


def test_a_dataset_is_made_public(google: Vendor, tell: Tell) -> None:
    project, dataset = public_dataset(google)
    state = lambda: sorted(map(str, dataset["access"]))  # noqa: E731
    before = state()
    report = tell(SALES, rule=DATASET, cloud=google.laptop)
    project.read(report)
    report.contain("Take the public entries", state=state, becomes=[str(OWNER)], shows="bob", seconds=SECONDS)
    report.undo(state=state, becomes=before, seconds=SECONDS)

    # An owner whom somebody takes away after the step does not come back with its undo.
    carol = {"role": "OWNER", "userByEmail": "carol@example.com"}
    dataset["access"] = [carol]
    report.again("Take the public entries", undo=True, seconds=SECONDS)
    assert state() == sorted(map(str, [*READERS, carol]))


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_dataset_is_public_again_although_the_disk_was_full(google: Vendor, tell: Tell, blocks: int) -> None:
    """Room for what was there before, and for nothing more."""
    _, dataset = public_dataset(google)
    before = sorted(map(str, dataset["access"]))
    report = tell(SALES, rule=DATASET, cloud=google.laptop)
    make_room = almost_full(google.laptop, f"evidence/{report.uid}", blocks)
    report.again("Take the public entries", seconds=SECONDS)
    assert (dataset["access"] == [OWNER]) == bool(blocks)
    make_room()
    report.again("Take the public entries", undo=True, seconds=SECONDS)
    assert sorted(map(str, dataset["access"])) == before
