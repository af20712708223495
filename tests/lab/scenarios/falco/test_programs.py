"""Programs that should not run: from shared memory, from memory, dropped, in the network, against debuggers, wiping."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.hostile import WORDS, file_names
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

SHM = "Execution from /dev/shm"
MEMFD = "Fileless execution via memfd_create"
TRACEME = "PTRACE anti-debug attempt"
WIPE = "Remove Bulk Data from Disk"
SHELL = "Run shell untrusted"
RULES = (SHM, MEMFD, TRACEME, WIPE, SHELL)


def copy_of_sleep(spot: Spot, path: str) -> None:
    """Put a program there that sleeps."""
    name = "/bin/busybox" if spot.container else "/bin/sleep"
    spot.write(path, spot.path(name).read_bytes(), 0o755)


def freeze(spot: Spot, report: Story, title: str, pid: int) -> None:
    """The program stands still, a bystander and the workload do not."""
    place = spot.place
    bystander = spot.start("sleep", "4322")
    report.contain(title, state=lambda: place.state(pid), becomes="T", shows=" T")
    assert place.state(bystander) == "S", "a bystander was stopped"
    if spot.container:
        assert place.state(spot.container.pid) == "S", "the workload itself was stopped"


def kept(spot: Spot, report: Story, pid: int) -> Path:
    """What was kept of a process's program."""
    return spot.evidence / report.uid / f"{pid}.exe"


def test_a_program_in_shared_memory(spot: Spot, tell: Tell) -> None:
    # Nothing in a container's /dev/shm may be executed, scripts can be read all the same.
    script = b"while :; do sleep 1; done\n"
    spot.write("/dev/shm/.x/sleep", script)
    if not spot.container:
        copy_of_sleep(spot, "/dev/shm/.x/sleep")
    pid = spot.start(*(["sh"] if spot.container else []), "/dev/shm/.x/sleep", "4321")
    with tell(spot.fields(pid), rule=SHM, host=spot.place) as report:
        report.look("What lies in shared memory?", shows=["shm/.x:", "sleep"])
        assert (spot.evidence / report.uid / "shm.tgz").exists()
        freeze(spot, report, "freeze what runs from there", pid)
        program = "/bin/busybox" if spot.container else "/dev/shm/.x/sleep"
        assert kept(spot, report, pid).read_bytes() == spot.path(program).read_bytes()
        if spot.container:
            report.look("What else runs there?", shows="/dev/shm/.x/sleep 4321")
        else:
            spot.write("/etc/cron.d/x", "* * * * * root /dev/shm/.x/sleep\n")
            report.look("Does something start it again?", shows="/etc/cron.d/x", hides="/root/evidence")
        report.undo(state=lambda: spot.place.state(pid), becomes="S")
        spot.place.run(f"kill -KILL {pid}")
        report.again("freeze what runs", hides=" T ")


LOADER = """
import os, sys
program = open(sys.argv[1], "rb").read()
for group in filter(None, [sys.argv[2]]):
    open(group, "w").write(str(os.getpid()))
memory = os.memfd_create("x")
os.write(memory, program)
os.execv(f"/proc/self/fd/{memory}", ["sleep", "4321"])
"""


def test_a_program_in_memory(spot: Spot, tell: Tell) -> None:
    place = spot.place
    place.write("/root/loader.py", LOADER)
    group = ""
    if spot.container:
        inside = place.run(f"sed -n 's/^0:://p' /proc/{spot.container.pid}/cgroup").strip()
        group = f"/sys/fs/cgroup/unified{inside}/cgroup.procs"
    pid = place.start("python3", "/root/loader.py", "/bin/busybox", group)
    place.wait_until(lambda: "memfd" in str(place.path(f"/proc/{pid}/exe").readlink()), "the loader has done its work")
    fields = spot.fields(pid) | {"proc.exepath": "memfd:x (deleted)"}
    with tell(fields, rule=MEMFD, host=place) as report:
        report.look("Which program is it?", shows=[f"{pid}", "sleep 4321"])
        freeze(spot, report, "keep and freeze it", pid)
        assert kept(spot, report, pid).read_bytes() == place.path("/bin/busybox").read_bytes()
        report.look(shows="4321")
        report.look("Which request came just before?")
        report.undo(state=lambda: place.state(pid), becomes="S")
        place.run(f"kill -KILL {pid}")
        report.again("Which program is it?", hides="sleep")
        report.again("keep and freeze it", hides=" T ")


