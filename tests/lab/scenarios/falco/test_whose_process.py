"""The alert's own process, whatever it looks like by now, all that it started, and nobody else's."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.lab.paste import SHELLS
from tests.lab.places.host import Host
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.scenarios.falco.test_stopping import forward
from tests.lab.story import Story, Tell

READER = "Read environment variable from /proc files"
HOST_READER = "Read sensitive file trusted after startup"
LISTENER = "Interpreted procs inbound network activity"
ETC = "Write below etc"
WEB = "Web Server Spawned Shell"
SHM = "Execution from /dev/shm"
BPF = "BPF Program Not Profiled"
RULES = (READER, HOST_READER, LISTENER, ETC, WEB, SHM, BPF)
FREEZE = "Freeze the process"


def program(spot: Spot, path: str) -> None:
    """Put a `tail` there."""
    spot.write(path, spot.path("/bin/busybox" if spot.container else "/usr/bin/tail").read_bytes(), 0o755)


def still(host: Host, *pids: int) -> bool:
    """Whether all of them have been stopped. What goes on may run or sleep."""
    return all(host.state(pid) == "T" for pid in pids)


def told(spot: Spot, tell: Tell, pid: int, **more: Any) -> Story:
    """The story of a server that reads the hashes, up to where it is frozen."""
    rule = READER if spot.container else HOST_READER
    report = tell(spot.fields(pid, fd__name="/etc/shadow") | more, rule=rule, host=spot.place)
    forward(report, FREEZE)
    return report


def test_it_has_deleted_its_program(spot: Spot, tell: Tell) -> None:
    program(spot, "/opt/tail")
    pid = spot.start("/opt/tail", "-f", "/etc/passwd")
    spot.path("/opt/tail").unlink()
    report = told(spot, tell, pid)
    report.contain(FREEZE, state=lambda: still(spot.place, pid), becomes=True, shows=f"{pid} T")
    report.undo(state=lambda: still(spot.place, pid), becomes=False)


def test_it_has_changed_its_arguments(booted_host: Host, tell: Tell) -> None:
    """What runs from where everybody may write is known by its program."""
    host, spot = booted_host, Spot(booted_host)
    host.run("mkdir /tmp/.x; cp /usr/bin/perl /tmp/.x/kw")
    pid = host.start("/tmp/.x/kw", "-e", "$0 = '[kworker/0:0]'; sleep 4321")
    host.wait_until(lambda: "kworker" in host.read(f"/proc/{pid}/cmdline"), "it has another name")
    report = told(spot, tell, pid, **{"proc.cmdline": "kw -e x", "proc.args": "-e x"})
    report.contain(FREEZE, state=lambda: still(host, pid), becomes=True, shows=f"{pid} T")
    report.undo(state=lambda: still(host, pid), becomes=False)


def test_its_arguments_are_longer_than_falco_keeps(booted_host: Host, tell: Tell) -> None:
    long = "x" * 5_000
    pid = booted_host.start("sh", "-c", "sleep 4321; true", "sh", long)
    arguments = f"-c sleep 4321; true sh {long}"[:4_090]
    more = {"proc.args": arguments, "proc.cmdline": f"sh {arguments}"}
    report = told(Spot(booted_host), tell, pid, **more)
    report.contain(FREEZE, state=lambda: still(booted_host, pid), becomes=True, shows=f"{pid} T")
    report.undo(state=lambda: still(booted_host, pid), becomes=False)


def test_all_that_it_started(spot: Spot, tell: Tell) -> None:
    place = spot.place
    spot.write("/opt/a.sh", 'if [ "$1" -gt 0 ]; then sh /opt/a.sh $(($1-1)); else sleep 4321; fi; true\n')
    pid = spot.start("sh", "/opt/a.sh", "5")
    leaf: list[str] = []

    def grown() -> bool:
        leaf[:] = place.run("pgrep -fx 'sleep 4321' || true").split()
        return bool(leaf)

    place.wait_until(grown, "the last of them runs")
    report = told(spot, tell, pid)
    report.contain(FREEZE, state=lambda: still(place, pid, int(leaf[0])), becomes=True, shows=f"{leaf[0]} T")
    report.undo(state=lambda: still(place, pid) or still(place, int(leaf[0])), becomes=False)


def test_a_containers_process_of_the_same_words(node: Node, tell: Tell) -> None:
    """The alert is a host's; what a container runs by the same path and arguments is another's."""
    inside = Spot(node, node.start_container())
    outside = Spot(node)
    for spot in (inside, outside):
        program(spot, "/opt/tail")
    other, pid = (spot.start("/opt/tail", "-f", "/etc/passwd") for spot in (inside, outside))
    report = told(outside, tell, pid)
    report.contain(FREEZE, state=lambda: still(node, pid), becomes=True, shows=f"{pid} T")
    assert node.state(other) == "S", "a container's process was stopped"
    report.undo(state=lambda: still(node, pid), becomes=False)

    served = tell(outside.fields(pid, fd__type="ipv4", fd__name="203.0.113.9:4->10.0.0.1:80"), rule=LISTENER, host=node)
    served.again(FREEZE)
    assert (node.state(pid), node.state(other)) == ("T", "S")
    node.run(f"kill -KILL {pid}; rm /opt/tail")


def test_the_clock_was_set_meanwhile(booted_host: Host, tell: Tell) -> None:
    """As after a machine's snapshot: its processes seem to have begun at another time."""
    host = booted_host
    pid = host.start("tail", "-f", "/etc/passwd")
    report = told(Spot(host), tell, pid)
    report.contain(FREEZE, state=lambda: still(host, pid), becomes=True)
    began = host.run(f"ps -o lstart= -p {pid}")
    host.run("sed 's/^btime .*/btime 1000000000/' /proc/stat > /root/stat; mount --bind /root/stat /proc/stat")
    assert host.run(f"ps -o lstart= -p {pid}") != began
    report.undo(state=lambda: still(host, pid), becomes=False)


