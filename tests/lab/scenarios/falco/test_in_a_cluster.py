"""Alerts from pods, where the cluster knows more: who came in, what the pod may do, and how to keep others off."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.node import Container
from tests.lab.scenarios.falco.test_stopping import forward
from tests.lab.scenarios.k8s_audit.test_bystanders import nobody_asks_who_they_are
from tests.lab.story import Tell

RELEASE = "Detect release_agent File Container Escapes"
API = "Contact K8S API Server From Container"
CLIENT = "Kubernetes Client Tool Launched in Container"
COPY = "Exfiltrating Artifacts via Kubernetes Control Plane"
PATHS = "Container Access to Host Sensitive Paths"
PORT = "Unexpected K8s NodePort Connection"
GPU = "Container Accessing GPU Device"
RULES = (RELEASE, API, CLIENT, COPY, PATHS, PORT, GPU)


def pod(cluster: Cluster, account: str = "", **spec: Any) -> Container:
    """Start a pod, with a service account of this name, and return its container."""
    cluster.namespace("shop")
    if account:
        cluster.laptop("bob").run(f"kubectl create serviceaccount {account} -n shop")
    cluster.laptop("bob").apply(web_pod("web-1", **spec))
    cluster.await_pod("shop", "web-1")
    return cluster.node.container_of("shop", "web-1")


def fields(container: Container, command: str = "sleep 86400", **more: Any) -> dict[str, Any]:
    """What Falco says of the pod's own process."""
    own = {"proc.cmdline": command, "proc.exepath": "/bin/busybox", "proc.name": command.split(maxsplit=1)[0]}
    own |= {"proc.pname": "sh", "proc.tty": 0, "user.loginuid": -1, "user.name": "root", "user.uid": 0}
    return {**own, **container.fields, **{key.replace("__", "."): value for key, value in more.items()}}


def may_schedule(cluster: Cluster) -> bool:
    """Whether the node takes new pods."""
    taints = cluster.laptop().get("node", "node-1")["spec"].get("taints", [])
    return not [taint for taint in taints if "falco" in taint["key"]]


def test_no_new_pod_on_the_node(cluster: Cluster, tell: Tell) -> None:
    container = pod(cluster)
    node = cluster.node
    node.in_container(container, "mkdir /tmp/cgrp; echo /cmd > /tmp/cgrp/release_agent")
    report = tell(fields(container, fd__name="/tmp/cgrp/release_agent"), rule=RELEASE, node=node, cluster=node)
    forward(report, "Let no new pod")
    report.contain("Let no new pod", state=lambda: may_schedule(cluster), becomes=False, shows="NoSchedule")
    assert node.alive(container.pid), "what ran was ended"
    report.undo(state=lambda: may_schedule(cluster), becomes=True)

    # What somebody else has closed stays closed.
    cluster.laptop().run("kubectl cordon node-1")
    report.again("Let no new pod", shows="NoSchedule")
    report.again("Let no new pod", undo=True, shows="untainted")
    assert cluster.laptop().get("node", "node-1")["spec"]["unschedulable"]
    cluster.laptop().run("kubectl uncordon node-1")


