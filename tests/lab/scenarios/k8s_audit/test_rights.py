"""What the steps need in a cluster: with the responders' first role each look works, without it each says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.lab.places.cluster import Cluster, Laptop, web_pod
from tests.lab.scenarios.k8s_audit.test_creations import CREATIONS, binding, object_of, service
from tests.lab.scenarios.k8s_audit.test_deletions import DELETIONS
from tests.lab.steps import Step, reporter
from tests.lab.story import Tell

LOOKS = {"look", "keep", "verify"}
POD_RULES = (
    "Terminal shell in container",
    "Netcat Remote Code Execution in Container",
    "Kubernetes Client Tool Launched in Container",
    "Container Access to Host Sensitive Paths",
    "Container Accessing GPU Device",
    "Contact K8S API Server From Container",
    "Exfiltrating Artifacts via Kubernetes Control Plane",
    "Unexpected K8s NodePort Connection",
    "Run shell untrusted",
)
AUDIT = tuple(name for name, facts in reporter().catalog.rules.items() if facts.source == "k8s_audit")
RULES = (*AUDIT, *POD_RULES)
NAMES = {"pods": "web-1", "nodes": "node-1", "namespaces": "shop"}
REFUSALS = ("orbidden", "ermission denied")


def kind_of(rule: str) -> str:
    """The resource that a rule is about."""
    if made := CREATIONS.get(rule) or DELETIONS.get(rule):
        kind = made[1]["kind"].lower()
        return f"{kind}es" if kind.endswith("s") else f"{kind}s"
    for word, kind in (
        ("Secret", "secrets"),
        ("Namespace", "namespaces"),
        ("Node", "nodes"),
        ("Configmap", "configmaps"),
    ):
        if word in rule and rule != "Pod Created in Kube Namespace":
            return kind
    return "clusterroles" if "System ClusterRole" in rule else "pods"


def alert(rule: str, pod: dict[str, Any]) -> dict[str, Any]:
    """The fields of an alert about what is there."""
    if rule in POD_RULES:
        own = {"proc.cmdline": "nc -l", "proc.name": "nc", "proc.exepath": "/bin/nc", "fd.name": "/etc/shadow"}
        return {**own, "proc.pname": "sh", "user.loginuid": -1, "user.uid": 0, "fd.sport": 30080, **pod}
    kind = kind_of(rule)
    name = NAMES.get(kind, "web")
    fields = {"ka.user.name": "mallory", "ka.verb": "create", "ka.target.resource": kind, "ka.target.name": name}
    fields |= {"ka.resp.name": name, "ka.req.configmap.name": "web", "ka.req.binding.role": "cluster-admin"}
    return fields | ({} if kind.startswith("cluster") or kind == "nodes" else {"ka.target.namespace": "shop"})


def steps(cluster: Cluster, tell: Tell) -> Iterator[tuple[str, Step]]:
    """Every look of a cluster step, once for each kind of object, with its rule."""
    cluster.namespace("shop")
    bob, alice = cluster.laptop("bob"), cluster.laptop("alice")
    for made in (service("ClusterIP"), object_of("ConfigMap", "web", "shop"), object_of("Secret", "web", "shop")):
        bob.apply(made)
    alice.apply(binding("RoleBinding", "web", "shop"))
    bob.apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    pod = cluster.node.container_of("shop", "web-1").fields
    seen: set[str] = set()
    for rule in RULES:
        story = tell(alert(rule, pod), rule=rule, node=cluster.node, cluster=cluster.node)
        for step in story.steps:
            plain = step.run.replace(story.uid, "")
            if step.where == "cluster" and step.phases[0] in LOOKS and plain not in seen:
                seen.add(plain)
                yield rule, step


def asked(cluster: Cluster, user: str) -> list[str]:
    """What the API server refused a user since it began, for all tests of the run."""
    events = (event for event in cluster.audit_events() if event["user"].get("username") == user)
    return [event["requestURI"] for event in events if event.get("responseStatus", {}).get("code") == 403]


def paste(laptop: Laptop, step: Step) -> str:
    return laptop.paste(step.run, timeout_seconds=60).text


def test_each_look_works_with_the_first_role(cluster: Cluster, tell: Tell) -> None:
    watch, ran = cluster.laptop("watch"), 0
    before = len(asked(cluster, "watch"))
    for rule, step in steps(cluster, tell):
        told = paste(watch, step)
        ran += 1
        # The audit log is read by root, on the node that has it.
        if "--audit-log-path" not in step.run:
            assert not any(word in told for word in (*REFUSALS, "rror:")), f"{rule}: {step.title}: {told}"
    assert ran > 20
    assert not asked(cluster, "watch")[before:]


def test_each_look_says_what_it_may_not(cluster: Cluster, tell: Tell) -> None:
    nobody = cluster.laptop("nobody")
    for rule, step in steps(cluster, tell):
        told = paste(nobody, step)
        assert any(word in told for word in (*REFUSALS, "not kept", "the look above kept none")), (
            f"{rule}: {step.title} answers {told!r}"
        )


def test_the_first_role_changes_nothing(cluster: Cluster) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    watch = cluster.laptop("watch")
    for change in (
        "create configmap x -n shop",
        "delete pod web-1 -n shop",
        "exec -n shop web-1 -- true",
        "label pod web-1 -n shop a=b",
        "taint node node-1 a=b:NoSchedule",
        "create clusterrolebinding x --clusterrole=cluster-admin --user=watch",
        "get pods -n shop --as=alice",
        "get pods -n shop --as=x --as-group=system:masters",
        "create token default -n shop",
        "get --raw /api/v1/nodes/node-1/proxy/pods",
    ):
        assert "orbidden" in watch.refused(f"kubectl {change}"), change
