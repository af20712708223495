"""The API server takes all that the chart makes, also for cert-manager and the Prometheus Operator."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.test_chart import MATRIX
from tests.lab.chart.site import Site
from tests.lab.programs import built

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
OTHERS = {"Certificate", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
"""Kinds that only exist where their operator is."""


@pytest.fixture(scope="module")
def defined(site: Site) -> Iterator[Site]:
    """A cluster that knows the resources of both, as they publish them, without the programs that act on them."""
    definitions = (built("crds").parent / "crds.yaml").read_text("utf-8")
    site.node.write("/root/crds.yaml", definitions)
    site.kubectl("create -f /root/crds.yaml")
    site.kubectl("wait --for=condition=Established crd --all --timeout=60s")
    site.cluster.namespace("matrix")
    yield site
    site.kubectl("delete -f /root/crds.yaml")
    site.kubectl("delete namespace matrix --timeout=120s", 130)


def dry_run(site: Site, text: str) -> str:
    """Let the API server judge documents, its admission included, without keeping them; unknown fields are errors."""
    command = "kubectl --kubeconfig /etc/kubernetes/admin.conf apply --dry-run=server --validate=strict -n matrix -f -"
    return site.node.run(command, text=text)


def rendered(site: Site, values: dict[str, str]) -> str:
    """Render the chart as a release in the namespace ``matrix``."""
    chosen = {key: "matrix" if key.endswith("falcoNamespace") else value for key, value in values.items()}
    sets = " ".join(f"--set {shlex.quote(f'{key}={value}')}" for key, value in chosen.items())
    return site.helm(f"template x /root/chart --namespace matrix --no-hooks --kube-version 1.36.0 {sets}")


def test_every_object_is_taken(defined: Site) -> None:
    """For each set of values; between them they make every kind."""
    kinds = set()
    for name, values in MATRIX.items():
        text = rendered(defined, values)
        documents = [document for document in yaml.safe_load_all(text) if document]
        kinds |= {document["kind"] for document in documents}
        said = dry_run(defined, text)
        assert said.count("created (server dry run)") == len(documents), f"{name}: {said}"
    assert kinds >= OTHERS | {"NetworkPolicy", "PodDisruptionBudget", "StatefulSet", "DaemonSet", "Service"}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("Certificate", "secretName:", "secret:"),
        ("ServiceMonitor", "endpoints:", "ports:"),
        ("PrometheusRule", "record:", "recorded:"),
        ("NetworkPolicy", "policyTypes:", "types:"),
    ],
)
def test_what_is_wrong_is_refused(defined: Site, kind: str, right: str, wrong: str) -> None:
    """A field of another name, in each kind: the check can fail."""
    text = rendered(defined, MATRIX["receive, all on"])
    (document, *_) = [text for text in text.split("\n---\n") if f"kind: {kind}\n" in text and right in text]
    with pytest.raises(AssertionError, match=r"unknown field|Required value"):
        dry_run(defined, document.replace(right, wrong))
