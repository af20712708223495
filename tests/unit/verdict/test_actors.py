"""Identities: what a name guarantees, and names that only look like it."""

from __future__ import annotations

import pytest

from exporter.verdict.actors import FACTS, kubernetes_kind


def fact(name: str, **fields: str) -> str | None:
    """Ask for a fact whose sources are the fields and further facts made of them."""
    known = {field.replace("__", "."): value for field, value in fields.items()}

    def lookup(field: str) -> str | None:
        return FACTS[field][0](lookup) if field in FACTS else known.get(field)

    return lookup(name)


@pytest.mark.parametrize(
    ("user", "kind"),
    [
        ("system:serviceaccount:kube-system:deployment-controller", "control-plane"),
        ("system:serviceaccount:kube-system:generic-garbage-collector", "control-plane"),
        ("system:serviceaccount:kube-system:daemon-set-controller", "workload-controller"),
        ("system:serviceaccount:kube-system:kube-controller", "service-account"),
        ("system:serviceaccount:kube-system:cilium-controller", "service-account"),
        ("system:serviceaccount:shop:deployment-controller", "service-account"),
        ("service-1@container-engine-robot.iam.gserviceaccount.com", "provider"),
        ("x@my-container-engine-robot.iam.gserviceaccount.com", "person"),
        ("eks:node-manager", "provider"),
        ("oidc:eks:node-manager", "person"),
    ],
)
def test_only_whole_names_of_the_cluster_are_its_own(user: str, kind: str) -> None:
    """RBAC Buster's account was ``kube-controller`` in kube-system: its ending proves nothing."""
    assert kubernetes_kind(user) == kind


@pytest.mark.parametrize(
    ("user", "kind"),
    [
        ("service-123456789012@gcp-sa-logging.iam.gserviceaccount.com", "google"),
        ("service-123456789012@compute-system.iam.gserviceaccount.com", "google"),
        ("123456789012@cloudservices.gserviceaccount.com", "google"),
        ("service-1@acme-prod.iam.gserviceaccount.com", "service-account"),
        ("evil@compute-system.iam.gserviceaccount.com.example.com", "person"),
        ("someone@cloudbuild.example.com", "person"),
        ("123456789012@cloudbuild.gserviceaccount.com", "service-account"),
    ],
)
def test_only_projects_of_google_make_an_agent_of_google(user: str, kind: str) -> None:
    """Everyone may call an account ``service-1`` in a project of theirs; Cloud Build does what a build says."""
    assert fact("gcp.user.kind", gcp__user=user) == kind


@pytest.mark.parametrize(
    ("address", "kind"), [("autoscaling.amazonaws.com", "service"), ("203.0.113.9", "identity"), (None, "identity")]
)
def test_a_service_linked_role_calls_from_aws_itself(address: str | None, kind: str) -> None:
    """A user may bear such a name; only the role is used from AWS."""
    fields = {"ct__user": "AWSServiceRoleForSupport"} | ({} if address is None else {"ct__srcip": address})
    assert fact("aws.user.kind", **fields) == kind


@pytest.mark.parametrize(
    ("subjects", "own"),
    [
        ('{"kind":"ServiceAccount","name":"web","namespace":"shop"}', "yes"),
        ('{"kind":"ServiceAccount","name":"web","namespace":"pay"}', "no"),
        ('{"kind":"User","name":"web2"}', "no"),
        (None, None),
    ],
)
def test_an_account_that_binds_itself_is_seen(subjects: str | None, own: str | None) -> None:
    """The subjects of the binding hold the account's own name and namespace."""
    fields = {"ka__user__name": "system:serviceaccount:shop:web"}
    fields |= {} if subjects is None else {"ka__req__binding__subjects": subjects}
    assert fact("ka.binding.own", **fields) == own
