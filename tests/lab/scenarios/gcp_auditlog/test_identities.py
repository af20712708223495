"""IAM: a stolen principal makes accounts and roles, gives rights away, and deletes what others use."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import CALLER, DELTA, FIELDS, MISSING, PERSON, SECONDS, Policy, Project
from tests.lab.standin import Reply, Request
from tests.lab.story import Story, Tell

CREATED = "GCP IAM service account created"
DELETED = "GCP IAM service account deleted"
SEEN = {
    "GCP IAM service account modified": ("google.iam.admin.v1.UpdateServiceAccount", ""),
    "GCP IAM service account key deleted": ("google.iam.admin.v1.DeleteServiceAccountKey", "/keys/k9"),
}
ROLE = {
    "GCP IAM custom role created": "google.iam.admin.v1.CreateRole",
    "GCP IAM custom role modified": "google.iam.admin.v1.UpdateRole",
}
POLICY = "GCP IAM policy modified"
RULES = (CREATED, DELETED, *SEEN, *ROLE, POLICY)
GOOGLE = ("logging", "iam", "cloudresourcemanager")
NEW = "new@shop-prod.iam.gserviceaccount.com"
ACCOUNT = "/v1/projects/{p}/serviceAccounts/{a}"


class Accounts(Project):
    """A project with a second service account, which has a key and may be impersonated by eve."""

    def __init__(self, google: Vendor, method: str, resource: str, **payload: Any) -> None:
        super().__init__(google, method, resource, **payload)
        name = f"projects/shop-prod/serviceAccounts/{NEW}"
        self.new: dict[str, Any] = {"name": name, "email": NEW, "uniqueId": "1234567890", "displayName": "backup"}
        self.is_there = True
        policy = Policy(("roles/iam.serviceAccountTokenCreator", "user:eve@evil.example"))
        keys = {"keys": [{"name": f"{name}/keys/k1", "validAfterTime": "2026-11-28T12:00:00Z"}]}
        self.on(f"GET {ACCOUNT}", self.one)
        self.on(f"GET {ACCOUNT}/keys", lambda _: keys)
        self.on(f"POST {ACCOUNT}:getIamPolicy", policy.get)
        self.on(f"POST {ACCOUNT}:disable", lambda request: self.set_disabled(request, to=True))
        self.on(f"POST {ACCOUNT}:enable", lambda request: self.set_disabled(request, to=False))
        self.on(f"POST {ACCOUNT}:undelete", self.undelete)

    def one(self, request: Request) -> Any:
        """One account."""
        if request.parameters["a"] == CALLER:
            return self.caller
        return self.new if self.is_there else MISSING

    def set_disabled(self, request: Request, *, to: bool) -> Any:
        """Disable or enable one account."""
        self.one(request)["disabled"] = to
        return {}

    def undelete(self, request: Request) -> Any:
        """Bring the account back, once, by its number."""
        if self.is_there or request.parameters["a"] != "1234567890":
            return Reply({"error": {"code": 400, "message": "it is not deleted"}}, 400)
        self.is_there = True
        return {"restoredAccount": self.new}


def begin(tell: Tell, google: Vendor, rule: str, **more: str) -> Story:
    return tell(
        FIELDS | {name.replace("_", "."): value for name, value in more.items()}, rule=rule, cloud=google.laptop
    )


def test_an_account_is_made(google: Vendor, tell: Tell) -> None:
    project = Accounts(
        google, "google.iam.admin.v1.CreateServiceAccount", "projects/shop-prod", response={"email": NEW}
    )
    state = lambda: project.new.get("disabled", False)  # noqa: E731
    with begin(tell, google, CREATED) as report:
        project.read(report)
        report.contain("Disable the accounts that", state=state, becomes=True, shows=["True", "k1"], seconds=SECONDS)
        project.freeze(report)
        report.undo(state=lambda: (state(), project.caller["disabled"]), becomes=(False, False), seconds=SECONDS)


def test_an_account_is_deleted(google: Vendor, tell: Tell) -> None:
    project = Accounts(google, "google.iam.admin.v1.DeleteServiceAccount", "projects/-/serviceAccounts/1234567890")
    project.is_there = False
    with begin(tell, google, DELETED) as report:
        project.read(report, "1234567890")
        project.freeze(report)
        report.recover(
            "Bring the account back", state=lambda: project.is_there, becomes=True, shows=NEW, seconds=SECONDS
        )
        report.undo(state=lambda: project.caller["disabled"], becomes=False, seconds=SECONDS)


@pytest.mark.parametrize("rule", SEEN)
def test_an_account_or_its_key_is_changed(google: Vendor, tell: Tell, rule: str) -> None:
    method, key = SEEN[rule]
    project = Accounts(google, method, f"projects/-/serviceAccounts/1234567890{key}")
    report = begin(tell, google, rule)
    project.read(report, "1234567890")
    report.look("What keys are left", shows=["k1", "eve@evil.example", "backup"], seconds=SECONDS)
    if not key:
        project.is_there = False
        report.again("What keys are left", shows="NOT_FOUND", seconds=SECONDS)


@pytest.mark.parametrize("rule", ROLE)
def test_a_role_is_made(google: Vendor, tell: Tell, rule: str) -> None:
    name = "projects/shop-prod/roles/harmless"
    project = Project(google, ROLE[rule], name)
    role: dict[str, Any] = {
        "name": name,
        "stage": "GA",
        "includedPermissions": ["iam.serviceAccounts.actAs"],
        "etag": "abc=",
    }

    def patch(request: Request) -> Any:
        role.update(request.json())
        return deepcopy(role)

    project.on("GET /v1/projects/{p}/roles/{r}", lambda _: deepcopy(role))
    project.on("PATCH /v1/projects/{p}/roles/{r}", patch)
    report = begin(tell, google, rule)
    project.read(report, name)
    shows = ["actAs", "DISABLED"]
    report.contain(
        "Disable the custom roles", state=lambda: role["stage"], becomes="DISABLED", shows=shows, seconds=SECONDS
    )
    report.undo(state=lambda: role["stage"], becomes="GA", seconds=SECONDS)
    assert role["includedPermissions"] == ["iam.serviceAccounts.actAs"]


def test_a_stranger_becomes_owner(google: Vendor, tell: Tell) -> None:
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=PERSON, **DELTA)
    mallory = {("roles/editor", f"user:{PERSON}"), ("roles/owner", f"user:{PERSON}")}
    policy = Policy(
        ("roles/viewer", "user:bob@example.com"), ("roles/owner", "user:eve@evil.example"), *sorted(mallory)
    )
    project.on("POST /v1/projects/{p}:getIamPolicy", policy.get)
    project.on("POST /v1/projects/{p}:setIamPolicy", policy.put)
    before = policy.grants
    with begin(tell, google, POLICY, gcp_user=PERSON) as report:
        project.read(report, "eve@evil.example")
        bob = {("roles/viewer", "user:bob@example.com")}
        report.contain("Take out the members", state=lambda: policy.grants, becomes=bob | mallory, seconds=SECONDS)
        report.contain("Take the person's own", state=lambda: policy.grants, becomes=bob, seconds=SECONDS)
        report.undo(state=lambda: policy.grants, becomes=before, seconds=SECONDS)


def with_policy(project: Project, *bindings: tuple[str, str]) -> Policy:
    """Give the project a policy."""
    policy = Policy(*bindings)
    project.on("POST /v1/projects/{p}:getIamPolicy", policy.get)
    project.on("POST /v1/projects/{p}:setIamPolicy", policy.put)
    return policy


@pytest.mark.parametrize("setting", ["CORE_ACCOUNT", "AUTH_IMPERSONATE_SERVICE_ACCOUNT", ""])
@pytest.mark.parametrize("caller", [CALLER, PERSON])
def test_the_responder_is_left_alone(google: Vendor, tell: Tell, caller: str, setting: str) -> None:
    """The calls are the responder's own: by their account, by one that gcloud acts as, or by a token alone."""
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=caller, **DELTA)
    policy = with_policy(project, ("roles/owner", f"user:{PERSON}"))
    google.laptop.environment[f"CLOUDSDK_{setting or 'CORE_ACCOUNT'}"] = caller if setting else ""
    report = begin(tell, google, POLICY, gcp_user=caller)
    title = "Disable the service account that" if caller == CALLER else "Take the person's own roles"
    report.again(title, shows="yourself", seconds=SECONDS)
    assert not project.caller["disabled"]
    assert policy.grants == {("roles/owner", f"user:{PERSON}")}


