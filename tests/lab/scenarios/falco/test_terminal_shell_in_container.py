"""Terminal shell in container: somebody types in a pod."""

from __future__ import annotations

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.story import Tell

RULE = "Terminal shell in container"


def test_mallory_types_in_a_pod(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop().apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    node = cluster.node
    container = node.container_of("shop", "web-1")
    typed = "kubectl exec -it -n shop web-1 -- sh"
    cluster.laptop("mallory").run(f"(sleep 300 | script -qfc '{typed}' /dev/null) >/dev/null 2>&1 &")
    node.wait_until(lambda: node.pids_of(container, "^sh$"), "the shell runs")
    fields = {
        "evt.type": "execve",
        "proc.cmdline": "sh",
        "proc.exepath": "/bin/busybox",
        "proc.name": "sh",
        "proc.pname": "containerd-shim",
        "proc.tty": 34816,
        "user.loginuid": -1,
        "user.name": "root",
        "user.uid": 0,
        **container.fields,
    }

    # The audit log is on a control plane's node, so the reader is root there.
    with tell(fields, node=node, cluster=node) as report:
        report.look("Who opened it?", shows=["mallory", "tty=true"])
        report.look("What is it doing?", shows=["pts/0", "sleep 86400"])
        report.contain("keep evidence, then hang up", state=lambda: node.pids_of(container, "^sh$"), becomes=[])
        assert any(name.endswith(".tgz") for name in node.snapshot(f"/root/evidence/{report.uid}"))
        assert node.alive(container.pid), "the workload itself was ended"
        report.again("What is it doing?", hides="pts/0")
