"""A hostile container leads a responder out of it: by links, pipes, devices and files without end.

The node's own file lies where the link leads, with other words in it: a step that follows would show, keep or change
that one as the container's.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

KEYS = "Adding ssh keys to authorized_keys"
BELOW = "Write below binary dir"
BITS = "Set Setuid or Setgid bit"
CONFIG = "Read Shell Configuration File"
DRIFT = "Container Drift Detected (open+create)"
EXECUTED = "Drop and execute new binary in container"
HIDDEN = "Create Hidden Files or Directories"
LOG = "Clear Log Activities"
MKDIR = "Mkdir binary dirs"
SHADOW = "Read sensitive file untrusted"
STARTUP = "Modify Shell Configuration File"
SUBNET = "Contact EC2 Instance Metadata Service From Container"
SYMLINK = "Create Symlink Over Sensitive Files"
TRAVERSAL = "Directory traversal monitored file read"
RULES = (
    KEYS, BELOW, BITS, CONFIG, DRIFT, EXECUTED, HIDDEN, LOG, MKDIR, SHADOW, STARTUP, SUBNET, SYMLINK, TRAVERSAL,
)  # fmt: skip
NODES = "the node's own secret"
OUTSIDE = "/srv/secret"
"""A folder of the node with a file ``key`` in it."""

Fields = dict[str, str]
FILES: dict[str, Fields] = {
    STARTUP: {"fd.name": "{}"},
    KEYS: {"fd.name": "{}"},
    BELOW: {"fd.name": "{}"},
    BITS: {"evt.arg.filename": "{}", "fd.name": "{}", "evt.arg.mode": "S_ISUID"},
    CONFIG: {"fd.name": "{}"},
    DRIFT: {"evt.arg.name": "{}"},
    EXECUTED: {"proc.exepath": "{}"},
    HIDDEN: {"evt.arg.newpath": "{}", "fd.name": "{}"},
    LOG: {"fd.name": "{}"},
    "a rule of one's own": {"fd.name": "{}"},
}
"""Rules whose steps read, keep, move or change the file that the alert names, with the fields that hold its path."""


@pytest.fixture
def web(node: Node) -> Spot:
    """A container; the node has a secret of the name that it will use."""
    node.run(f"rm -rf {OUTSIDE} /root/evidence; mkdir -p {OUTSIDE}; chmod 755 {OUTSIDE}")
    node.write(f"{OUTSIDE}/key", f"PASSWORD={NODES}\n", 0o4755)
    return Spot(node, node.start_container())


def told(web: Spot, tell: Tell, rule: str, path: str, fields: Fields | None = None) -> Story:
    """The report of an alert about a path."""
    more: dict[str, Any] = {name: value.format(path) for name, value in (fields or FILES[rule]).items()}
    return tell(web.fields(web.start("tail", "-f", "/etc/passwd")) | more, rule=rule, host=web.place)


def everything(web: Spot, report: Story) -> str:
    """Run every step and every undo; return all that they said and kept."""
    said = "\n".join(answer.text for answer in report.everything(seconds=100))
    kept = [each for each in web.evidence.rglob("*") if each.is_file() and not each.is_symlink()]
    return said + "".join(each.read_bytes()[: 1 << 20].decode("utf-8", "replace") for each in kept)


LINKS = {
    "/opt/a/key": "ln -s {outside}/key /opt/a/key",
    "/opt/b/key": "rmdir /opt/b; ln -s {outside} /opt/b",
    "/opt/c/key": "ln -s /proc/1/root{outside}/key /opt/c/key",
    "/opt/d/y/../secret/key": "ln -s {outside} /opt/d/y",
}
"""By the path that an alert names: how the container makes it lead to the node's file."""


@pytest.mark.parametrize("rule", FILES)
def test_a_link_to_the_nodes_own_file(web: Spot, tell: Tell, rule: str) -> None:
    web.run("mkdir -p /opt/a /opt/b /opt/c /opt/d; " + "; ".join(LINKS.values()).format(outside=OUTSIDE))
    before = web.place.snapshot(OUTSIDE)
    for path in LINKS:
        said = everything(web, told(web, tell, rule, path))
        assert NODES not in said, f"{path}: the node's file was shown or kept as the container's: {said}"
        assert web.place.snapshot(OUTSIDE) == before, f"{path}: the node's file was changed"


