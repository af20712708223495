"""Peers are cut off, hosts isolated, processes ended, and all of it undone: on a host, and in a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, Internet, internet
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

POOL = "Detect outbound connections to common miner pool ports"
METADATA = "Contact EC2 Instance Metadata Service From Container"
SUBNET = "Network Connection outside Local Subnet"
BACKDOOR = "Backdoored library loaded into SSHD (CVE-2024-3094)"
BPF = "BPF Program Not Profiled"
INTERPRETER = "Interpreted procs inbound network activity"
RULES = (POOL, METADATA, SUBNET, BACKDOOR, BPF, INTERPRETER)


def nc(spot: Spot) -> str:
    """The netcat that both have."""
    return "nc.traditional"


def reaches(spot: Spot, address: str = PEER) -> bool:
    """Whether the spot can open a connection to an address out there."""
    return "yes" in spot.run(f"{nc(spot)} -z -w 2 {address} 4444 && echo yes || echo no")


@pytest.mark.parametrize("rule", [POOL, METADATA, SUBNET])
def test_a_peer_is_cut_off(spot: Spot, tell: Tell, tmp_path: Path, rule: str) -> None:
    with internet(spot.place) as far:
        far.listen(4444, into=tmp_path / "got")
        pid = spot.start(nc(spot), PEER, "4444")
        connection = f"10.99.0.2:40000->{PEER}:4444"
        more: dict[str, Any] = {"fd.name": connection, "fd.type": "ipv4", "fd.sip": PEER, "fd.rip": PEER}
        if rule == SUBNET:
            more |= {"fd.name": f"{PEER}:40000->10.99.0.2:22", "fd.cip": PEER, "evt.type": "accept4"}
        # Where the process is known, ending it is the smaller cut.
        known = spot.fields(None if rule == POOL else pid)
        report = tell(known | more, rule=rule, host=spot.place)
        if "Drop all packets" not in str([step.title for step in report.steps]):
            assert rule == METADATA
            assert not spot.container
            return
        to_the_cut(report, "Drop all packets")
        report.contain("Drop all packets", state=lambda: reaches(spot), becomes=False)
        assert reaches(spot, "198.51.100.7"), "another address was cut off"
        report.verify("Does nothing pass?", held=["drop", PEER], not_held="No such file")
        report.undo(state=lambda: reaches(spot), becomes=True)


def to_the_cut(report: Story, title: str) -> None:
    """Run what only looks before a step; leave out other cuts, which are told elsewhere."""
    while title.casefold() not in report.steps[report.at].title.casefold():
        phases = report.steps[report.at].phases
        if "contain" not in phases and phases[0] != "verify":
            report.looks(seconds=60)
        else:
            report.unproven("", "another cut, which has a story of its own")


@pytest.mark.parametrize("address", ["$(touch owned)", "203.0.113.45; touch owned", "-rf", "0.0.0.0/0"])
def test_an_address_that_is_none(spot: Spot, tell: Tell, address: str) -> None:
    fields = spot.fields(spot.start("tail", "-f", "/etc/passwd"), fd__type="ipv4", fd__sip=address, fd__rip=address)
    report = tell(fields | {"fd.name": f"10.99.0.2:1->{address}:2"}, rule=POOL, host=spot.place)
    if any("Drop all packets" in step.title for step in report.steps):
        report.again("Drop all packets", shows="not an address")
    assert "falco" not in spot.place.run("nft list ruleset")
    assert not spot.place.exists("/root/owned")


def logged_in(host: Host, connection: str, *, sudo: bool) -> None:
    """The reader comes over SSH; sudo's shell does not have the variable that its parents have."""
    host.environment["SSH_CONNECTION"] = connection
    if sudo:
        host.starter = ["sh", "-c", 'env -u SSH_CONNECTION "$@"; exit "$?"', "sudo"]


@pytest.mark.parametrize("sudo", [False, True])
@pytest.mark.parametrize("rule", [POOL, SUBNET])
def test_the_readers_own_address_is_spared(booted_host: Host, tell: Tell, rule: str, *, sudo: bool) -> None:
    logged_in(booted_host, f"{PEER} 50000 10.99.0.2 22", sudo=sudo)
    more: dict[str, Any] = {"fd.rip": PEER, "fd.sip": PEER, "fd.name": f"10.99.0.2:1->{PEER}:2"}
    if rule == SUBNET:
        more = {"fd.cip": PEER, "fd.name": f"{PEER}:40000->10.99.0.2:22", "evt.type": "accept4"}
    more |= {"fd.type": "ipv4", "proc.cmdline": "x", "proc.pname": "x", "user.loginuid": -1}
    report = tell(Spot(booted_host).fields() | more, rule=rule, host=booted_host)
    report.again("Drop all packets", shows="your own address")
    assert "falco" not in booted_host.run("nft list ruleset")


