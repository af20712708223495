"""Compute Engine: machines that are made or stopped, firewalls that are opened, and what stands at the edge."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, SECONDS, Project, entry
from tests.lab.standin import Reply, Request
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
REFUSED = Reply({"error": {"code": 403, "message": "denied", "errors": [{"reason": "forbidden"}]}}, 403)
ZONE = "projects/shop-prod/zones/europe-west1-b"


class Machine(Project):
    """A project with the machine ``web-1``, whose status follows Compute Engine's."""

    def __init__(self, google: Vendor, method: str, status: str) -> None:
        super().__init__(google, method, f"{ZONE}/instances/web-1")
        link = f"{HOST}/compute/v1/{ZONE}/instances/web-1"
        self.vm: dict[str, Any] = {"name": "web-1", "id": "1", "status": status, "selfLink": link, "metadata": {}}
        self.vm["networkInterfaces"] = [{"networkIP": "10.0.0.2"}]
        self.vm["zone"] = f"{HOST}/compute/v1/{ZONE}"
        self.first = deepcopy(self.vm)
        self.moved: set[str] = set()
        """Machines that were started, stopped, suspended or resumed."""
        self.metadata: dict[str, Any] = {"kind": "compute#metadata"}
        """The metadata of all the project's machines."""
        at = f"{COMPUTE}/zones/{{z}}"
        self.on(f"GET {COMPUTE}", lambda _: {"name": "shop-prod", "commonInstanceMetadata": self.metadata})
        self.on(f"GET {at}/instances/{{i}}", lambda request: self.named(request.parameters["i"]))
        for verb, after in (
            ("suspend", "SUSPENDED"),
            ("resume", "RUNNING"),
            ("start", "RUNNING"),
            ("stop", "TERMINATED"),
        ):
            self.on(
                f"POST {at}/instances/{{i}}/{verb}",
                lambda request, after=after: self.move(request.parameters["i"], after),
            )
        self.on(f"GET {at}/operations/{{o}}", lambda _: self.operation())
        self.on(f"POST {at}/operations/{{o}}/wait", lambda _: self.operation())

    def named(self, name: str) -> dict[str, Any]:
        """One of the machines; any name is one, and all but the first run or are off as that began."""
        return deepcopy(self.vm) if name == "web-1" else {**deepcopy(self.first), "name": name}

    def move(self, name: str, status: str) -> Any:
        """Change the status."""
        self.moved.add(name)
        if name == "web-1":
            self.vm["status"] = status
        return self.operation()

    def also(self, method: str, name: str) -> None:
        """Let the log have another call of this caller."""
        self.entries.append(entry(f"v1.compute.instances.{method}", f"{ZONE}/instances/{name}", {}))

    def operation(self) -> Any:
        """An operation on it that is done."""
        link = f"{HOST}/compute/v1/{ZONE}/operations/op"
        about = {"name": "op", "id": "2", "status": "DONE", "operationType": "x", "zone": self.vm["zone"]}
        return {**about, "selfLink": link, "targetLink": self.vm["selfLink"]}


def begin(tell: Tell, google: Vendor, rule: str) -> Story:
    return tell(FIELDS, rule=rule, cloud=google.laptop)


