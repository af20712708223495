"""Read sensitive file untrusted: somebody reads the hashes of passwords."""

from __future__ import annotations

from tests.lab.places.host import Host
from tests.lab.story import Tell

RULE = "Read sensitive file untrusted"
FIELDS = {
    "container.id": "host",
    "evt.type": "openat",
    "fd.name": "/etc/shadow",
    "proc.cmdline": "tail -f /etc/shadow",
    "proc.exepath": "/usr/bin/tail",
    "proc.name": "tail",
    "proc.pname": "bash",
    "proc.tty": 34816,
    "user.loginuid": 1000,
    "user.name": "root",
    "user.uid": 0,
}


def test_root_reads_the_hashes_of_passwords(booted_host: Host, tell: Tell) -> None:
    booted_host.run("echo 'alice:correct horse' | chpasswd")
    reader = booted_host.start("tail", "-f", "/etc/shadow")
    other = booted_host.start("tail", "-f", "/etc/passwd")

    with tell(FIELDS, host=booted_host) as report:
        report.look("Which accounts are exposed?", shows="alice $y$")
        report.look("Whose login is it", shows="alice:x:1000")
        report.contain("Freeze the process", state=lambda: booted_host.state(reader), becomes="T", shows=f"{reader} T")
        assert booted_host.state(other) == "S", "a bystander was stopped"
        report.undo(state=lambda: booted_host.state(reader), becomes="S")

        booted_host.run(f"kill -KILL {reader}")
        booted_host.wait_until(lambda: not booted_host.alive(reader), "the reader has ended")
        report.again("Freeze the process", undo=True)
        assert booted_host.alive(other)
