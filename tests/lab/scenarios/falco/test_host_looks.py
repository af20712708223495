"""What responders look at and do on a host only: accounts, keys, setuid files, terminals, logins, ancestors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.host import Host
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

ACCOUNTS = "User mgmt binaries"
SSH = "Read ssh information"
SETUID = "Non sudo setuid"
HISTORY = "Delete or rename shell history"
NAMESPACE = "Change thread namespace"
TUNABLES = "Potential Local Privilege Escalation via Environment Variables Misuse"
PROXY = "Program run with disallowed http proxy env"
RULES = (ACCOUNTS, SSH, SETUID, HISTORY, NAMESPACE, TUNABLES, PROXY)


def lines(host: Host, *names: str) -> str:
    """The lines of accounts in the file of passwords."""
    return host.run(f"getent shadow {' '.join(names)}")


def account_tool(command: str) -> dict[str, Any]:
    """What Falco says of root's tool that has ended."""
    name = command.split(maxsplit=1)[0]
    return {
        "container.id": "host",
        "proc.cmdline": command,
        "proc.exepath": f"/usr/sbin/{name}",
        "proc.name": name,
        "proc.pname": "bash",
        "proc.tty": 0,
        "user.loginuid": -1,
        "user.name": "root",
        "user.uid": 0,
    }


