"""Objects are created in a cluster: what was made is kept and deleted, and nothing else of its name."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import pytest

from tests.lab.places.cluster import Cluster
from tests.lab.story import Tell

ALL: list[dict[str, Any]] = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
WRITE = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
EXEC = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]
SUBJECT = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
RBAC = "rbac.authorization.k8s.io/v1"
SERVER = "https://10.98.0.1:6443"


def object_of(kind: str, name: str, namespace: str = "", version: str = "v1", **content: Any) -> dict[str, Any]:
    """Return a manifest."""
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, **content}


def role(kind: str, name: str, rules: list[dict[str, Any]], namespace: str = "") -> dict[str, Any]:
    return object_of(kind, name, namespace, RBAC, rules=rules)


def binding(kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    return object_of(kind, name, namespace, RBAC, roleRef=reference, subjects=[SUBJECT])


def service(kind: str) -> dict[str, Any]:
    return object_of("Service", "web", "shop", spec={"type": kind, "selector": {"app": "web"}, "ports": [{"port": 80}]})


def deployment() -> dict[str, Any]:
    pod = {"containers": [{"name": "web", "image": "registry.example.net/shop/web:1.2.3"}]}
    labels = {"matchLabels": {"app": "web"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    spec = {"replicas": 1, "selector": labels, "template": template}
    return object_of("Deployment", "web", "shop", "apps/v1", spec=spec)


BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
PATHS = {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}
INGRESS = {"rules": [{"host": "web.example.net", "http": PATHS}]}
CREATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "K8s Serviceaccount Created": ("bob", object_of("ServiceAccount", "helper", "shop")),
    "Service Account Created in Kube Namespace": ("alice", object_of("ServiceAccount", "helper", "kube-system")),
    "K8s ConfigMap Created": ("bob", object_of("ConfigMap", "settings", "shop", data={"a": "1"})),
    "K8s Secret Created": ("bob", object_of("Secret", "key", "shop", stringData={"password": "correct horse"})),
    "K8s Service Created": ("bob", service("ClusterIP")),
    "Create NodePort Service": ("bob", service("NodePort")),
    "Ingress Object without TLS Certificate Created": (
        "bob", object_of("Ingress", "web", "shop", "networking.k8s.io/v1", spec=INGRESS),
    ),
    "K8s Role Created": ("alice", role("Role", "reader", WRITE, "shop")),
    "K8s RoleBinding Created": ("alice", binding("RoleBinding", "readers-too", "shop")),
    "K8s ClusterRoleBinding Created": ("alice", binding("ClusterRoleBinding", "readers-too")),
    "K8s ClusterRole Created": ("alice", role("ClusterRole", "writer", WRITE)),
    "ClusterRole With Write Privileges Created": ("alice", role("ClusterRole", "writer", WRITE)),
    "ClusterRole With Wildcard Created": ("alice", role("ClusterRole", "god", ALL)),
    "ClusterRole With Pod Exec Created": ("alice", role("ClusterRole", "shell", EXEC)),
}  # fmt: skip
RULES = tuple(CREATIONS)
_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


def words(manifest: dict[str, Any]) -> list[str]:
    """What names an object for ``kubectl get``."""
    namespace = manifest["metadata"].get("namespace")
    return [manifest["kind"].lower(), *(["-n", namespace] if namespace else []), "--", manifest["metadata"]["name"]]


def now(cluster: Cluster, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the object without what the API server sets anew."""
    found = cluster.laptop().get(*_before_name(words(manifest)))
    for key in _VOLATILE:
        found.get("metadata", {}).pop(key, None)
    found.pop("status", None)
    return found


def _before_name(arguments: list[str]) -> list[str]:
    """``kubectl get`` takes options before ``--`` only, and the lab adds some."""
    return [word for word in arguments if word != "--"]


def created(cluster: Cluster, user: str, code: int = 201) -> dict[str, Any]:
    """The audit event of a creation."""
    return dict(cluster.audit_event(user=user, verb="create", code=code))


