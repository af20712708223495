"""Who may not look at an object is not told that it is gone: it is there, and does what the alert says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.audit import Event
from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.scenarios.falco.test_in_a_cluster import CLIENT, COPY, RELEASE, fields
from tests.lab.scenarios.k8s_audit import test_access as access
from tests.lab.scenarios.k8s_audit import test_nodes as nodes
from tests.lab.scenarios.k8s_audit.test_bystanders import BOUND, MALLORY, handed_over
from tests.lab.scenarios.k8s_audit.test_owners import owner
from tests.lab.scenarios.k8s_audit.test_pods import EXEC, PRIVILEGED, pod
from tests.lab.story import Tell
from tests.waiting import wait_until

OWN = "A rule of the reader's own"


def binding(cluster: Cluster) -> Event:
    access.bind(cluster, "ops", "cluster-admin", MALLORY)
    return cluster.audit_event(user="alice", verb="create", code=201, resource="clusterrolebindings")


def privileged(cluster: Cluster) -> Event:
    cluster.laptop("alice").apply(pod(PRIVILEGED))
    return cluster.audit_event(user="alice", verb="create", code=201, resource="pods")


def owned(cluster: Cluster) -> Event:
    cluster.laptop("alice").apply(owner("Deployment"))
    caller = "system:serviceaccount:kube-system:replicaset-controller"
    return cluster.audit_event(20, user=caller, verb="create", code=201, resource="pods")


def space(cluster: Cluster) -> Event:
    cluster.laptop("alice").run("kubectl create namespace annex")
    return cluster.audit_event(user="alice", verb="create", resource="namespaces", code=201)


def machine(cluster: Cluster) -> Event:
    nodes.clean(cluster)
    nodes.join(cluster)
    return cluster.audit_event(user=nodes.STRAY, verb="create", resource="nodes", code=201)


def shell(cluster: Cluster) -> Event:
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    cluster.laptop("mallory").run("kubectl exec -n shop web-1 -- true")
    return cluster.audit_event(user="mallory", subresource="exec", stage="ResponseStarted")


ACTS: dict[str, tuple[str, Callable[[Cluster], Event]]] = {
    "Delete what was created": (BOUND, binding),
    "delete the pod": (PRIVILEGED, privileged),
    "Stop what makes": (PRIVILEGED, owned),
    "Let no further pod start": (access.OTHER_SPACE, space),
    "Take its pods off": (nodes.JOINED, machine),
    "Delete the pod, if": (EXEC, shell),
}
SYSCALLS = {"Revoke the tokens": CLIENT, "Refuse exec": COPY, "Isolate the pod": OWN}
RULES = (BOUND, PRIVILEGED, access.OTHER_SPACE, nodes.JOINED, EXEC, CLIENT, COPY, RELEASE)


def everything(cluster: Cluster) -> list[Any]:
    """What the steps might change: who was told to go, what may start, and who may do what.

    An earlier scenario's namespace goes with all that is in it, first.
    """
    reader = cluster.laptop()
    wait_until(
        lambda: not any("deletionTimestamp" in item["metadata"] for item in reader.get("namespaces")["items"]),
        "no namespace is on its way out",
        seconds=60,
    )
    kinds = "pods,deployments,resourcequotas,networkpolicies,nodes,serviceaccounts,clusterrolebindings,rolebindings"
    found = reader.get(kinds, "-A")["items"]
    return [(item["kind"], item["metadata"]["uid"], "deletionTimestamp" in item["metadata"]) for item in found]


@pytest.mark.parametrize("title", ACTS)
def test_what_an_alert_names_is_not_called_gone(cluster: Cluster, tell: Tell, title: str) -> None:
    cluster.namespace("shop")
    rule, act = ACTS[title]
    event = act(cluster)
    report = tell(event=event, rule=rule, node=cluster.node, cluster=cluster.node)
    report.looks()
    nobody = handed_over(cluster, report, "nobody")
    before = everything(cluster)
    tell(event=event, rule=rule, node=cluster.node, cluster=nobody).again(title, shows="orbidden", hides="gone")
    assert everything(cluster) == before
    nodes.clean(cluster)


@pytest.mark.parametrize("title", SYSCALLS)
def test_a_pod_or_its_account_is_not_called_gone(cluster: Cluster, tell: Tell, title: str) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    alert = fields(cluster.node.container_of("shop", "web-1"), "kubectl get secrets")
    rule, before = SYSCALLS[title], everything(cluster)
    report = tell(alert, rule=rule, source="syscall", node=cluster.node, cluster=cluster.laptop("nobody"))
    report.again(title, shows="orbidden", hides=["gone", "invalid", "made since"], seconds=60)
    assert everything(cluster) == before
