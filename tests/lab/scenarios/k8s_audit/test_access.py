"""Who may do what in a cluster: anonymous callers, cluster-admin, Secrets, users, namespaces."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit.test_creations import RBAC, object_of
from tests.lab.story import Tell

ANONYMOUS = "Anonymous Request Allowed"
ADMIN = "Attach to cluster-admin Role"
READ = "K8s Secret Get Successfully"
REFUSED = "K8s Secret Get Unsuccessfully Tried"
USER = "Disallowed K8s User"
SPACE = "K8s Namespace Created"
OTHER_SPACE = "Create Disallowed Namespace"
DELETED = "K8s ConfigMap Deleted"
NAME = """open "x\\'"""
SERVER = "https://10.98.0.1:6443"
RULES = (ANONYMOUS, ADMIN, READ, REFUSED, USER, SPACE, OTHER_SPACE, DELETED)


def bindings(cluster: Cluster) -> dict[str, Any]:
    """Every cluster-wide binding: role and subjects."""
    items = cluster.laptop().get("clusterrolebindings")["items"]
    return {item["metadata"]["name"]: (item["roleRef"], item.get("subjects")) for item in items}


def bind(cluster: Cluster, name: str, role: str, subject: dict[str, str]) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    whom = {"apiGroup": "rbac.authorization.k8s.io", **subject}
    made = object_of("ClusterRoleBinding", name, "", RBAC, roleRef=reference, subjects=[whom])
    cluster.laptop("alice").apply(made)


def test_anybody_may_read(cluster: Cluster, tell: Tell) -> None:
    bind(cluster, NAME, "view", {"kind": "User", "name": "system:anonymous"})
    bind(cluster, "logins", "system:discovery", {"kind": "User", "name": "system:anonymous"})
    cluster.node.wait_until(lambda: '"items"' in anonymous(cluster), "anybody may read")
    event = cluster.audit_event(user="system:anonymous", code=200, resource="pods")
    before = bindings(cluster)
    finalizers(cluster, "evil.example/keep")
    with tell(event=event, rule=ANONYMOUS, cluster=cluster.node) as report:
        report.looks(shows=["open ", "/api/v1/namespaces/default/pods"])
        report.contain("Remove the binding", state=lambda: set(bindings(cluster)), becomes=set(before) - {NAME})
        assert {"system:public-info-viewer", "logins"} <= set(bindings(cluster))
        report.undo(state=lambda: bindings(cluster), becomes=before)
    finalizers(cluster)


def finalizers(cluster: Cluster, *names: str) -> None:
    """Give the binding these finalizers. With one it still grants what it says after it was deleted."""
    patch = shlex.quote(json.dumps({"metadata": {"finalizers": names or None}}))
    cluster.laptop().run(f"kubectl patch clusterrolebinding --type=merge -p {patch} -- {shlex.quote(NAME)}")


