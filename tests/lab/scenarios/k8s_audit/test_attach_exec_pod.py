"""Attach/Exec Pod: somebody opens a shell in a pod."""

from __future__ import annotations

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.story import Tell

RULE = "Attach/Exec Pod"


def test_mallory_opens_a_shell(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    mallory = cluster.laptop("mallory")
    # What was started by exec outlives it.
    mallory.run("kubectl exec -n shop web-1 -- sh -c 'sleep 4321 >/dev/null 2>&1 &'")
    node = cluster.node
    container = node.container_of("shop", "web-1")
    event = cluster.audit_event(user="mallory", subresource="exec", stage="ResponseStarted")

    # The audit log is on a control plane's node, so the reader is root there.
    with tell(event=event, node=node, cluster=node) as report:
        report.look("Whose call was it", shows=["command=sh", "sleep+4321", '"mallory"', ",101,"])
        report.look("Does the session last", shows=["node-1", container.id])
        report.contain(
            "end the sessions with the pod",
            state=lambda: (exists(cluster), node.pids_of(container)),
            becomes=(False, []),
            seconds=60,
        )
        kept = node.snapshot(f"/root/evidence/{report.uid}")
        assert "name: web-1" in node.read(f"/root/evidence/{report.uid}/pod.yaml"), kept
        report.again("Does the session last", shows="NotFound")


def test_a_refused_exec_changes_nothing(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    assert "forbidden" in cluster.laptop("viewer").refused("kubectl exec -n shop web-1 -- id")
    event = cluster.audit_event(user="viewer", subresource="exec", code=403)

    report = tell(event=event, node=cluster.node, cluster=cluster.node)
    report.again("Whose call was it", shows=['"viewer"', ",403,"])


def exists(cluster: Cluster) -> bool:
    """Whether the pod is there."""
    return bool(cluster.laptop().get("pod", "-n", "shop", "web-1"))