def test_nothing_is_frozen_that_could_not_be_written_down(booted_host: Host, tell: Tell) -> None:
    """The disk is full, or read-only: the undo would never find it."""
    pid = booted_host.start("tail", "-f", "/etc/passwd")
    booted_host.run("mkdir -p /root/evidence; mount -t tmpfs -o ro tmpfs /root/evidence")
    report = told(Spot(booted_host), tell, pid)
    report.again(FREEZE, shows="Read-only file system")
    assert booted_host.state(pid) == "S", "it stands still, and no undo knows"


@pytest.mark.parametrize("rule", [HOST_READER, LISTENER, BPF])
def test_the_reader_has_come_in_by_the_same_program(booted_host: Host, tell: Tell, rule: str) -> None:
    """A menu that starts shells for those who log in: the intruder's is stopped, and the reader's own is not."""
    host = booted_host
    host.write("/opt/menu.sh", 'if [ -t 0 ]; then "$@"; else sleep 4321; fi; true\n')
    host.starter = ["sh", "/opt/menu.sh"]
    host.terminal("bash")
    own = int(host.run("pgrep -f '^sh /opt/menu.sh'"))
    pid = host.start("sh", "/opt/menu.sh", *SHELLS["bash"])
    host.wait_until(lambda: host.run("pgrep -fx 'sleep 4321' || true"), "the intruder's menu has started a program")
    fields = Spot(host).fields(pid, fd__name="/etc/shadow")
    if rule == LISTENER:
        fields |= {"fd.type": "ipv4", "fd.name": "203.0.113.9:4->10.0.0.1:80"}
    report = tell(fields, rule=rule, host=host)
    report.again("End the process" if rule == BPF else FREEZE)
    host.wait_until(lambda: host.state(pid) in {"T", "Z", ""}, "the intruder's menu is stopped")
    assert host.state(own) == "S", "the reader's own session was stopped"


def test_what_was_kept_outlives_the_process(booted_host: Host, tell: Tell) -> None:
    """The step is pasted once more when all has ended: its program is only in what was kept."""
    host, spot = booted_host, Spot(booted_host)
    program(spot, "/opt/tail")
    pid = spot.start("/opt/tail", "-f", "/etc/passwd")
    report = told(spot, tell, pid)
    report.contain(FREEZE, state=lambda: still(host, pid), becomes=True)
    kept = f"/root/evidence/{report.uid}"
    before = host.snapshot(*(f"{kept}/{pid}.{name}" for name in ("exe", "environ", "maps")))
    assert host.path(f"{kept}/{pid}.exe").read_bytes() == spot.path("/opt/tail").read_bytes()
    assert "PATH=" in host.read(f"{kept}/{pid}.environ")
    assert "/opt/tail" in host.read(f"{kept}/{pid}.maps")
    host.run(f"rm /opt/tail; kill -KILL {pid}")
    host.wait_until(lambda: not host.alive(pid), "the process has ended")
    report.again(FREEZE)
    assert host.snapshot(*before) == before, "what was kept was written over by what is no more"


