"""Facts about identities of Kubernetes and clouds: who somebody is by what the provider guarantees.

Owns which names are reserved (nobody can choose them) and what part of a
name says about its kind. Refuses to trust a name that anyone can choose: that
``terraform`` deploys is a hint, that ``system:apiserver`` is the API server a
guarantee.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from exporter.prose import Lookup
from exporter.verdict.places import address_kind

_ACCOUNT = "system:serviceaccount:"
_WORKLOAD_CONTROLLERS = frozenset(
    f"{_ACCOUNT}kube-system:{name}-controller"
    for name in ("daemon-set", "replicaset", "statefulset", "job", "replication")
)  # fmt: skip
_CONTROLLERS = (
    "attachdetach-controller", "bootstrap-signer", "certificate-controller", "clusterrole-aggregation-controller",
    "cronjob-controller", "deployment-controller", "device-taint-eviction-controller", "disruption-controller",
    "endpoint-controller", "endpointslice-controller", "endpointslicemirroring-controller",
    "ephemeral-volume-controller", "expand-controller", "generic-garbage-collector", "horizontal-pod-autoscaler",
    "legacy-service-account-token-cleaner", "namespace-controller", "node-controller", "persistent-volume-binder",
    "pod-garbage-collector", "pv-protection-controller", "pvc-protection-controller", "resource-claim-controller",
    "resourcequota-controller", "root-ca-cert-publisher", "route-controller", "selinux-warning-controller",
    "service-account-controller", "service-cidrs-controller", "service-controller",
    "storage-version-migrator-controller", "taint-eviction-controller", "token-cleaner",
    "ttl-after-finished-controller", "ttl-controller", "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
)  # fmt: skip
"""The accounts of the controller manager's controllers (k8s.io/kubernetes, cmd/kube-controller-manager/names).

