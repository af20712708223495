"""Whoever has half of the rights that a step names is told so; what came back under its name is told from the first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab import audit
from tests.lab.audit import Event
from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit import test_access as access
from tests.lab.scenarios.k8s_audit import test_refused_looks as refused
from tests.lab.scenarios.k8s_audit import test_system_roles as roles
from tests.lab.scenarios.k8s_audit.test_bystanders import BOUND, CUT, handed_over
from tests.lab.scenarios.k8s_audit.test_creations import deployment, object_of, role
from tests.lab.scenarios.k8s_audit.test_deletions import FROZEN, account_deletes, delete, rights
from tests.lab.scenarios.k8s_audit.test_gone import let_in
from tests.lab.scenarios.k8s_audit.test_owners import owner
from tests.lab.scenarios.k8s_audit.test_pods import PRIVILEGED
from tests.lab.scenarios.k8s_audit.test_private_credentials import RULE as CONFIG
from tests.lab.scenarios.k8s_audit.test_private_credentials import config, secrets
from tests.lab.story import Tell

GONE = "K8s ConfigMap Deleted"
RULES = (access.ANONYMOUS, access.ADMIN, access.OTHER_SPACE, BOUND, CONFIG, FROZEN, GONE, PRIVILEGED, roles.RULE)
OWN = "A rule of the reader's own"
SETTINGS = object_of("ConfigMap", "settings", "shop", data={"a": "1"})
RBAC = "rbac.authorization.k8s.io"
NOBODY = {"kind": "User", "name": "nobody"}
WORKLOAD = "system:serviceaccount:kube-system:replicaset-controller"


def may(cluster: Cluster, *rules: tuple[str, str, str]) -> None:
    """Let ``nobody`` do this: groups, resources and verbs, each with commas."""
    made = [dict(zip(("apiGroups", "resources", "verbs"), map(words, rule), strict=True)) for rule in rules]
    cluster.laptop().apply(role("ClusterRole", "half", made))
    access.bind(cluster, "half", "half", NOBODY)
    _, kinds, verbs = rules[-1]
    asked = f"kubectl auth can-i {verbs.split(',')[0]} {kinds.split(',')[0]} -n shop || true"
    cluster.node.wait_until(lambda: "yes" in cluster.laptop("nobody").run(asked), "nobody may do it")


def words(text: str) -> list[str]:
    return text.split(",")


@pytest.mark.parametrize("half", [(), (RBAC, "rolebindings", "list,get,update,bind")])
def test_who_may_not_list_bindings_is_not_told_that_none_names_it(
    cluster: Cluster, tell: Tell, half: tuple[str, ...]
) -> None:
    """The account goes on with what it is bound to, while the reader believes that it has nothing."""
    event = account_deletes(cluster)
    cluster.laptop().run("kubectl create clusterrolebinding all --clusterrole=admin --serviceaccount=shop:robot")
    if half:
        may(cluster, (half[0], half[1], half[2]))
    before = rights(cluster)
    report = tell(event=event, rule=FROZEN, node=cluster.node, cluster=cluster.laptop("nobody"))
    report.again(CUT, shows="orbidden", hides=["no binding", "replaced"])
    report.again(CUT, undo=True, shows="nothing was taken")
    assert rights(cluster) == before


def removed(cluster: Cluster) -> Event:
    cluster.laptop("alice").apply(SETTINGS)
    time.sleep(1.5)
    return delete(cluster, "mallory", SETTINGS)


def changed(cluster: Cluster) -> Event:
    roles.built_in(cluster)
    roles.change(cluster)
    return cluster.audit_event(user="alice", verb="patch", code=200)


UNDONE: dict[str, tuple[str, Callable[[Cluster], Event], tuple[str, ...]]] = {
    "Stop what makes": (PRIVILEGED, refused.owned, ("deployment", "-n", "shop", "tool")),
    "Restore it": (GONE, removed, ("configmap", "-n", "shop", "settings")),
    "Put it back": (roles.RULE, changed, ("clusterrole", roles.NAME)),
}


@pytest.mark.parametrize("title", UNDONE)
def test_an_undo_that_may_not_look_says_so_and_ends(cluster: Cluster, tell: Tell, title: str) -> None:
    """Its reader may change the object and not see it: whether it is still the one of the step is not known."""
    cluster.namespace("shop")
    rule, act, place = UNDONE[title]
    event = act(cluster)
    report = tell(event=event, rule=rule, node=cluster.node, cluster=cluster.node)
    report.looks()
    report.again(title, seconds=60)
    before = content(cluster, *place)
    verbs = "patch,update,delete,create,escalate"
    may(cluster, ("apps", "deployments", verbs), (RBAC, "clusterroles", verbs), ("", "configmaps", verbs))
    theirs = tell(event=event, rule=rule, node=cluster.node, cluster=handed_over(cluster, report, "nobody"))
    theirs.again(title, undo=True, shows="orbidden", hides=["gone", "since", "replaced", "deleted", "patched"])
    assert content(cluster, *place) == before
    roles.remove(cluster)


def content(cluster: Cluster, *place: str) -> dict[str, Any]:
    """What an object says, and nothing of how it is; empty where it is gone."""
    return {key: each for key, each in cluster.laptop().get(*place).items() if key not in {"metadata", "status"}}


def test_an_undo_of_what_is_gone_says_so(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    event = removed(cluster)
    report = tell(event=event, rule=GONE, cluster=cluster.node)
    report.looks()
    report.again("Restore it")
    cluster.laptop().run("kubectl delete configmap settings -n shop")
    report.again("Restore it", undo=True, shows="gone", hides="rror")


def test_a_claim_to_belong_to_another_workload(cluster: Cluster, tell: Tell) -> None:
    """Mallory's ReplicaSet says that the node agents own it; to stop those would blind every node."""
    cluster.namespace("shop")
    agents = json.loads(json.dumps(owner("DaemonSet")).replace("tool", "agent"))
    cluster.laptop("alice").apply(agents)
    uid = cluster.laptop().get("daemonset", "-n", "shop", "agent")["metadata"]["uid"]
    mine = owner("Deployment") | {"kind": "ReplicaSet"}
    claim = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": uid, "controller": True}
    mine["metadata"]["ownerReferences"] = [claim]
    cluster.laptop("mallory").apply(mine)
    event = cluster.audit_event(20, user=WORKLOAD, verb="create", code=201, resource="pods")
    before = content(cluster, "daemonset", "-n", "shop", "agent")
    report = tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.node)
    report.looks()
    report.again("Stop what makes")
    assert content(cluster, "daemonset", "-n", "shop", "agent") == before, "a bystander's workload was stopped"
    assert content(cluster, "replicaset", "-n", "shop", "tool")["spec"]["replicas"] == 0
    report.again("Stop what makes", undo=True)
    assert content(cluster, "replicaset", "-n", "shop", "tool")["spec"]["replicas"] == 2


