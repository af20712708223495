"""The Falco Operator's resource: the API server takes it by the operator's definition of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.lab.chart.site import CHART, Site

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


def test_the_operators_config_is_taken_and_says_what_receive_says(site: Site) -> None:
    """Strict validation accepts it, refuses a misspelt key, and it holds Falco's values of receive.yaml."""
    site.apply(DEFINITION)
    site.kubectl("wait --for=condition=Established crd/configs.artifact.falcosecurity.dev --timeout=60s")
    resource = yaml.safe_load((CHART / "falco-values" / "operator-config.yaml").read_text("utf-8"))
    resource["metadata"]["namespace"] = "default"
    site.apply(resource)
    kept = json.loads(site.kubectl("get configs.artifact.falcosecurity.dev report-exporter -n default -o json"))
    receive = yaml.safe_load((CHART / "falco-values" / "receive.yaml").read_text("utf-8"))["falco"]
    assert kept["spec"]["config"]["http_output"] == receive["http_output"]
    with pytest.raises(AssertionError, match="unknown field"):
        site.apply(resource | {"spec": {"configuration": {}}})
    site.kubectl("delete crd configs.artifact.falcosecurity.dev")
