"""Full K8s Administrative Access: the installer's own credential is used, from two places."""

from __future__ import annotations

from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit.test_deletions import may_change, may_change_soon
from tests.lab.story import Tell

RULE = "Full K8s Administrative Access"
PODS = "https://10.98.0.1:6443/api/v1/namespaces/default/pods"


def test_a_copy_of_the_file_is_used(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    alice = "-H 'Authorization: Bearer token-alice'"
    cluster.node.run(f"curl -skf {alice} -A 'copied/1 (x)' -H 'X-Forwarded-For: 192.0.2.7' {PODS}")
    # An agent's name may be missing or hold anything.
    cluster.node.run(f"curl -skf {alice} -A '' {PODS}; curl -skf {alice} -A '$(touch owned) \"x' {PODS}")
    cluster.laptop("alice").run("kubectl create configmap mine -n shop")
    event = cluster.audit_event(user="alice", verb="create", resource="configmaps", code=201)

    with tell(event=event, cluster=cluster.node) as report:
        shown = ['["192.0.2.7","10.98.0.1"]\tcopied/1', '"platform"', "kubectl/", "$(touch"]
        report.look("From where is this name used?", shows=shown, hides="mallory")
        report.look("What else did this user do", shows="/api/v1/namespaces/shop/configmaps")
        report.contain(
            "refuse all that this user changes",
            state=lambda: may_change(cluster, "alice"), becomes=False, shows="denied request", seconds=60,
        )  # fmt: skip
        report.undo(state=lambda: may_change_soon(cluster, "alice"), becomes=True)
    assert not cluster.node.exists("/root/owned")


def test_a_name_that_nobody_used(cluster: Cluster, tell: Tell) -> None:
    report = tell({"ka.user.name": "kubernetes-admin", "ka.verb": "get"}, cluster=cluster.node)
    report.look("From where is this name used?", hides="kubectl")


def test_it_is_you(cluster: Cluster, tell: Tell) -> None:
    """Nobody locks himself out."""
    report = tell({"ka.user.name": "alice", "ka.verb": "get"}, cluster=cluster.laptop("alice"))
    report.again("refuse all that this user changes", shows="this is you")
