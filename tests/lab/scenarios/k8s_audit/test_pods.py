"""Pods and containers that give somebody the node, or a foothold: kept, then stopped, by their uid."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.story import Tell

PRIVILEGED = "Create Privileged Pod"
PODS: dict[str, tuple[str, dict[str, Any]]] = {
    "Create Sensitive Mount Pod": ("shop", {"volumes": [{"name": "root", "hostPath": {"path": "/etc"}}]}),
    "Create HostPid Pod": ("shop", {"hostPID": True}),
    "Create HostNetwork Pod": ("shop", {"hostNetwork": True}),
    "Pod Created in Kube Namespace": ("kube-system", {}),
    PRIVILEGED: ("shop", {}),
}
EXEC = "Attach/Exec Pod"
EPHEMERAL = "EphemeralContainers Created"
RULES = (*PODS, EPHEMERAL, EXEC)


def pod(rule: str, name: str = "tool") -> dict[str, Any]:
    """Return the manifest of a pod that a rule is about."""
    namespace, spec = PODS[rule]
    made = web_pod(name, namespace, **spec)
    if rule == PRIVILEGED:
        made["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    return made


def uid_of(cluster: Cluster, namespace: str, name: str = "tool") -> str:
    """The pod's uid, empty where there is none."""
    found = cluster.laptop().get("pod", "-n", namespace, name)
    return str(found.get("metadata", {}).get("uid", ""))


@pytest.mark.parametrize("rule", PODS)
def test_a_pod_is_stopped(cluster: Cluster, tell: Tell, rule: str) -> None:
    namespace = PODS[rule][0]
    cluster.namespace("shop")
    cluster.laptop("alice").apply(pod(rule))
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="pods")
    cluster.await_pod(namespace, "tool")
    uid = uid_of(cluster, namespace)

    report = tell(event=event, rule=rule, node=cluster.node, cluster=cluster.node)
    report.looks(shows=["sleep", "86400", "/pods"])
    assert uid in cluster.node.read(f"/root/evidence/{report.uid}/pod.json")
    report.contain("delete the pod", state=lambda: gone_soon(cluster, namespace), becomes="")
    assert f"/root/evidence/{report.uid}/log" in cluster.node.snapshot(f"/root/evidence/{report.uid}")
    cluster.laptop("alice").apply(pod(rule))
    again = uid_of(cluster, namespace)
    report.again("delete the pod")
    assert uid_of(cluster, namespace) == again != uid, "another pod of this name was stopped"
    cluster.laptop().run(f"kubectl delete pod tool -n {namespace} --now")


def gone_soon(cluster: Cluster, namespace: str) -> str:
    """The pod's uid unless it goes within some seconds."""
    deadline = time.monotonic() + 15
    found = cluster.laptop().get("pod", "-n", namespace, "tool")
    while found.get("metadata", {}).get("deletionTimestamp") and time.monotonic() < deadline:
        time.sleep(0.2)
        found = cluster.laptop().get("pod", "-n", namespace, "tool")
    return str(found.get("metadata", {}).get("uid", ""))


def test_a_pod_with_an_hours_grace_is_stopped(cluster: Cluster, tell: Tell) -> None:
    """Whoever wrote the pod chose how long its processes may go on after it was deleted."""
    cluster.namespace("shop")
    manifest = pod(PRIVILEGED)
    manifest["spec"]["terminationGracePeriodSeconds"] = 3600
    manifest["spec"]["containers"][0]["command"] = ["sh", "-c", "trap '' TERM; while echo mined; do sleep 1; done"]
    cluster.laptop("alice").apply(manifest)
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="pods")
    cluster.await_pod("shop", "tool")
    report = tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.node)
    report.looks()
    report.contain("delete the pod", state=lambda: gone_soon(cluster, "shop"), becomes="")
    assert "mined" in cluster.node.read(f"/root/evidence/{report.uid}/log"), "the second run has spoiled the log"


def never_started() -> list[dict[str, Any]]:
    """Return containers that have no log, as no node has their image: ``kubectl logs`` may ask one of them first."""
    late = {"image": "registry.example.net/none:1", "imagePullPolicy": "Never"}
    return [{"name": f"late-{number}", **late} for number in range(4)]