@pytest.mark.parametrize("account", ["me@example.com", ""])
def test_the_responder_keeps_what_the_calls_gave_them(google: Vendor, tell: Tell, account: str) -> None:
    """An owner gave the responder rights for this very incident; a stranger came in by the same minutes."""
    mine = {"action": "ADD", "role": "roles/editor", "member": "user:Me@example.com"}
    google.laptop.environment["CLOUDSDK_CORE_ACCOUNT"] = account
    delta = {
        "serviceData": {"policyDelta": {"bindingDeltas": [*DELTA["serviceData"]["policyDelta"]["bindingDeltas"], mine]}}
    }
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=PERSON, **delta)
    policy = with_policy(project, ("roles/editor", "user:Me@example.com"), ("roles/owner", "user:eve@evil.example"))
    report = begin(tell, google, POLICY, gcp_user=PERSON)
    project.read(report)
    report.again("Take out the members", shows="" if account else "gcloud has no account", seconds=SECONDS)
    assert ("roles/editor", "user:Me@example.com") in policy.grants, "the responder is locked out"
    assert (("roles/owner", "user:eve@evil.example") in policy.grants) is (account == "")


def test_what_was_refused_takes_nothing_away(google: Vendor, tell: Tell) -> None:
    """Mallory may not grant anything; Eve has had her role from the owner for years."""
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=PERSON, **DELTA, status={"code": 7})
    policy = with_policy(project, ("roles/owner", "user:eve@evil.example"))
    report = begin(tell, google, POLICY, gcp_user=PERSON)
    project.read(report)
    report.again("Take out the members", seconds=SECONDS)
    assert policy.grants == {("roles/owner", "user:eve@evil.example")}


