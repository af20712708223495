"""Who else is near when a step acts: the reader's own rights, a namesake's workload, a binding of that second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.lab.places.cluster import Cluster, Laptop
from tests.lab.scenarios.k8s_audit.test_access import ADMIN, ANONYMOUS, DELETED, anonymous, bind, bindings
from tests.lab.scenarios.k8s_audit.test_creations import RBAC, object_of, role
from tests.lab.scenarios.k8s_audit.test_deletions import (
    FROZEN,
    SPACE,
    account_deletes,
    make_volume,
    policy_of,
    rights,
    subjects,
)
from tests.lab.scenarios.k8s_audit.test_owners import owner
from tests.lab.scenarios.k8s_audit.test_pods import PRIVILEGED
from tests.lab.story import Story, Tell

BOUND = "K8s ClusterRoleBinding Created"
RULES = (ADMIN, ANONYMOUS, BOUND, DELETED, FROZEN, PRIVILEGED, SPACE)
CUT = "Take this account out of its bindings"
MALLORY = {"kind": "User", "name": "mallory"}


def test_the_reader_is_the_account(cluster: Cluster, tell: Tell) -> None:
    """Whoever signs in with the account's token would take away the rights that the undo needs."""
    event = account_deletes(cluster)
    alice, reader = cluster.laptop("alice"), cluster.laptop("bob")
    admin = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}
    alice.apply(object_of("ClusterRoleBinding", "operators", "", RBAC, roleRef=admin, subjects=[robot]))
    token = alice.run("kubectl create token robot -n shop").strip()
    config = reader.file("kubeconfig")
    config.write_text(config.read_text().replace("token-bob", token))
    before = rights(cluster)
    report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=reader)
    report.again(CUT, shows="this is you")
    assert rights(cluster) == before, "the reader's own rights were taken"
    report.again(CUT, undo=True, shows="nothing was taken")


def test_the_reader_is_the_user(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("alice").apply(object_of("Secret", "key", "shop", stringData={"password": "correct horse"}))
    cluster.node.run("kubectl delete secret key -n shop")
    event = cluster.audit_event(user="responder", verb="delete", code=200)
    report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node)
    report.again("Refuse all that this user changes", shows="this is you")
    assert not cluster.laptop().get("validatingadmissionpolicies")["items"], "the reader has shut out themselves"


def test_who_may_not_list_bindings_says_of_none_that_it_is_gone(cluster: Cluster, tell: Tell) -> None:
    event = account_deletes(cluster)
    report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node)
    report.again(CUT)
    assert subjects(cluster) == ["default"]
    tell(event=event, rule=FROZEN, node=cluster.node, cluster=handed_over(cluster, report)).again(
        CUT, undo=True, shows="orbidden", hides="gone:"
    )
    report.again(CUT, undo=True, shows="replaced")
    assert subjects(cluster) == ["robot", "default"]


def handed_over(cluster: Cluster, report: Story, user: str = "viewer") -> Laptop:
    """Return the shell of another user, who has been given what the responder kept."""
    other = cluster.laptop(user)
    folder = other.file(f"evidence/{report.uid}")
    folder.mkdir(parents=True)
    kept = cluster.node.path(f"/root/evidence/{report.uid}")
    for file in kept.iterdir() if kept.exists() else ():
        (folder / file.name).write_bytes(file.read_bytes())
    for path in (folder.parent, folder, *folder.iterdir()):
        path.chmod(0o777)
    return other


@pytest.mark.parametrize("rule", [ADMIN, ANONYMOUS])
def test_who_may_not_list_bindings_is_not_told_that_it_is_gone(cluster: Cluster, tell: Tell, rule: str) -> None:
    """The binding still lets its subject in; `gone` would send the reader to bed."""
    bind(cluster, "ops", "cluster-admin", MALLORY | ({"name": "system:anonymous"} if rule == ANONYMOUS else {}))
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="clusterrolebindings")
    if rule == ANONYMOUS:
        cluster.node.wait_until(lambda: '"items"' in anonymous(cluster), "anybody may read")
        event = cluster.audit_event(user="system:anonymous", code=200, resource="pods")
    report = tell(event=event, rule=rule, cluster=cluster.node)
    report.looks(shows="ops")
    viewers = tell(event=event, rule=rule, cluster=handed_over(cluster, report))
    viewers.again("Remove the binding", shows="orbidden", hides="gone")
    viewers.again("Remove the binding", undo=True, hides="created")
    assert "ops" in bindings(cluster)


def test_who_may_not_list_volumes_is_not_told_that_there_are_none(cluster: Cluster, tell: Tell) -> None:
    """Minutes decide here: the volumes go with their namespace."""
    cluster.namespace("lost")
    make_volume(cluster)
    cluster.laptop("alice").run("kubectl delete namespace lost --wait=false --dry-run=server")
    event = cluster.audit_event(user="alice", verb="delete", code=200, resource="namespaces", name="lost")
    report = tell(event=event, rule=SPACE, cluster=cluster.laptop("nobody"))
    report.again("Keep its volumes", shows="orbidden", hides="none:")
    report.again("Keep its volumes", undo=True, shows="nothing was changed")
    assert policy_of(cluster) == "Delete"
    cluster.laptop().run("kubectl delete namespace lost; kubectl delete pv data --ignore-not-found", 90)


@contextlib.contextmanager
def nobody_asks_who_they_are(cluster: Cluster) -> Iterator[None]:
    """Take away the right to ask for one's own name, as some hardened clusters do."""
    admin, name = cluster.laptop(), "system:basic-user"
    kept = admin.get("clusterrolebinding", name)
    for key in ("uid", "resourceVersion"):
        kept["metadata"].pop(key)
    admin.run(f"kubectl delete clusterrolebinding {name}")
    try:
        asked = "kubectl auth whoami || echo refused"
        cluster.node.wait_until(lambda: "refused" in cluster.node.run(asked), "nobody may ask", 10)
        yield
    finally:
        admin.apply(kept)