def test_anybody_may_delete(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("alice").apply(object_of("ConfigMap", "settings", "shop", data={"a": "1"}))
    bind(cluster, NAME, "edit", {"kind": "User", "name": "system:anonymous"})
    bind(cluster, "logins", "system:discovery", {"kind": "User", "name": "system:anonymous"})
    target = f"{SERVER}/api/v1/namespaces/shop/configmaps/settings"
    cluster.node.wait_until(lambda: "Success" in cluster.node.run(f"curl -sk -X DELETE {target}"), "anybody may delete")
    event = cluster.audit_event(user="system:anonymous", verb="delete", code=200)
    before = bindings(cluster)
    report = tell(event=event, rule=DELETED, cluster=cluster.node)
    report.looks(shows="system:anonymous")
    finalizers(cluster, "evil.example/keep")
    report.contain("Remove the binding", state=lambda: set(bindings(cluster)), becomes=set(before) - {NAME})
    report.unproven("Restore it", "it has a story of its own among the deletions")
    report.undo(state=lambda: bindings(cluster), becomes=before)
    finalizers(cluster)


def test_anybody_reads_a_secret_and_the_alert_does_not_say_by_which_binding(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(object_of("Secret", "key", "shop", stringData={"password": "correct horse"}))
    bind(cluster, "open x'", "edit", {"kind": "Group", "name": "system:unauthenticated"})
    bind(cluster, "logins", "system:discovery", {"kind": "User", "name": "system:anonymous"})
    target = f"{SERVER}/api/v1/namespaces/shop/secrets/key"
    cluster.node.wait_until(lambda: "password" in cluster.node.run(f"curl -sk {target}"), "anybody may read it")
    event = cluster.audit_event(user="system:anonymous", verb="get", resource="secrets", code=200)
    before = bindings(cluster)
    report = tell({"ka.auth.reason": "<NA>"}, event=event, rule=READ, cluster=cluster.node)
    report.looks(shows="system:anonymous")
    cut = before | {name: (before[name][0], None) for name in ("open x'", "logins")}
    report.contain("Take this account out of its bindings", state=lambda: bindings(cluster), becomes=cut)
    assert "password" not in cluster.node.run(f"curl -sk {target}")
    report.undo(state=lambda: bindings(cluster), becomes=before)


def anonymous(cluster: Cluster) -> str:
    """What somebody without a token gets."""
    return cluster.node.run(f"curl -sk {SERVER}/api/v1/namespaces/default/pods")


def test_mallory_becomes_admin(cluster: Cluster, tell: Tell) -> None:
    bind(cluster, "ops $(touch owned)", "cluster-admin", {"kind": "User", "name": "mallory"})
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="clusterrolebindings")
    before = bindings(cluster)
    with tell(event=event, rule=ADMIN, cluster=cluster.node) as report:
        report.looks(shows=["ops $(touch owned)", "mallory", "201"])
        left = set(before) - {"ops $(touch owned)"}
        report.contain("Remove the binding", state=lambda: set(bindings(cluster)), becomes=left, shows="not found")
        report.undo(state=lambda: bindings(cluster), becomes=before)
    assert not cluster.node.exists("/root/owned")


def test_a_refused_binding_removes_none(cluster: Cluster, tell: Tell) -> None:
    before = bindings(cluster)
    told = cluster.laptop("mallory").refused(
        "kubectl create clusterrolebinding cluster-admin --clusterrole=cluster-admin --user=mallory"
    )
    assert "forbidden" in told
    event = cluster.audit_event(user="mallory", verb="create", code=403)
    report = tell(event=event, rule=ADMIN, cluster=cluster.node)
    report.looks(shows="403")
    report.again("Remove the binding", shows="kept none")
    assert bindings(cluster) == before


def test_secrets_are_read(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(object_of("Secret", "key", "shop", stringData={"password": "correct horse"}))
    bind(cluster, "direct", "edit", {"kind": "User", "name": "mallory"})
    cluster.laptop("mallory").run("kubectl get secret key -n shop")
    event = cluster.audit_event(user="mallory", verb="get", resource="secrets", code=200)
    report = tell(event=event, rule=READ, cluster=cluster.node)
    may = ["true\tget\tsecrets", "true\tcreate\tpods\texec", "false\t*\t*"]
    report.looks(shows=["mallory\tget\t200", "Opaque", *may], hides="Y29ycmVjdCBob3JzZQ")

    cluster.laptop("viewer").refused("kubectl get secret key -n shop")
    event = cluster.audit_event(user="viewer", verb="get", resource="secrets", code=403)
    report = tell(event=event, rule=REFUSED, cluster=cluster.node)
    report.looks(shows=["viewer\tget\t403", "Opaque"])


def test_an_unknown_user(cluster: Cluster, tell: Tell) -> None:
    cluster.laptop("mallory").run("kubectl create configmap x -n default")
    bind(cluster, "ours", "view", {"kind": "User", "name": "mallory"})
    node = cluster.node
    node.run("openssl req -newkey rsa:2048 -nodes -subj /CN=mallory -keyout /tmp/k -out /tmp/mallory.csr 2>/dev/null")
    request = node.run("base64 -w 0 < /tmp/mallory.csr")
    spec = {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    made = object_of("CertificateSigningRequest", "m", "", "certificates.k8s.io/v1", spec=spec)
    cluster.laptop("alice").apply(made)
    event = cluster.audit_event(user="mallory", verb="create", code=201)
    report = tell(event=event, rule=USER, cluster=node)
    report.looks(shows=["asked by alice", "CN = mallory", "ours"])
    cluster.laptop().run("kubectl delete csr m")


def guards(cluster: Cluster) -> list[str]:
    """What limits pods and traffic in the namespace."""
    items = cluster.laptop().get("resourcequota,networkpolicy", "-n", "annex")["items"]
    return sorted(item["kind"] for item in items)


def test_a_namespace_is_made(cluster: Cluster, tell: Tell) -> None:
    cluster.laptop("alice").run("kubectl create namespace annex")
    event = cluster.audit_event(user="alice", verb="create", resource="namespaces", code=201)
    for rule in (SPACE, OTHER_SPACE):
        with tell(event=event, rule=rule, cluster=cluster.node) as report:
            report.looks(shows=["annex", "201", "Active"])
            report.contain(
                "let no further pod start", state=lambda: guards(cluster), becomes=["NetworkPolicy", "ResourceQuota"]
            )
            refused = cluster.laptop("bob").refused("kubectl run x -n annex --image=x")
            assert "exceeded quota" in refused
            report.undo(state=lambda: guards(cluster), becomes=[])

    cluster.laptop("mallory").refused("kubectl create namespace kube-system")
    event = cluster.audit_event(user="mallory", verb="create", resource="namespaces", code=403)
    fields = {"ka.target.name": "kube-system"}
    with tell(fields, event=event, rule=OTHER_SPACE, cluster=cluster.node) as report:
        report.everything()
    assert not cluster.laptop().get("resourcequota,networkpolicy", "-n", "kube-system")["items"]
