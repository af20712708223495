"""Why pod, namespace, container or node are missing in alerts, and what to set in Falco.

Owns the causes and how the alerts of a Falco show them. Pure: looks at some
recent alerts, so that no alert costs anything on its way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.alert import Alert

ENOUGH_ALERTS = 5
"""Below, an absent field may be what just these alerts are about."""

_ALWAYS_THERE = {"evt.time"}
_POD_LIKE = re.compile(r"(?:falco[a-z0-9-]*-[a-z0-9]{5}|[0-9a-f]{12})\Z")
"""The host name that Falco has inside of its pod or container unless it is told the node's."""


class Missing(NamedTuple):
    """One thing that is missing, in how many alerts, why, and what to do."""

    what: str
    """E.g. ``pod and namespace``."""
    alerts: int
    """In how many of the alerts."""
    of: int
    """How many alerts could have it."""
    why: str
    todo: str
    """What to set, in falco.yaml, in Falco's chart or in its pod."""


@dataclass(frozen=True, slots=True)
class _Cause:
    what: str
    could: Callable[[Alert], bool]
    """Whether the alert could have it."""
    lacks: Callable[[Alert], bool]
    """Whether it does not."""
    share: tuple[float, float]
    """Least and greatest part of the alerts that lack it, where this is the cause."""
    why: str
    todo: str


def explain(alerts: Iterable[Alert]) -> list[Missing]:
    """Return what recent alerts lack and why, the most severe first; empty where nothing is known to be missing."""
    found = list(alerts)
    missing = []
    for cause in _CAUSES:
        could = [alert for alert in found if cause.could(alert)]
        lacking = sum(map(cause.lacks, could))
        least, greatest = cause.share
        if len(could) >= ENOUGH_ALERTS and least <= lacking / len(could) <= greatest and lacking:
            missing.append(Missing(cause.what, lacking, len(could), cause.why, cause.todo))
            if cause is _NO_FIELDS:
                break
    return missing


def to_sentence(missing: Missing) -> str:
    """Say it in one line."""
    return f"{missing.what} missing in {missing.alerts} of {missing.of} recent alerts: {missing.why} {missing.todo}"


def _is_syscall(alert: Alert) -> bool:
    return alert.source == "syscall"


def _has_fields(alert: Alert) -> bool:
    return _is_syscall(alert) and bool(alert.all_fields().keys() - _ALWAYS_THERE)


def _in_container(alert: Alert) -> bool:
    return _is_syscall(alert) and alert.get("container.id") is not None


def _names_container(alert: Alert) -> bool:
    return alert.get("container.image.repository") is not None or alert.get("container.name") is not None


def _in_named_container(alert: Alert) -> bool:
    return _in_container(alert) and _names_container(alert)


def _in_pod(alert: Alert) -> bool:
    return _is_syscall(alert) and alert.get("k8s.pod.name") is not None


_CONTAINER_FIELDS: Sequence[str] = ("container.id", "container.name", "container.image.repository", "k8s.pod.name")
_SOCKETS = (
    "/run/containerd/containerd.sock (K3s: /run/k3s/containerd/containerd.sock; CRI-O: /run/crio/crio.sock; "
    "Docker: /var/run/docker.sock)"
)
_ALL, _MOST, _SOME = (1.0, 1.0), (0.5, 1.0), (0.01, 0.5)

_NO_FIELDS = _Cause(
    "All fields",
    _is_syscall,
    lambda alert: not _has_fields(alert),
    _ALL,
    "Falco sends the text only.",
    "In falco.yaml set json_include_output_fields_property: true (the default).",
)
_NO_CONTAINER_FIELDS = _Cause(
    "Container, pod and namespace",
    _has_fields,
    lambda alert: not any(field in alert.all_fields() for field in _CONTAINER_FIELDS),
    _ALL,
    "The alerts do not have these fields at all. Since 0.41 Falco's container plugin adds them.",
    "In falco.yaml set load_plugins: [container] and append_output: [{suggested_output: true}] "
    "(Falco's chart: collectors.containerEngine.enabled=true); start an older Falco with -pk.",
)
_NO_RUNTIME = _Cause(
    "Container name, image, pod and namespace",
    _in_container,
    lambda alert: not _names_container(alert),
    _MOST,
    "Falco knows the container's id only, because the container runtime does not answer it.",
    "Mount the runtime's socket into Falco's pod below /host, and name it in the container plugin's engines: "
    f"{_SOCKETS}.",
)
_LATE_RUNTIME = _Cause(
    "Container name, image, pod and namespace",
    _in_container,
    lambda alert: not _names_container(alert),
    _SOME,
    "The container runtime answered after the event, as it does for containers that have just started or ended soon.",
    "Nothing is wrong for short-lived containers. If it concerns long-lived ones, restart Falco after the container "
    "runtime, and raise its memory or CPU limits if it is throttled.",
)
_NO_POD = _Cause(
    "Pod and namespace",
    _in_named_container,
    lambda alert: not _in_pod(alert),
    _ALL,
    "Image and container are known, the pod is not: these containers are not Kubernetes', or Falco asks an engine that "
    "does not know pods (docker, podman).",
    "On Kubernetes, enable the cri engine of Falco's container plugin with the socket that the kubelet uses: "
    f"{_SOCKETS}.",
)
_HOST_ONLY = _Cause(
    "Containers",
    lambda alert: _is_syscall(alert) and "container.id" in alert.all_fields(),
    lambda alert: not _in_container(alert),
    _ALL,
    "Every alert is about a process of the host.",
    "Nothing is wrong where no container raises alerts. If containers do, Falco does not see the host's /proc: mount "
    "it at /host/proc and set HOST_ROOT=/host (Falco's chart does).",
)
_POD_AS_HOST = _Cause(
    "The node's name",
    _is_syscall,
    lambda alert: _POD_LIKE.match(alert.hostname) is not None,
    _MOST,
    "Falco gives the name of its own pod or container as the host.",
    "Set the environment variable FALCO_HOSTNAME in Falco's pod from spec.nodeName (Falco's chart does), or map the "
    "names here with identity.hosts.",
)
_NO_HOST = _Cause(
    "The host's name",
    lambda _: True,
    lambda alert: not alert.hostname,
    _MOST,
    "Falco or a forwarder leaves out the member hostname.",
    "Let Falco post here itself, or keep the member hostname where the alerts are forwarded.",
)

_CAUSES = (_NO_FIELDS, _NO_HOST, _POD_AS_HOST, _NO_CONTAINER_FIELDS, _NO_RUNTIME, _LATE_RUNTIME, _NO_POD, _HOST_ONLY)
