"""Objects are deleted in a cluster: what the audit log still holds is made again, once."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.scenarios.k8s_audit.test_creations import (
    RBAC,
    WRITE,
    binding,
    deployment,
    now,
    object_of,
    role,
    service,
    words,
)
from tests.lab.story import Tell

DELETIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "K8s ConfigMap Deleted": ("mallory", object_of("ConfigMap", "settings", "shop", data={"a": "1"})),
    "K8s Service Deleted": ("mallory", service("ClusterIP")),
    "K8s Serviceaccount Deleted": ("mallory", object_of("ServiceAccount", "helper", "shop")),
    "K8s Deployment Deleted": ("mallory", deployment()),
    "K8s Role Deleted": ("alice", role("Role", "reader", WRITE, "shop")),
    "K8s ClusterRole Deleted": ("alice", role("ClusterRole", "writer", WRITE)),
    "K8s RoleBinding Deleted": ("alice", binding("RoleBinding", "readers-too", "shop")),
    "K8s ClusterRoleBinding Deleted": ("alice", binding("ClusterRoleBinding", "readers-too")),
}
FROZEN = "K8s Secret Deleted"
SPACE = "K8s Namespace Deleted"
RULES = (*DELETIONS, FROZEN, SPACE)


def delete(cluster: Cluster, user: str, manifest: dict[str, Any], *options: str) -> dict[str, Any]:
    """Delete an object; return the audit event."""
    cluster.laptop(user).run(f"kubectl delete {' '.join([*options, *words(manifest)])}")
    return dict(cluster.audit_event(user=user, verb="delete", code=200))


@pytest.mark.parametrize("rule", DELETIONS)
def test_what_was_deleted_is_made_again(cluster: Cluster, tell: Tell, rule: str) -> None:
    user, manifest = DELETIONS[rule]
    cluster.namespace("shop")
    cluster.laptop("alice").apply(manifest)
    before = now(cluster, manifest)
    time.sleep(1.5)
    event = delete(cluster, user, manifest)

    report = tell(event=event, rule=rule, cluster=cluster.node)
    report.looks(shows=["alice\tcreate\t201", f"{user}\tdelete\t200"])
    report.contain("Restore it", state=lambda: now(cluster, manifest), becomes=before)
    report.undo(state=lambda: now(cluster, manifest), becomes={})

    # Somebody made it again meanwhile.
    cluster.laptop("alice").apply(manifest)
    live = now(cluster, manifest)
    report.again("Restore it", shows="AlreadyExists")
    report.again("Restore it", undo=True, shows="made again since")
    assert now(cluster, manifest) == live, "a live object was deleted"


def test_a_dry_run_deletes_nothing(cluster: Cluster, tell: Tell) -> None:
    rule = "K8s ConfigMap Deleted"
    _, manifest = DELETIONS[rule]
    cluster.namespace("shop")
    cluster.laptop("alice").apply(manifest)
    before = now(cluster, manifest)
    time.sleep(1.5)
    event = delete(cluster, "mallory", manifest, "--dry-run=server")
    report = tell(event=event, rule=rule, cluster=cluster.node)
    report.looks(shows="delete\t200\ttrue")
    report.again("Restore it", shows="AlreadyExists")
    report.again("Restore it", undo=True, shows="nothing was restored")
    assert now(cluster, manifest) == before


def may_change(cluster: Cluster, user: str) -> bool:
    """Whether this user can change anything."""
    try:
        cluster.laptop(user).run("kubectl create configmap probe -n shop --dry-run=server")
    except AssertionError:
        return False
    return True


def test_a_secret_is_deleted_and_its_user_stopped(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    secret = object_of("Secret", "key", "shop", stringData={"password": "correct horse"})
    cluster.laptop("bob").apply(secret)
    mount = [{"name": "web", "image": "registry.example.net/shop/web:1.2.3", "imagePullPolicy": "Never"}]
    mount[0] |= {"command": ["sleep", "86400"], "volumeMounts": [{"name": "key", "mountPath": "/key"}]}  # type: ignore[dict-item]
    volumes = [{"name": "key", "secret": {"secretName": "key"}}]
    cluster.laptop("bob").apply(web_pod("web-1", containers=mount, volumes=volumes))
    cluster.await_pod("shop", "web-1")
    event = delete(cluster, "mallory", secret)

    with tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node) as report:
        report.looks(shows=["web-1", "delete", "password"])
        kept = cluster.node.snapshot(f"/root/evidence/{report.uid}")
        assert any(name.endswith("/password") for name in kept), kept
        report.contain(
            "refuse all that this user changes",
            state=lambda: may_change(cluster, "mallory"), becomes=False, shows="denied request", seconds=60,
        )  # fmt: skip
        assert may_change(cluster, "bob"), "another user was stopped"
        report.undo(state=lambda: may_change_soon(cluster, "mallory"), becomes=True)


def may_change_soon(cluster: Cluster, user: str) -> bool:
    """Whether this user can change something, once the API server has noticed."""
    cluster.node.wait_until(lambda: may_change(cluster, user), f"{user} may change things", 30)
    return True


ACCOUNT = "system:serviceaccount:shop:robot"
SHARED = "RoleBinding/robots x'"


def rights(cluster: Cluster) -> dict[str, Any]:
    """Every binding, without what changes by itself."""
    found = cluster.laptop().get("rolebindings,clusterrolebindings", "-A")["items"]
    for item in found:
        for key in ("resourceVersion", "managedFields", "uid"):
            item["metadata"].pop(key, None)
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}


def account_deletes(cluster: Cluster) -> dict[str, Any]:
    """Bind an account of shop's, and another in the same binding; have it delete a Secret, and return that event."""
    cluster.namespace("shop")
    alice = cluster.laptop("alice")
    alice.apply(object_of("ServiceAccount", "robot", "shop"))
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}
    other = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
    edit = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    shared = object_of("RoleBinding", "robots x'", "shop", RBAC, roleRef=edit, subjects=[robot, other])
    alice.apply(shared)
    token = alice.run("kubectl create token robot -n shop").strip()
    alice.apply(object_of("Secret", "key", "shop", stringData={"password": "correct horse"}))
    server = "--server https://10.98.0.1:6443 --insecure-skip-tls-verify --kubeconfig /dev/null"
    alice.run(f"kubectl {server} --token {token} delete secret key -n shop")
    return dict(cluster.audit_event(user=ACCOUNT, verb="delete", code=200))