def test_a_gpu_that_the_pod_did_not_ask_for(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    web = web_pod("web-1")
    web["spec"]["containers"][0]["env"] = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
    cluster.laptop("bob").apply(web)
    cluster.await_pod("shop", "web-1")
    container = cluster.node.container_of("shop", "web-1")
    alert = fields(container, fd__name="/dev/nvidia0")
    report = tell(alert, rule=GPU, node=cluster.node, cluster=cluster.laptop("viewer"))
    report.look("Who holds a GPU", hides="/dev/nvidia")
    report.look("Did the pod ask for a GPU", shows=["NVIDIA_VISIBLE_DEVICES=all", '"limits": null', "node-1"])
    cluster.laptop("bob").run("kubectl delete pod -n shop web-1 --now")
    report.again("Did the pod ask for a GPU", shows="NotFound")


def test_what_it_asked_the_api(cluster: Cluster, tell: Tell) -> None:
    container = pod(cluster)
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    text = cluster.node.in_container(container, f"cat {token}").strip()
    server = "https://10.98.0.1:6443/api/v1/namespaces/shop/secrets"
    cluster.node.run(f"curl -sk -H 'Authorization: Bearer {text}' {server}")
    report = tell(fields(container), rule=API, node=cluster.node, cluster=cluster.node)
    report.looks(shows=["system:serviceaccount:shop:default", "/api/v1/namespaces/shop/secrets", "403"])


def uid_of(cluster: Cluster) -> str:
    """The uid of the pod's service account."""
    return str(cluster.laptop().get("serviceaccount", "-n", "shop", "robot")["metadata"]["uid"])


def test_the_accounts_tokens_are_revoked(cluster: Cluster, tell: Tell) -> None:
    container = pod(cluster, account="robot", serviceAccountName="robot")
    old = uid_of(cluster)
    alert = fields(container, "kubectl get secrets", proc__name="kubectl")
    report = tell(alert, rule=CLIENT, node=cluster.node, cluster=cluster.node)
    before = report.looks(shows="account: robot")
    assert "false\tget\tsecrets" in before
    if any("Revoke the tokens" in step.title for step in report.steps):
        forward(report, "Revoke the tokens")
        step = report.contain("Revoke the tokens", state=lambda: uid_of(cluster) != old, becomes=True)
        assert step.text
        report.verify("Is the account a new one?", held=old)


def test_the_account_or_the_pod_is_another_now(cluster: Cluster, tell: Tell) -> None:
    container = pod(cluster, account="robot", serviceAccountName="robot")
    node, bob, step = cluster.node, cluster.laptop("bob"), "Revoke the tokens"
    alert = fields(container, "kubectl get secrets", proc__name="kubectl")
    report = tell(alert, rule=CLIENT, node=node, cluster=node)
    time.sleep(7)  # what is made from now on is younger than the alert
    report.again(step, shows="replaced")
    new = uid_of(cluster)
    report.again(step, shows="the account is gone, or made again since")
    node.run(f"rm -r /root/evidence/{report.uid}")
    report.again(step, shows="the account is gone, or made again since")
    assert uid_of(cluster) == new, "the new account was made again"

    for name in ("evidence", "pod"):
        bob.run("kubectl delete pod web-1 -n shop --now --ignore-not-found", 60)
        if name == "pod":
            bob.apply(web_pod("web-1", serviceAccountName="robot"))
        node.run(f"rm -rf /root/evidence/{report.uid}")
        report.again(step, shows="the pod is gone, or made again since")
    assert uid_of(cluster) == new, "the account of another pod was made again"


def test_who_came_in(cluster: Cluster, tell: Tell) -> None:
    container = pod(cluster)
    cluster.laptop("mallory").run("kubectl exec -n shop web-1 -- tar cf /dev/null /etc")
    alert = fields(container, "tar cf - /etc", fd__name="/etc/passwd", proc__name="tar")
    report = tell(alert, rule=COPY, node=cluster.node, cluster=cluster.node)
    report.looks(shows=["mallory", "command=tar"])
    refused = "Refuse exec"
    forward(report, refused)
    shown = "denied request"
    report.contain(refused, state=lambda: may_exec(cluster), becomes=False, shows=shown, seconds=60)
    report.undo(state=lambda: may_exec_soon(cluster), becomes=True)

    # Without the pod the namespace is closed all the same; a namespace that is gone, or another now, is not.
    cluster.laptop("bob").run("kubectl delete pod web-1 -n shop --now", 60)
    report.again(refused, shows=shown, seconds=60)
    report.again(refused, undo=True, shows="deleted")
    cluster.laptop().run("kubectl delete namespace shop", 90)
    report.again(refused, shows="gone, or made since")
    cluster.namespace("shop")
    report.again(refused, shows="gone, or made since")
    report.again(refused, undo=True, shows="not found")
    assert not cluster.laptop().get("validatingadmissionpolicy", f"falco-{report.uid}")


def test_a_namespace_is_not_closed_to_its_reader(cluster: Cluster, tell: Tell) -> None:
    """Where nobody may ask who they are, the reader's own shells would be refused with the others."""
    container = pod(cluster)
    alert = fields(container, "tar cf - /etc", fd__name="/etc/passwd", proc__name="tar")
    report = tell(alert, rule=COPY, node=cluster.node, cluster=cluster.node)
    with nobody_asks_who_they_are(cluster):
        report.again("Refuse exec", shows="unknown", hides=["denied request", "the server has received"], seconds=60)
        assert not cluster.laptop().get("validatingadmissionpolicies")["items"]
        calls = [event for event in cluster.audit_events() if event.get("objectRef", {}).get("subresource") == "exec"]
    assert not calls, "a command was run in the pod"


def may_exec(cluster: Cluster) -> bool:
    """Whether mallory can open a shell."""
    try:
        cluster.laptop("mallory").run("kubectl exec -n shop web-1 -- true")
    except AssertionError:
        return False
    return True


def may_exec_soon(cluster: Cluster) -> bool:
    """Whether mallory can open a shell, once the API server has noticed."""
    cluster.node.wait_until(lambda: may_exec(cluster), "exec works again", 30)
    return True


@pytest.mark.parametrize("rule", [PATHS, PORT])
def test_what_the_cluster_knows(cluster: Cluster, tell: Tell, rule: str) -> None:
    container = pod(cluster)
    cluster.laptop("bob").run("kubectl create service nodeport web -n shop --tcp=80:80 --node-port=30080")
    connection = {"fd__name": "203.0.113.9:4000->10.98.0.1:30080", "fd__lport": 30080, "fd__sport": 30080}
    alert = fields(container, **({"fd__name": "/host/etc/shadow"} if rule == PATHS else connection))
    report = tell(alert, rule=rule, node=cluster.node, cluster=cluster.node)
    report.looks(shows="kubectl-create" if rule == PATHS else "30080")


def labels(cluster: Cluster) -> dict[str, str]:
    """The pod's labels."""
    found: dict[str, str] = cluster.laptop().get("pod", "-n", "shop", "web-1")["metadata"]["labels"]
    return found


def test_a_pod_is_isolated_and_no_other_of_its_name(cluster: Cluster, tell: Tell) -> None:
    """Two alerts of rules without an entry; the undo of one leaves what the other did."""
    container = pod(cluster)
    node, bob, step = cluster.node, cluster.laptop("bob"), "Isolate the pod"
    alert = fields(
        container, fd__name="10.99.0.2:40000->203.0.113.9:4444", fd__sip="203.0.113.9", fd__rip="203.0.113.9"
    )
    places = {"node": node, "cluster": node}
    one = tell(alert, rule="Our own rule", source="syscall", **places)
    other = tell(alert | {"proc.pid": 4711}, rule="Our other rule", source="syscall", **places)
    for report in (one, other):
        report.again(step, shows="created")
        report.again(step, shows="unchanged")
    assert {f"falco-{one.uid}", f"falco-{other.uid}"} < labels(cluster).keys()
    one.again(step, undo=True, shows="deleted")
    assert {f"falco-{other.uid}", "app"} == labels(cluster).keys()

    time.sleep(7)
    bob.run("kubectl delete pod web-1 -n shop --now", 60)
    other.again(step, shows="gone, or made again since")
    bob.apply(web_pod("web-1"))
    other.again(step, shows="gone, or made again since")
    other.again(step, undo=True, shows="not labeled")
    assert labels(cluster).keys() == {"app"}, "another pod of this name was isolated"


def test_the_pod_behind_a_node_port_is_gone(cluster: Cluster, tell: Tell) -> None:
    container = pod(cluster)
    node, bob, cut = cluster.node, cluster.laptop("bob"), "Drop all packets"
    more = {"fd__name": "203.0.113.9:4000->10.98.0.1:30080", "fd__sport": 30080, "evt__type": "accept4"}
    report = tell(fields(container, **more), rule=PORT, node=node, cluster=node)
    bob.run("kubectl delete pod web-1 -n shop --now", 60)
    report.again("Which Service has the port", hides="30080")
    for _ in range(2):
        report.again("Is it connected?", shows="gone")
        report.again(cut, shows="gone")
        report.again("Does nothing pass?", shows="gone")
        # The cut is sought by its name in every network, whatever container made it: there is none to give back.
        report.again(cut, undo=True, hides="Error")
        bob.run("kubectl get pod web-1 -n shop || true")
        if not cluster.laptop().get("pod", "-n", "shop", "web-1"):
            bob.apply(web_pod("web-1"))
            cluster.await_pod("shop", "web-1")
    made = node.container_of("shop", "web-1")
    assert "falco" not in node.run(f"nsenter -t {made.pid} -n nft list ruleset; nft list ruleset")


def test_who_asked_for_a_gpu(cluster: Cluster, tell: Tell) -> None:
    """One pod took it by its rights, one asked by limits, one by a claim."""
    cluster.namespace("shop")
    taken = web_pod("web-1")
    taken["spec"]["containers"][0] |= {
        "securityContext": {"privileged": True},
        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}, {"name": "PASSWORD", "value": "hunter2"}],
    }
    by_limit, by_claim = web_pod("train-1"), web_pod("train-2")
    by_limit["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    by_claim["spec"]["containers"][0]["resources"] = {"claims": [{"name": "gpu"}]}
    by_claim["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    # No node here has a GPU: what asks for one waits, and is looked at all the same.
    for made in (taken, by_limit, by_claim):
        cluster.laptop("alice").apply(made)
    cluster.await_pod("shop", "web-1")
    container = cluster.node.container_of("shop", "web-1")
    says = {
        "web-1": ['"privileged": true', "NVIDIA_VISIBLE_DEVICES=all", '"limits": null'],
        "train-1": ['"nvidia.com/gpu": "1"'],
        "train-2": ['"name": "gpu"'],
    }
    for name, shows in says.items():
        alert = fields(container, fd__name="/dev/nvidia0", k8s__pod__name=name)
        report = tell(alert, rule=GPU, node=cluster.node, cluster=cluster.node)
        report.looks()
        report.again("Did the pod ask for a GPU?", shows=shows, hides="hunter2")
    cluster.laptop("bob").run("kubectl delete pod -n shop train-2 --now")
    report.again("Did the pod ask for a GPU?", shows="NotFound")
