"""Pods that come again: what makes them is stopped, and the logs of a Deployment's pods are kept before it goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit.test_creations import deployment, now
from tests.lab.scenarios.k8s_audit.test_pods import PRIVILEGED, never_started, pod
from tests.lab.story import Tell

MADE = "K8s Deployment Created"
RULES = (PRIVILEGED, MADE)
CONTROLLERS = {"Deployment": "replicaset-controller", "DaemonSet": "daemon-set-controller", "Job": "job-controller"}


def owner(kind: str) -> dict[str, Any]:
    """Return the manifest of a workload of privileged pods."""
    labels = {"app": "tool"}
    template = {"metadata": {"labels": labels}, "spec": pod(PRIVILEGED)["spec"]}
    place = {"metadata": {"name": "tool", "namespace": "shop"}, "kind": kind}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
        return {"apiVersion": "batch/v1", **place, "spec": {"template": template}}
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
    spec |= {"replicas": 2} if kind == "Deployment" else {}
    return {"apiVersion": "apps/v1", **place, "spec": spec}


def running(cluster: Cluster, wanted: int) -> int:
    """Return how many pods of the workload there are, once they are as many as wanted or some seconds have passed."""
    count = 'test "$(kubectl get pods -n shop -l app=tool --no-headers -o name | wc -l)" = %d'
    loop = f"for i in $(seq 60); do {count % wanted} && break; sleep 0.5; done"
    found = cluster.laptop().run(f"{loop}; kubectl get pods -n shop -l app=tool -o name | wc -l", 60)
    return int(found.split()[-1])


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_what_makes_such_pods_is_stopped(cluster: Cluster, tell: Tell, kind: str) -> None:
    cluster.namespace("shop")
    before = 2 if kind == "Deployment" else 1
    cluster.laptop("alice").apply(owner(kind))
    caller = f"system:serviceaccount:kube-system:{CONTROLLERS[kind]}"
    event = cluster.audit_event(20, user=caller, verb="create", code=201, resource="pods")
    assert running(cluster, before) == before

    with tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.node) as report:
        report.looks(shows="alice")
        uid = event["responseObject"]["metadata"]["uid"]
        own = ["kubectl get pods -n shop -o jsonpath='{.items[*].metadata.uid}'"]
        report.contain(
            "delete the pod",
            state=lambda: uid in cluster.laptop().run(own[0]),
            becomes=False,
            shows="",
            seconds=60,
        )
        # Its controller has made another one.
        assert running(cluster, before) == before
        report.contain("Stop what makes", state=lambda: running(cluster, 0), becomes=0, shows="tool", seconds=90)
        report.undo(state=lambda: running(cluster, before), becomes=before)

        made = cluster.laptop().get(kind, "-n", "shop", "tool")["metadata"]["uid"]
        cluster.laptop().run(f"kubectl delete {kind} tool -n shop --cascade=foreground --now", 60)
        cluster.laptop("alice").apply(owner(kind))
        fresh = cluster.laptop().get(kind, "-n", "shop", "tool")
        assert fresh["metadata"]["uid"] != made
        report.again("Stop what makes", undo=True, shows="made again since")
        report.again("Stop what makes", shows="gone, or made again since")
        assert cluster.laptop().get(kind, "-n", "shop", "tool")["spec"] == fresh["spec"], "a namesake was stopped"


def test_the_logs_of_its_pods_are_kept(cluster: Cluster, tell: Tell) -> None:
    manifest = deployment()
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullPolicy": "Never", "command": ["sh", "-c", "echo mined; sleep 86400"]}
    manifest["spec"]["template"]["spec"]["containers"] += never_started()
    cluster.namespace("shop")
    cluster.laptop("bob").apply(manifest)
    event = cluster.audit_event(user="bob", verb="create", code=201, resource="deployments")
    logs = "kubectl logs -n shop -l app=web -c web"
    cluster.node.wait_until(lambda: "mined" in cluster.laptop().run(f"{logs} || true"), "it has a log", 40)

    with tell(event=event, rule=MADE, cluster=cluster.node) as report:
        report.look("Was it made", shows='"web"')
        report.look("What else did this user do", shows="/deployments")
        log = f"/root/evidence/{report.uid}/log"
        report.keep("Keep the logs", keeps=lambda _: "mined" in cluster.node.read(log))
        report.contain("Delete what was created", state=lambda: bool(now(cluster, manifest)), becomes=False)
        assert "mined" in cluster.node.read(log)
        report.everything()