def test_an_account_loses_its_bindings(cluster: Cluster, tell: Tell) -> None:
    event = account_deletes(cluster)
    alice = cluster.laptop("alice")
    # What lets strangers find the cluster is not the account's, and one that names nobody is nobody's.
    alice.run("kubectl create rolebinding strangers -n shop --clusterrole=view --group=system:unauthenticated")
    alice.run("kubectl create rolebinding empty -n shop --clusterrole=view")
    before = rights(cluster)
    left = copy.deepcopy(before)
    left[SHARED]["subjects"] = left[SHARED]["subjects"][1:]

    report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node)
    report.looks(shows="secrets/key")
    report.contain("take this account out of its bindings", state=lambda: rights(cluster), becomes=left)
    report.undo(state=lambda: rights(cluster), becomes=before)


def test_what_others_changed_of_its_bindings_stays(cluster: Cluster, tell: Tell) -> None:
    event = account_deletes(cluster)
    admin = cluster.laptop()
    admin.run("kubectl create rolebinding short -n shop --clusterrole=view --serviceaccount=shop:robot")
    report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node)
    report.again("take this account out of its bindings")
    # Meanwhile one binding goes, and in the other somebody else replaces the second subject.
    admin.run("kubectl delete rolebinding short -n shop")
    patch = '{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}]}'
    admin.run(f"""kubectl patch rolebinding "robots x'" -n shop --type=merge -p '{patch}'""")
    report.again("take this account out of its bindings", shows="no binding names it")
    report.again("take this account out of its bindings", undo=True, shows="gone: short", hides="gone: robots")
    assert subjects(cluster) == ["robot", "bob"]
    assert not admin.get("rolebinding", "-n", "shop", "short")
    report.again("take this account out of its bindings", undo=True, hides="replaced")
    assert subjects(cluster) == ["robot", "bob"]


def subjects(cluster: Cluster) -> list[str]:
    """Whom the shared binding names."""
    found = rights(cluster)[SHARED]
    return [subject["name"] for subject in found.get("subjects", [])]


def policy_of(cluster: Cluster, name: str = "data") -> str:
    """What becomes of the volume once its claim is gone; ``gone`` where it went with its claim."""
    found = cluster.laptop().get("persistentvolume", name)
    return str(found.get("spec", {}).get("persistentVolumeReclaimPolicy", "gone"))


def make_volume(cluster: Cluster, name: str = "data", namespace: str = "lost", policy: str = "Delete") -> None:
    """Make a volume, bound to a claim of its name in a namespace."""
    admin = cluster.laptop()
    admin.run(f"kubectl delete pv {name} --ignore-not-found", 60)
    size = {"storage": "1Mi"}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": size}, "volumeName": name}
    claim["storageClassName"] = ""
    volume = {"capacity": size, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/tmp/{name}"}}
    volume |= {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": namespace, "name": name}}
    admin.apply(object_of("PersistentVolume", name, spec=volume))
    admin.apply(object_of("PersistentVolumeClaim", name, namespace, spec=claim))
    cluster.node.wait_until(lambda: admin.get("pv", name)["status"]["phase"] == "Bound", "the claim is bound", 30)


def test_a_namespace_goes_with_its_volumes(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("lost")
    cluster.namespace("shop")
    admin = cluster.laptop()
    make_volume(cluster)
    make_volume(cluster, "archive", policy="Retain")
    make_volume(cluster, "other", "shop")
    # A finalizer holds the namespace, as a slow deletion does.
    admin.run("""kubectl patch pvc data -n lost -p '{"metadata":{"finalizers":["example.net/slow"]}}'""")
    cluster.laptop("alice").run("kubectl delete namespace lost --wait=false")
    event = cluster.audit_event(user="alice", verb="delete", code=200, resource="namespaces")
    report = tell(event=event, rule=SPACE, node=cluster.node, cluster=cluster.node)
    report.look("What is in the namespace?", shows=["Terminating", "data"])
    # What its owner keeps anyway stays so after the undo, and other namespaces keep their ways.
    before, held = ["Delete", "Retain", "Delete"], ["Retain", "Retain", "Delete"]
    report.contain("Keep its volumes", state=lambda: policies(cluster), becomes=held, shows="Retain")
    report.look("What else did this user do")
    report.undo(state=lambda: policies(cluster), becomes=before)
    admin.run(
        """kubectl patch pvc data -n lost -p '{"metadata":{"finalizers":null}}'
        kubectl delete pvc other -n shop --wait=false; kubectl delete pv data archive other --wait=false || true"""
    )


def policies(cluster: Cluster) -> list[str]:
    """What becomes of the namespace's volume, of one that its owner keeps, and of another namespace's."""
    return [policy_of(cluster, name) for name in ("data", "archive", "other")]
