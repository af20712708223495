"""Clear Log Activities: somebody empties a log file."""

from __future__ import annotations

import pytest

from tests.lab.conftest import Tell
from tests.lab.hostile import file_names
from tests.lab.places.host import Host

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
        report.keep("Keep executable", keeps=lambda _: evidence_of(booted_host, "bash"))

        booted_host.path(log).unlink()
        report.again("Confirm on the host", shows="No such file or directory")


def evidence_of(host: Host, program: str) -> dict[str, str]:
    """The copies of a program's memory map, sockets and executable, the first time that they were made."""
    folders = sorted(host.path("/root/evidence").glob("*"))
    first = [folder for folder in folders if (folder / "cmdline").read_bytes().startswith(program.encode())][:1]
    return {} if not first else host.snapshot("/" + str(first[0]).partition("/root/")[2])


@pytest.mark.parametrize("file", file_names("/var/log"))
def test_a_hostile_name(host: Host, tell: Tell, file: str) -> None:
    host.write(file, "a line\n")
    host.write(file, "")

    with tell(fields(file, **{"proc.cmdline": f"sh -c {file}"}), host=host) as report:
        report.look("Confirm on the host that the file was emptied", shows="Size: 0")
        report.everything()
    assert not host.exists("/root/owned")
    assert not host.exists("/owned")