@pytest.mark.parametrize("rule", RULES)
def test_what_was_created_is_deleted(cluster: Cluster, tell: Tell, rule: str) -> None:
    user, manifest = CREATIONS[rule]
    cluster.namespace("shop")
    cluster.laptop(user).apply(manifest)
    event = created(cluster, user)
    made = now(cluster, manifest)

    with tell(event=event, rule=rule, cluster=cluster.node) as report:
        report.looks(shows=[manifest["metadata"]["name"], "201"], hides="Y29ycmVjdCBob3JzZQ")
        kept = cluster.node.read(f"/root/evidence/{report.uid}/created.json")
        assert made["kind"] in kept
        report.contain("Delete what was created", state=lambda: now(cluster, manifest), becomes={}, shows="not found")
        report.undo(state=lambda: now(cluster, manifest), becomes=made)
        report.again("Delete what was created", shows="made again since")
        assert now(cluster, manifest) == made, "what somebody made again was deleted"


REFUSED = ("K8s ConfigMap Created", "K8s Role Created", "ClusterRole With Wildcard Created", "K8s Service Created")


def test_a_refused_creation_changes_nothing(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    for rule in REFUSED:
        _, manifest = CREATIONS[rule]
        # Whoever tries it in the same second points a report at what somebody else has just made.
        cluster.laptop("alice").apply(manifest)
        before = now(cluster, manifest)
        try:
            cluster.laptop("mallory").apply(manifest)
        except AssertionError as error:
            code = 403 if "forbidden" in str(error).lower() else 409
        event = created(cluster, "mallory", code)
        fields = {"ka.target.name": manifest["metadata"]["name"]}
        with tell(fields, event=event, rule=rule, cluster=cluster.node) as report:
            report.looks(shows=str(code))
            report.everything()
        assert now(cluster, manifest) == before
    # Where the alert does not say that it was refused, what is there must be older than the attempt.
    time.sleep(6)
    with pytest.raises(AssertionError, match="AlreadyExists"):
        cluster.laptop("bob").apply(manifest)
    event = created(cluster, "bob", 409)
    report = tell({"ka.response.code": "<NA>"}, event=event, rule=rule, cluster=cluster.node)
    report.looks(shows="409")
    report.again("Delete what was created", shows="kept none")
    assert now(cluster, manifest) == before


def test_who_uses_a_right_at_once_is_seen(cluster: Cluster, tell: Tell) -> None:
    """A script needs no second to go on after it has bound a role."""
    rule = "K8s ClusterRoleBinding Created"
    manifest = binding("ClusterRoleBinding", "readers-too")
    manifest["subjects"] = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "mallory"}]
    curl = "curl -sk -o /dev/null -H 'Content-Type: application/json' -H 'Authorization: Bearer token-"
    bind = f"{curl}alice' -d {shlex.quote(json.dumps(manifest))} {SERVER}/apis/{RBAC}/clusterrolebindings"
    use = f"{curl}mallory' {SERVER}/api/v1/namespaces/kube-system/pods"
    for _ in range(10):
        cluster.node.run(f"{bind}; {use}")
        used = cluster.audit_event(user="mallory", verb="list", resource="pods", namespace="kube-system")
        event = created(cluster, "alice")
        if used["stageTimestamp"][:19] == event["stageTimestamp"][:19]:
            break
        cluster.laptop().run("kubectl delete clusterrolebinding readers-too")
        time.sleep(1.5)
    assert used["stageTimestamp"][:19] == event["stageTimestamp"][:19], "never within one second"
    report = tell(event=event, rule=rule, cluster=cluster.node)
    report.again("What have its subjects done since?", shows=["mallory\tlist", "kube-system/pods"])


def test_somebody_has_deleted_it_already(cluster: Cluster, tell: Tell) -> None:
    rule = "K8s ClusterRoleBinding Created"
    _, manifest = CREATIONS[rule]
    cluster.laptop("alice").apply(manifest)
    report = tell(event=created(cluster, "alice"), rule=rule, cluster=cluster.node)
    report.looks(shows="readers-too")
    cluster.laptop().run("kubectl delete clusterrolebinding readers-too")
    report.again("Delete what was created", shows="gone, or made again since")
    report.again("Delete what was created", undo=True)
    assert "readers-too" not in names(cluster), "a right that somebody had withdrawn was given again"


