"""Who else is near when a step acts: the reader's own rights, a namesake's workload, a binding of that second."""

from __future__ import annotations

import time

from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit.test_access import ADMIN, DELETED, bind, bindings
from tests.lab.scenarios.k8s_audit.test_creations import RBAC, object_of, role
from tests.lab.scenarios.k8s_audit.test_deletions import FROZEN, account_deletes, rights, subjects
from tests.lab.scenarios.k8s_audit.test_owners import owner
from tests.lab.scenarios.k8s_audit.test_pods import PRIVILEGED
from tests.lab.story import Tell

RULES = (ADMIN, DELETED, FROZEN, PRIVILEGED)
CUT = "Take this account out of its bindings"


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
    viewer = cluster.laptop("viewer")
    folder = viewer.file(f"evidence/{report.uid}")
    folder.mkdir(parents=True)
    (folder / "bindings").write_bytes(cluster.node.path(f"/root/evidence/{report.uid}/bindings").read_bytes())
    for path in (folder.parent, folder):
        path.chmod(0o777)
    tell(event=event, rule=FROZEN, node=cluster.node, cluster=viewer).again(
        CUT, undo=True, shows="orbidden", hides="gone:"
    )
    report.again(CUT, undo=True, shows="replaced")
    assert subjects(cluster) == ["robot", "default"]


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
    with tell(event=event, rule=ADMIN, cluster=cluster.node) as report:
        report.looks(shows="ops")
        report.everything()
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
