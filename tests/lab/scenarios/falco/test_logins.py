"""System user interactive: somebody at a login becomes a service's account."""

from __future__ import annotations

from typing import Any

from tests.lab.places.host import Host
from tests.lab.story import Tell

RULE = "System user interactive"
LOGIN = """
systemctl -q unmask systemd-logind; systemctl start dbus systemd-logind
echo 'alice:correct horse' | chpasswd; chage -d 2026-01-05 -M 9999 -W 9 -I 20 -E 2030-01-01 alice
(echo 1000 > /proc/self/loginuid; exec setsid su -l alice -c 'sleep 4321') </dev/null >/dev/null 2>&1 &
"""


def fields(**more: Any) -> dict[str, Any]:
    """What Falco says of a shell that alice's sudo started as www-data."""
    return {
        "container.id": "host",
        "evt.type": "execve",
        "proc.cmdline": "bash -i",
        "proc.exepath": "/usr/bin/bash",
        "proc.name": "bash",
        "proc.pname": "sudo",
        "proc.tty": 34816,
        "user.loginuid": 1000,
        "user.name": "www-data",
        "user.uid": 33,
        **more,
    }


def sessions(host: Host) -> list[str]:
    """What runs of alice's logins, and whether she can log in."""
    running = host.run("pgrep -u alice -x sleep || true").split()
    return ["runs"] * len(running) + [host.run("passwd --status alice").split()[1]]


def test_alice_becomes_a_service(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run(LOGIN)
    host.wait_until(
        lambda: host.run("loginctl list-sessions; pgrep -u alice -x sleep || true").count("alice"), "a login"
    )
    host.run("logger -t sudo 'alice : TTY=pts/0 ; USER=www-data ; COMMAND=/bin/bash'; journalctl --sync")
    before = host.snapshot("/etc/shadow", "/etc/passwd")
    line = host.run("getent shadow alice")

    with tell(fields(), host=host) as report:
        report.look("What else does its login do?", shows="sleep 4321")
        report.look(
            "Could this account log in by itself?",
            shows=["/usr/sbin/nologin", "www-data L ", "No such file", "COMMAND=/bin/bash"],
        )
        report.contain("lock the account", state=lambda: sessions(host), becomes=["L"], shows="alice L")
        assert "sleep 4321" in host.read(f"/root/evidence/{report.uid}/processes")
        assert host.read(f"/root/evidence/{report.uid}/shadow") == line
        report.undo(state=lambda: host.run("getent shadow alice"), becomes=line)
        assert host.snapshot("/etc/shadow", "/etc/passwd") == before

        host.run("userdel -f alice 2>/dev/null")
        report.again("lock the account", shows="unknown")


def test_the_responders_own_login_is_spared(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.terminal("bash").set_up("echo 1000 > /proc/self/loginuid")
    before = host.snapshot("/etc/shadow")
    report = tell(fields(), host=host)
    report.again("lock the account", shows="your own login")
    assert host.snapshot("/etc/shadow") == before


def test_without_a_login(booted_host: Host, tell: Tell) -> None:
    pid = booted_host.start("tail", "-f", "/dev/null", user="www-data")
    alert = fields(**{"user.loginuid": -1, "proc.cmdline": "tail -f /dev/null", "proc.exepath": "/usr/bin/tail"})
    with tell(alert | {"proc.name": "tail", "proc.pname": "tail"}, host=booted_host) as report:
        report.look("What started it?", shows="tail -f /dev/null")
        report.look("Could this account log in by itself?")
        report.contain("Freeze the process", state=lambda: booted_host.state(pid), becomes="T")
        report.undo(state=lambda: booted_host.state(pid), becomes="S")