def test_who_may_not_see_the_owners_owner(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    event = refused.owned(cluster)
    may(cluster, ("", "pods", "get,patch"), ("apps", "replicasets", "get,patch"))
    before = content(cluster, "deployment", "-n", "shop", "tool")
    report = tell(event=event, rule=PRIVILEGED, node=cluster.node, cluster=cluster.laptop("nobody"))
    report.look("Does the pod run", shows="ReplicaSet")
    report.again("Stop what makes", shows="orbidden", hides=["gone", "patched"])
    assert content(cluster, "deployment", "-n", "shop", "tool") == before


def test_who_may_not_list_configmaps_is_not_told_that_there_is_none(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("mallory").apply(config())
    event = cluster.audit_event(user="mallory", verb="create", resource="configmaps", code=201)
    report = tell(event=event, rule=CONFIG, cluster=cluster.laptop("nobody"))
    report.again("Copy it into a Secret", shows="orbidden", hides=["none", "several"])
    assert not secrets(cluster)


MADE: dict[str, tuple[str, str, str, Callable[[Cluster], Event]]] = {
    BOUND: ("Was it made", "Delete what was created", '"ops"', refused.binding),
    access.ADMIN: ("Which bindings are new", "Remove the binding", "\tops\t", refused.binding),
    access.OTHER_SPACE: ("Was it made", "Let no further pod start", '"annex"', refused.space),
}


@pytest.mark.parametrize("rule", MADE)
def test_a_refused_look_does_not_mean_that_nothing_was_made(cluster: Cluster, tell: Tell, rule: str) -> None:
    """Who has no rights pastes the look, then the step: the object is there, and is seen once they have the rights."""
    look, title, name, act = MADE[rule]
    event = act(cluster)
    report = tell(event=event, rule=rule, cluster=cluster.laptop("nobody"))
    report.looks(shows="orbidden")
    report.again(title, shows="look above", hides=["nothing", "created", "gone"])
    access.bind(cluster, "lead", "cluster-admin", NOBODY)
    report.again(look, shows=name, hides="orbidden")


def test_half_of_the_bindings_are_not_kept_for_good(cluster: Cluster, tell: Tell) -> None:
    """First the reader may list the cluster's bindings only; the one that let anybody in is a namespace's."""
    made = "kubectl create rolebinding open -n default --clusterrole=view --user=system:anonymous"
    cluster.laptop().run(made)
    cluster.node.wait_until(lambda: '"items"' in access.anonymous(cluster), "anybody may read")
    event = cluster.audit_event(user="system:anonymous", code=200, resource="pods")
    may(cluster, (RBAC, "clusterrolebindings", "list"))
    report = tell(event=event, rule=access.ANONYMOUS, cluster=cluster.laptop("nobody"))
    report.again("Which bindings include", shows="orbidden")
    access.bind(cluster, "lead", "cluster-admin", NOBODY)
    report.again("Which bindings include", shows="default\topen", hides="orbidden")
    report.again("Remove the binding", shows="not found")
    assert not cluster.laptop().get("rolebinding", "-n", "default", "open")


REMOVED: dict[str, tuple[str, str, Callable[[Cluster], Event]]] = {
    access.ANONYMOUS: ("Remove the binding", "open", let_in),
    GONE: ("Remove the binding", "open", let_in),
    access.ADMIN: ("Remove the binding", "ops", refused.binding),
    BOUND: ("Delete what was created", "ops", refused.binding),
}


@pytest.mark.parametrize("rule", REMOVED)
def test_what_somebody_else_removed_does_not_come_back(cluster: Cluster, tell: Tell, rule: str) -> None:
    """The reader may not delete it; a colleague does, and the reader undoes what they had tried."""
    title, name, act = REMOVED[rule]
    event = act(cluster)
    report = tell(event=event, rule=rule, cluster=cluster.node)
    if rule != GONE:
        report.looks()
    may(cluster, (RBAC, "clusterroles", "bind"), (RBAC, "clusterrolebindings,rolebindings", "get,list,patch,create"))
    theirs = tell(event=event, rule=rule, cluster=handed_over(cluster, report, "nobody"))
    theirs.again(title, shows="orbidden")
    assert name in access.bindings(cluster)
    cluster.laptop().run(f"kubectl delete clusterrolebinding {name}")
    theirs.again(title, undo=True)
    assert name not in access.bindings(cluster), "a right that somebody had withdrawn was given again"


def test_who_may_not_compare_can_still_go_back(cluster: Cluster, tell: Tell) -> None:
    """The comparison needs a right more than the change; without it the role was put back all the same."""
    event = changed(cluster)
    report = tell(event=event, rule=roles.RULE, cluster=cluster.node)
    report.look("Who changed it")
    may(cluster, (RBAC, "clusterroles", "get,create,update,delete,escalate"))
    theirs = tell(event=event, rule=roles.RULE, cluster=handed_over(cluster, report, "nobody"))
    theirs.again("Put it back", shows="orbidden", hides="as before")
    assert roles.rules(cluster) == roles.READ
    theirs.again("Put it back", undo=True, shows="replaced")
    assert roles.rules(cluster) == roles.ALL
    roles.remove(cluster)


def test_a_workload_that_its_controller_goes_on_with(cluster: Cluster, tell: Tell) -> None:
    """A Deployment's controller writes into it all the time; that is nobody's change."""
    cluster.namespace("shop")
    cluster.laptop("bob").apply(deployment())
    time.sleep(1.5)
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"example.org/miner"}]}}}}'
    cluster.laptop("mallory").run(f"kubectl patch deployment web -n shop -p '{patch}'")
    event = cluster.audit_event(user="mallory", verb="patch", code=200, resource="deployments")
    names = ("ka.user.name", "ka.verb", "ka.target.name", "ka.target.namespace", "ka.target.resource")
    told = {"rule": OWN, "source": "k8s_audit", "time_ns": audit.time_of(event)}
    fields = audit.fields_of(event, names)
    report = tell(fields, cluster=cluster.node, **told)
    report.look("Who changed it", shows="mallory\tpatch\t200")
    report = tell(fields, cluster=handed_over(cluster, report, "admin"), **told)
    report.again("Put it back")
    assert image(cluster) == "registry.example.net/shop/web:1.2.3"
    time.sleep(4)
    report.again("Put it back", undo=True, shows="replaced")
    assert image(cluster) == "example.org/miner"
    report.again("Put it back")
    cluster.laptop("bob").run("kubectl set image deployment/web -n shop web=registry.example.net/shop/web:1.2.4")
    report.again("Put it back", undo=True, shows="changed since")
    assert image(cluster) == "registry.example.net/shop/web:1.2.4", "somebody's repair was undone"


def image(cluster: Cluster) -> Any:
    """The image of the Deployment's container."""
    found = cluster.laptop().get("deployment", "-n", "shop", "web")
    return found["spec"]["template"]["spec"]["containers"][0]["image"]
