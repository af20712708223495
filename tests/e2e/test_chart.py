"""The Helm chart renders for every mode into objects that Kubernetes accepts, and refuses unknown values."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from exporter.config.loader import load_config
from tests.e2e.programs import find_helm

pytestmark = pytest.mark.e2e
CHART = Path(__file__).parents[2] / "deploy" / "helm" / "falco-report-exporter"
KUBERNETES = "1.34"
MATRIX = {
    "receive": {},
    "receive, all on": {
        "otlp.endpoint": "http://collector:4317",
        "receiver.tls.mode": "certManager",
        "receiver.tls.issuerRef.name": "ca",
        "receiver.tls.falcoNamespace": "falco",
        "receiver.pathSecret": "secret-path",
        "pages.webConfigSecret": "web",
        "networkPolicy.enabled": "true",
        "dashboards.enabled": "true",
        "metrics.serviceMonitor.enabled": "true",
        "metrics.prometheusRule.enabled": "true",
        "envSecrets[0]": "otel-headers",
        "priorityClassName": "system-cluster-critical",
    },
    "receive, generated certificates": {"receiver.tls.mode": "generate", "receiver.tls.falcoNamespace": "falco"},
    "receive, in memory": {"persistence.enabled": "false", "replicaCount": "1", "metrics.podMonitor.enabled": "true"},
    "file": {"mode": "file"},
    "socket": {"mode": "socket", "openshift": "true"},
}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find_helm(), *arguments], capture_output=True, text=True, check=False)


def rendered(values: dict[str, str]) -> list[dict[str, Any]]:
    sets = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    done = helm("template", "x", str(CHART), "--namespace", "falco", "--kube-version", f"{KUBERNETES}.0", *sets)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_lint_has_nothing_to_say() -> None:
    """Helm's own linter finds no error and no warning."""
    done = helm("lint", "--strict", "--kube-version", f"{KUBERNETES}.0", str(CHART))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", MATRIX)
def test_every_object_is_valid(name: str) -> None:
    """Kubernetes' own schemas accept what is rendered; resources of others (monitors, certificates) have a name."""
    kinds = set()
    for document in rendered(MATRIX[name]):
        kinds.add(document["kind"])
        if document["apiVersion"].startswith(("monitoring.coreos.com", "cert-manager.io")):
            assert document["metadata"]["name"]
            continue
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    assert ("DaemonSet" if name in {"file", "socket"} else "StatefulSet") in kinds


@pytest.mark.parametrize("name", MATRIX)
def test_the_settings_are_settings(name: str, tmp_path: Path) -> None:
    """The exporter itself reads the rendered configuration; files that secrets bring are left out of it here."""
    maps = [each for each in rendered(MATRIX[name]) if each["kind"] == "ConfigMap" and "config.yaml" in each["data"]]
    settings = yaml.safe_load(maps[0]["data"]["config.yaml"])
    settings.get("http", {}).pop("tls", None)
    settings.get("http", {}).pop("path_file", None)
    settings["web"].pop("config_file", None)
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    config = load_config({}, {"FALCO_REPORT_EXPORTER_SERVICE_HOST": "10.0.0.1"}, file)
    assert config.web.probe_address == ":19376"
    assert bool(config.http.address) == name.startswith("receive")


@pytest.mark.parametrize("name", [name for name in MATRIX if name.startswith("receive")])
def test_pods_that_receive_pass_pod_security_restricted(name: str) -> None:
    """What the standard asks of pods: no root, no privilege, no host, seccomp, all capabilities dropped."""
    workload = next(each for each in rendered(MATRIX[name]) if each["kind"] == "StatefulSet")
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any("hostPath" in volume for volume in pod["volumes"])
    assert not pod["automountServiceAccountToken"]
    assert not pod["enableServiceLinks"]
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_secret_stands_in_the_pod() -> None:
    """Tokens come from existing secrets by name."""
    text = yaml.safe_dump(rendered(MATRIX["receive, all on"]))
    assert "secretRef" in text
    assert "BEGIN" not in text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replicas=3", "replicas"),
        ("mode=push", "mode"),
        ("receiver.tls.mode=secret", "receiver.tls.existingSecret is needed"),
        ("receiver.tls.mode=certManager", "issuerRef"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str, said: str) -> None:
    """A typo or a missing part does not render."""
    done = helm("template", "x", str(CHART), "--kube-version", f"{KUBERNETES}.0", "--set", value)
    assert done.returncode != 0
    assert said in done.stderr


def test_both_monitors_at_once_are_refused() -> None:
    """Every sample would come twice."""
    flags = ("--set", "metrics.serviceMonitor.enabled=true", "--set", "metrics.podMonitor.enabled=true")
    done = helm("template", "x", str(CHART), "--kube-version", f"{KUBERNETES}.0", *flags)
    assert "exclude each other" in done.stderr


def test_the_values_for_falcos_own_chart_are_yaml() -> None:
    """Each way in has one file for Falco's chart, and the operator's resource."""
    files = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (CHART / "falco-values").glob("*.yaml")}
    assert set(files) == {"receive", "receive-mtls", "file", "socket", "operator-config"}
    assert files["receive"]["falco"]["json_output"] is True
    assert files["file"]["falco"]["file_output"]["keep_alive"] is True