Whole names only: an intruder may create ``kube-controller`` in kube-system, as RBAC Buster did.
"""
_CONTROL_PLANE = frozenset(
    {
        *(f"{_ACCOUNT}kube-system:{name}" for name in _CONTROLLERS),
        "system:apiserver", "system:kube-controller-manager", "system:kube-scheduler",
        "system:cloud-controller-manager",
        "system:addon-manager", "system:k3s-controller", "system:k3s-supervisor", "system:aks-service",
    }
)  # fmt: skip
_PROVIDERS = ("eks:", "aks:", "system:gke", "system:gcp", "system:managed", "system:vpa-", "system:node-problem")
_PROVIDER_NAMES = frozenset({"aksService", "aksprovider", "gke-init", "system:glbc", "system:l7-lb-controller"})
_AUTOMATION = frozenset(
    {
        "actions", "argocd", "atlantis", "automation", "bamboo", "bitbucket", "cdk", "cfn", "ci", "cicd", "circleci",
        "cloudbuild", "cloudformation", "codebuild", "codepipeline", "crossplane", "deploy", "deployer", "deployment",
        "drone", "flux", "gha", "githubactions", "gitlab", "gitops", "iac", "jenkins", "octopus", "pipeline", "pulumi",
        "runner", "scalr", "spacelift", "teamcity", "terraform", "tf", "tfc",
    }
)  # fmt: skip
_PROVIDER_ACCOUNT = "@container-engine-robot.iam.gserviceaccount.com"
_RESERVED = {
    "system:anonymous": "anonymous",
    "system:unauthenticated": "anonymous",
    **dict.fromkeys(_WORKLOAD_CONTROLLERS, "workload-controller"),
    **dict.fromkeys(_CONTROL_PLANE, "control-plane"),
    **dict.fromkeys(_PROVIDER_NAMES, "provider"),
    **dict.fromkeys(
        ("kubernetes-admin", "kube-admin", "system:admin", "admin", "clusterAdmin", "masterclient"), "admin"
    ),
}
_WORKLOADS = frozenset(
    {
        "api", "app", "backend", "batch", "ec", "ecs", "eks", "frontend", "instance", "lambda", "node", "service",
        "svc", "task", "web", "worker",
    }
)  # fmt: skip
_WORDS = re.compile(r"[A-Za-z]+")
_INSTANCE = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")
"""The name of a session that a machine opens by its instance profile: its own id."""
_INFO = re.compile(r"(?P<user>.*?) via (?P<address>\S+) (?P<failed>!)?(?:→|->|\S*>)\s*(?P<call>\S+)")
_GOOGLE_AGENT = re.compile(
    r"(?:service-(?:org-|folder-)?\d+@(?:gcp-sa-[a-z0-9-]+|compute-system|container-engine-robot|containerregistry|"
    r"gcf-admin-robot|serverless-robot-prod|dataflow-service-producer-prod|dataproc-accounts|cloud-redis|cloud-filer|"
    r"cloud-tpu|cloud-ml|endpoints-portal|service-networking|sourcerepo-service-accounts|gae-api-prod[.]google[.]com)"
    r"|\d+@cloudservices)(?:[.]iam)?[.]gserviceaccount[.]com|system@google[.]com"
)
"""Agents of Google's own, by the projects that only Google has: ``service-1@`` a project of one's own can be made."""


def kubernetes_kind(user: str) -> str:
    """Return the kind of a Kubernetes user.

    ``anonymous``, ``workload-controller`` (acts for the author of the
    workload), ``control-plane``, ``node``, ``provider``, ``service-account``,
    ``admin`` or ``person``.
    """
    kind = _RESERVED.get(user)
    if kind is None and user.startswith("system:node:"):
        kind = "node"
    elif kind is None and (user.startswith(_PROVIDERS) or user.endswith(_PROVIDER_ACCOUNT)):
        kind = "provider"
    return kind or ("service-account" if user.startswith(_ACCOUNT) else "person")


def is_automation(name: str) -> bool:
    """Whether a word of the name is one that deployments are called by. Anyone may choose such a name."""
    return any(word.lower() in _AUTOMATION for word in _WORDS.findall(name))


def _kubernetes(lookup: Lookup) -> str | None:
    user = lookup("ka.user.name")
    return None if user is None else kubernetes_kind(user)


def _part(index: int) -> Callable[[Lookup], str | None]:
    def find(lookup: Lookup) -> str | None:
        user = lookup("ka.user.name")
        if user is None or not user.startswith(_ACCOUNT):
            return None
        parts = user.split(":")
        return parts[index] if len(parts) == 4 else None

    return find


def _own_namespace(lookup: Lookup) -> str | None:
    own, target = lookup("ka.account.namespace"), lookup("ka.target.namespace")
    if own is None or target is None:
        return None
    return "yes" if own == target else "no"


def _binds_itself(lookup: Lookup) -> str | None:
    """Whether a service account is among the subjects of the binding that it makes."""
    subjects, name, namespace = (
        lookup("ka.req.binding.subjects"), lookup("ka.account.name"), lookup("ka.account.namespace"),
    )  # fmt: skip
    if subjects is None or name is None or namespace is None:
        return None
    return "yes" if f'"name":"{name}"' in subjects and f'"namespace":"{namespace}"' in subjects else "no"


def _info(lookup: Lookup) -> re.Match[str] | None:
    info = lookup("evt.plugininfo")
    return None if info is None else _INFO.match(info)


def _aws_user(lookup: Lookup) -> str | None:
    user = lookup("ct.user") or lookup("ct.user.arn")
    if user is not None:
        return user
    info = _info(lookup)
    return info["user"] if info else None


def _aws_kind(lookup: Lookup) -> str | None:
    """``service`` (AWS itself), ``root``, ``sso``, by its name ``automation`` or ``workload``, else ``identity``.

    A user may be called like a service-linked role; only the role calls from AWS itself.
    """
    user, arn = lookup("aws.user"), lookup("ct.user.arn") or ""
    if user is None:
        return None
    if user.startswith("AWSServiceRoleFor") or ":assumed-role/AWSServiceRoleFor" in arn:
        return "service" if lookup("aws.origin") == "service" else "identity"
    if user in {"root", "Root"} or arn.endswith(":root"):
        return "root"
    if "assumed-role/AWSReservedSSO_" in arn or user.startswith("AWSReservedSSO_"):
        return "sso"
    if is_automation(user):
        return "automation"
    return (
        "workload"
        if _INSTANCE.fullmatch(user) or _WORKLOADS.intersection(map(str.lower, _WORDS.findall(user)))
        else "identity"
    )


def _aws_origin(lookup: Lookup) -> str | None:
    """``service`` where AWS itself made the call, else the kind of the address."""
    address = lookup("ct.srcip")
    if address is None:
        info = _info(lookup)
        address = info["address"] if info else None
    if address is None:
        return None
    if address.endswith(".amazonaws.com") or address in {"AWS Internal", "AWS-Internal"}:
        return "service"
    return address_kind(address)


def _aws_call(lookup: Lookup) -> str | None:
    info = _info(lookup)
    return info["call"] if info else None


def _gcp_kind(lookup: Lookup) -> str | None:
    """``google`` (an agent of Google's own), ``service-account`` or ``person``."""
    user = lookup("gcp.user")
    if user is None:
        return None
    if _GOOGLE_AGENT.fullmatch(user):
        return "google"
    return "service-account" if user.endswith("gserviceaccount.com") else "person"


def _gcp_automation(lookup: Lookup) -> str | None:
    user = lookup("gcp.user")
    return None if user is None else ("yes" if is_automation(user.partition("@")[0]) else "no")


def _gcp_client(lookup: Lookup) -> str | None:
    """By the user agent, which anyone can choose: ``terraform``, ``gsutil``, ``gcloud``, ``browser``, ``other``."""
    agent = lookup("gcp.userAgent")
    if agent is None:
        return None
    lower = agent.lower()
    names = (
        ("terraform", "terraform"),
        ("pulumi", "terraform"),
        ("gsutil", "gsutil"),
        ("gcloud", "gcloud"),
        ("mozilla/", "browser"),
    )
    return next((kind for word, kind in names if word in lower), "other")


def _okta_kind(lookup: Lookup) -> str | None:
    """``system`` for an actor without a login (Okta itself, an application), else ``person``."""
    actor = lookup("okta.actor.name")
    return None if actor is None else ("person" if "@" in actor else "system")


def _github_kind(lookup: Lookup) -> str | None:
    user = lookup("github.user")
    return None if user is None else ("bot" if user.endswith("[bot]") else "person")


def _kubernetes_automation(lookup: Lookup) -> str | None:
    user = lookup("ka.user.name")
    return None if user is None else ("yes" if is_automation(user) else "no")


_INFO_FIELDS = ("evt.plugininfo",)
FACTS: Mapping[str, tuple[Callable[[Lookup], str | None], tuple[str, ...]]] = {
    "ka.user.kind": (_kubernetes, ("ka.user.name",)),
    "ka.user.automation": (_kubernetes_automation, ("ka.user.name",)),
    "ka.account.namespace": (_part(2), ("ka.user.name",)),
    "ka.account.name": (_part(3), ("ka.user.name",)),
    "ka.account.athome": (_own_namespace, ("ka.user.name", "ka.target.namespace")),
    "ka.binding.own": (_binds_itself, ("ka.user.name", "ka.req.binding.subjects")),
    "aws.user": (_aws_user, ("ct.user", "ct.user.arn", *_INFO_FIELDS)),
    "aws.user.kind": (_aws_kind, ("ct.user", "ct.user.arn", "ct.srcip", *_INFO_FIELDS)),
    "aws.origin": (_aws_origin, ("ct.srcip", *_INFO_FIELDS)),
    "aws.call": (_aws_call, _INFO_FIELDS),
    "gcp.user.kind": (_gcp_kind, ("gcp.user",)),
    "gcp.user.automation": (_gcp_automation, ("gcp.user",)),
    "gcp.client": (_gcp_client, ("gcp.userAgent",)),
    "okta.actor.kind": (_okta_kind, ("okta.actor.name",)),
    "github.user.kind": (_github_kind, ("github.user",)),
}
