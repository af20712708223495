"""What ties alerts of the Kubernetes audit log: who acted, on which pod, with which object.

Owns the ties of ``k8s_audit``. A user that the control plane, nodes or
controllers act as ties nothing: it acts for everybody. A service account ties
only with what it did it to, or two likely attacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.alert import Alert
from exporter.incidents.tie import ANY, BOTH, HALF, ONE, QUARTER, WHOLE, Tie
from exporter.incidents.values import Values, person_of, stem_of, values_of
from exporter.incidents.words import COMMON_OBJECTS
from exporter.verdict.actors import kubernetes_kind

_ACCOUNT = "system:serviceaccount:"
_PODS = frozenset({"pods", "pod"})
_WORKLOADS = frozenset({"cronjobs", "daemonsets", "deployments", "jobs", "replicasets", "statefulsets", *_PODS})
"""What pods are made from, which bear its name."""
_USED = frozenset({"exec", "attach", "portforward", "proxy", "ephemeralcontainers", "log"})
"""Subresources by which somebody uses what is there already: the object's name is not theirs."""
_SUBJECT = re.compile(r'"(kind|name|namespace)"\s*:\s*"([^"\\]{1,256})"')
_SUBJECTS_LIMIT_CHARACTERS = 1_024
_SHORTEST_NAME = 4


def kubernetes_ties(alert: Alert) -> Iterator[Tie]:
    """Yield what the alert may share with others."""
    value = values_of(alert)
    user, namespace = value("ka.user.name"), value("ka.target.namespace")
    if user:
        yield from _of_user(user, namespace)
    resource, name = value("ka.target.resource"), value("ka.target.name")
    pod = value("ka.target.pod.name") or (name if resource in _PODS else "")
    pod = pod or (value("ka.resp.name") if resource in _PODS else "")
    if pod:
        yield Tie(("pod", namespace, pod), ANY, QUARTER)
    yield from _of_object(value, namespace, name)
    if resource == "serviceaccounts" and name and namespace:
        yield Tie(("made", f"{_ACCOUNT}{namespace}:{name}"), ONE, WHOLE, ("maker",))
    for subject in _subjects(alert.all_fields().get("ka.req.binding.subjects", "")):
        yield Tie(("made", subject), ONE, WHOLE, ("maker",))


def _of_user(user: str, namespace: str) -> Iterator[Tie]:
    kind = kubernetes_kind(user)
    if kind in {"person", "service-account"}:
        yield Tie(("made", user), ONE, WHOLE)
    if kind == "person":
        yield Tie(("person", person) if (person := person_of(user)) else ("user", user), ANY, HALF)
    elif kind == "admin":
        yield Tie(("user", user), ONE, QUARTER)
    elif kind == "anonymous":
        yield Tie(("user", "system:anonymous"), ONE, HALF)
    elif kind == "service-account":
        yield Tie(("user", user), BOTH, HALF)
        if namespace:
            yield Tie(("user in namespace", user, namespace), ONE, QUARTER)
        _, _, own, name = user.split(":", 3) if user.count(":") >= 3 else ("", "", "", "")
        if own and name:
            yield Tie(("account", own, name.removesuffix("-sa")), ONE, QUARTER, ("user",))


def _of_object(value: Values, namespace: str, name: str) -> Iterator[Tie]:
    """An object that somebody made or changed; a workload's pods bear its name."""
    if value("ka.target.subresource") in _USED:
        return
    made = value("ka.resp.name") or name or value("ka.req.configmap.name")
    stem = stem_of(made)
    if made and namespace and value("ka.target.resource") in _WORKLOADS:
        yield Tie(("workload", namespace, stem), ONE, HALF, ("maker",))
    if len(stem) >= _SHORTEST_NAME and stem not in COMMON_OBJECTS and not made.startswith("system:"):
        yield Tie(("object", stem), ONE, HALF, (namespace,) if namespace else ())


def _subjects(text: str) -> Iterator[str]:
    """Yield the users that a binding names, as the audit log calls them."""
    for part in text[:_SUBJECTS_LIMIT_CHARACTERS].split("}"):
        found = dict(_SUBJECT.findall(part))
        name = found.get("name", "")
        if found.get("kind") == "ServiceAccount" and name and found.get("namespace"):
            yield f"{_ACCOUNT}{found['namespace']}:{name}"
        elif found.get("kind") == "User" and name and kubernetes_kind(name) in {"person", "anonymous"}:
            yield name


FIELDS = frozenset(
    {
        "ka.req.binding.subjects", "ka.req.configmap.name", "ka.resp.name", "ka.target.name", "ka.target.namespace",
        "ka.target.pod.name", "ka.target.resource", "ka.target.subresource", "ka.user.name",
    }
)  # fmt: skip
"""Everything that is read."""
