"""What an alert names is gone when its steps are pasted: the container, the server, the connection, the process.

Each step says so and changes nothing, above all not what has come since under the same name: a container of the same
pod and name, a process with the same command line.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.internet import PEER
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

EC2 = "Contact EC2 Instance Metadata Service From Container"
CLOUD = "Contact cloud metadata service from container"
SUBNET = "Network Connection outside Local Subnet"
UDP = "Unexpected UDP Traffic"
INBOUND = "Unexpected inbound connection source"
REVERSE = "Reverse Shell from Web Server"
WEB = "Web Server Spawned Shell"
CHILD = "Web Server Spawned Suspicious Child Process"
RULES = (EC2, CLOUD, SUBNET, UDP, INBOUND, REVERSE, WEB, CHILD)
OUT = {"fd.name": f"10.88.0.5:40000->{PEER}:4444", "fd.type": "ipv4", "fd.sip": PEER, "fd.rip": PEER, "fd.sport": 4444}
IN = {
    "fd.name": f"{PEER}:40000->10.88.0.5:80",
    "fd.type": "ipv4",
    "fd.cip": PEER,
    "fd.lport": 80,
    "evt.type": "accept4",
}
ABOUT: dict[str, dict[str, Any]] = {
    EC2: OUT | {"fd.name": "10.88.0.5:1->169.254.169.254:80", "fd.sip": "169.254.169.254", "fd.rip": "169.254.169.254"},
    CLOUD: OUT,
    SUBNET: IN,
    UDP: OUT | {"fd.l4proto": "udp"},
    INBOUND: IN,
    REVERSE: OUT | {"proc.name": "sh", "proc.cmdline": "sh", "proc.pname": "php-fpm8.2"},
    WEB: {"proc.name": "sh", "proc.cmdline": "sh", "proc.pname": "php-fpm8.2"},
    CHILD: {"proc.name": "id", "proc.cmdline": "id", "proc.pname": "php-fpm8.2"},
}
"""What each rule's alert says of its act."""
CONTAINER_WORDS = ("gone", "not found", "NotFound", "No such")
"""How a step may say that a container has ended."""
NOT_OF_IT = ("Whose credentials",)
"""Steps that ask the node, whatever has become of the container."""


def state_of(web: Spot) -> tuple[str, str, list[int]]:
    """Whether a container runs, what its network drops, and its processes."""
    assert web.container is not None
    assert isinstance(web.place, Node)
    pid = web.container.pid
    dropped = web.place.run(f"nsenter -t {pid} -n nft list ruleset")
    return web.place.state(pid), dropped, web.place.pids_of(web.container)


@pytest.mark.parametrize("rule", RULES)
def test_the_container_is_gone_and_has_a_namesake(node: Node, tell: Tell, rule: str) -> None:
    web = Spot(node, node.start_container())
    fields = web.fields(web.start("tail", "-f", "/etc/passwd")) | ABOUT[rule]
    node.remove_pods()
    namesake = Spot(node, node.start_container())
    namesake.start("tail", "-f", "/etc/passwd")
    before, rules_before = state_of(namesake), node.run("nft list ruleset")
    report = tell(fields, rule=rule, host=node)
    for step in report.steps:
        answer = report.again(step.title, seconds=60)
        assert step.title.startswith(NOT_OF_IT) or any(word in answer.text for word in CONTAINER_WORDS), (
            f"{step.title!r} does not say that the container has ended: {answer}"
        )
        assert state_of(namesake) == before, f"{step.title!r} changed another container of this name"
    for step in report.steps:
        if step.undo:
            report.again(step.title, undo=True, seconds=60)
            assert state_of(namesake) == before, f"the undo of {step.title!r} changed another container of this name"
    assert node.run("nft list ruleset") == rules_before
    assert not node.run("mkdir -p /root/evidence; find /root/evidence -name frozen -o -name stopped -o -name files.tgz")


def test_a_cut_outlives_the_container_and_is_undone(node: Node, tell: Tell) -> None:
    """A container that is started again has its pod's network, and with it the cut."""
    web = Spot(node, node.start_container())
    assert web.container is not None
    report = tell(web.fields() | ABOUT[CLOUD], rule=CLOUD, host=node)
    report.again("Drop all packets")
    pause = node.run(f"crictl inspectp -o go-template --template '{{{{.info.pid}}}}' {web.container.pod_id}").strip()
    dropped = lambda: PEER in node.run(f"nsenter -t {pause} -n nft list ruleset")  # noqa: E731
    assert dropped()
    node.run(f"crictl rm -f {web.container.id}")
    report.again("Does nothing pass?", shows="gone")
    report.again("Drop all packets", undo=True)
    assert not dropped(), "the cut stayed in the pod"


@pytest.mark.parametrize("rule", [SUBNET, UDP, INBOUND])
def test_the_connection_of_a_host_is_over(booted_host: Host, tell: Tell, rule: str) -> None:
    spot = Spot(booted_host)
    pid = booted_host.start("tail", "-f", "/etc/passwd")
    fields = spot.fields(pid) | ABOUT[rule] | {"container.id": "host"}
    booted_host.run(f"kill -KILL {pid}")
    booted_host.wait_until(lambda: not booted_host.alive(pid), "the process has ended")
    report = tell(fields, rule=rule, host=booted_host)
    looks = [step.title for step in report.steps if step.phases == ("look",)]
    said = "\n".join(report.again(title, seconds=60).text for title in looks)
    assert f"{PEER}:4" not in said, "a connection that is over was shown"


