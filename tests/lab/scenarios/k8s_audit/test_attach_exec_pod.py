"""Attach/Exec Pod: somebody opens a shell in a pod."""

from __future__ import annotations

from typing import Any

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.story import Tell

RULE = "Attach/Exec Pod"


def labels_of(cluster: Cluster) -> Any:
    return cluster.laptop().get("pod", "-n", "shop", "web-1")["metadata"]["labels"]


def test_mallory_opens_a_shell(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    mallory = cluster.laptop("mallory")
    # What was started by exec outlives it.
    mallory.run("kubectl exec -n shop web-1 -- sh -c 'sleep 4321 >/dev/null 2>&1 &'")
    admin = cluster.laptop()

    event = cluster.audit_event(user="mallory", subresource="exec", stage="ResponseStarted")

    with tell(event=event, node=cluster.node, cluster=admin) as report:
        report.look("Read the full command line", shows=["command=sh", "sleep+4321", '"user":"mallory"', '"code":101'])
        report.look("List the pod's processes", shows="sleep 4321")
        report.look("Ask what mallory may do", shows="selfsubjectaccessreviews")
        report.look("Read owner, writers", shows=['"owners": null', "kubectl-create Update", '"node": "node-1"'])
        before = kubelet(cluster)
        report.contain("restart the kubelet", state=lambda: kubelet(cluster) != before, becomes=True)
        report.contain("replace its labels", state=lambda: labels_of(cluster), becomes={"quarantine": "falco"})
        report.contain("Refuse all writes", state=lambda: frozen(cluster), becomes=True)
        assert "frozen during an investigation" in mallory.refused("kubectl exec -n shop web-1 -- id")

        report.undo(state=lambda: (frozen(cluster), labels_of(cluster)), becomes=(False, {"app": "web"}))
        assert "uid=0" in mallory.run("kubectl exec -n shop web-1 -- id")

        admin.run("kubectl delete pod -n shop web-1")
        report.again("Read owner, writers", shows="NotFound")


def kubelet(cluster: Cluster) -> str:
    """The kubelet's process."""
    return cluster.node.run("systemctl show -p MainPID --value kubelet").strip()


def frozen(cluster: Cluster) -> bool:
    """Whether the API server knows a policy that freezes somebody."""
    return bool(cluster.laptop().get("validatingadmissionpolicybinding", "falco-freeze-user"))
