"""Each cause of missing fields, shown by alerts as Falco gives them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.alert import Alert
from exporter.missing_fields import ENOUGH_ALERTS, explain, to_sentence
from exporter.sources.decode_json import from_json

PROCESS = {"evt.time": 1760000000000000000, "proc.cmdline": "sh -c id", "user.name": "root"}
POD = {
    "container.id": "69d22f20d812", "container.name": "web", "container.image.repository": "docker.io/library/nginx",
    "container.image.tag": "1.27", "k8s.ns.name": "shop", "k8s.pod.name": "web-1",
}  # fmt: skip
ONLY_ID = {**dict.fromkeys(POD), "container.id": "69d22f20d812"}
NO_POD = POD | {"k8s.ns.name": None, "k8s.pod.name": None}
ON_HOST = {**dict.fromkeys(POD), "container.id": "host", "container.name": "host"}


def alerts(fields: dict[str, Any], number: int = 10, **members: Any) -> list[Alert]:
    """Return alerts in Falco's JSON form."""
    document = {
        "time": "2026-11-24T04:15:21.246231000Z", "rule": "Terminal shell in container", "priority": "Notice",
        "source": "syscall", "hostname": "node-1", "output": "A shell", "output_fields": fields, "tags": [],
    }  # fmt: skip
    return [from_json(json.dumps(document | members)) for _ in range(number)]


@pytest.mark.parametrize(
    ("found", "what", "todo"),
    [
        (alerts({}), "All fields", "json_include_output_fields_property: true"),
        (alerts({"evt.time": 5}), "All fields", "json_include_output_fields_property: true"),
        (alerts(PROCESS), "Container, pod and namespace", "append_output: [{suggested_output: true}]"),
        (alerts(PROCESS | ONLY_ID), "Container name, image, pod and namespace", "/run/k3s/containerd/containerd.sock"),
        (
            alerts(PROCESS | ONLY_ID, 2) + alerts(PROCESS | POD, 10),
            "Container name, image, pod and namespace",
            "short-lived containers",
        ),
        (alerts(PROCESS | NO_POD), "Pod and namespace", "cri engine"),
        (alerts(PROCESS | ON_HOST), "Containers", "HOST_ROOT=/host"),
        (alerts(PROCESS | POD, hostname="falco-4cvkq"), "The node's name", "FALCO_HOSTNAME"),
        (alerts(PROCESS | POD, hostname="3f0a91c2b7de"), "The node's name", "FALCO_HOSTNAME"),
        (alerts(PROCESS | POD, hostname=""), "The host's name", "hostname"),
    ],
)
def test_a_cause_is_told_by_the_alerts(found: list[Alert], what: str, todo: str) -> None:
    """One cause, with its share and what to set."""
    [missing] = explain(found)
    assert missing.what == what
    assert todo in missing.todo
    assert to_sentence(missing).startswith(f"{what} missing in {missing.alerts} of {missing.of} recent alerts")


@pytest.mark.parametrize(
    "found",
    [
        [],
        alerts(PROCESS | POD),
        alerts({}, ENOUGH_ALERTS - 1),
        alerts(PROCESS | POD, 5) + alerts(PROCESS | ON_HOST, 5),
        alerts({"ka.verb": "get"}, source="k8s_audit"),
        alerts(PROCESS | POD, 5) + alerts(PROCESS | NO_POD, 5),
    ],
    ids=["none", "all there", "too few", "host and pods", "other source", "some containers are no pods"],
)
def test_nothing_is_said_where_nothing_is_known(found: list[Alert]) -> None:
    """Host processes and containers outside of Kubernetes lack nothing."""
    assert explain(found) == []


def test_causes_are_told_together() -> None:
    """A pod's name as host, and no answer from the runtime: two causes, two things to set."""
    found = explain(alerts(PROCESS | ONLY_ID, hostname="falco-4cvkq"))
    assert [each.what for each in found] == ["The node's name", "Container name, image, pod and namespace"]
