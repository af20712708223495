"""Compute Engine: machines that are made or stopped, firewalls that are opened, and what stands at the edge."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, SECONDS, Project
from tests.lab.standin import Request
from tests.lab.story import Story, Tell

CHANGED = "GCP VM modified"
STOPPED = "GCP VM stopped"
OPENED = "GCP GCE Firewall rule modified"
EDGE = {
    "GCP WAF Network policy modified": "v1.compute.securityPolicies.patch",
    "GCP CloudArmor edge security service modified": "v1.compute.networkEdgeSecurityServices.patch",
    "GCP backend service deleted": "v1.compute.backendServices.delete",
}
RULES = (CHANGED, STOPPED, OPENED, *EDGE)
GOOGLE = ("logging", "iam", "compute")
HOST = "https://www.googleapis.com"
COMPUTE = "/compute/v1/projects/{p}"
ZONE = "projects/shop-prod/zones/europe-west1-b"


class Machine(Project):
    """A project with the machine ``web-1``, whose status follows Compute Engine's."""

    def __init__(self, google: Vendor, method: str, status: str) -> None:
        super().__init__(google, method, f"{ZONE}/instances/web-1")
        link = f"{HOST}/compute/v1/{ZONE}/instances/web-1"
        self.vm: dict[str, Any] = {"name": "web-1", "id": "1", "status": status, "selfLink": link, "metadata": {}}
        self.vm["zone"] = f"{HOST}/compute/v1/{ZONE}"
        at = f"{COMPUTE}/zones/{{z}}"
        self.on(f"GET {at}/instances/{{i}}", lambda _: deepcopy(self.vm))
        for verb, after in (
            ("suspend", "SUSPENDED"),
            ("resume", "RUNNING"),
            ("start", "RUNNING"),
            ("stop", "TERMINATED"),
        ):
            self.on(f"POST {at}/instances/{{i}}/{verb}", lambda _, after=after: self.move(after))
        self.on(f"GET {at}/operations/{{o}}", lambda _: self.operation())
        self.on(f"POST {at}/operations/{{o}}/wait", lambda _: self.operation())

    def move(self, status: str) -> Any:
        """Change the status."""
        self.vm["status"] = status
        return self.operation()

    def operation(self) -> Any:
        """An operation on it that is done."""
        link = f"{HOST}/compute/v1/{ZONE}/operations/op"
        about = {"name": "op", "id": "2", "status": "DONE", "operationType": "x", "zone": self.vm["zone"]}
        return {**about, "selfLink": link, "targetLink": self.vm["selfLink"]}


def begin(tell: Tell, google: Vendor, rule: str) -> Story:
    return tell(FIELDS, rule=rule, cloud=google.laptop)


def test_a_machine_is_made(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.insert", "RUNNING")
    report = begin(tell, google, CHANGED)
    machine.read(report, "web-1")
    state = lambda: machine.vm["status"]  # noqa: E731
    report.contain("Suspend the machines", state=state, becomes="SUSPENDED", shows="SUSPENDED", seconds=SECONDS)
    report.undo(state=state, becomes="RUNNING", seconds=SECONDS)


def test_a_machine_is_stopped(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    report = begin(tell, google, STOPPED)
    machine.read(report, "web-1")
    state = lambda: machine.vm["status"]  # noqa: E731
    report.recover("Start them again", state=state, becomes="RUNNING", shows="RUNNING", seconds=SECONDS)
    report.undo(state=state, becomes="TERMINATED", seconds=SECONDS)


def test_a_startup_script_is_not_started(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    machine.vm["metadata"] = {"items": [{"key": "startup-script-url", "value": "gs://evil/x.sh"}]}
    report = begin(tell, google, STOPPED)
    report.again("What did the call do", shows="web-1", seconds=SECONDS)
    report.again("Start them again", shows="read its startup script first", seconds=SECONDS)
    assert machine.vm["status"] == "TERMINATED"


def test_a_firewall_is_opened(google: Vendor, tell: Tell) -> None:
    project = Project(google, "v1.compute.firewalls.insert", "projects/shop-prod/global/firewalls/open")
    link = f"{HOST}/compute/v1/projects/shop-prod/global"
    rule: dict[str, Any] = {"name": "open", "id": "3", "allowed": [{"IPProtocol": "tcp"}], "direction": "INGRESS"}
    rule |= {"sourceRanges": ["0.0.0.0/0"], "selfLink": f"{link}/firewalls/open", "network": f"{link}/networks/default"}
    done = {
        "name": "op",
        "id": "2",
        "status": "DONE",
        "selfLink": f"{link}/operations/op",
        "targetLink": rule["selfLink"],
    }

    def patch(request: Request) -> Any:
        rule.update(request.json())
        return done

    at = f"{COMPUTE}/global"
    project.on(f"GET {at}/firewalls/{{i}}", lambda _: deepcopy(rule))
    project.on(f"PATCH {at}/firewalls/{{i}}", patch)
    project.on(f"GET {at}/operations/{{o}}", lambda _: done)
    project.on(f"POST {at}/operations/{{o}}/wait", lambda _: done)
    report = begin(tell, google, OPENED)
    project.read(report, "open")
    state = lambda: rule.get("disabled", False)  # noqa: E731
    report.contain("Switch off the allow", state=state, becomes=True, shows=["0.0.0.0/0", "True"], seconds=SECONDS)
    report.undo(state=state, becomes=False, seconds=SECONDS)
    assert rule["sourceRanges"] == ["0.0.0.0/0"]


@pytest.mark.parametrize("rule", EDGE)
def test_the_edge_is_weakened(google: Vendor, tell: Tell, rule: str) -> None:
    project = Project(google, EDGE[rule], "projects/shop-prod/global/securityPolicies/shop")
    found = {
        "securityPolicies": [{"name": "shop", "rules": [{"priority": 1, "action": "allow", "preview": True}]}],
        "backendServices": [{"name": "web", "loadBalancingScheme": "EXTERNAL"}],
        "urlMaps": [{"name": "map", "defaultService": "gone"}],
    }
    for kind, items in found.items():
        project.on(
            f"GET {COMPUTE}/aggregated/{kind}", lambda _, kind=kind, items=items: {"items": {"global": {kind: items}}}
        )
        project.on(f"GET {COMPUTE}/global/{kind}", lambda _, items=items: {"items": items})
    report = begin(tell, google, rule)
    project.read(report)
    if rule == next(iter(EDGE)):
        kept = lambda _: {name: kept for name, kept in google.laptop.files().items() if name.endswith(".json")}  # noqa: E731
        shows = ['[1,"allow",true]', "EXTERNAL\t-\t-", "gone"]
        report.keep("Keep policies and backends", keeps=kept, shows=shows, seconds=SECONDS)
