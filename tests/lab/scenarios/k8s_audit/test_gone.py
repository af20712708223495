"""What the steps say when their object is gone, or another of its name has taken its place: that one is left alone."""

from __future__ import annotations

import time

import pytest

from tests.lab.audit import Event
from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit.test_access import (
    ADMIN,
    ANONYMOUS,
    DELETED,
    OTHER_SPACE,
    SPACE,
    anonymous,
    bind,
    bindings,
)
from tests.lab.scenarios.k8s_audit.test_deletions import SPACE as ENDED
from tests.lab.scenarios.k8s_audit.test_deletions import make_volume, policy_of
from tests.lab.story import Story, Tell

RULES = (ANONYMOUS, ADMIN, DELETED, SPACE, OTHER_SPACE, ENDED)
ANYBODY = {"kind": "User", "name": "system:anonymous"}
MALLORY = {"kind": "User", "name": "mallory"}
ANOTHER = "gone, or made again since"


@pytest.mark.parametrize("rule", [ANONYMOUS, DELETED])
def test_the_binding_that_let_anybody_in_was_mended(cluster: Cluster, tell: Tell, rule: str) -> None:
    """Somebody has made it again for those whom it was meant for before the report is read."""
    event = let_in(cluster)
    cluster.laptop().run("kubectl delete clusterrolebinding open")
    bind(cluster, "open", "view", {"kind": "User", "name": "bob"})
    live = bindings(cluster)
    report = tell(event=event, rule=rule, cluster=cluster.node)
    if rule == ANONYMOUS:
        report.looks(hides="\topen")
    report.again("Remove the binding", shows="none")
    report.again("Remove the binding", undo=True, hides="created")
    assert bindings(cluster) == live, "a binding that lets nobody in was removed"


def test_the_binding_by_which_anybody_deleted(cluster: Cluster, tell: Tell) -> None:
    report = tell(event=let_in(cluster), rule=DELETED, cluster=cluster.node)
    report.again("Remove the binding", shows="not found")
    bind(cluster, "open", "view", ANYBODY)
    live = bindings(cluster)
    report.again("Remove the binding", shows=ANOTHER)
    assert bindings(cluster) == live, "a binding that somebody made since was removed"
    report.again("Remove the binding", undo=True, hides="created")
    assert bindings(cluster) == live


def let_in(cluster: Cluster) -> Event:
    """Bind anybody to a role by the binding ``open``, and return an event of such a caller."""
    bind(cluster, "open", "view", ANYBODY)
    cluster.node.wait_until(lambda: '"items"' in anonymous(cluster), "anybody may read")
    return cluster.audit_event(user="system:anonymous", code=200, resource="pods")


def test_the_binding_that_let_anybody_in(cluster: Cluster, tell: Tell) -> None:
    event = let_in(cluster)
    report = tell(event=event, rule=ANONYMOUS, cluster=cluster.node)
    report.looks(shows="open")
    replaced(cluster, report, "open", ANYBODY)

    cluster.laptop().run("kubectl delete clusterrolebinding open")
    cluster.node.run(f"rm -r /root/evidence/{report.uid}")
    report.again("Which bindings include", hides="open")
    report.again("Remove the binding", shows="none")


def test_the_binding_to_cluster_admin(cluster: Cluster, tell: Tell) -> None:
    bind(cluster, "ops", "cluster-admin", MALLORY)
    event = cluster.audit_event(user="alice", verb="create", code=201, resource="clusterrolebindings")
    report = tell(event=event, rule=ADMIN, cluster=cluster.node)
    report.looks(shows="mallory")
    replaced(cluster, report, "ops", {"kind": "User", "name": "bob"})

    cluster.laptop().run("kubectl delete clusterrolebinding ops")
    cluster.node.run(f"rm -r /root/evidence/{report.uid}")
    report.again("Which bindings are new", hides="ops")
    report.again("Remove the binding", shows="kept none")


def replaced(cluster: Cluster, report: Story, name: str, subject: dict[str, str]) -> None:
    """Delete a binding, see what the step says, make another of this name, and see that it stays."""
    cluster.laptop().run(f"kubectl delete clusterrolebinding {name}")
    left = bindings(cluster)
    report.again("Remove the binding", shows=ANOTHER)
    assert bindings(cluster) == left
    report.again("Remove the binding", undo=True)
    assert bindings(cluster) == left, "what somebody else had removed was made again"
    bind(cluster, name, "system:discovery", subject)
    live = bindings(cluster)
    report.again("Remove the binding", shows=ANOTHER)
    report.again("Remove the binding", undo=True, hides="created")
    assert bindings(cluster) == live, "a binding that somebody made since was changed"


@pytest.mark.parametrize("rule", [SPACE, OTHER_SPACE])
def test_the_namespace_that_was_made(cluster: Cluster, tell: Tell, rule: str) -> None:
    cluster.namespace("attic")
    event = cluster.audit_event(user="admin", verb="create", resource="namespaces", name="attic", code=201)
    report = tell(event=event, rule=rule, cluster=cluster.node)
    report.looks(shows="attic")
    step = "Let no further pod start"
    cluster.laptop().run("kubectl delete namespace attic", 90)
    report.again("What is in the namespace?", shows="NotFound")
    report.again(step, shows=ANOTHER)
    report.again(step, undo=True, shows="not found")
    cluster.namespace("attic")
    report.again("What is in the namespace?", shows="Active")
    report.again(step, shows=ANOTHER)
    report.again(step, undo=True, shows="not found")
    assert not cluster.laptop().get("resourcequota,networkpolicy", "-n", "attic")["items"]


def test_the_volumes_of_a_namespace(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("lost")
    make_volume(cluster)
    admin, step = cluster.laptop(), "Keep its volumes"
    admin.run("""kubectl patch pvc data -n lost -p '{"metadata":{"finalizers":["example.net/slow"]}}'""")
    cluster.laptop("alice").run("kubectl delete namespace lost --wait=false")
    event = cluster.audit_event(user="alice", verb="delete", code=200, resource="namespaces", name="lost")
    report = tell(event=event, rule=ENDED, cluster=cluster.node)
    report.again(step, undo=True, shows="nothing was changed")
    report.again(step, shows="Retain")
    admin.run("""kubectl patch pvc data -n lost -p '{"metadata":{"finalizers":null}}'""")
    admin.run("kubectl wait --for=delete namespace/lost --timeout=80s; kubectl delete pv data", 90)
    report.again("What is in the namespace?", shows="NotFound")
    report.again(step, shows="none: it had no volumes, or they are gone")

    # Somebody begins anew under the same names.
    time.sleep(1.5)
    cluster.namespace("lost")
    make_volume(cluster)
    report.again("What is in the namespace?", shows="Active")
    report.again(step, shows="none: it had no volumes, or they are gone")
    assert policy_of(cluster) == "Delete", "a volume that was made since was changed"
    admin.run("""kubectl patch pv data --type=merge -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'""")
    report.again(step, undo=True)
    assert policy_of(cluster) == "Retain", "a volume that was made since was changed"
    admin.run("kubectl delete namespace lost; kubectl delete pv data", 90)
