"""The disk for the evidence is full: what cannot be kept is neither taken away nor ended, and is once there is room."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

BITS = "Set Setuid or Setgid bit"
CRON = "Schedule Cron Jobs"
DRIFT = "Container Drift Detected (open+create)"
HARDLINK = "Create Hardlink Over Sensitive Files"
KEYS = "Adding ssh keys to authorized_keys"
KILL = "BPF Program Not Profiled"
LOGIN = "System user interactive"
MKDIR = "Mkdir binary dirs"
USERS = "User mgmt binaries"
WIPE = "Remove Bulk Data from Disk"
RULES = (BITS, CRON, DRIFT, HARDLINK, KEYS, KILL, LOGIN, MKDIR, USERS, WIPE)
LARGE = b"#!/bin/sh\n" + b"x" * 300_000
"""More than there is room for."""


@contextlib.contextmanager
def almost_full(place: Host, kilobytes: int = 16) -> Iterator[Callable[[], object]]:
    """Leave so many kilobytes for evidence: a line is written, a program is not. Yield what makes room."""
    folder = "/root/evidence"
    place.run(
        f"mkdir -p {folder}; mount -t tmpfs -o size=256k,mode=700 tmpfs {folder}; "
        f"dd if=/dev/zero of={folder}/fill bs=4k count={64 - kilobytes // 4} 2>/dev/null || true"
    )
    try:
        yield lambda: place.run(f"mount -o remount,size=64m {folder}; rm {folder}/fill")
    finally:
        place.run(f"umount -l {folder}")


def to(report: Story, title: str) -> None:
    """Leave out what comes before a step."""
    while title.casefold() not in report.steps[report.at].title.casefold():
        report.unproven("", "what comes before is told in the rule's own story")


def held(report: Story, place: Host, title: str, state: Callable[[], Any], becomes: Any, kilobytes: int = 16) -> None:
    """Nothing changes while there is no room, nor by the undo; then the step does what it says."""
    before = state()
    with almost_full(place, kilobytes) as make_room:
        report.again(title)
        assert state() == before, "it was changed, and was not kept"
        report.again(title, undo=True)
        assert state() == before, "the undo of what was not done has changed it"
        make_room()
        to(report, title)
        report.contain(title, state=state, becomes=becomes)
        report.undo(state=state, becomes=before)


FILES = {
    DRIFT: ("evt.arg.name", "/opt/agent", "take it away"),
    KEYS: ("fd.name", "/root/.ssh/authorized_keys", "take"),
    MKDIR: ("evt.arg.path", "/usr/local/bin/.x", "take it away"),
    BITS: ("evt.arg.filename", "/opt/helper", "Take the bit away"),
}


@pytest.mark.parametrize("rule", FILES)
def test_a_file(spot: Spot, tell: Tell, rule: str) -> None:
    field, path, title = FILES[rule]
    file = f"{path}/tool" if rule == MKDIR else path
    spot.write(file, LARGE, 0o4755)
    fields = spot.fields(spot.start("tail", "-f", "/etc/passwd"), fd__name=path, evt__arg__mode="S_ISUID|S_ISGID")
    state = lambda: list(spot.snapshot(path).values())  # noqa: E731
    gone = [state()[0].replace("104755", "100755")] if rule == BITS else ["absent"]
    held(tell({**fields, field: path}, rule=rule, host=spot.place), spot.place, title, state, gone)


def test_a_second_name_for_the_hashes(spot: Spot, tell: Tell) -> None:
    spot.write("/etc/shadow", LARGE, 0o640)
    spot.write("/srv/www/index.html")
    link = spot.path("/srv/www/passwords")
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.hardlink_to(spot.path("/etc/shadow"))
    fields = spot.fields(
        spot.start("tail", "-f", "/etc/passwd"), evt__arg__oldpath="/etc/shadow", evt__arg__newpath="/srv/www/passwords"
    )
    report = tell(fields, rule=HARDLINK, host=spot.place)
    state = lambda: list(spot.snapshot("/srv/www/passwords").values())  # noqa: E731
    held(report, spot.place, "remove the link", state, ["absent"])


def test_a_program_that_is_to_end(spot: Spot, tell: Tell) -> None:
    """Nothing has it but the process."""
    program = spot.path("/bin/busybox" if spot.container else "/usr/bin/tail").read_bytes()
    spot.write("/opt/tail", program + LARGE, 0o755)
    pid = spot.start("/opt/tail", "-f", "/etc/passwd")
    spot.path("/opt/tail").unlink()
    report = tell(spot.fields(pid), rule=KILL, host=spot.place)
    alive = lambda: spot.place.alive(pid)  # noqa: E731
    title = "End the process"
    # A line has room where a program is too large, as by a quota.
    spot.place.terminal("bash").set_up("ulimit -Sf 64")
    report.again(title)
    assert alive(), "it was ended, and its program is lost"
    spot.place.terminal("bash").set_up("ulimit -Sf unlimited")
    with almost_full(spot.place) as make_room:
        report.again(title, shows="No space left on device")
        assert alive(), "it was ended, and its program is lost"
        make_room()
        to(report, title)
        report.contain(title, state=alive, becomes=False)
        assert (spot.evidence / report.uid / f"{pid}.exe").read_bytes() == program + LARGE


@pytest.mark.parametrize("rule", [LOGIN, USERS])
def test_an_account(booted_host: Host, tell: Tell, rule: str) -> None:
    """Whose hash was not kept could never log in again."""
    host = booted_host
    host.run("echo 'alice:correct horse' | chpasswd; chage -d 2026-01-05 -E 2030-01-01 alice")
    pid = host.start("tail", "-f", "/etc/passwd")
    fields = Spot(host).fields(pid, user__loginuid=1000) | {"proc.cmdline": "usermod -aG sudo alice"}
    more = {"proc.name": "bash", "proc.exepath": "/usr/bin/bash", "user.name": "www-data", "user.uid": 33}
    report = tell(fields | (more if rule == LOGIN else {}), rule=rule, host=host)
    state = lambda: host.run("getent shadow alice")  # noqa: E731
    hashes = state()
    with almost_full(host, 0) as make_room:
        report.again("lock the account", shows="alice P")
        report.again("lock the account", undo=True)
        assert state() == hashes
        make_room()
        to(report, "lock the account")
        report.contain("lock the account", state=lambda: ":!" in state(), becomes=True)
        report.undo(state=state, becomes=hashes)


def test_a_table_of_jobs(booted_host: Host, tell: Tell) -> None:
    table = "/var/spool/cron/crontabs/root"
    booted_host.write(table, "* * * * * /opt/backup\n", 0o600)
    spot = Spot(booted_host)
    fields = spot.fields(spot.start("tail", "-f", "/etc/passwd")) | {"proc.cmdline": "crontab /tmp/x"}
    report = tell(fields | {"proc.name": "crontab", "user.name": "root"}, rule=CRON, host=booted_host)
    jobs = lambda: booted_host.run("crontab -l || true")  # noqa: E731
    held(report, booted_host, "take it away", jobs, "", kilobytes=0)


def test_what_wipes_a_disk_is_stopped_all_the_same(spot: Spot, tell: Tell) -> None:
    """Each second counts; but a wanted disposal must go on again, and no file says which it was."""
    spot.write("/srv/data/bulk", b"x" * 1_000_000)
    pid = spot.start(*(("busybox",) if spot.container else ()), "shred", "-n", "1000000", "/srv/data/bulk")
    report = tell(spot.fields(pid), rule=WIPE, host=spot.place)
    with almost_full(spot.place, 0):
        answer = report.again("Stop it now", shows=f"kill -CONT {pid}")
        assert spot.place.state(pid) == "T", answer
    spot.place.run(f"kill -CONT {pid}; kill -KILL {pid}")
