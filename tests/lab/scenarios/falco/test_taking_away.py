"""Files that somebody left are kept and taken away, and come back as they were: on a host, and in a container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import file_names
from tests.lab.places.host import Host
from tests.lab.places.spot import Spot
from tests.lab.story import Tell

KEYS = "Adding ssh keys to authorized_keys"
BITS = "Set Setuid or Setgid bit"
CRON = "Schedule Cron Jobs"
MKDIR = "Mkdir binary dirs"
FILES = {
    "Create files below dev": ("fd.name", "/dev/.x"),
    "Container Drift Detected (chmod)": ("evt.arg.filename", "/opt/agent"),
    "Container Drift Detected (open+create)": ("evt.arg.name", "/opt/agent"),
    "Detect crypto miners using the Stratum protocol": ("proc.exepath", "/opt/miner"),
    "Write below binary dir": ("fd.name", "/usr/local/bin/x"),
}
RULES = (KEYS, BITS, CRON, MKDIR, *FILES)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6Jz3l0yXyV0q2mIh1Yw8Vt3o0gX0mJq1m0f0r2kA9u mallory\n"


def actor(spot: Spot, **more: Any) -> dict[str, Any]:
    """The fields of an alert about a file, by a process that still runs."""
    return spot.fields(spot.start("tail", "-f", "/etc/passwd"), **more)


def is_there(spot: Spot, path: str) -> bool:
    """Whether there is such a file."""
    return spot.path(path).exists()


def test_a_foreign_key(spot: Spot, tell: Tell) -> None:
    file = "/root/.ssh/authorized_keys"
    spot.write(file, KEY, 0o600)
    before = spot.snapshot(file)
    with tell(actor(spot, fd__name=file), rule=KEYS, host=spot.place) as report:
        report.looks(shows=["mallory", "ED25519", "-rw-------"])
        report.contain("take", state=lambda: is_there(spot, file), becomes=False, shows="No such file")
        assert (spot.evidence / report.uid / "file").read_text() == KEY
        report.undo(state=lambda: spot.snapshot(file), becomes=before)
        spot.write(file, "# another file of this name\n")
        report.again("take", undo=True)
        assert spot.path(file).read_text() == "# another file of this name\n"


CASES = [(rule, path) for rule, (_, path) in FILES.items()]
HOSTILE = [
    pytest.param("Container Drift Detected (open+create)", p.values[0], id=str(p.id)) for p in file_names("/opt")
]


@pytest.mark.parametrize(("rule", "path"), [*CASES, *HOSTILE])
def test_a_file_goes_and_comes_back(spot: Spot, tell: Tell, rule: str, path: str) -> None:
    spot.write(path, b"#!/bin/sh\nexit\n", 0o4751)
    field = FILES[rule][0]
    before = spot.snapshot(path)
    report = tell({**actor(spot), field: path}, rule=rule, host=spot.place)
    while "take it away" not in report.steps[report.at].title:
        step = report.steps[report.at]
        if "contain" not in step.phases and step.phases[0] != "verify":
            report.looks()
        else:
            report.unproven("", "told elsewhere: the process of this alert")
    report.contain("take it away", state=lambda: is_there(spot, path), becomes=False, shows="No such file")
    report.undo(state=lambda: spot.snapshot(path), becomes=before)
    report.again("take it away")
    spot.path(path).symlink_to("/etc/hostname")
    report.again("take it away", shows="link" if spot.container else "")
    assert not spot.place.exists("/root/owned")


def test_a_packages_file_stays(spot: Spot, tell: Tell) -> None:
    path = "/usr/bin/env"
    before = spot.snapshot(path)
    if spot.container:
        return
    report = tell({**actor(spot), "evt.arg.name": path}, rule=HOSTILE[0].values[0], host=spot.place)
    report.again("take it away", shows="kept, not moved")
    assert spot.snapshot(path) == before


def mode(spot: Spot, path: str) -> int:
    """A file's mode."""
    return spot.path(path).stat().st_mode & 0o7777