@pytest.mark.parametrize("rule", FILES)
def test_a_file_behind_a_link_of_the_container(web: Spot, tell: Tell, rule: str) -> None:
    """What stays inside is read: images link ``/bin`` to ``usr/bin``, and every file of a ConfigMap."""
    web.run("mkdir -p /opt/..data; ln -s ..data /opt/x; echo 'PASSWORD=its own' > /opt/..data/key")
    report = told(web, tell, rule, "/opt/x/key")
    if rule == HIDDEN:
        report.look("What is hidden there?", shows="PASSWORD=its own")
    elif rule in {KEYS, STARTUP}:
        report.looks(shows="PASSWORD", seconds=60)
    said = everything(web, report)
    assert "link_out" not in said
    assert "no_plain_file" not in said


ENDLESS = ("mkfifo {}", "mknod {} c 1 5", "truncate -s 900G {}")


@pytest.mark.parametrize("rule", FILES)
def test_a_file_that_never_ends(web: Spot, tell: Tell, rule: str) -> None:
    """Every step ends in its time, and keeps no more than it says."""
    assert web.container is not None
    web.run("mkdir -p /opt/x")
    for number, act in enumerate(ENDLESS):
        web.place.run(act.format(f"/proc/{web.container.pid}/root/opt/x/{number}"))
        everything(web, told(web, tell, rule, f"/opt/x/{number}"))
    sizes = [each.stat().st_blocks * 512 for each in web.evidence.rglob("*") if each.is_file()]
    assert sum(sizes) < 2 << 30, f"kept {sum(sizes)} bytes"


def test_the_folder_of_a_removal_is_swapped(web: Spot, tell: Tell) -> None:
    """The container swaps a folder and a link to the node's while the step runs."""
    web.run("mkdir -p /opt/x; echo own > /opt/x/key")
    root = web.path("/opt")
    (root / "y").symlink_to(OUTSIDE)
    ends = threading.Event()

    def swap() -> None:
        while not ends.is_set():
            for one, other in (("x", "z"), ("y", "x"), ("x", "y"), ("z", "x")):
                with contextlib.suppress(OSError):
                    (root / one).rename(root / other)

    before = web.place.snapshot(OUTSIDE)
    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        report = told(web, tell, DRIFT, "/opt/x/key")
        for _ in range(12):
            report.again("take it away")
            report.again("take it away", undo=True)
            assert web.place.snapshot(OUTSIDE) == before, "the node's file was taken away, or another put there"
    finally:
        ends.set()
        swapping.join(10)


def test_a_folder_that_is_a_link(web: Spot, tell: Tell) -> None:
    web.run(f"mkdir -p /usr/local; rm -rf /usr/local/bin; ln -s {OUTSIDE} /usr/local/bin")
    before = web.place.snapshot(OUTSIDE)
    report = told(web, tell, MKDIR, "/usr/local/bin/new", {"evt.arg.path": "{}"})
    web.place.run(f"mkdir {OUTSIDE}/new; touch {OUTSIDE}/new/tool")
    report.again("What lies in the directory?", shows="link_out_of_the_container", hides="new/tool")
    report.again("take it away", shows="link_out_of_the_container")
    report.again("take it away", undo=True, shows="link_out_of_the_container")
    web.place.run(f"rm -r {OUTSIDE}/new")
    assert web.place.snapshot(OUTSIDE) == before


def test_links_in_the_places_that_are_kept_whole(web: Spot, tell: Tell) -> None:
    web.place.write("/var/tmp/nodes", NODES)
    web.place.write("/root/nodes", NODES)
    web.run("rm -rf /var /tmp /root; ln -s /var /var; ln -s /root /tmp; ln -s /root /root; touch /own")
    root = f"/proc/{web.container.pid}/root" if web.container else ""
    web.place.run(f"mkdir -p {root}/dev/shm; truncate -s 900G {root}/dev/shm/endless")
    report = tell(web.fields(web.start("tail", "-f", "/etc/passwd")), rule=SUBNET, host=web.place)
    assert [step.title for step in report.steps]
    other = tell(web.fields(web.start("tail", "-f", "/etc/passwd")), rule="Web Server Spawned Shell", host=web.place)
    other.again("freeze the container", seconds=60)
    kept = web.place.run("tar -tzf /root/evidence/*/files.tgz")
    other.again("freeze the container", undo=True)
    assert "nodes" not in kept
    assert "dev/shm/endless" in kept


