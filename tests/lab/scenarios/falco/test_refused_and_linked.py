"""What must not be taken away or cut: packaged directories under another name, links, refused calls, own sockets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Tell

MKDIR = "Mkdir binary dirs"
MODIFY = "Modify binary dirs"
JAVA = "Java Process Class File Download"
DRIFT = "Container Drift Detected (open+create)"
BELOW = "Write below binary dir"
RULES = (MKDIR, MODIFY, JAVA, DRIFT, BELOW)
TAKE = "take it away"


def actor(spot: Spot, **more: Any) -> dict[str, Any]:
    """The fields of an alert by a process that still runs."""
    return spot.fields(spot.start("tail", "-f", "/etc/passwd"), **more)


def test_a_directory_with_a_slash_at_its_end(spot: Spot, tell: Tell) -> None:
    spot.write("/usr/local/bin/.x/tool", b"#!/bin/sh\n", 0o755)
    spot.write("/usr/local/bin/other", b"#!/bin/sh\n", 0o755)
    before = spot.snapshot("/usr/local/bin")
    report = tell(actor(spot, evt__arg__path="/usr/local/bin/.x/"), rule=MKDIR, host=spot.place)
    report.looks(shows="tool")
    report.contain(TAKE, state=lambda: spot.path("/usr/local/bin/.x").exists(), becomes=False, shows="No such file")
    assert spot.path("/usr/local/bin/other").exists()
    report.undo(state=lambda: spot.snapshot("/usr/local/bin"), becomes=before)
    report.again(TAKE, undo=True)
    assert spot.snapshot("/usr/local/bin") == before


@pytest.mark.parametrize(
    "path", ["/bin", "/usr/sbin/", "/lib/dbus-1.0", "/usr/lib/systemd", "/lib/../lib/systemd", "/bin/../lib/dbus-1.0"]
)
def test_a_packages_directory_stays(booted_host: Host, tell: Tell, path: str) -> None:
    spot = Spot(booted_host)
    before = booted_host.run(f"find {path}/ | sort")
    report = tell(actor(spot, evt__arg__path=path), rule=MKDIR, host=booted_host)
    report.again(TAKE, shows="not moved")
    assert booted_host.run(f"find {path}/ | sort") == before


def test_a_directory_that_was_there_before(spot: Spot, tell: Tell) -> None:
    spot.write("/usr/local/bin/site/tool", "x")
    before = spot.snapshot("/usr/local/bin")
    later = time.time_ns() + 3600 * 10**9
    report = tell(actor(spot, evt__arg__path="/usr/local/bin/site"), rule=MKDIR, host=spot.place, time_ns=later)
    report.again(TAKE, shows="older: not moved")
    assert spot.snapshot("/usr/local/bin") == before
    report.again(TAKE, undo=True)
    assert spot.snapshot("/usr/local/bin") == before


def test_a_link_on_the_way(node: Node, tell: Tell) -> None:
    spot = Spot(node, node.start_container())
    node.write("/etc/keep/tool", "x")
    spot.run("mkdir -p /usr/local; ln -s /etc /usr/local/lib")
    report = tell(actor(spot, evt__arg__path="/usr/local/lib/keep"), rule=MKDIR, host=node)
    report.again(TAKE, shows="link")
    report.again(TAKE, undo=True, shows="link")
    assert node.read("/etc/keep/tool") == "x"
    node.run("rm -r /etc/keep")


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("/bin/env", True),
        ("/opt/../usr/bin/env", True),
        ("/opt/link/env", True),
        ("/usr/bin/env", True),
        ("/etc/hostname", True),
        ("/etc/cron.d/x", False),
        ("/bin/.x", False),
    ],
)
def test_a_file_that_the_system_needs(booted_host: Host, tell: Tell, path: str, *, stays: bool) -> None:
    spot = Spot(booted_host)
    booted_host.run("ln -s /usr/bin /opt/link")
    if not stays:
        spot.write(path, "#!/bin/sh\n", 0o755)
    before = spot.snapshot(path)
    report = tell(actor(spot, evt__arg__name=path), rule=DRIFT, host=booted_host)
    report.again(TAKE, shows="kept, not moved" if stays else "No such file")
    # Asked inside: a link leads elsewhere from out here.
    assert spot.run(f"test -e {path} && echo stays || echo gone").strip() == ("stays" if stays else "gone")
    assert (spot.evidence / report.uid / "file").exists(), "nothing was kept"
    report.again(TAKE, undo=True)
    assert spot.snapshot(path) == before


def test_a_program_behind_a_link(node: Node, tell: Tell) -> None:
    spot = Spot(node, node.start_container())
    spot.write("/usr/local/bin/x", "#!/bin/sh\n", 0o755)
    spot.run("ln -s /usr/local/bin/x /bin/y")
    fields = actor(spot, fd__name="/bin/y")
    report = tell(fields, rule=BELOW, host=node)
    report.look("What is this file now?", shows=["l", "y -> /usr/local/bin/x"])
    report = tell(fields | {"fd.name": "/usr/local/bin/x"}, rule=BELOW, host=node)
    report.look("What is this file now?", shows=["Change: ", "-rwxr-xr-x"])
    spot.path("/usr/local/bin/x").unlink()
    report.again("What is this file now?", shows="No such file")


def test_a_refused_removal(booted_host: Host, tell: Tell) -> None:
    spot = Spot(booted_host)
    booted_host.run("mv /usr/bin/env /usr/bin/env.x || echo refused; true", user="www-data")
    fields = actor(spot) | {
        "proc.cmdline": "mv /usr/bin/env /usr/bin/env.x",
        "evt.res": "EACCES",
        "evt.type": "renameat2",
    }
    report = tell(fields, rule=MODIFY, host=booted_host)
    report.look("What changed in the program directories", hides=["env.x", "missing"], seconds=90)
    booted_host.run("mv /usr/bin/env /usr/bin/env.x")
    report.again("What changed in the program directories", shows=["/usr/bin/env.x", "missing"], seconds=90)


def test_a_class_goes_either_way(spot: Spot, tell: Tell, tmp_path: Path) -> None:
    place = spot.place
    with internet(place) as far:
        far.listen(8888, into=tmp_path / "got")
        pid = spot.start("nc.traditional", PEER, "8888")
        out = {
            "fd.name": f"10.99.0.2:40000->{PEER}:8888",
            "fd.sip": PEER,
            "fd.sport": 8888,
            "fd.rip": PEER,
            "fd.rport": 8888,
        }
        own = "10.88.0.5" if spot.container else "10.99.0.2"
        back = {
            "fd.name": f"{PEER}:40000->{own}:8080",
            "fd.sip": own,
            "fd.sport": 8080,
            "fd.rip": PEER,
            "fd.rport": 40000,
        }
        report = tell(spot.fields(pid) | {"fd.type": "ipv4"} | out, rule=JAVA, host=place)
        report.looks(shows="nc.traditional", seconds=60)
        report.contain("Drop all packets", state=lambda: reaches(spot), becomes=False)
        report.verify("Does nothing pass?", held=["drop", PEER], not_held="No such file")
        report.undo(state=lambda: reaches(spot), becomes=True)

        served = tell(spot.fields(pid) | {"fd.type": "ipv4"} | back, rule=JAVA, host=place)
        served.looks(shows="nc.traditional", seconds=60)
        served.contain("Freeze the process", state=lambda: place.state(pid), becomes="T")
        served.verify("Does it stand still?", held=f"{pid} T")
        served.undo(state=lambda: place.state(pid), becomes="S")


def reaches(spot: Spot) -> bool:
    """Whether the spot can open a connection to the peer."""
    return "yes" in spot.run(f"nc.traditional -z -w 2 {PEER} 8888 && echo yes || echo no")