def test_a_program_that_hides_from_debuggers(spot: Spot, tell: Tell) -> None:
    copy_of_sleep(spot, "/opt/agent/sleep")
    with spot.path("/opt/agent/sleep").open("ab") as file:
        file.write(b"\0stratum+tcp://pool.example:3333\0")
    pid = spot.start("/opt/agent/sleep", "4321")
    with tell(spot.fields(pid), rule=TRACEME, host=spot.place) as report:
        report.look("What is this program?", shows=["Change: ", "stratum+tcp://pool.example:3333"])
        report.look(shows="/opt/agent/sleep")
        freeze(spot, report, "freeze", pid)
        report.undo(state=lambda: spot.place.state(pid), becomes="S")
        spot.path("/opt/agent/sleep").unlink()
        report.again("What is this program?", shows="No such file")


def test_a_file_is_wiped(spot: Spot, tell: Tell) -> None:
    spot.write("/srv/data/bulk", b"x" * 1_000_000)
    program = ("busybox", "shred") if spot.container else ("shred",)
    pid = spot.start(*program, "-n", "1000000", "/srv/data/bulk")
    fields = spot.fields(pid)
    with tell(fields, rule=WIPE, host=spot.place) as report:
        report.look("Does it still write?", shows=[f"{pid}", "/srv/data/bulk"])
        place = spot.place
        bystander = spot.start("sleep", "4322")
        report.contain("Stop it now", state=lambda: place.state(pid), becomes="T", shows=f"{pid} T")
        assert place.state(bystander) == "S", "a bystander was stopped"
        report.look("What is hit?", shows="NAME")
        report.look(shows="shred")
        place.run(f"kill -KILL {pid}")
        report.again("Stop it now", undo=True)
        report.again("Stop it now", hides=" T ")


def test_a_wiping_goes_on_after_the_undo(spot: Spot, tell: Tell) -> None:
    spot.write("/srv/data/bulk", b"x" * 1_000_000)
    program = ("busybox", "shred") if spot.container else ("shred",)
    pid = spot.start(*program, "-n", "1000000", "/srv/data/bulk")
    report = tell(spot.fields(pid), rule=WIPE, host=spot.place)
    report.look("Does it still write?")
    report.contain("Stop it now", state=lambda: spot.place.state(pid) == "T", becomes=True)
    report.undo(state=lambda: spot.place.state(pid) in {"R", "D", "S"}, becomes=True)
    spot.place.run(f"kill -KILL {pid}")


def test_a_server_starts_a_shell(spot: Spot, tell: Tell) -> None:
    place = spot.place
    server = spot.start("nc.traditional", "-l", "-p", "9999")
    program = place.run(f"readlink /proc/{server}/exe").strip()
    pid = spot.start("sh", "-c", "while :; do sleep 1; done")
    fields = spot.fields(pid, proc__pname="systemd", proc__pexepath=program)
    with tell(fields, rule=SHELL, host=place) as report:
        report.look("What did the shell start?", shows="while :; do sleep 1; done" if spot.container else "systemd")
        report.look("Which request came just before?")
        report.contain("Freeze", state=lambda: place.state(pid), becomes="T")
        if spot.container:
            assert (spot.evidence / report.uid / "files.tgz").exists()
            assert place.state(server) == "S", "the server itself was stopped"
        report.undo(state=lambda: place.state(pid), becomes="S")
        place.run(f"kill -KILL {server}")
        if spot.container:
            report.again("Freeze all but", shows="ended", hides=" T ")
        place.run(f"kill -KILL {pid}")


@pytest.mark.parametrize("path", file_names("/opt"))
def test_a_hostile_path(spot: Spot, tell: Tell, path: str) -> None:
    copy_of_sleep(spot, path)
    word = " ".join(WORDS.values())
    for rule in (TRACEME, WIPE, SHELL):
        fields = spot.fields(proc__exepath=path, proc__cmdline=f"x {word}", proc__args=word, proc__name="x")
        with tell({**fields, "proc.pname": word, "user.loginuid": -1}, rule=rule, host=spot.place) as report:
            report.everything()
    assert not spot.place.exists("/root/owned")
    assert not spot.place.exists("/owned")