def test_a_shell_of_the_container_is_not_run(web: Spot, tell: Tell) -> None:
    """Programs of the container never run as the node's root: `ls` may be anybody's."""
    web.run("rm /bin/ls; printf '#!/bin/sh\\ntouch /owned\\n' > /bin/ls; chmod 755 /bin/ls")
    report = told(web, tell, TRAVERSAL, "/etc/shadow", {"fd.name": "{}", "fd.nameraw": "/srv/../{}"})
    report.again("Could this user read the file?", shows="shadow")
    assert not web.path("/owned").exists(), "the container's own program ran on the node"


def test_hashes_that_are_the_nodes(web: Spot, tell: Tell) -> None:
    web.place.run("grep -q '^mallory:' /etc/shadow || echo 'mallory:$y$j9T$x:1::::::' >> /etc/shadow")
    web.run("rm -f /etc/shadow; ln -s /etc/shadow /etc/shadow")
    report = told(web, tell, SHADOW, "/etc/shadow", {"fd.name": "{}"})
    report.again("Which accounts are exposed?", hides="mallory", shows="no_plain_file_of_the_container")
    web.place.run("sed -i '/^mallory:/d' /etc/shadow")


def test_a_link_in_a_folder_that_is_one(web: Spot, tell: Tell) -> None:
    web.place.run(f"ln -s /etc/passwd {OUTSIDE}/link")
    before = web.place.snapshot(OUTSIDE)
    web.run(f"mkdir -p /opt; ln -s {OUTSIDE} /opt/x")
    fields = {"evt.arg.target": "/etc/passwd", "evt.arg.linkpath": "{}"}
    report = told(web, tell, SYMLINK, "/opt/x/link", fields)
    report.again("then remove it", shows="link_out_of_the_container")
    report.again("then remove it", undo=True, shows="link_out_of_the_container")
    assert web.place.snapshot(OUTSIDE) == before


UNDONE: dict[str, Fields] = {
    KEYS: FILES[KEYS],
    DRIFT: FILES[DRIFT],
    BELOW: FILES[BELOW],
    "Container Drift Detected (chmod)": {"evt.arg.filename": "{}"},
    "Detect crypto miners using the Stratum protocol": {"proc.exepath": "{}"},
    MKDIR: {"evt.arg.path": "{}"},
    SYMLINK: {"evt.arg.target": "/etc/shadow", "evt.arg.linkpath": "{}"},
    "Create Hardlink Over Sensitive Files": {"evt.arg.oldpath": "/etc/shadow", "evt.arg.newpath": "{}"},
}


@pytest.mark.parametrize("rule", UNDONE)
def test_the_way_back_leads_out(web: Spot, tell: Tell, rule: str) -> None:
    """What was taken away was in a folder that is a link to the node's own since."""
    web.run("mkdir -p /opt/x /etc; echo 'root:*:1::::::' > /etc/shadow")
    name = "/opt/x/new"
    acts = {MKDIR: f"mkdir {name}; touch {name}/tool", SYMLINK: f"ln -s /etc/shadow {name}"}
    acts["Create Hardlink Over Sensitive Files"] = f"ln /etc/shadow {name}"
    web.run(acts.get(rule, f"echo own > {name}"))
    before = web.place.snapshot(OUTSIDE)
    report = told(web, tell, rule, name, UNDONE[rule])
    title = next(step.title for step in report.steps if "take" in step.title.casefold() or "remove" in step.title)
    report.again(title)
    assert not web.path(name).exists()
    web.run(f"rmdir /opt/x; ln -s {OUTSIDE} /opt/x")
    report.again(title, undo=True, shows="link_out_of_the_container")
    assert web.place.snapshot(OUTSIDE) == before, "it was put into the node's own folder"
