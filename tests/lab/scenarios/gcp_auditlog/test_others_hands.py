"""Somebody else was quicker: what they did by hand stays, and what they made anew under the name is left alone."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, SECONDS, Project
from tests.lab.scenarios.gcp_auditlog.test_cloud_sql import CHANGED as SQL_CHANGED
from tests.lab.scenarios.gcp_auditlog.test_cloud_sql import SQL, Database
from tests.lab.scenarios.gcp_auditlog.test_feed import EXCLUDED, PUSHED, SINK, SUBSCRIPTION, Feed
from tests.lab.scenarios.gcp_auditlog.test_functions_and_keys import AT, FUNCTION, Function
from tests.lab.scenarios.gcp_auditlog.test_identities import ACCOUNT, CREATED, NEW, Accounts
from tests.lab.scenarios.gcp_auditlog.test_machines import CHANGED as VM_CHANGED
from tests.lab.scenarios.gcp_auditlog.test_machines import COMPUTE, OPENED, REFUSED, STOPPED, Firewall, Machine
from tests.lab.scenarios.gcp_auditlog.test_storage import BUCKET, PUBLIC, Bucket
from tests.lab.story import Tell

MACHINE = f"POST {COMPUTE}/zones/{{z}}/instances/{{i}}"
FUNCTIONS = next(iter(FUNCTION))
BUCKETS = next(iter(PUBLIC))


@dataclass(frozen=True)
class Thing:
    """What an alert is about, in the project."""

    project: Project
    title: str
    """The step that changes it."""
    routes: tuple[str, ...]
    """The calls that are refused."""
    state: Callable[[], Any]
    by_hand: Callable[[], Any]
    """What the owner does."""


def caller(google: Vendor) -> Thing:
    project = Accounts(google, "google.iam.admin.v1.CreateServiceAccount", "projects/shop-prod")
    account = "POST /v1/projects/{p}/serviceAccounts/mallory@shop-prod.iam.gserviceaccount.com"
    hand = lambda: project.disable(to=True)  # noqa: E731
    return Thing(
        project, "Disable the service account that", (f"{account}:disable",), lambda: project.caller["disabled"], hand
    )


def account(google: Vendor) -> Thing:
    answer = {"email": NEW, "uniqueId": "1234567890"}
    project = Accounts(google, "google.iam.admin.v1.CreateServiceAccount", "projects/shop-prod", response=answer)
    state = lambda: project.new.get("disabled", False)  # noqa: E731
    hand = lambda: project.new.update(disabled=True)  # noqa: E731
    return Thing(project, "Disable the accounts that", (f"POST {ACCOUNT}:disable",), state, hand)


def database(google: Vendor) -> Thing:
    project = Database(google, "cloudsql.instances.update")
    state = lambda: list(project.networks)  # noqa: E731
    return Thing(project, "Close the instance", (f"PATCH {SQL}/instances/{{i}}",), state, project.networks.clear)


def bucket(google: Vendor) -> Thing:
    project = Bucket(google, "storage.setIamPermissions")
    settings = project.about["iamConfiguration"]
    state = lambda: project.about["iamConfiguration"]["publicAccessPrevention"]  # noqa: E731
    hand = lambda: settings.update(publicAccessPrevention="enforced")  # noqa: E731
    return Thing(project, "Refuse all public", (f"PATCH {BUCKET}",), state, hand)


def machine(google: Vendor) -> Thing:
    project = Machine(google, "v1.compute.instances.insert", "RUNNING")
    state = lambda: project.vm["status"]  # noqa: E731
    hand = lambda: project.vm.update(status="SUSPENDED")  # noqa: E731
    return Thing(project, "Suspend the machines", (f"{MACHINE}/suspend",), state, hand)


def stopped(google: Vendor) -> Thing:
    project = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    state = lambda: project.vm["status"]  # noqa: E731
    hand = lambda: project.vm.update(status="RUNNING")  # noqa: E731
    return Thing(project, "Start them again", (f"{MACHINE}/start",), state, hand)


def firewall(google: Vendor) -> Thing:
    project = Firewall(google)
    state = lambda: project.rule.get("disabled", False)  # noqa: E731
    hand = lambda: project.rule.update(disabled=True)  # noqa: E731
    return Thing(project, "Switch off the allow", (f"PATCH {COMPUTE}/global/firewalls/{{i}}",), state, hand)


def function(google: Vendor) -> Thing:
    project = Function(google, FUNCTION[FUNCTIONS])
    hand = lambda: project.policy.document.update(bindings=[])  # noqa: E731
    route = f"POST {AT}/functions/{{f}}:setIamPolicy"
    return Thing(project, "let nobody call them", (route,), lambda: project.policy.grants, hand)


def sink(google: Vendor) -> Thing:
    project = Feed(google, "google.logging.v2.ConfigServiceV2.UpdateSink", "sinks/audit")
    state = lambda: (project.sink["disabled"], len(project.sink["exclusions"]))  # noqa: E731
    hand = lambda: project.sink.update(disabled=False, exclusions=[])  # noqa: E731
    return Thing(project, "Enable the sinks", (f"PATCH {SINK}", f"PUT {SINK}"), state, hand)


def subscription(google: Vendor) -> Thing:
    project = Feed(google, "google.pubsub.v1.Subscriber.UpdateSubscription", "subscriptions/falco")
    state = lambda: project.subscription["pushConfig"].get("pushEndpoint", "")  # noqa: E731
    hand = lambda: project.subscription.update(pushConfig={}, messageRetentionDuration="604800s")  # noqa: E731
    return Thing(project, "Set the subscriptions", (f"PATCH {SUBSCRIPTION}",), state, hand)


THINGS: dict[str, tuple[str, Callable[[Vendor], Thing]]] = {
    "caller": (CREATED, caller),
    "account": (CREATED, account),
    "database": (SQL_CHANGED, database),
    "bucket": (BUCKETS, bucket),
    "machine": (VM_CHANGED, machine),
    "stopped machine": (STOPPED, stopped),
    "firewall": (OPENED, firewall),
    "function": (FUNCTIONS, function),
    "sink": (EXCLUDED, sink),
    "subscription": (PUSHED, subscription),
}
RULES = tuple(dict.fromkeys(rule for rule, _ in THINGS.values()))
GOOGLE = ("logging", "iam", "compute", "sqladmin", "storage", "pubsub", "cloudfunctions")
ABOUT = {"gcp.cloudsql.databaseId": "shop-prod:db1", "gcp.storage.bucket": "invoices"}


@pytest.mark.parametrize("name", THINGS)
def test_what_the_owner_did_by_hand_is_not_undone(google: Vendor, tell: Tell, name: str) -> None:
    """The responder was refused and calls the owner, who does it; then somebody pastes the undo, and both once more."""
    rule, make = THINGS[name]
    thing = make(google)
    before = thing.state()
    report = tell(FIELDS | ABOUT, rule=rule, cloud=google.laptop)
    report.again("What did this call", shows="203.0.113.45", seconds=SECONDS)
    service = google.service
    guard, refused = service.guard, {route.partition(" ")[0] for route in thing.routes}
    endings = tuple(route.rpartition("}")[2] for route in thing.routes)
    service.guard = lambda asked: (
        REFUSED
        if asked.method in refused and asked.path.endswith(endings) and "entries" not in asked.path
        else guard(asked)
    )
    report.again(thing.title, seconds=SECONDS)
    service.guard = guard
    assert thing.state() == before
    thing.by_hand()
    done = thing.state()
    assert done != before
    for undo in (True, False, True):
        report.again(thing.title, undo=undo, seconds=SECONDS)
        assert thing.state() == done, "what the owner had done was undone"


@pytest.mark.parametrize(
    ("rule", "make", "label"),
    [
        (VM_CHANGED, machine, "instance_id"),
        (STOPPED, stopped, "instance_id"),
        (OPENED, firewall, "firewall_rule_id"),
    ],
    ids=["machine", "stopped machine", "firewall"],
)
def test_one_of_the_name_is_made_since(
    google: Vendor, tell: Tell, rule: str, make: Callable[[Vendor], Thing], label: str
) -> None:
    """The intruder's was deleted, and the shop made its own: each has a number, and the log has the intruder's."""
    thing = make(google)
    thing.project.entries[0]["resource"]["labels"][label] = "777"
    before = thing.state()
    report = tell(FIELDS, rule=rule, cloud=google.laptop)
    report.again("What did this call", seconds=SECONDS)
    report.again(thing.title, shows="made since", seconds=SECONDS)
    assert thing.state() == before
    own = thing.project.vm if isinstance(thing.project, Machine) else thing.project.rule  # type: ignore[attr-defined]
    own["id"] = "777"
    report.again(thing.title, hides="made since", seconds=SECONDS)
    assert thing.state() != before, "the intruder's goes on"


def test_a_rule_that_is_made_anew_is_not_switched_on(google: Vendor, tell: Tell) -> None:
    """The intruder's was switched off and deleted; the shop has made one of the name, and keeps it off."""
    thing = firewall(google)
    report = tell(FIELDS, rule=OPENED, cloud=google.laptop)
    report.again("What did this call", seconds=SECONDS)
    report.again(thing.title, seconds=SECONDS)
    assert thing.state()
    thing.project.rule["id"] = "4"  # type: ignore[attr-defined]
    report.again(thing.title, undo=True, seconds=SECONDS)
    assert thing.state(), "the shop's rule lets in what it should not"


