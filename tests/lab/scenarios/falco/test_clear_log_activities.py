"""Clear Log Activities: somebody empties a log file."""

from __future__ import annotations

import pytest

from tests.lab.hostile import file_names
from tests.lab.places.host import Host
from tests.lab.story import Tell

RULE = "Clear Log Activities"


def fields(file: str, **more: object) -> dict[str, object]:
    """What Falco says of root's shell that opens a log with O_TRUNC."""
    return {
        "container.id": "host",
        "evt.type": "openat",
        "fd.name": file,
        "proc.cmdline": "bash -c : > /var/log/auth.log",
        "proc.exepath": "/usr/bin/bash",
        "proc.name": "bash",
        "proc.pname": "sshd",
        "proc.tty": 34816,
        "user.loginuid": 1000,
        "user.name": "root",
        "user.uid": 0,
        **more,
    }


def test_root_empties_the_log_of_logins(booted_host: Host, tell: Tell) -> None:
    log = "/var/log/auth.log"
    booted_host.run("logger -t sshd 'Accepted password for alice from 203.0.113.9'; sync")
    booted_host.write(log, "Accepted password for alice from 203.0.113.9 port 50222\n")
    booted_host.run(f": > {log}")

    with tell(fields(log), host=booted_host) as report:
        report.look("Confirm on the host that the file was emptied", shows="Size: 0", status=0)
        report.look("Read the journal's copy", shows="Accepted password for alice", hides="Traceback")
        report.look("Follow the login session", seconds=20)
        kept = f"/root/evidence/{report.uid}"
        report.keep("Keep executable", keeps=lambda _: booted_host.snapshot(first_below(booted_host, kept)))

        booted_host.path(log).unlink()
        report.again("Confirm on the host", shows="No such file or directory")


def first_below(host: Host, folder: str) -> str:
    """The folder of the process that was kept first: the second run's own shell may get one, too."""
    return f"{folder}/{min((each.name for each in host.path(folder).iterdir()), key=int)}"


@pytest.mark.parametrize("file", file_names("/var/log"))
def test_a_hostile_name(host: Host, tell: Tell, file: str) -> None:
    host.write(file, "a line\n")
    host.write(file, "")

    with tell(fields(file, **{"proc.cmdline": f"sh -c {file}"}), host=host) as report:
        report.look("Confirm on the host that the file was emptied", shows="Size: 0")
        report.everything()
    assert not host.exists("/root/owned")
    assert not host.exists("/owned")