def test_a_program_that_names_shared_memory_in_its_arguments(booted_host: Host, tell: Tell) -> None:
    """A recorder that writes its pictures there is not started from there."""
    recorder = booted_host.start("sh", "-c", "sleep 4321; true", "-i", "-v", "/dev/shm/picture.jpg")
    booted_host.write("/dev/shm/x.sh", "sleep 4322; true\n")
    pid = booted_host.start("sh", "/dev/shm/x.sh")
    report = tell(Spot(booted_host).fields(pid), rule=SHM, host=booted_host)
    forward(report, "Freeze what runs from there")
    report.contain("Freeze what runs", state=lambda: still(booted_host, pid), becomes=True)
    assert booted_host.state(recorder) == "S", "a bystander was stopped"
    report.undo(state=lambda: still(booted_host, pid), becomes=False)


def test_a_process_that_has_another_root(node: Node, tell: Tell) -> None:
    """A server in a container locks a worker in; by its id it may come first, and its files are not the container's."""
    container = node.start_container()
    spot = Spot(node, container)
    spot.write("/etc/cron.d/x", "* * * * * root /opt/x\n")
    spot.write("/srv/jail/bin/busybox", spot.path("/bin/busybox").read_bytes(), 0o755)
    subprocess.run(
        ["nsenter", "--target", str(node.pid), "--pid", "sh", "-c", "echo 9999 > /proc/sys/kernel/ns_last_pid"],
        check=True,
    )
    worker = spot.start("/bin/busybox", "chroot", "/srv/jail", "/bin/busybox", "sleep", "4321")
    node.wait_until(lambda: str(node.path(f"/proc/{worker}/root").readlink()) == "/srv/jail", "it is locked in")
    assert str(worker) < str(container.pid), "the worker does not come first"
    report = tell(spot.fields(worker, fd__name="/etc/cron.d/x"), rule=ETC, host=node)
    report.look("What does the file hold now?", shows="root /opt/x")
    forward(report, "take it away")
    report.contain("take it away", state=lambda: spot.path("/etc/cron.d/x").exists(), becomes=False)
    report.undo(state=lambda: spot.path("/etc/cron.d/x").exists(), becomes=True)


@pytest.mark.parametrize("place", ["host", "container"])
def test_a_request_that_many_others_followed(request: pytest.FixtureRequest, tell: Tell, place: str) -> None:
    """The report is read later than it was made."""
    if place == "host":
        host: Host = request.getfixturevalue("booted_host")
        spot = Spot(host)
        host.run("logger 'GET /evil.php'; journalctl --sync")
        more: dict[str, Any] = {"rule": HOST_READER}
    else:
        node: Node = request.getfixturevalue("node")
        log = "echo GET /evil.php; sleep 6; seq 3000; sleep 86400"
        spot, more = Spot(node, node.start_container(["sh", "-c", log])), {"rule": HOST_READER}
    pid = spot.start("tail", "-f", "/etc/passwd")
    report = tell(spot.fields(pid, fd__name="/etc/shadow"), host=spot.place, **more)
    if place == "host":
        spot.place.run("sleep 4; seq 2000 | logger; journalctl --sync")
    else:
        assert spot.container is not None
        made = spot.container.id
        spot.place.wait_until(lambda: "3000" in spot.place.run(f"crictl logs --tail 1 {made}"), "the others came", 60)
    report.again("Which request came just before?", shows="GET /evil.php")


def test_a_name_that_moves_the_cursor(spot: Spot, tell: Tell) -> None:
    """A name may hold what a terminal obeys."""
    spot.write("/var/www/html/a\x1b[8m.php", "<?php\n")
    more = {"fd.type": "ipv4", "fd.name": "10.99.0.2:4000->203.0.113.45:4444", "proc.pname": "php-fpm8.2"}
    report = tell(spot.fields(spot.start("tail", "-f", "/etc/passwd")) | more, rule=WEB, host=spot.place)
    report.again("Which file in the web server's", shows="a^[[8m.php", hides="a\x1b[8m", seconds=60)