def test_an_instance_of_the_name_is_made_since(google: Vendor, tell: Tell) -> None:
    thing = database(google)
    before = thing.state()
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%S.123Z}"
    project = thing.project
    assert isinstance(project, Database)
    project.on(f"GET {SQL}/instances/{{i}}", lambda asked: {**project.instance(asked), "createTime": later})
    report = tell(FIELDS | ABOUT, rule=SQL_CHANGED, cloud=google.laptop)
    report.again(thing.title, shows="made since", seconds=SECONDS)
    assert thing.state() == before


def test_networks_come_back_as_they_were(google: Vendor, tell: Tell) -> None:
    """A partner is let in for a week under their name; what has expired meanwhile does not come back for good."""
    day = timedelta(days=1)
    week = f"{datetime.now(UTC) + 7 * day:%Y-%m-%dT%H:%M:%S.000Z}"
    partner = {"kind": "sql#aclEntry", "value": "192.0.2.0/24", "name": "partner", "expirationTime": week}
    past = {
        "kind": "sql#aclEntry",
        "value": "203.0.113.7/32",
        "expirationTime": f"{datetime.now(UTC) - day:%Y-%m-%dT%H:%M:%SZ}",
    }
    office = {"kind": "sql#aclEntry", "value": "198.51.100.0/24", "name": "office"}
    entries: list[dict[str, Any]] = [partner, past]
    project = Database(google, "cloudsql.instances.update")

    def instance(asked: Any) -> Any:
        about = project.instance(asked)
        about["settings"]["ipConfiguration"]["authorizedNetworks"] = deepcopy(entries)
        return about

    def patch(asked: Any) -> Any:
        entries[:] = asked.json()["settings"]["ipConfiguration"]["authorizedNetworks"]
        return {"kind": "sql#operation", "name": "op1", "status": "DONE", "operationType": "UPDATE"}

    project.on(f"GET {SQL}/instances/{{i}}", instance)
    project.on(f"PATCH {SQL}/instances/{{i}}", patch)
    report = tell(FIELDS | ABOUT, rule=SQL_CHANGED, cloud=google.laptop)
    report.again("Close the instance", seconds=SECONDS)
    assert entries == []
    entries.append(office)
    report.again("Close the instance", undo=True, seconds=SECONDS)
    assert sorted(entries, key=lambda each: str(each["value"])) == [partner, office]