@pytest.mark.parametrize("path", ["/opt/helper", *file_names("/opt")])
def test_a_bit_is_taken(spot: Spot, tell: Tell, path: str) -> None:
    spot.write(path, b"#!/bin/sh\n", 0o6755)
    fields = actor(spot, evt__arg__filename=path, fd__name=path, evt__arg__mode="S_ISUID|S_ISGID")
    report = tell(fields, rule=BITS, host=spot.place)
    report.looks(shows="-rwsr-sr-x")
    report.contain("Take the bit away", state=lambda: mode(spot, path) & 0o6000, becomes=0)
    report.undo(state=lambda: mode(spot, path), becomes=0o6755)
    spot.write(path, b"another file of this name\n", 0o755)
    report.again("Take the bit away", undo=True, shows="differ")
    assert mode(spot, path) == 0o755, "another file got the bit"
    spot.path(path).unlink()
    report.again("Take the bit away", shows="no_file" if spot.container else "No such file", undo=True)
    assert not spot.place.exists("/root/owned")


def test_the_file_with_the_bit_is_gone(spot: Spot, tell: Tell) -> None:
    path = "/opt/helper"
    spot.write("/opt/helper2", b"#!/bin/sh\n", 0o6755)
    fields = actor(spot, evt__arg__filename=path, fd__name=path, evt__arg__mode="S_ISUID|S_ISGID")
    report = tell(fields, rule=BITS, host=spot.place)
    report.again("Take the bit away", shows="no_file" if spot.container else "No such file")
    spot.write(path, b"made since\n", 0o755)
    report.again("Take the bit away", undo=True, shows="nothing saved")
    assert (mode(spot, path), mode(spot, "/opt/helper2")) == (0o755, 0o6755)


def test_a_table_of_jobs(spot: Spot, tell: Tell) -> None:
    table = "/var/spool/cron/crontabs/root"
    spot.write(table, "* * * * * /opt/miner\n", 0o600)
    fields = actor(spot, user__name="root") | {"proc.cmdline": "crontab /tmp/x", "proc.name": "crontab"}
    report = tell(fields, rule=CRON, host=spot.place)
    report.looks(shows="/opt/miner")
    if spot.container:
        return
    report.contain("take it away", state=lambda: is_there(spot, table), becomes=False)
    # `crontab` writes a line with the time above it.
    report.undo(state=lambda: spot.run("crontab -l"), becomes="* * * * * /opt/miner\n")
    # It is put back, and taken away again: that table is kept too, and the undo leaves one that was made since.
    spot.write(table, "* * * * * /opt/second\n", 0o600)
    report.again("take it away", shows="no crontab")
    assert "/opt/second" in (spot.evidence / report.uid / "tables").read_text("utf-8")
    spot.write(table, "* * * * * /opt/made-since\n", 0o600)
    report.again("take it away", undo=True, shows="made again since")
    assert spot.run("crontab -l") == "* * * * * /opt/made-since\n"


def test_the_table_of_jobs_is_gone(booted_host: Host, tell: Tell) -> None:
    other = "/var/spool/cron/crontabs/www-data"
    booted_host.write(other, "* * * * * /opt/backup\n", 0o600)
    spot = Spot(booted_host)
    fields = actor(spot, user__name="root") | {"proc.cmdline": "crontab /tmp/x", "proc.name": "crontab"}
    report = tell(fields, rule=CRON, host=spot.place)
    report.again("take it away", shows="no crontab for root")
    spot.write("/var/spool/cron/crontabs/root", "* * * * * /opt/made-since\n", 0o600)
    report.again("take it away", undo=True, shows="nothing saved")
    assert "/opt/made-since" in spot.run("crontab -l")
    assert spot.path(other).exists()


@pytest.mark.parametrize("path", ["/usr/local/bin/.x", *file_names("/opt")])
def test_a_directory_goes_and_comes_back(spot: Spot, tell: Tell, path: str) -> None:
    spot.write(f"{path}/tool", b"#!/bin/sh\n", 0o755)
    before = spot.snapshot(path)
    report = tell(actor(spot, evt__arg__path=path), rule=MKDIR, host=spot.place)
    report.looks(shows="tool")
    report.contain("take it away", state=lambda: is_there(spot, path), becomes=False)
    report.undo(state=lambda: spot.snapshot(path), becomes=before)
    assert not spot.place.exists("/root/owned")