def test_a_process_with_the_same_command_line(booted_host: Host, tell: Tell) -> None:
    """The service was started again after the alert: that is not the process of the alert."""
    report, pid = frozen_story(booted_host, tell)
    booted_host.run(f"kill -KILL {pid}")
    booted_host.wait_until(lambda: not booted_host.alive(pid), "the process has ended")
    report.again("Freeze the process", shows="nothing frozen: it has ended")
    report.again("Freeze the process", undo=True, shows="No such file")
    # Times of processes are whole seconds, and the step leaves two more.
    booted_host.run("sleep 4")
    successor = booted_host.start("tail", "-f", "/etc/passwd")
    report.again("Freeze the process", shows=[f"{successor} began later", "nothing frozen"])
    report.again("Does it stand still?", shows="No such file")
    assert booted_host.state(successor) == "S", "another process of this command line was stopped"


def test_a_process_id_that_is_used_again(booted_host: Host, tell: Tell) -> None:
    """The undo lets only that go on which it stopped."""
    report, pid = frozen_story(booted_host, tell)
    report.again("Freeze the process", hides="nothing frozen")
    booted_host.wait_until(lambda: booted_host.state(pid) == "T", "it stands still")
    booted_host.run(f"kill -KILL {pid}; sleep 1.1")
    other = booted_host.start("tail", "-f", "/etc/passwd")
    booted_host.run(f"kill -STOP {other}")
    booted_host.wait_until(lambda: booted_host.state(other) == "T", "the other stands still")
    kept = f"/root/evidence/{report.uid}/stopped"
    booted_host.write(kept, booted_host.read(kept).replace(f"{pid} ", f"{other} ", 1))
    report.again("Freeze the process", undo=True)
    assert booted_host.state(other) == "T", "a process that somebody else had stopped was let go on"


def frozen_story(host: Host, tell: Tell) -> tuple[Story, int]:
    """An alert whose process runs."""
    pid = host.start("tail", "-f", "/etc/passwd")
    listening = {"evt.type": "listen", "fd.name": "0.0.0.0:80", "fd.type": "ipv4"}
    report = tell(Spot(host).fields(pid) | listening, rule=INBOUND, host=host)
    return report, pid


@pytest.mark.parametrize("rule", [REVERSE, WEB, CHILD])
def test_the_server_of_a_host_is_gone(booted_host: Host, tell: Tell, rule: str) -> None:
    """Somebody else's shell and programs, of the same names and user, are not below a server."""
    others = [booted_host.start("tail", "-f", "/etc/passwd"), booted_host.start("sh", "-c", "sleep 4321; true")]
    fields = Spot(booted_host).fields(others[0]) | ABOUT[rule] | {"container.id": "host", "proc.exepath": None}
    report = tell(fields, rule=rule, host=booted_host)
    before = booted_host.snapshot("/var/www", "/etc")
    for step in report.steps:
        answer = report.again(step.title, hides=[f"{pid} T" for pid in others], seconds=60)
        assert "usage:" not in answer.text, f"{step.title!r} fails instead of saying that there is nothing: {answer}"
    report.again("what the web server started", undo=True, shows="No such file")
    assert not [pid for pid in others if booted_host.state(pid) not in {"R", "S"}], "a bystander was stopped"
    assert booted_host.snapshot("/var/www", "/etc") == before


PATHS: dict[str, dict[str, Any]] = {
    "Adding ssh keys to authorized_keys": {"fd.name": "/root/.ssh/authorized_keys"},
    "Container Drift Detected (open+create)": {"evt.arg.name": "/opt/agent"},
    "Container Drift Detected (chmod)": {"evt.arg.filename": "/opt/agent"},
    "Detect crypto miners using the Stratum protocol": {"proc.exepath": "/opt/agent"},
    "Mkdir binary dirs": {"evt.arg.path": "/usr/local/bin/.x"},
    "Create Symlink Over Sensitive Files": {"evt.arg.target": "/etc/shadow", "evt.arg.linkpath": "/srv/x"},
    "Create Hardlink Over Sensitive Files": {"evt.arg.oldpath": "/etc/shadow", "evt.arg.newpath": "/srv/x"},
    "Set Setuid or Setgid bit": {"evt.arg.filename": "/opt/agent", "fd.name": "/opt/agent", "evt.arg.mode": "S_ISUID"},
}


@pytest.mark.parametrize("rule", PATHS)
def test_the_container_of_a_file_is_gone(node: Node, tell: Tell, rule: str) -> None:
    """A reader who hears of a link would look for its target; there is none any more."""
    web = Spot(node, node.start_container())
    fields = web.fields(web.start("tail", "-f", "/etc/passwd")) | PATHS[rule]
    node.remove_pods()
    report = tell(fields, rule=rule, host=node)
    for step in report.steps:
        if "contain" in step.phases and any(word in step.title.casefold() for word in ("take", "remove")):
            report.again(step.title, shows="gone", hides=["link_out", "no_file"])
            if "/proc/" in step.undo:
                report.again(step.title, undo=True, shows="gone", hides=["link_out", "no_file"])
