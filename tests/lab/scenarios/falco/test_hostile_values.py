"""Paths, command lines and account names that an attacker chooses, in rules whose own scenarios have plain ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.hostile import WORDS
from tests.lab.places.host import Host
from tests.lab.places.node import Node
from tests.lab.story import Tell

ON_A_HOST = (
    "Adding ssh keys to authorized_keys",
    "Backdoored library loaded into SSHD (CVE-2024-3094)",
    "DB program spawned process",
    "Delete or rename shell history",
    "Fileless execution via memfd_create",
    "Linux Kernel Module Injection Detected",
    "Non sudo setuid",
    "Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)",
    "Read Shell Configuration File",
    "Read ssh information",
    "Schedule Cron Jobs",
    "Sudo Potential Privilege Escalation",
    "System procs network activity",
    "System user interactive",
)
IN_A_CONTAINER = (
    "Change thread namespace",
    "Decoding Payload in Container",
    "Detect release_agent File Container Escapes",
    "Exfiltrating Artifacts via Kubernetes Control Plane",
    "Fileless execution via memfd_create",
    "Privileged Container Device Access",
)
RULES = (*ON_A_HOST, *IN_A_CONTAINER)


def hostile(word: str) -> dict[str, Any]:
    """The fields of an alert about a file, a program and an account of this name."""
    path = f"/tmp/{word.replace('/', '_')}"
    said = dict.fromkeys(("fd.name", "fs.path.name", "evt.arg.name", "evt.arg.path", "evt.arg.oldpath"), path)
    ran = {"proc.exepath": path, "proc.cmdline": f"{path} {word}", "proc.args": word, "proc.name": word[:15]}
    before = {"proc.pname": word[:15], "proc.pexepath": path, "proc.pcmdline": word, "proc.aname[2]": word[:15]}
    return {**said, **ran, **before, "user.name": word, "user.uid": 1000, "user.loginuid": 1000, "user.loginname": word}


@pytest.mark.parametrize("rule", ON_A_HOST)
def test_a_hosts_alert(booted_host: Host, tell: Tell, rule: str) -> None:
    for word in WORDS.values():
        with tell(hostile(word) | {"container.id": "host"}, rule=rule, host=booted_host) as report:
            report.everything()
    assert not booted_host.run("find / -xdev -name owned -not -path '/proc/*'").strip()


@pytest.mark.parametrize("rule", IN_A_CONTAINER)
def test_a_containers_alert(node: Node, tell: Tell, rule: str) -> None:
    for word in WORDS.values():
        fields = node.start_container().fields | {"k8s.pod.name": None, "k8s.ns.name": None}
        with tell(hostile(word) | fields, rule=rule, node=node) as report:
            report.everything()
    assert not node.run("find /root /tmp /run/containerd -xdev -name owned").strip()