def test_a_finalizer_does_not_keep_a_binding(cluster: Cluster, tell: Tell) -> None:
    """A binding that waits for its finalizers still grants what it says."""
    for rule in ("K8s ClusterRoleBinding Created", "Attach to cluster-admin Role"):
        manifest = binding("ClusterRoleBinding", "readers-too")
        manifest["metadata"]["finalizers"] = ["evil.example/keep"]
        if "cluster-admin" in rule:
            manifest["roleRef"]["name"] = "cluster-admin"
        cluster.laptop("alice").apply(manifest)
        event = created(cluster, "alice")
        with tell(event=event, rule=rule, cluster=cluster.node) as report:
            report.looks()
            title = "Remove the binding" if "cluster-admin" in rule else "Delete what was created"
            report.contain(
                title, state=lambda: "readers-too" in names(cluster), becomes=False, shows="not found", seconds=90
            )
            report.undo(state=lambda: "readers-too" in names(cluster), becomes=True)
        cluster.laptop().run("kubectl delete clusterrolebinding readers-too --wait=false")
        strip = """kubectl patch clusterrolebinding readers-too --type=merge -p '{"metadata":{"finalizers":null}}'"""
        cluster.laptop().run(strip)


def test_what_goes_after_the_step_has_ended_comes_back_too(cluster: Cluster, tell: Tell) -> None:
    """A finalizer lets it go later than anybody waits."""
    cluster.namespace("shop")
    manifest = object_of("ConfigMap", "slow", "shop", data={"a": "1"})
    manifest["metadata"]["finalizers"] = ["example.net/slow"]
    cluster.laptop("bob").apply(manifest)
    event = created(cluster, "bob")
    made = now(cluster, manifest)
    let_go = """kubectl patch configmap slow -n shop --type=merge -p '{"metadata":{"finalizers":null}}'"""
    with tell(event=event, rule="K8s ConfigMap Created", cluster=cluster.node) as report:
        report.looks()
        report.contain(
            "Delete what was created",
            state=lambda: "deletionTimestamp" in now(cluster, manifest)["metadata"],
            becomes=True,
            seconds=90,
        )
        cluster.laptop().run(let_go)
        assert now(cluster, manifest) == {}
        report.undo(state=lambda: now(cluster, manifest), becomes=made)
    cluster.laptop().run(let_go)


def test_nobody_empties_cluster_admin(cluster: Cluster, tell: Tell) -> None:
    admin = role("ClusterRole", "cluster-admin", ALL)
    before = now(cluster, admin)
    mallory = cluster.laptop("mallory")
    mallory.refused("kubectl create clusterrole cluster-admin --verb='*' --resource='*'")
    event = created(cluster, "mallory", 403)
    with tell({"ka.target.name": "cluster-admin"}, event=event, rule=RULES[-2], cluster=cluster.node) as report:
        report.everything()
    assert now(cluster, admin) == before


HOSTILE = ["x'; touch owned; echo 'y\"z", "$(touch owned)`touch owned`", "x prod-admins", "-rf", "a,b=c"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name(cluster: Cluster, tell: Tell, name: str) -> None:
    """Names of roles hold almost anything."""
    bystander, manifest = binding("ClusterRoleBinding", "prod-admins"), binding("ClusterRoleBinding", name)
    cluster.laptop().apply(bystander)
    cluster.laptop("alice").apply(manifest)
    event = created(cluster, "alice")
    made = now(cluster, bystander)
    items = cluster.laptop().get("clusterrolebindings")["items"]
    with tell(event=event, rule="K8s ClusterRoleBinding Created", cluster=cluster.node) as report:
        report.looks(shows="default")
        report.contain("Delete what was created", state=lambda: names(cluster), becomes=names(cluster) - {name})
        report.undo(state=lambda: names(cluster), becomes={item["metadata"]["name"] for item in items})
    assert now(cluster, bystander) == made
    assert not cluster.node.exists("/root/owned")


def names(cluster: Cluster) -> set[str]:
    """The names of all bindings of the cluster."""
    return {item["metadata"]["name"] for item in cluster.laptop().get("clusterrolebindings")["items"]}