def test_nobody_is_cut_while_it_may_be_the_reader(cluster: Cluster, tell: Tell) -> None:
    event = account_deletes(cluster)
    with nobody_asks_who_they_are(cluster):
        before = rights(cluster)
        report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node)
        report.again(CUT, shows="unknown", hides="replaced")
        assert rights(cluster) == before, "an account was cut that may be the reader's own"
        fields = {"ka.user.name": "responder"}
        report = tell(fields, event=event, rule=FROZEN, node=cluster.node, cluster=cluster.node)
        report.again("Refuse all that this user changes", shows="unknown", hides="denied request", seconds=60)
        assert not cluster.laptop().get("validatingadmissionpolicies")["items"], "the reader has shut out themselves"


@pytest.mark.parametrize("rule", [ADMIN, BOUND])
def test_a_binding_that_poses_as_the_clusters_own(cluster: Cluster, tell: Tell, rule: str) -> None:
    """Whoever makes a binding chooses its name and its labels; neither may hide it."""
    name = "system:lab:ops"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    whom = {"apiGroup": "rbac.authorization.k8s.io", **MALLORY}
    made = object_of("ClusterRoleBinding", name, "", RBAC, roleRef=reference, subjects=[whom])
    made["metadata"]["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    cluster.laptop("alice").apply(made)
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="clusterrolebindings")
    before = bindings(cluster)
    try:
        with tell(event=event, rule=rule, cluster=cluster.node) as report:
            report.looks(shows=name)
            title = "Remove the binding" if rule == ADMIN else "Delete what was created"
            report.contain(title, state=lambda: set(bindings(cluster)), becomes=set(before) - {name})
            report.undo(state=lambda: bindings(cluster), becomes=before)
    finally:
        # The lab takes it for the cluster's own as well.
        cluster.laptop().run(f"kubectl delete clusterrolebinding {name} --ignore-not-found")


def test_what_she_had_before_stays(cluster: Cluster, tell: Tell) -> None:
    """Mallory is on duty by an older binding, and somebody gives her a harmless role in the same second."""
    bind(cluster, "duty", "cluster-admin", MALLORY)
    time.sleep(6)
    bind(cluster, "ops", "cluster-admin", MALLORY)
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="clusterrolebindings")
    bind(cluster, "reads", "view", MALLORY)
    before = bindings(cluster)
    report = tell(event=event, rule=ADMIN, cluster=cluster.node)
    report.looks(shows=["duty", "ops"])
    report.contain("Remove the binding", state=lambda: set(bindings(cluster)), becomes=set(before) - {"ops"})
    report.undo(state=lambda: bindings(cluster), becomes=before)


def test_a_binding_of_the_same_second(cluster: Cluster, tell: Tell) -> None:
    """Mallory may make bindings, but not with rights that she lacks; her attempt is refused while others work."""
    create = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterrolebindings"], "verbs": ["create"]}]
    cluster.laptop("alice").apply(role("ClusterRole", "binder", create))
    bind(cluster, "binders", "binder", {"kind": "User", "name": "mallory"})
    bind(cluster, "ops", "cluster-admin", {"kind": "User", "name": "bob"})
    before = bindings(cluster)
    words = "kubectl create clusterrolebinding mine --clusterrole=cluster-admin --user=mallory"
    assert "attempting to grant" in cluster.laptop("mallory").refused(words)
    event = cluster.audit_event(user="mallory", verb="create", code=403)
    report = tell(event=event, rule=ADMIN, cluster=cluster.node)
    report.looks(shows="ops")
    # An undo after it would hide what it did: the binding again, and nobody's work done meanwhile.
    report.again("Remove the binding", shows="kept none")
    assert bindings(cluster) == before, "somebody else's binding was removed"


def test_who_may_not_list_bindings_is_not_told_that_there_is_none(cluster: Cluster, tell: Tell) -> None:
    reason = 'RBAC: allowed by ClusterRoleBinding "open" of ClusterRole "edit" to User "system:anonymous"'
    fields = {"ka.user.name": "system:anonymous", "ka.auth.reason": reason, "ka.verb": "delete"}
    report = tell(fields, rule=DELETED, cluster=cluster.laptop("viewer"))
    report.again("Remove the binding", shows="orbidden", hides="none\n")


def test_a_namesake_of_the_owner_is_not_stopped(cluster: Cluster, tell: Tell) -> None:
    """A StatefulSet's pods have the same names again; what others have put in its place is theirs."""
    cluster.namespace("shop")
    manifest = owner("Deployment") | {"kind": "StatefulSet"}
    manifest["spec"] |= {"replicas": 1, "serviceName": "tool"}
    cluster.laptop("alice").apply(manifest)
    caller = "system:serviceaccount:kube-system:statefulset-controller"
    event = cluster.audit_event(20, user=caller, verb="create", code=201, resource="pods")
    cluster.laptop().run("kubectl delete statefulset tool -n shop --cascade=foreground --now", 60)
    time.sleep(2)
    cluster.laptop("bob").apply(manifest)
    cluster.await_pod("shop", "tool-0")
    report = tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.node)
    report.look("Does the pod run", shows="StatefulSet")
    report.again("Stop what makes", shows="gone, or made again since")
    assert cluster.laptop().get("statefulset", "-n", "shop", "tool")["spec"]["replicas"] == 1, "a namesake was stopped"
    report.again("Stop what makes", undo=True, shows="nothing was stopped")
