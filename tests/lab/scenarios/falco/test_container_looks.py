"""What responders look at in a container only: devices, mounts, packages of Node.js, holes, traces of root."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

MOUNT = "Mount Launched in Privileged Container"
RUNTIME = "Modify Container Entrypoint"
DEVICE = "Privileged Container Device Access"
NPM = "Network Tool Executed During NPM Package Install"
NODE_FILES = "Container Access to Host Sensitive Paths"
GPU = "Container Accessing GPU Device"
PROXY = "Program run with disallowed http proxy env"
POLKIT = "Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)"
SUDO = "Sudo Potential Privilege Escalation"
BACKDOOR = "Backdoored library loaded into SSHD (CVE-2024-3094)"
DECODE = "Decoding Payload in Container"
RULES = (MOUNT, RUNTIME, DEVICE, NPM, NODE_FILES, GPU, PROXY, POLKIT, SUDO, BACKDOOR, DECODE)


def privileged(node: Node, *, mounts: tuple[dict[str, Any], ...] = ()) -> Spot:
    """A container with all rights."""
    return Spot(node, node.start_container(security={"privileged": True}, mounts=mounts))


@pytest.fixture
def web(node: Node) -> Spot:
    """A container that no kubelet knows of."""
    return Spot(node, node.start_container())


def frozen(spot: Spot) -> bool:
    """Whether the kernel has stopped the whole container."""
    assert spot.container is not None
    group = spot.place.run(f"sed -n 's/^0:://p' /proc/{spot.container.pid}/cgroup").strip()
    return "frozen 1" in spot.place.read(f"/sys/fs/cgroup/unified{group}/cgroup.events")


def halted(report: Story, spot: Spot) -> None:
    """What follows: looks; then the container is frozen, and goes on after the undo."""
    if "contain" not in report.steps[report.at].phases:
        report.looks(seconds=60)
    report.contain(state=lambda: frozen(spot), becomes=True, shows="frozen 1")
    report.undo(state=lambda: frozen(spot), becomes=False)


def tail(spot: Spot, file: str = "/etc/passwd") -> int:
    """A program that goes on in the container."""
    return spot.start("tail", "-f", file)


def test_the_nodes_disk_is_mounted(node: Node, tell: Tell) -> None:
    spot = privileged(node)
    spot.run("mkdir -p /mnt/g && mount -t cgroup -o cpu cgroup /mnt/g")
    node.write("/etc/cron.d/escape", "* * * * * root id\n")
    with tell(spot.fields(tail(spot)), rule=MOUNT, host=node) as report:
        report.look("What is mounted there now", shows=["/mnt/g", " - cgroup ", "/etc/cron.d/escape"])
        halted(report, spot)
        node.path("/etc/cron.d/escape").unlink()
        spot.run("umount /mnt/g")
        report.again("What is mounted there now", hides=["/mnt/g", "escape"])


def test_the_runtime_is_looked_at(web: Spot, tell: Tell) -> None:
    node = web.place
    with tell(web.fields(tail(web), fd__name="/proc/self/exe"), rule=RUNTIME, host=node) as report:
        report.look("Is the node's runtime unchanged", shows=["/usr/sbin/runc", "runc version"], hides="??5??????   /")
        halted(report, web)
        with node.path("/usr/sbin/runc").open("ab") as file:
            file.write(b"x")
        report.again("Is the node's runtime unchanged", shows="??5??????   /usr/sbin/runc")
        node.run("truncate -s -1 /usr/sbin/runc")


def test_a_disk_is_open(node: Node, tell: Tell) -> None:
    spot = privileged(node)
    spot.run("mknod /dev/vdz b 253 77; touch /dev/lab")
    pid = spot.start("sh", "-c", "exec tail -f /dev/lab 3>>/dev/lab")
    with tell(spot.fields(pid, fd__name="/dev/vdz"), rule=DEVICE, host=node) as report:
        report.look("What is this device", shows=["block special file, number 253:77", "MAJ:MIN", "/dev/lab"])
        halted(report, spot)
        spot.run("rm /dev/vdz")
        report.again("What is this device", shows="No such file", hides="number")


def test_a_package_brings_a_script(web: Spot, tell: Tell) -> None:
    web.write("/app/node_modules/evil/package.json", '{\n "scripts": {\n  "postinstall": "nc 203.0.113.9 1"\n }\n}\n')
    web.write("/app/node_modules/good/package.json", '{\n "scripts": {\n  "test": "x"\n }\n}\n')
    with tell(web.fields(tail(web)), rule=NPM, host=web.place) as report:
        report.look("Which package brings", shows=["evil/package.json:3:", "nc 203.0.113.9 1"], hides="good")
        halted(report, web)
        web.path("/app/node_modules/evil/package.json").unlink()
        report.again("Which package brings", hides="evil")


def test_an_installation_is_stopped_on_a_host(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.write(
        "/srv/app/node_modules/evil/package.json", '{\n "scripts": {\n  "postinstall": "nc 203.0.113.9 1"\n }\n}\n'
    )
    host.run("cp /bin/bash /usr/bin/npm")
    npm = host.start("npm", "-c", "sh -c 'tail -f /etc/passwd; true' & wait")
    other = host.start("tail", "-f", "/etc/group")
    host.wait_until(lambda: "passwd" in host.run("ps -C tail -o args= || true"), "the script has started its program")
    pid = int(host.run("pgrep -fx 'tail -f /etc/passwd'"))
    with tell(Spot(host).fields(pid), rule=NPM, host=host) as report:
        report.look("Which package brings", shows=["evil/package.json:3:", "nc 203.0.113.9 1"], seconds=90)
        report.looks(shows="tail -f", seconds=60)
        report.contain("Freeze the running", state=lambda: [host.state(npm), host.state(pid)], becomes=["T", "T"])
        assert host.state(other) == "S", "a bystander was stopped"
        assert (Spot(host).evidence / report.uid / f"{pid}.exe").exists()
        report.undo(state=lambda: [host.state(npm), host.state(pid)], becomes=["S", "S"])


def test_the_nodes_files_are_reached(node: Node, tell: Tell) -> None:
    spot = privileged(node, mounts=({"container_path": "/host", "host_path": "/"},))
    node.write("/etc/cron.d/escape", "* * * * * root id\n")
    with tell(spot.fields(tail(spot), fd__name="/host/etc/cron.d/escape"), rule=NODE_FILES, host=node) as report:
        report.look("What of the node is mounted", shows=["/ -> /host rw", "/etc/cron.d/escape"])
        report.look("What of the machine does it have", shows=['"/"', "sleep"])
        halted(report, spot)
        node.path("/etc/cron.d/escape").unlink()


def test_a_gpu_is_held(web: Spot, tell: Tell) -> None:
    web.run("touch /dev/nvidia0")
    pid = tail(web, "/dev/nvidia0")
    with tell(web.fields(pid, fd__name="/dev/nvidia0"), rule=GPU, host=web.place) as report:
        answer = report.look("Who holds a GPU", shows=["/dev/nvidia0", f"{pid} root"])
        at = answer.text.splitlines().index("/dev/nvidia0")
        assert str(pid) in answer.text.splitlines()[at + 1]
        report.look("What of the machine does it have", shows="sleep")
        halted(report, web)
        web.place.run(f"kill -KILL {pid}")
        report.again("Who holds a GPU", hides="nvidia")


def test_a_proxy_of_a_container(web: Spot, tell: Tell) -> None:
    pid = web.start("env", "https_proxy=http://203.0.113.9:3128", "tail", "-f", "/etc/passwd")
    with tell(web.fields(pid), rule=PROXY, host=web.place) as report:
        report.look("Which proxy is it", shows=["203.0.113.9:3128", f"{pid} https_proxy"])
        halted(report, web)


@pytest.mark.parametrize(
    ("rule", "program", "package", "cve"),
    [(POLKIT, "/usr/bin/pkexec", "policykit-1", "CVE-2021-4034"), (SUDO, "/usr/bin/sudo", "sudo", "CVE-2021-3156")],
)
def test_a_hole_in_an_image(web: Spot, tell: Tell, rule: str, program: str, package: str, cve: str) -> None:
    web.write(program, b"#!/bin/sh\n", 0o4755)
    web.write("/var/lib/dpkg/status", f"Package: x\nVersion: 1\n\nPackage: {package}\nStatus: ok\nVersion: 1.8.31-1\n")
    web.write(f"/var/lib/dpkg/info/{package}:amd64.list", f"/.\n{program}\n")
    log = f"/usr/share/doc/{package}/changelog.Debian.gz"
    web.write(log, gzip.compress(f"  * Fix {cve}\n".encode()))
    web.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n")
    with tell(web.fields(tail(web)), rule=rule, host=web.place) as report:
        report.look("Is the hole closed", shows=["-rwsr-xr-x", log.lstrip("/"), "Version: 1.8.31-1"])
        report.look("Did it give them root", shows=["toor:x:0:0", program.lstrip("/"), "etc/passwd", "tail -f"])
        halted(report, web)
        web.path(log).unlink()
        report.again("Is the hole closed", hides="changelog.Debian.gz\n")
        web.path(program).unlink()
        report.again("Is the hole closed", shows="No such file")


def test_the_back_door_in_an_image(web: Spot, tell: Tell) -> None:
    library = "/usr/lib/liblzma.so.5.6.0"
    form = "f30f1efa554889f54c89ce5389fb81e7000000804883ec28488954241848894c2410"
    web.write(library, b"\x7fELF" + bytes.fromhex(form) + b"end")
    with tell(web.fields(tail(web), fd__name=library), rule=BACKDOOR, host=web.place) as report:
        answer = report.look("Does the library hold")
        assert "1" in answer.text.split(), answer
        halted(report, web)
        web.write(library, b"\x7fELFend")
        assert "0" in report.again("Does the library hold").text.split()
        web.path(library).unlink()
        report.again("Does the library hold", shows="No such file")


def test_text_from_a_pipe_gives_the_empty_answer(web: Spot, tell: Tell, tmp_path: Path) -> None:
    fields = web.fields(tail(web)) | {"proc.cmdline": "base64 -d", "proc.name": "base64"}
    with tell(fields, rule=DECODE, host=web.place) as report:
        assert not report.look("What does the text say").text.strip()
        halted(report, web)


def test_root_on_a_host(booted_host: Host, tell: Tell) -> None:
    spot = Spot(booted_host)
    booted_host.write("/opt/helper", b"#!/bin/sh\n", 0o4755)
    booted_host.run("echo 'toor:x:0:0::/:/bin/sh' >> /etc/passwd")
    report = tell(spot.fields(tail(spot)), rule=SUDO, host=booted_host)
    report.look("Is the hole closed", shows=["-rwsr-xr-x", "CVE-2021-3156"])
    report.look("Did it give them root", shows=["toor:x:0:0", "/opt/helper", "/etc/passwd", "tail -f"])
    # With a login in the alert, what runs in it is asked for instead.
    report = tell(spot.fields(tail(spot)) | {"user.loginuid": 4294967295 - 1}, rule=SUDO, host=booted_host)
    report.look("Is the hole closed", shows="-rwsr-xr-x")
    report.look("Did it give them root", shows=["toor:x:0:0", "/opt/helper"], hides="tail -f")
