"""Machines join a cluster as nodes, or try to: pods are taken off them, and the tokens by which they join."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.scenarios.k8s_audit.test_creations import object_of
from tests.lab.story import Tell

JOINED = "Untrusted Node Successfully Joined the Cluster"
REFUSED = "Untrusted Node Unsuccessfully Tried to Join the Cluster"
RULES = (JOINED, REFUSED)
STRAY = "system:node:stray"


def token(cluster: Cluster, name: str = "abcdef", value: str = "0123456789abcdef") -> None:
    """Make a token by which machines join."""
    data = {"token-id": name, "token-secret": value, "usage-bootstrap-authentication": "true"}
    kind = "bootstrap.kubernetes.io/token"
    secret = object_of("Secret", f"bootstrap-token-{name}", "kube-system", type=kind, stringData=data)
    cluster.laptop("alice").apply(secret)


def tokens(cluster: Cluster) -> dict[str, Any]:
    """The tokens: name to content, and a Secret that is none."""
    items = cluster.laptop().get("secrets", "-n", "kube-system")["items"]
    return {item["metadata"]["name"]: (item["type"], item["data"]) for item in items}


def join(cluster: Cluster, name: str = "stray") -> None:
    """Register as a node, as a kubelet does."""
    cluster.laptop(STRAY).apply(object_of("Node", name))


def taints(cluster: Cluster, name: str = "stray") -> list[str]:
    """The effects of the taints that the report gave."""
    found = cluster.laptop().get("node", name)["spec"].get("taints", [])
    return sorted(taint["effect"] for taint in found if taint["key"] == "falco")


def leaving(cluster: Cluster) -> bool:
    """Whether the pod on the machine is gone, or told to go."""
    found = cluster.laptop().get("pod", "-n", "shop", "web-1")
    return not found or "deletionTimestamp" in found["metadata"]


def clean(cluster: Cluster) -> None:
    """Remove what an earlier scenario left outside of its namespaces."""
    cluster.laptop().run("kubectl delete secrets -n kube-system --all; kubectl delete node stray --ignore-not-found")


def test_a_stray_machine_joins(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    clean(cluster)
    token(cluster)
    cluster.laptop("alice").apply(object_of("Secret", "another", "kube-system", stringData={"a": "b"}))
    join(cluster)
    event = cluster.audit_event(user=STRAY, verb="create", resource="nodes", code=201)
    cluster.laptop("bob").apply(web_pod("web-1", nodeName="stray"))
    before = tokens(cluster)

    with tell(event=event, rule=JOINED, cluster=cluster.node) as report:
        report.look("What machine is it", shows=["web-1", "bootstrap-token-abcdef", '"kubeletVersion"', "0/1"])
        both = ["NoExecute", "NoSchedule"]
        report.contain("Take its pods off", state=lambda: taints(cluster), becomes=both, shows=report.uid)
        cluster.node.wait_until(lambda: leaving(cluster), "its pod is told to go", 60)
        assert not taints(cluster, "node-1"), "another node was touched"
        report.look("What else did this user do", shows="/api/v1/nodes")
        left = {"another": before["another"]}
        none = "No resources found"
        report.contain("Let no further machine join", state=lambda: tokens(cluster), becomes=left, shows=none)
        report.undo(state=lambda: (tokens(cluster), taints(cluster)), becomes=(before, []))

        cluster.laptop().run("kubectl delete node stray; kubectl delete pod -n shop web-1 --force --grace-period 0")
        report.again("What machine is it", shows="kubeletVersion")  # as it was kept
        report.again("Take its pods off", shows="gone, or joined again since")
        join(cluster)
        report.again("Take its pods off", shows="gone, or joined again since")
        assert not taints(cluster), "another machine of this name was touched"
        cluster.laptop().run("kubectl delete node stray")
        cluster.node.run(f"rm -r /root/evidence/{report.uid}")
        report.again("What machine is it", shows="NotFound")
        report.again("Take its pods off", shows="not kept")


def test_a_node_that_was_there_is_left_alone(cluster: Cluster, tell: Tell) -> None:
    clean(cluster)
    time.sleep(6)  # the node is older than the attempt
    made = object_of("Node", "node-1")
    with pytest.raises(AssertionError, match="AlreadyExists"):
        cluster.laptop("system:node:node-1").apply(made)
    event = cluster.audit_event(user="system:node:node-1", verb="create", resource="nodes", code=409)
    token(cluster)
    before = tokens(cluster)
    with tell(event=event, rule=REFUSED, cluster=cluster.node) as report:
        report.look("Who changed it", shows=["system:node:node-1", "409"])
        report.look("Does a node of this name", shows=["node-1", "10.98.0.1", "containerd"])
        report.look("What else did this user do", shows="409")
        report.contain("Let no further machine join", state=lambda: tokens(cluster), becomes={})
        report.undo(state=lambda: tokens(cluster), becomes=before)

    # The same event, had it been called a success.
    report = tell(event=event, rule=JOINED, cluster=cluster.node)
    report.look("What machine is it", shows="10.98.0.1")
    report.again("Take its pods off", shows="not made at that time")
    assert not taints(cluster, "node-1")


def test_somebody_who_is_no_node(cluster: Cluster, tell: Tell) -> None:
    clean(cluster)
    with pytest.raises(AssertionError, match="orbidden"):
        cluster.laptop("mallory").apply(object_of("Node", "mine"))
    event = cluster.audit_event(user="mallory", verb="create", resource="nodes", code=403)
    with tell(event=event, rule=REFUSED, cluster=cluster.node) as report:
        report.looks(shows=["node-1", "403"])
        # There is no token, and none is made or lost.
        assert tokens(cluster) == {}
        report.everything()
        assert tokens(cluster) == {}
        # One is made after the step was pasted for the first time.
        token(cluster)
        made = tokens(cluster)
        report.again("Let no further machine join", shows="No resources found")
        assert tokens(cluster) == {}
        report.again("Let no further machine join", undo=True)
        assert tokens(cluster) == made
    clean(cluster)


def test_tokens_that_are_made_meanwhile(cluster: Cluster, tell: Tell) -> None:
    """An intruder makes another, and somebody on duty makes the first anew; none is left, none is lost."""
    clean(cluster)
    token(cluster)
    join(cluster)
    event = cluster.audit_event(user=STRAY, verb="create", resource="nodes", code=201)
    report, step = tell(event=event, rule=JOINED, cluster=cluster.node), "Let no further machine join"
    nobody = tell(event=event, rule=JOINED, cluster=cluster.laptop("nobody"))
    nobody.again(step, shows="orbidden", hides="No resources")
    report.again(step)
    token(cluster, "ghijkl")
    other = tokens(cluster)
    report.again(step)
    assert tokens(cluster) == {}, "a machine may still join"
    token(cluster, value="fedcba9876543210")
    renewed = tokens(cluster)
    report.again(step)
    assert tokens(cluster) == {}, "a machine may still join"
    report.again(step, undo=True)
    assert tokens(cluster) == renewed | other, "not the tokens that were there last"
    clean(cluster)
