"""The Falco Operator's resource: the API server takes it by the operator's definition of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.lab.chart.site import CHART, VALUES, Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "configs.artifact.falcosecurity.dev"},
    "spec": {
        "group": "artifact.falcosecurity.dev",
        "scope": "Namespaced",
        "names": {"kind": "Config", "listKind": "ConfigList", "plural": "configs", "singular": "config"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "config": {"x-kubernetes-preserve-unknown-fields": True},
                                    "configMapRef": {
                                        "type": "object",
                                        "properties": {"name": {"type": "string"}},
                                        "required": ["name"],
                                    },
                                    "priority": {"type": "integer", "minimum": 0, "maximum": 99, "default": 50},
                                    "selector": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}
"""What artifact.falcosecurity.dev/v1alpha1 Config takes, as the operator's reference describes it."""


@pytest.fixture
def taken(site: Site) -> Iterator[dict[str, Any]]:
    """The documented resource as the API server keeps it."""
    site.apply(DEFINITION)
    site.kubectl("wait --for=condition=Established crd/configs.artifact.falcosecurity.dev --timeout=60s")
    resource = yaml.safe_load((CHART / "falco-values" / "operator-config.yaml").read_text("utf-8"))
    resource["metadata"]["namespace"] = "default"
    site.apply(resource)
    with pytest.raises(AssertionError, match="unknown field"):
        site.apply(resource | {"spec": {"configuration": {}}})
    yield json.loads(site.kubectl("get configs.artifact.falcosecurity.dev report-exporter -n default -o json"))
    site.kubectl("delete crd configs.artifact.falcosecurity.dev")


def test_a_falco_of_the_operators_config_posts(site: Site, taken: dict[str, Any]) -> None:
    """It says what receive.yaml says, and a Falco that is told so posts to a release without TLS and volumes."""
    receive = yaml.safe_load((CHART / "falco-values" / "receive.yaml").read_text("utf-8"))["falco"]
    assert taken["spec"]["config"]["http_output"] == receive["http_output"]
    site.forget_records()
    site.cluster.namespace("falco", "pod-security.kubernetes.io/enforce=restricted")
    values = VALUES | {"persistence": {"enabled": False}, "replicaCount": 1}
    site.helm("install falco-report-exporter /root/chart --namespace falco", values=values)
    site.rolled_out("falco", "statefulset/falco-report-exporter")
    told = {"falco": taken["spec"]["config"]}
    site.start_falco_with("falco", told, per_second=20)
    site.node.wait_until(lambda: len(site.ledger("falco").kept) > 10, "Falco has posted", 60)
    ledger = site.stop_falco("falco")
    assert not ledger.lost
    site.await_delivery(ledger.kept)
    site.uninstall("falco")