def test_rights_for_a_time_do_not_come_back_for_good(google: Vendor, tell: Tell) -> None:
    """The undo cannot make conditions; without them it would give more than there was."""
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=PERSON, **DELTA)
    policy = with_policy(project, ("roles/viewer", "user:eve@evil.example"), ("roles/viewer", f"user:{PERSON}"))
    until = {"title": "until May", "expression": 'request.time < timestamp("2027-05-01T00:00:00Z")'}
    members = ["user:eve@evil.example", f"user:{PERSON}"]
    policy.document["bindings"].append({"role": "roles/owner", "members": members, "condition": until})
    policy.document["version"] = 3
    report = begin(tell, google, POLICY, gcp_user=PERSON)
    project.read(report)
    for title in ("Take out the members", "Take the person's own roles"):
        report.again(title, seconds=SECONDS)
    assert policy.grants == {("roles/viewer", "user:eve@evil.example")}
    for title in ("Take out the members", "Take the person's own roles"):
        report.again(title, undo=True, seconds=SECONDS)
    assert policy.grants == {("roles/viewer", "user:eve@evil.example"), ("roles/viewer", f"user:{PERSON}")}


def test_roles_that_an_owner_took_are_not_given_back(google: Vendor, tell: Tell) -> None:
    """The responder may read the policy and not change it; the owner takes Mallory's role away by hand."""
    assert google.caller is not None
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=PERSON, **DELTA)
    policy = with_policy(project, ("roles/owner", f"user:{PERSON}"))
    refused = Reply({"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}, 403)
    project.on("POST /v1/projects/{p}:setIamPolicy", lambda _: refused)
    report = begin(tell, google, POLICY, gcp_user=PERSON)
    project.read(report)
    report.again("Take the person's own roles", shows="denied", seconds=SECONDS)
    policy.document["bindings"] = []
    project.on("POST /v1/projects/{p}:setIamPolicy", policy.put)
    report.again("Take the person's own roles", undo=True, seconds=SECONDS)
    assert policy.grants == set()


def test_a_policy_that_could_not_be_kept_is_not_changed(google: Vendor, tell: Tell) -> None:
    """Of what nothing was kept, the undo brings nothing back."""
    project = Project(google, "SetIamPolicy", "projects/shop-prod", user=PERSON, **DELTA)
    policy = with_policy(project, ("roles/owner", f"user:{PERSON}"), ("roles/owner", "user:eve@evil.example"))
    before = policy.grants
    asked: list[Request] = []

    def get(request: Request) -> Any:
        asked.append(request)
        busy = Reply({"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}, 403)
        return busy if len(asked) == 1 else policy.get(request)

    report = begin(tell, google, POLICY, gcp_user=PERSON)
    project.read(report)
    for title in ("Take out the members", "Take the person's own roles"):
        asked.clear()
        project.on("POST /v1/projects/{p}:getIamPolicy", get)
        report.again(title, shows="denied", seconds=SECONDS)
        assert policy.grants == before


def test_an_account_whose_state_is_unknown_is_not_disabled(google: Vendor, tell: Tell) -> None:
    """Whether it was in use before is what the undo must know."""
    project = Accounts(
        google, "google.iam.admin.v1.CreateServiceAccount", "projects/shop-prod", response={"email": NEW}
    )
    refused = Reply({"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}, 403)
    project.on(f"GET {ACCOUNT}", lambda _: refused)
    report = begin(tell, google, CREATED)
    project.read(report)
    report.again("Disable the accounts that", shows="denied", seconds=SECONDS)
    assert "disabled" not in project.new


def test_an_account_that_was_off_before_stays_off(google: Vendor, tell: Tell) -> None:
    """Both were disabled before the step by somebody else; the undo is no reason to let them in."""
    project = Accounts(
        google, "google.iam.admin.v1.CreateServiceAccount", "projects/shop-prod", response={"email": NEW}
    )
    project.new["disabled"] = project.caller["disabled"] = True
    report = begin(tell, google, CREATED)
    project.read(report)
    for undo in (False, True):
        for title in ("Disable the accounts that", "Disable the service account that"):
            report.again(title, undo=undo, seconds=SECONDS)
    assert (project.new["disabled"], project.caller["disabled"]) == (True, True)


def test_a_role_that_could_not_be_kept_is_left(google: Vendor, tell: Tell) -> None:
    """Its stage is what the undo must know."""
    name = "projects/shop-prod/roles/harmless"
    project = Project(google, ROLE["GCP IAM custom role modified"], name)
    refused = Reply({"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}, 403)
    asked: list[Request] = []
    changed: list[Request] = []

    def get(request: Request) -> Any:
        asked.append(request)
        return refused if len(asked) == 1 else {"name": name, "stage": "GA", "etag": "abc="}

    project.on("GET /v1/projects/{p}/roles/{r}", get)
    project.on("PATCH /v1/projects/{p}/roles/{r}", changed.append)
    report = begin(tell, google, "GCP IAM custom role modified")
    project.read(report)
    report.again("Disable the custom roles", shows="denied", seconds=SECONDS)
    assert not changed


def test_an_account_that_could_not_be_kept_is_not_disabled(google: Vendor, tell: Tell) -> None:
    """The undo asks whether it was disabled before."""
    project = Project(google, "SetIamPolicy", "projects/shop-prod", **DELTA)
    refused = Reply({"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}, 403)
    project.on(f"GET /v1/projects/{{p}}/serviceAccounts/{CALLER}", lambda _: refused)
    report = begin(tell, google, POLICY)
    report.again("Disable the service account that", shows="denied", seconds=SECONDS)
    assert not project.caller["disabled"]