def test_an_account_is_made(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("useradd -m -s /bin/bash -e 2031-02-03 mallory; echo 'mallory:correct horse' | chpasswd")
    host.run("usermod -aG sudo mallory; chage -d 2026-01-05 mallory")
    before = lines(host, "mallory")
    others = lines(host, "alice", "root", "sshd")
    command = "useradd -m -s /bin/bash -G sudo mallory"
    with tell(account_tool(command), rule=ACCOUNTS, host=host) as report:
        report.look("What changed", shows=["> mallory", "root:x:0:0", "sudo:x:27:mallory"])
        report.looks()
        report.contain("lock the accounts", state=lambda: locked(host), becomes="L", shows="mallory L")
        assert host.read(f"/root/evidence/{report.uid}/shadow-mallory") == before
        assert lines(host, "alice", "root", "sshd") == others
        report.undo(state=lambda: lines(host, "mallory"), becomes=before)
        host.run("userdel -f mallory 2>/dev/null")
        report.again("lock the accounts", hides="mallory")
        assert lines(host, "alice", "root", "sshd") == others


def locked(host: Host) -> str:
    """What ``passwd`` says of mallory's account."""
    return host.run("passwd --status mallory").split()[1]


def test_an_account_that_never_changed_its_password(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("useradd mallory; sed -i 's/^mallory:.*/mallory:!:::::::/' /etc/shadow")
    before = lines(host, "mallory")
    report = tell(account_tool("usermod -s /bin/bash mallory"), rule=ACCOUNTS, host=host)
    report.looks()
    report.contain("lock the accounts", state=lambda: lines(host, "mallory") != before, becomes=True)
    report.undo(state=lambda: lines(host, "mallory"), becomes=before)


@pytest.mark.parametrize("command", ["userdel root", "passwd root", "useradd nobody-there"])
def test_root_and_accounts_that_are_none_stay(booted_host: Host, tell: Tell, command: str) -> None:
    before = booted_host.snapshot("/etc/shadow", "/etc/passwd")
    report = tell(account_tool(command), rule=ACCOUNTS, host=booted_host)
    report.again("lock the accounts")
    report.again("lock the accounts", undo=True)
    assert booted_host.snapshot("/etc/shadow", "/etc/passwd") == before


@pytest.mark.parametrize("word", words())
def test_a_hostile_account(booted_host: Host, tell: Tell, word: str) -> None:
    report = tell(account_tool(f"useradd {word}"), rule=ACCOUNTS, host=booted_host)
    report.everything()
    assert not booted_host.exists("/root/owned")


def rest(report: Story, spot: Spot, pid: int) -> None:
    """What follows: looks, and where the process is frozen, it is, and goes on after the undo."""
    report.looks(seconds=60)
    if not spot.container:
        report.contain(state=lambda: spot.place.state(pid) == "T", becomes=True)
        report.undo(state=lambda: spot.place.state(pid) == "T", becomes=False)


@pytest.mark.parametrize("path", ["/root/.ssh/id_ed25519", "/root/.ssh"])
def test_keys_in_reach(spot: Spot, tell: Tell, path: str) -> None:
    place = spot.place
    place.run("rm -rf /tmp/k; mkdir /tmp/k; ssh-keygen -q -t ed25519 -N '' -C open -f /tmp/k/id_ed25519")
    place.run("ssh-keygen -q -t ed25519 -N secret -C closed -f /tmp/k/id_work")
    for name in ("id_ed25519", "id_work"):
        spot.write(f"/root/.ssh/{name}", place.path(f"/tmp/k/{name}").read_bytes(), 0o600)
    place.run("logger -t sshd 'Accepted publickey for root from 203.0.113.9 port 5 ssh2: ED25519 SHA256:x'")
    place.run("journalctl --sync")
    pid = spot.start("tail", "-f", "/etc/passwd")
    with tell(spot.fields(pid, fd__name=path), rule=SSH, host=place) as report:
        answer = report.look("Which private keys", shows=["256 SHA256:", "/id_ed25519"])
        without = [line for line in answer.text.splitlines() if line.startswith("no passphrase")]
        assert [line.rpartition("/")[2] for line in without] == ["id_ed25519"]
        report.look()
        report.look("Where was the key used", shows="Accepted publickey for root from 203.0.113.9")
        report.unproven("", "the cut, which has a story of its own")


def test_setuid_files_of_an_unknown_program(booted_host: Host, tell: Tell) -> None:
    booted_host.write("/opt/helper", b"#!/bin/sh\n", 0o4755)
    fields = account_tool("helper") | {"proc.exepath": None, "evt.arg.uid": "root"}
    report = tell(fields, rule=SETUID, host=booted_host)
    said = report.look("Which setuid files are there", shows=[" root 4755 /opt/helper", "/usr/bin/sudo"])
    assert said.text.rstrip().endswith("/opt/helper"), "the newest is not last"


def test_a_terminals_memory_is_kept(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.start("script", "-qfc", "sleep 4321", "/dev/null")
    host.wait_until(lambda: "pts/" in host.run("ps -o tty= -C sleep || true"), "a program on a terminal")
    terminal = int(host.run("ps -o tty= -C sleep").strip().removeprefix("pts/"))
    pid = int(host.run("pgrep -x sleep"))
    host.write("/root/.bash_history", "")
    fields = account_tool("rm .bash_history") | {"proc.tty": 34816 + terminal, "evt.arg.name": "/root/.bash_history"}
    report = tell(fields, rule=HISTORY, host=host)
    report.keep(
        "Keep what the shells", keeps=lambda _: (host.path(f"/root/evidence/{report.uid}") / f"core.{pid}").stat()
    )
    assert host.alive(pid)


def test_a_login_is_followed(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.write("/etc/profile.d/x.sh", "export PATH=/tmp:$PATH\n")
    fields = account_tool("tee /etc/profile.d/x.sh") | {"user.loginuid": 1000, "proc.tty": 34816}
    report = tell(fields | {"fd.name": "/etc/profile.d/x.sh"}, rule="Modify Shell Configuration File", host=host)
    report.look("What does", shows="PATH=/tmp")
    report.look("Whose login is it")


def test_who_changed_its_namespace(booted_host: Host, tell: Tell) -> None:
    spot = Spot(booted_host)
    pid = spot.start("sh", "-c", "tail -f /etc/passwd; true")
    booted_host.wait_until(lambda: booted_host.run(f"pgrep -P {pid} || true"), "a child")
    child = int(booted_host.run(f"pgrep -P {pid}"))
    with tell(spot.fields(child), rule=NAMESPACE, host=booted_host) as report:
        report.look("Does it still run", shows=[f"{child} root", f"{pid} root", "sh -c tail -f /etc/passwd", "systemd"])
        rest(report, spot, child)
        booted_host.run(f"kill -KILL {child}")
        report.again("Does it still run", hides="tail")


def test_a_loader_setting(spot: Spot, tell: Tell) -> None:
    if spot.container:
        library = next(spot.place.path("/usr/lib").rglob("libc.so.6"))
        spot.write("/usr/lib/libc.so.6", library.read_bytes(), 0o755)
        spot.write("/usr/bin/helper", b"#!/bin/sh\n", 0o4755)
    pid = follows(spot, "GLIBC_TUNABLES=a.b=a.b=c")
    with tell(spot.fields(pid), rule=TUNABLES, host=spot.place) as report:
        if spot.container:
            report.look("Has the image a glibc", shows=["stable release version 2.36", "usr/bin/helper"])
            rest(report, spot, pid)
            report.contain(state=lambda: frozen(spot), becomes=True)
            report.undo(state=lambda: frozen(spot), becomes=False)
        else:
            report.look("Is the fault mended", shows=["2.36", "CVE-2023-4911"])
            rest(report, spot, pid)


def follows(spot: Spot, variable: str) -> int:
    """Start a program with a variable in its environment; return it once it has become that program."""
    pid = spot.start("env", variable, "tail", "-f", "/etc/passwd")
    spot.place.wait_until(lambda: spot.place.read(f"/proc/{pid}/cmdline").startswith("tail"), "tail runs")
    return pid


def frozen(spot: Spot) -> bool:
    """Whether the kernel has stopped the whole container."""
    assert spot.container is not None
    group = spot.place.run(f"sed -n 's/^0:://p' /proc/{spot.container.pid}/cgroup").strip()
    return "frozen 1" in spot.place.read(f"/sys/fs/cgroup/unified{group}/cgroup.events")


def test_a_proxy(booted_host: Host, tell: Tell) -> None:
    spot = Spot(booted_host)
    pid = follows(spot, "https_proxy=http://203.0.113.9:3128")
    spot.write("/etc/environment", "https_proxy=http://203.0.113.9:3128\n")
    report = tell(spot.fields(pid), rule=PROXY, host=booted_host)
    report.look("Which proxy is it", shows=["203.0.113.9:3128", f"{pid} https_proxy", "/etc/environment:1:"])
    rest(report, spot, pid)
