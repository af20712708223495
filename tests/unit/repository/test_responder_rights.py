"""What a cluster step says it needs is what the responders' ClusterRoles give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.lint.walk import commands

ROOT = Path(__file__).parents[3]
LOOKS = {"look", "keep", "verify"}
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete", "escalate", "bind", "impersonate"}
READS = {"get", "list", "watch"}
_RESOURCES = """
certificatesigningrequests clusterrolebindings clusterroles configmaps cronjobs daemonsets deployments
endpointslices groups ingresses jobs mutatingwebhookconfigurations namespaces networkpolicies nodes
persistentvolumeclaims persistentvolumes pods pods/log replicasets resourcequotas rolebindings roles secrets
serviceaccounts services statefulsets subjectaccessreviews users validatingadmissionpolicies
validatingadmissionpolicybindings validatingwebhookconfigurations
"""
RESOURCES = set(_RESOURCES.split())
KINDS = {
    "clusterrolebinding": "clusterrolebindings",
    "clusterrole": "clusterroles",
    "rolebinding": "rolebindings",
    "role": "roles",
    "configmap": "configmaps",
    "deployment": "deployments",
    "ingress": "ingresses",
    "namespace": "namespaces",
    "secret": "secrets",
    "serviceaccount": "serviceaccounts",
    "service account": "serviceaccounts",
    "service": "services",
}
"""A word of a rule's name, the longest that fits first, and the kind that the rule is about."""
_NODE = re.compile(r"root on (?:a control-plane|that control-plane|the pod's) node\Z|.*\bprovider\b")
"""No right of the cluster's: the log of the API server, or of who runs it."""

Right = tuple[str, str]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(())


def roles() -> dict[str, set[Right]]:
    """What each ClusterRole gives: verbs on resources."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/responder/kubernetes.yaml").read_text()))
    return {
        role["metadata"]["name"]: {
            (verb, resource) for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]
        }
        for role in documents
    }


def kinds_of(rule: str) -> set[str]:
    """What "this kind" is for a rule. Raises where its name does not say it."""
    if rule == "System ClusterRole Modified/Deleted":
        return {"clusterroles", "roles"}
    for word in sorted(KINDS, key=len, reverse=True):
        if word in rule.lower():
            return {KINDS[word]}
    raise AssertionError(f"{rule!r}: its steps speak of this kind; say in KINDS which")


def rights_of(text: str, rule: str) -> Iterator[Right]:
    """Yield the rights that a text names: ``VERBS RESOURCES [in NAMESPACE]``, one after the other, divided by ``;``."""
    text = re.sub(r"%\{[^}]*\}|in all namespaces|in kube-system", "", text).replace("this kind", "this-kind")
    for clause in map(str.strip, text.split(";")):
        if _NODE.match(clause):
            continue
        verbs: set[str] = set()
        named = False
        for word in re.split(r"[\s,]+", clause):
            if word in VERBS:
                verbs, named = (verbs | {word}) if not named else {word}, False
            elif word in RESOURCES or word == "this-kind":
                named = True
                yield from ((verb, kind) for verb in verbs for kind in _kinds(word, rule, verbs))
            else:
                assert word in {"and", "in", ""}, f"{rule!r}: what is {word!r} in {text!r}?"


def _kinds(word: str, rule: str, verbs: set[str]) -> set[str]:
    if word == "roles" and verbs & {"escalate", "bind"}:
        # A role's rights and a binding's role may be the cluster's or a namespace's.
        return {"roles", "clusterroles"}
    return kinds_of(rule) if word == "this-kind" else {word}


def steps(catalog: Catalog) -> Iterator[tuple[str, Any]]:
    """Yield every cluster step with its rule; those of advice that is composed for other rules have none."""
    for entry in catalog.entries:
        yield from ((entry.rule, step) for step in entry.commands if step.where == "cluster")
    composed = [(owned.entry, step) for owned, step in commands(catalog) if step.where == "cluster"]
    yield from (("", step) for entry, step in composed if not entry and "this kind" not in step.rights.text)


def test_each_cluster_step_says_what_it_needs(catalog: Catalog) -> None:
    without = {f"{rule}: {step.title.text}" for rule, step in steps(catalog) if not step.rights.text}
    assert not without


def test_the_roles_give_what_the_steps_need(catalog: Catalog) -> None:
    given = roles()
    look, all_of_them = given["falco-responder-look"], set().union(*given.values())
    lacking = {
        (step.phase, right)
        for rule, step in steps(catalog)
        for right in rights_of(step.rights.text, rule)
        if right not in (look if step.phase in LOOKS else all_of_them)
    }
    assert not lacking


def test_the_roles_give_no_more(catalog: Catalog) -> None:
    given = roles()
    needed = {right for rule, step in steps(catalog) for right in rights_of(step.rights.text, rule)}
    spare = {right for right in set().union(*given.values()) - needed if right[0] not in READS}
    assert not spare
    resources = {resource for _, resource in set().union(*given.values())}
    assert resources <= {resource for _, resource in needed}


def test_a_look_changes_nothing() -> None:
    changing = {right for right in roles()["falco-responder-look"] if right[0] not in READS}
    assert changing == {("create", "subjectaccessreviews")}


@pytest.mark.parametrize(
    ("text", "rights"),
    [
        ("get and list pods, get pods/log in %{x}", {("get", "pods"), ("list", "pods"), ("get", "pods/log")}),
        ("get this kind; escalate roles", {("get", "secrets"), ("escalate", "roles"), ("escalate", "clusterroles")}),
        ("root on a control-plane node; a managed cluster's log is the provider's", set()),
        ("get pods; root on the pod's node", {("get", "pods")}),
    ],
)
def test_rights_are_read(text: str, rights: set[Right]) -> None:
    assert set(rights_of(text, "K8s Secret Created")) == rights


def test_a_word_that_nobody_knows_is_seen() -> None:
    with pytest.raises(AssertionError, match="what is 'bindings'"):
        list(rights_of("list bindings", "K8s Secret Created"))