@pytest.mark.parametrize("port", [22, 2222])
def test_a_host_is_isolated(booted_host: Host, tell: Tell, tmp_path: Path, port: int) -> None:
    host = booted_host
    logged_in(host, f"{PEER} 50000 10.99.0.2 {port}", sudo=port != 22)
    spot = Spot(host)
    host.write("/usr/lib/x86_64-linux-gnu/liblzma.so.5.6.0", b"\xf3\x0f\x1e\xfa\x55")
    fields = {"fd.name": "/usr/lib/x86_64-linux-gnu/liblzma.so.5.6.0", "proc.name": "sshd", "proc.pname": "systemd"}
    fields |= {"container.id": "host", "user.loginuid": -1, "proc.exepath": "/usr/sbin/sshd"}
    host.run(f"socat TCP4-LISTEN:{port},fork,reuseaddr SYSTEM:'echo hello; cat' >/dev/null 2>&1 &")
    with internet(host) as far:
        far.listen(4444, into=tmp_path / "got")
        host.wait_until(lambda: f":{port}" in host.run("ss -Hltn"), "something listens on the port")
        report = tell(fields, rule=BACKDOOR, host=host)
        to_the_cut(report, "Isolate this host")
        # In a tmux that was left and entered again, the variable is another session's.
        report.again("Isolate this host", shows=f"no session from {PEER} now")
        assert "falco" not in host.run("nft list ruleset")
        far.connect("10.99.0.2", port, source=PEER)
        host.wait_until(lambda: PEER in host.run("ss -Htn state established"), "the reader's session")
        report.contain("Isolate this host", state=lambda: (reaches(spot), enters(far, port)), becomes=(False, True))
        report.verify("Is it cut off?", held="policy drop", not_held="No such file")
        report.undo(state=lambda: (reaches(spot), enters(far, port)), becomes=(True, True))


def enters(far: Internet, port: int) -> bool:
    """Whether the reader's own address still reaches the port."""
    return "hello" in far.run(f"socat -T 20 - TCP4:10.99.0.2:{port},bind={PEER},connect-timeout=3 </dev/null || true")


def test_a_containers_way_to_the_peer_is_cut_with_the_hosts(node: Node, tell: Tell, tmp_path: Path) -> None:
    outside, inside = Spot(node), Spot(node, node.start_container())
    with internet(node) as far:
        far.listen(4444, into=tmp_path / "got")
        more = {"fd.name": f"10.99.0.2:40000->{PEER}:4444", "fd.type": "ipv4", "fd.sip": PEER, "fd.rip": PEER}
        report = tell(outside.fields() | more, rule=POOL, host=node)
        to_the_cut(report, "Drop all packets")
        both = lambda: (reaches(outside), reaches(inside))  # noqa: E731
        report.contain("Drop all packets", state=both, becomes=(False, False))
        report.undo(state=both, becomes=(True, True))


@pytest.mark.parametrize("rule", [POOL, METADATA])
def test_a_container_on_the_nodes_network(node: Node, tell: Tell, rule: str) -> None:
    """The cut would be the whole node's: none of its pods would get a role, and the reader might be away."""
    inside = Spot(node, node.start_container(host_network=True))
    more = {"fd.name": f"10.99.0.2:40000->{PEER}:4444", "fd.type": "ipv4", "fd.sip": PEER, "fd.rip": PEER}
    report = tell(inside.fields(None) | more, rule=rule, host=node)
    try:
        report.again("Drop all packets", shows="on the node's network")
        assert report.uid not in node.run("nft list ruleset"), "the whole node is cut off from the address"
    finally:
        node.run(f"nft delete table inet falco_{report.uid} 2>/dev/null || true")


def test_a_process_is_ended(spot: Spot, tell: Tell) -> None:
    pid = spot.start("tail", "-f", "/etc/passwd")
    other = spot.start("tail", "-f", "/etc/group")
    report = tell(spot.fields(pid), rule=BPF, host=spot.place)
    to_the_cut(report, "End the process")
    report.contain("End the process", state=lambda: spot.place.alive(pid), becomes=False)
    assert spot.place.alive(other), "a bystander was ended"
    assert "tail -f /etc/passwd" in (spot.evidence / report.uid / "killed").read_text()
    report.verify("Has it ended", hides="tail -f /etc/passwd", not_held="tail -f /etc/passwd")


def test_an_interpreter_is_frozen(spot: Spot, tell: Tell) -> None:
    pid = spot.start("tail", "-f", "/etc/passwd")
    more: dict[str, Any] = {"fd.name": f"{PEER}:40000->10.99.0.2:80", "fd.type": "ipv4"}
    report = tell(spot.fields(pid) | more, rule=INTERPRETER, host=spot.place)
    to_the_cut(report, "Freeze the process")
    report.contain("Freeze the process", state=lambda: spot.place.state(pid), becomes="T")
    report.verify("Does it stand still?", held=f"{pid} T")
    report.undo(state=lambda: spot.place.state(pid), becomes="S")


def test_the_first_process_takes_nobody_along(booted_host: Host, tell: Tell) -> None:
    """What it started is the whole host, the reader's own shell included."""
    other = booted_host.start("tail", "-f", "/etc/passwd")
    fields = Spot(booted_host).fields(1, fd__type="ipv4", fd__name=f"{PEER}:40000->10.99.0.2:80")
    report = tell(fields, rule=INTERPRETER, host=booted_host)
    report.again("Freeze the process", shows="")
    assert booted_host.state(other) == "S", "a bystander was stopped"


def test_arguments_that_are_a_command_freeze_nobody(spot: Spot, tell: Tell) -> None:
    pid = spot.start("tail", "-f", "/etc/passwd")
    fields = spot.fields(pid, fd__type="ipv4", fd__name=f"{PEER}:40000->10.99.0.2:80")
    fields |= {"proc.cmdline": "tail $(touch owned); touch owned", "proc.exepath": "/usr/bin/'; touch owned"}
    report = tell(fields, rule=INTERPRETER, host=spot.place)
    report.again("Freeze the process", shows="")
    assert spot.place.state(pid) == "S", "a bystander was stopped"
    assert not spot.place.exists("/root/owned")