def test_one_containers_log_is_kept_though_others_have_none(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    manifest = pod(PRIVILEGED)
    manifest["spec"]["containers"][0]["command"] = ["sh", "-c", "echo mined; sleep 86400"]
    manifest["spec"]["containers"] += never_started()
    alice, node = cluster.laptop("alice"), cluster.node
    for rule, title in ((PRIVILEGED, "Keep its log"), (EXEC, "Delete the pod")):
        alice.apply(manifest)
        event = cluster.audit_event(user="alice", verb="create", code=201, resource="pods")
        logs = "kubectl logs -n shop tool -c web || true"
        node.wait_until(lambda command=logs: "mined" in alice.run(command), "it has a log", 40)
        if rule == EXEC:
            alice.run("kubectl exec -n shop tool -c web -- true")
            event = cluster.audit_event(user="alice", subresource="exec", stage="ResponseStarted")
        report = tell(event=event, rule=rule, node=node, cluster=node)
        if rule == PRIVILEGED:
            report.looks()
        report.again(title)
        assert "mined" in node.read(f"/root/evidence/{report.uid}/log"), f"{rule}: the log is lost with the pod"
        assert not gone_soon(cluster, "shop")


def test_a_refused_pod_stops_nothing(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    manifests = {rule: pod(rule) for rule in ("Create HostPid Pod", PRIVILEGED)}
    cluster.laptop("alice").apply(manifests[PRIVILEGED])
    uid = uid_of(cluster, "shop")
    time.sleep(7)
    for rule, manifest in manifests.items():
        with pytest.raises(AssertionError, match="AlreadyExists"):
            cluster.laptop("mallory").apply(manifest)
        event = cluster.audit_event(user="mallory", verb="create", code=409)
        fields = {"ka.resp.name": "tool"}
        report = tell(fields, event=event, rule=rule, node=cluster.node, cluster=cluster.node)
        report.looks(shows="409")
        report.again("delete the pod", shows="at another time" if rule != PRIVILEGED else "")
        assert uid_of(cluster, "shop") == uid, f"{rule}: an older pod was stopped"


def test_a_controllers_pod_leads_to_who_wrote_its_owner(cluster: Cluster, tell: Tell) -> None:
    """The API server's caller is the controller, which makes every pod of every owner."""
    cluster.namespace("shop")
    template = pod(PRIVILEGED)
    made = {"metadata": {"labels": {"app": "tool"}}, "spec": template["spec"]}
    spec = {"selector": {"matchLabels": {"app": "tool"}}, "template": made, "replicas": 1}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "tool", "namespace": "shop"}}
    cluster.laptop("alice").apply(owner | {"spec": spec})
    caller = "system:serviceaccount:kube-system:replicaset-controller"
    event = cluster.audit_event(user=caller, verb="create", code=201, resource="pods")
    cluster.laptop("bob").run("kubectl create configmap tool -n shop")

    report = tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.node)
    report.look("Does the pod run", shows="ReplicaSet")
    report.look("Who wrote what this pod belongs to", shows=["alice\tcreate\t201", "/deployments"], hides="/pods\t")


def test_an_empty_file_stops_no_pod(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("alice").apply(pod(PRIVILEGED))
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="pods")
    uid = uid_of(cluster, "shop")
    report = tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.node)
    cluster.node.write(f"/root/evidence/{report.uid}/pod.json", "")
    report.again("delete the pod", shows="not kept")
    assert uid_of(cluster, "shop") == uid


def test_a_container_is_added(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    for name in ("web-1", "web-10"):
        cluster.laptop("bob").apply(web_pod(name))
        cluster.await_pod("shop", name)
    node = cluster.node
    time.sleep(6)
    image = "--image=registry.example.net/shop/web:1.2.3 --image-pull-policy=Never"
    probe = "sh -c 'echo probed; sleep 4321'"
    cluster.laptop("alice").run(f"kubectl debug -n shop web-1 {image} --target=web -c probe -- {probe}")
    event = cluster.audit_event(user="alice", subresource="ephemeralcontainers", code=200)
    node.wait_until(lambda: "probe" in node.run("crictl ps"), "the container runs", 30)

    with tell(event=event, rule=EPHEMERAL, node=node, cluster=node) as report:
        report.looks(shows=["probe", "4321", "running", "ephemeralcontainers"])
        left = ["web", "web"]
        report.contain("stop the containers started since", state=lambda: running(cluster), becomes=left, seconds=60)
        assert f"/root/evidence/{report.uid}/containers.json" in node.snapshot(f"/root/evidence/{report.uid}")
        node.run("sleep 3")
        assert running(cluster) == left, "it was started again"
        folder = f"/root/evidence/{report.uid}"
        kept = node.read(f"{folder}/containers.json")
        assert "probe" in kept, "the second run has spoiled what was kept of the container"
        assert "probed" in node.run(f"cat {folder}/log-*"), "what the container wrote is lost with the pod"


def test_the_pod_of_an_added_container_is_another_now(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    bob, node = cluster.laptop("bob"), cluster.node
    bob.apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    image = "--image=registry.example.net/shop/web:1.2.3 --image-pull-policy=Never"
    cluster.laptop("alice").run(f"kubectl debug -n shop web-1 {image} --target=web -c probe -- sleep 4321")
    event = cluster.audit_event(user="alice", subresource="ephemeralcontainers", code=200)
    bob.run("kubectl delete pod web-1 -n shop --now", 60)

    report = tell(event=event, rule=EPHEMERAL, node=node, cluster=node)
    report.again("What was added", shows="NotFound")
    report.again("stop the containers started since", shows="no such pod on this node", seconds=60)
    bob.apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    made = node.container_of("shop", "web-1")
    report.again("What was added", shows="node-1", hides="probe")
    report.again("stop the containers started since", shows="it began after the alert", seconds=60)
    assert node.alive(made.pid), "another pod of this name was stopped"


def running(cluster: Cluster) -> list[str]:
    """The containers that run in the namespace."""
    chosen = "crictl ps --label io.kubernetes.pod.namespace=shop -o json | jq -r '.containers[].metadata.name'"
    return sorted(cluster.node.run(chosen).split())