def test_a_machine_is_made(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.insert", "RUNNING")
    for method in ("get", "getSerialPortOutput"):
        machine.also(method, "shop-db")
    report = begin(tell, google, CHANGED)
    machine.read(report, "web-1")
    state = lambda: machine.vm["status"]  # noqa: E731
    report.contain("Suspend the machines", state=state, becomes="SUSPENDED", shows="SUSPENDED", seconds=SECONDS)
    report.undo(state=state, becomes="RUNNING", seconds=SECONDS)
    assert machine.moved == {"web-1"}, "a machine that was only looked at was suspended"


def test_a_machine_that_was_off_is_not_started_by_the_undo(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.setServiceAccount", "TERMINATED")
    report = begin(tell, google, CHANGED)
    machine.read(report)
    for undo in (False, True):
        report.again("Suspend the machines", undo=undo, seconds=SECONDS)
    assert not machine.moved


def test_a_machine_that_could_not_be_kept_is_not_suspended(google: Vendor, tell: Tell) -> None:
    """Whether it ran before is what the undo must know."""
    machine = Machine(google, "v1.compute.instances.insert", "RUNNING")
    asked: list[Request] = []

    def get(request: Request) -> Any:
        asked.append(request)
        return REFUSED if len(asked) == 1 else machine.named("web-1")

    machine.on(f"GET {COMPUTE}/zones/{{z}}/instances/{{i}}", get)
    report = begin(tell, google, CHANGED)
    machine.read(report)
    report.again("Suspend the machines", shows="denied", seconds=SECONDS)
    assert not machine.moved


def test_a_machine_is_stopped(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    machine.also("setServiceAccount", "off-for-months")
    report = begin(tell, google, STOPPED)
    machine.read(report, "web-1")
    state = lambda: machine.vm["status"]  # noqa: E731
    report.recover("Start them again", state=state, becomes="RUNNING", shows="RUNNING", seconds=SECONDS)
    report.undo(state=state, becomes="TERMINATED", seconds=SECONDS)
    assert machine.moved == {"web-1"}, "a machine was started that nobody had stopped"


def test_a_machine_that_others_started_is_not_stopped(google: Vendor, tell: Tell) -> None:
    machine = Machine(google, "v1.compute.instances.stop", "RUNNING")
    report = begin(tell, google, STOPPED)
    machine.read(report, "web-1")
    for undo in (False, True):
        report.again("Start them again", undo=undo, seconds=SECONDS)
    assert not machine.moved


@pytest.mark.parametrize("key", ["startup-script-url", "windows-startup-script-ps1", "gce-container-declaration"])
@pytest.mark.parametrize("where", ["machine", "project"])
def test_a_startup_script_is_not_started(google: Vendor, tell: Tell, where: str, key: str) -> None:
    """What starts with a machine may be the intruder's, as may what starts with all of the project."""
    machine = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    metadata = {"items": [{"key": key, "value": "gs://evil/x.sh"}]}
    if where == "machine":
        machine.vm["metadata"] = metadata
    else:
        machine.metadata = metadata
    report = begin(tell, google, STOPPED)
    report.again("What did this call", shows="web-1", seconds=SECONDS)
    report.again("Start them again", shows="read its startup script first", seconds=SECONDS)
    assert machine.vm["status"] == "TERMINATED"
    # Somebody reads it and starts the machine.
    machine.vm["status"] = "RUNNING"
    report.again("Start them again", undo=True, seconds=SECONDS)
    assert machine.vm["status"] == "RUNNING"


@pytest.mark.parametrize("refused", [f"GET {COMPUTE}", f"GET {COMPUTE}/zones/{{z}}/instances/{{i}}"])
def test_nothing_starts_whose_scripts_are_unknown(google: Vendor, tell: Tell, refused: str) -> None:
    """The first run may look, and starts nothing; a script comes; the second run may not look."""
    machine = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    machine.vm["metadata"] = {"items": [{"key": "startup-script", "value": "echo ours"}]}
    report = begin(tell, google, STOPPED)
    report.again("What did this call", shows="web-1", seconds=SECONDS)
    report.again("Start them again", shows="read its startup script first", seconds=SECONDS)
    machine.vm["metadata"] = {}
    machine.on(refused, lambda _: REFUSED)
    report.again("Start them again", shows="denied", seconds=SECONDS)
    assert not machine.moved


def test_a_script_that_came_since_is_not_started(google: Vendor, tell: Tell) -> None:
    """The machine is started and stopped once more, now with a script."""
    machine = Machine(google, "v1.compute.instances.stop", "TERMINATED")
    report = begin(tell, google, STOPPED)
    report.again("What did this call", shows="web-1", seconds=SECONDS)
    report.again("Start them again", shows="RUNNING", seconds=SECONDS)
    machine.vm |= {"status": "TERMINATED", "metadata": {"items": [{"key": "startup-script", "value": "curl evil"}]}}
    report.again("Start them again", shows="read its startup script first", seconds=SECONDS)
    assert machine.vm["status"] == "TERMINATED"


class Firewall(Project):
    """A project with an allow rule that a call has made; each other name is a rule like it."""

    def __init__(self, google: Vendor) -> None:
        super().__init__(google, "v1.compute.firewalls.insert", "projects/shop-prod/global/firewalls/open")
        link = f"{HOST}/compute/v1/projects/shop-prod/global"
        self.rule: dict[str, Any] = {"name": "open", "id": "3", "direction": "INGRESS"}
        self.rule |= {"allowed": [{"IPProtocol": "tcp"}], "sourceRanges": ["0.0.0.0/0"]}
        self.rule |= {"selfLink": f"{link}/firewalls/open", "network": f"{link}/networks/default"}
        self.done = {"name": "op", "id": "2", "status": "DONE", "selfLink": f"{link}/operations/op"}
        self.done |= {"targetLink": self.rule["selfLink"], "operationType": "compute.firewalls.patch"}
        self.patched: set[str] = set()
        at = f"{COMPUTE}/global"
        self.on(f"GET {at}/firewalls/{{i}}", lambda request: {**deepcopy(self.rule), "name": request.parameters["i"]})
        self.on(f"PATCH {at}/firewalls/{{i}}", self.patch)
        self.on(f"GET {at}/operations/{{o}}", lambda _: self.done)
        self.on(f"POST {at}/operations/{{o}}/wait", lambda _: self.done)

    def patch(self, request: Request) -> Any:
        """Change the rule."""
        self.patched.add(request.parameters["i"])
        if request.parameters["i"] == "open":
            self.rule.update(request.json())
        return self.done


@pytest.mark.parametrize("change", [{"disabled": True}, {"denied": [{"IPProtocol": "all"}]}])
def test_a_rule_that_lets_nothing_in_stays_as_it_is(google: Vendor, tell: Tell, change: dict[str, Any]) -> None:
    """A deny rule that is switched off lets in; an allow rule that was off before must not be switched on."""
    project = Firewall(google)
    project.rule |= change
    if "denied" in change:
        del project.rule["allowed"]
    before = deepcopy(project.rule)
    report = begin(tell, google, OPENED)
    project.read(report)
    for undo in (False, True):
        report.again("Switch off the allow", undo=undo, seconds=SECONDS)
        assert project.rule == before


def test_a_firewall_is_opened(google: Vendor, tell: Tell) -> None:
    project = Firewall(google)
    project.entries.append(entry("v1.compute.firewalls.get", "projects/shop-prod/global/firewalls/shop", {}))
    rule = project.rule
    report = begin(tell, google, OPENED)
    project.read(report, "open")
    state = lambda: rule.get("disabled", False)  # noqa: E731
    report.contain("Switch off the allow", state=state, becomes=True, shows=["0.0.0.0/0", "True"], seconds=SECONDS)
    report.undo(state=state, becomes=False, seconds=SECONDS)
    assert rule["sourceRanges"] == ["0.0.0.0/0"]
    assert project.patched == {"open"}, "a rule that was only looked at was switched off"


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