def test_the_bit_of_a_directory(spot: Spot, tell: Tell) -> None:
    """Nothing of its content is kept, and its bit comes back; where nothing can be written down it stays."""
    spot.path("/opt").mkdir(exist_ok=True)
    folder = spot.path("/opt/shared")
    folder.mkdir()
    folder.chmod(0o2775)
    fields = actor(spot, evt__arg__filename="/opt/shared", fd__name="/opt/shared", evt__arg__mode="S_ISGID")
    report = tell(fields, rule=BITS, host=spot.place)
    report.looks()
    spot.place.run("mkdir -p /root/evidence; mount -t tmpfs -o ro tmpfs /root/evidence")
    report.again("Take the bit away", shows="Read-only file system")
    spot.place.run("umount /root/evidence")
    assert mode(spot, "/opt/shared") == 0o2775, "it was changed, and the undo would not know"
    report.contain("Take the bit away", state=lambda: mode(spot, "/opt/shared"), becomes=0o775)
    report.undo(state=lambda: mode(spot, "/opt/shared"), becomes=0o2775)
    report.again("Take the bit away")
    report.again("Take the bit away", undo=True, hides="nothing saved")


def test_a_program_of_the_systems_behind_a_link(spot: Spot, tell: Tell) -> None:
    """The file with the bit is gone, and its name leads to a program that must have one."""
    needed = "/usr/bin/passwd"
    if spot.container:
        spot.write(needed, b"#!/bin/sh\n", 0o4755)
    spot.write("/opt/helper", b"#!/bin/sh\n", 0o4755)
    fields = actor(spot, evt__arg__filename="/opt/helper", fd__name="/opt/helper", evt__arg__mode="S_ISUID")
    report = tell(fields, rule=BITS, host=spot.place)
    spot.path("/opt/helper").unlink()
    spot.path("/opt/helper").symlink_to(needed)
    if not spot.container:
        report.again("Take the bit away", shows="a link")
        assert mode(spot, needed) == 0o4755, "a program of the system lost its bit"
    spot.path("/opt/helper").unlink()
    spot.write("/opt/helper", b"#!/bin/sh\n", 0o4755)
    report.again("Take the bit away")
    spot.path(needed).chmod(0o755)
    spot.path("/opt/helper").unlink()
    spot.path("/opt/helper").symlink_to(needed)
    report.again("Take the bit away", undo=True)
    assert mode(spot, needed) == 0o755, "another program got the bit"


def test_the_first_program_with_the_bit_is_kept(spot: Spot, tell: Tell) -> None:
    """It is written anew, with the bit, and the step pasted once more."""
    spot.write("/opt/helper", b"the first\n", 0o4755)
    fields = actor(spot, evt__arg__filename="/opt/helper", fd__name="/opt/helper", evt__arg__mode="S_ISUID")
    report = tell(fields, rule=BITS, host=spot.place)
    report.again("Take the bit away")
    spot.write("/opt/helper", b"the second\n", 0o4755)
    report.again("Take the bit away")
    assert mode(spot, "/opt/helper") == 0o755
    assert (spot.evidence / report.uid / "file").read_bytes() == b"the first\n"


def test_a_directory_was_made_again_since(spot: Spot, tell: Tell) -> None:
    spot.write("/usr/local/bin/.x/tool", b"#!/bin/sh\n", 0o755)
    report = tell(actor(spot, evt__arg__path="/usr/local/bin/.x"), rule=MKDIR, host=spot.place)
    report.again("take it away")
    assert not is_there(spot, "/usr/local/bin/.x")
    spot.write("/usr/local/bin/.x/tool", b"of the next release\n", 0o755)
    before = spot.snapshot("/usr/local/bin/.x")
    report.again("take it away", undo=True)
    assert spot.snapshot("/usr/local/bin/.x") == before, "what was made since was written over"


READERS = {
    MKDIR: ("evt.arg.path", "/usr/local/bin/x/tool"),
    KEYS: ("fd.name", "/srv/x/tool"),
    "Container Drift Detected (open+create)": ("evt.arg.name", "/srv/x/tool"),
}


@pytest.mark.parametrize("rule", READERS)
def test_a_namesake_where_the_reader_works(booted_host: Host, tell: Tell, rule: str) -> None:
    """The folder that the alert names is gone; the reader has a file of that name in the folder they are in."""
    spot = Spot(booted_host)
    field, path = READERS[rule]
    report = tell({**actor(spot, fd__name=path), field: path}, rule=rule, host=booted_host)
    booted_host.run("cd /root && echo mine > tool")
    own = booted_host.snapshot("/root/tool")
    report.again("take", shows="No such file")
    assert booted_host.snapshot("/root/tool") == own, "the reader's own file was taken away"
