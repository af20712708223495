"""A cluster with what stands around the chart: the project's image, a collector, a Prometheus and stand-ins for Falco.

Owns how each is started there and how what they know is read: the ledger of a
Falco, the records that the collector wrote, what Prometheus answers.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.lab.image_archives import docker_archive, with_libraries
from tests.lab.places.cluster import Cluster
from tests.lab.places.node import load_image
from tests.lab.programs import LAB, missing, program

ROOT = LAB.parents[1]
CHART = ROOT / "deploy" / "helm" / "falco-report-exporter"
IMAGE = "docker.io/library/falco-report-exporter:lab"
VALUES: dict[str, Any] = {
    "image": {"repository": IMAGE.rpartition(":")[0], "tag": IMAGE.rpartition(":")[2], "pullPolicy": "Never"},
    "otlp": {"endpoint": "http://otel-collector.observability:4317"},
}
"""What every release of the tests sets: the image that is there, and the collector as the chart's README names it."""
COLLECTOR = "lab.example/otelcol:1"
PROMETHEUS = "lab.example/prometheus:1"
RECORDS = "/srv/records/records.jsonl"
PROMETHEUS_URL = "http://10.96.0.90:9090"
_NUMBER = re.compile(r"alert-(\d{6})-")
_SCRAPE = """\
global: {scrape_interval: 2s}
scrape_configs:
  - job_name: falco-report-exporter
    dns_sd_configs:
      - {names: [falco-report-exporter-pods.falco.svc.cluster.local], type: A, port: 9376, refresh_interval: 2s}
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one Falco did with its alerts."""

    kept: frozenset[int]
    """Numbers of the alerts that were answered, or written."""
    lost: Mapping[int, str]
    """Number of each alert that Falco could not hand over, and why."""


class Site:
    """The cluster, and the programs around the chart."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.node = cluster.node
        self.admin = cluster.laptop()

    def load_images(self, collector: Path) -> None:
        """Bring the project's image, the collector and Prometheus to the node."""
        exporter = subprocess.run(
            [LAB / "images" / "exporter.sh", IMAGE], stdout=subprocess.PIPE, text=True, check=False
        )
        if exporter.returncode:
            missing("tests/lab/images/exporter.sh failed")
        with tempfile.TemporaryDirectory() as scratch:
            load_image(self.node, Path(exporter.stdout.split()[-1]))
            for tag, path in ((COLLECTOR, str(collector)), (PROMETHEUS, program("prometheus"))):
                files = {"tmp/.keep": b"", **with_libraries(path, "bin/program")}
                archive = docker_archive(Path(scratch), tag, files, ["/bin/program"])
                load_image(self.node, archive)
                archive.unlink()

    def start_observability(self) -> None:
        """Start the collector, by our own settings for files, and Prometheus in the namespace ``observability``."""
        self.cluster.namespace("observability")
        collector = (ROOT / "deploy" / "collector" / "file.yaml").read_text("utf-8")
        settings = {"collector.yaml": collector, "prometheus.yml": _SCRAPE}
        records = {"name": "records", "hostPath": {"path": str(Path(RECORDS).parent), "type": "DirectoryOrCreate"}}
        self.apply(
            _config_map("observability", "settings", settings),
            _deployment(
                "otel-collector",
                COLLECTOR,
                ["--config=/etc/settings/collector.yaml"],
                env={"FALCO_RECORDS_FILE": RECORDS},
                volumes=[(records, str(Path(RECORDS).parent))],
            ),
            _service("otel-collector", 4317),
            _deployment(
                "prometheus",
                PROMETHEUS,
                ["--config.file=/etc/settings/prometheus.yml", "--storage.tsdb.path=/tmp/data"],
            ),
            _service("prometheus", 9090, address="10.96.0.90"),
        )
        self.rolled_out("observability", "deployment/otel-collector")
        self.rolled_out("observability", "deployment/prometheus")

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Create or change objects; a field that Kubernetes does not know is an error."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.node.run(f"{_KUBECTL} apply --validate=strict -f -", text=json.dumps(items))

    def kubectl(self, command: str, timeout_seconds: float = 120.0) -> str:
        """Run kubectl as admin; return what it printed."""
        return self.node.run(f"{_KUBECTL} {command}", timeout_seconds=timeout_seconds)

    def rolled_out(self, namespace: str, workload: str, timeout_seconds: int = 240) -> None:
        """Wait until every pod of a workload is ready; say what the pods say where one is not."""
        try:
            wait = f"rollout status -n {namespace} {workload} --timeout={timeout_seconds}s"
            self.kubectl(wait, timeout_seconds + 10)
        except AssertionError as error:
            said = self.node.run(
                f"{_KUBECTL} get pods -n {namespace} -o wide; {_KUBECTL} get events -n {namespace} | tail -n 20; "
                f"{_KUBECTL} logs -n {namespace} {workload} --all-containers --tail=20; true"
            )
            raise AssertionError(f"{error}\n{said}") from error

    def helm(self, command: str, *, values: Mapping[str, Any] | None = None, timeout_seconds: float = 300.0) -> str:
        """Run helm on the node; ``values`` go to it as a file; return what it printed."""
        shutil.copytree(CHART, self.node.path("/root/chart"), dirs_exist_ok=True)
        if values is not None:
            self.node.write("/root/values.yaml", json.dumps(values))
            command += " --values /root/values.yaml"
        return self.node.run(f"KUBECONFIG=/etc/kubernetes/admin.conf helm {command}", timeout_seconds=timeout_seconds)

    def uninstall(self, namespace: str) -> None:
        """Remove a release and its namespace."""
        self.helm(f"uninstall falco-report-exporter --namespace {namespace}")
        self.kubectl(f"delete namespace {namespace} --timeout=120s", 130)

    def start_falco(self, namespace: str, documented: str, *, per_second: float, privileged: bool = False) -> None:
        """Start a stand-in for Falco by one of the chart's files of values for Falco's own chart."""
        values = falco_values(documented, namespace)
        self.start_falco_with(namespace, values, per_second=per_second, privileged=privileged)

    def start_falco_with(
        self, namespace: str, values: Mapping[str, Any], *, per_second: float, privileged: bool = False
    ) -> None:
        """Start a stand-in for Falco by values for Falco's chart."""
        settings = {
            "falco.yaml": json.dumps(values["falco"]),
            "falco_standin.py": (Path(__file__).parent / "falco_standin.py").read_text("utf-8"),
        }
        pod = _falco_pod(list(settings), values, per_second=per_second, privileged=privileged)
        self.apply(_config_map(namespace, "falco", settings), _workload("DaemonSet", namespace, "falco", pod))
        self.rolled_out(namespace, "daemonset/falco")

    def stop_falco(self, namespace: str) -> Ledger:
        """Let a Falco make no further alert; return its whole ledger."""
        self.kubectl(f"exec -n {namespace} daemonset/falco -- touch /tmp/stop")
        self.node.wait_until(lambda: '"made"' in self._log(namespace), "Falco has stopped", 30)
        return self.ledger(namespace)

    def restart_falco(self, namespace: str) -> None:
        """Let a Falco that was stopped make alerts again, counted from nought, and the collector forget the others."""
        self.forget_records()
        self.kubectl(f"rollout restart -n {namespace} daemonset/falco")
        self.rolled_out(namespace, "daemonset/falco")

    def ledger(self, namespace: str) -> Ledger:
        """Return what a Falco has done with its alerts so far."""
        lines = [json.loads(line) for line in self._log(namespace).splitlines() if line.endswith("}")]
        alerts = [line for line in lines if "number" in line]
        return Ledger(
            frozenset(line["number"] for line in alerts if line["kept"]),
            {line["number"]: line["why"] for line in alerts if not line["kept"]},
        )

    def _log(self, namespace: str) -> str:
        return self.kubectl(f"logs -n {namespace} daemonset/falco --tail=-1")

    def collector_runs(self, runs: bool) -> None:
        """Start the collector, or end it and wait until it is gone."""
        self.kubectl(f"scale -n observability deployment/otel-collector --replicas={runs:d}")
        if runs:
            self.rolled_out("observability", "deployment/otel-collector")
        else:
            self.kubectl("wait -n observability --for=delete pod -l app=otel-collector --timeout=60s")

    def forget_records(self) -> None:
        """Empty the collector's file: the next Falco counts its alerts from nought again."""
        self.collector_runs(False)
        self.node.path(RECORDS).unlink(missing_ok=True)
        self.collector_runs(True)

    def records(self) -> list[dict[str, Any]]:
        """Return every log record that the collector has written: its attributes, its resource's before them."""
        if not self.node.exists(RECORDS):
            return []
        found = []
        for line in self.node.read(RECORDS).splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            for resource in json.loads(line)["resourceLogs"]:
                common = _attributes(resource["resource"])
                for scope in resource["scopeLogs"]:
                    found += [common | _attributes(record) for record in scope["logRecords"]]
        return found

    def delivered(self) -> Counter[int]:
        """Return how often each alert, by its number, has come to the collector."""
        found: Counter[int] = Counter()
        for record in self.records():
            found.update({int(number) for number in _NUMBER.findall(json.dumps(record))})
        return found

    def await_delivery(self, kept: Iterable[int], timeout_seconds: float = 120.0) -> Counter[int]:
        """Wait until every alert with one of these numbers has come; fail, saying which have not."""
        wanted = set(kept)
        assert wanted, "Falco handed nothing over"
        try:
            self.node.wait_until(lambda: wanted <= self.delivered().keys(), "all records", timeout_seconds)
        except AssertionError as error:
            absent = sorted(wanted - self.delivered().keys())
            raise AssertionError(f"{len(absent)} of {len(wanted)} were not delivered: {absent[:20]}") from error
        return self.delivered()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus; return the series of the answer with their ``value`` as a number."""
        asked = f"curl -sSG {PROMETHEUS_URL}/api/v1/query --data-urlencode query@-"
        answer = json.loads(self.node.run(asked, text=expression))
        return [each["metric"] | {"value": float(each["value"][1])} for each in answer["data"]["result"]]


_KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
_RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def falco_values(documented: str, namespace: str) -> dict[str, Any]:
    """Return what one of the chart's files gives for Falco's own chart.

    They name the namespace ``falco``; as the chart's README says, another one goes into the url.
    """
    text = (CHART / "falco-values" / documented).read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(
        text.replace("falco-report-exporter.falco:", f"falco-report-exporter.{namespace}:")
    )
    return found


def _falco_pod(
    files: Iterable[str], values: Mapping[str, Any], *, per_second: float, privileged: bool
) -> dict[str, Any]:
    """Return Falco's pod as its chart makes it: ``mounts`` are its volumes, FALCO_HOSTNAME is the node's name."""
    mounts = values.get("mounts") or _socket_mounts(values["falco"])
    container = {
        "name": "falco",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python", "/etc/falco/falco_standin.py"],
        "env": [
            {"name": "FALCO_HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "ALERTS_PER_SECOND", "value": str(per_second)},
        ],
        "securityContext": {"privileged": True, "runAsUser": 0} if privileged else _RESTRICTED,
        "volumeMounts": [
            *({"name": "settings", "mountPath": f"/etc/falco/{file}", "subPath": file} for file in files),
            {"name": "tmp", "mountPath": "/tmp"},
            *mounts.get("volumeMounts", []),
        ],
    }
    volumes = [
        {"name": "settings", "configMap": {"name": "falco"}},
        {"name": "tmp", "emptyDir": {}},
        *mounts.get("volumes", []),
    ]
    return {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 2}


def _socket_mounts(falco: Mapping[str, Any]) -> dict[str, Any]:
    """The socket's directory, which the chart for Falco 0.43 and older mounts by itself."""
    socket = falco.get("grpc", {}).get("bind_address", "").removeprefix("unix://")
    if not socket:
        return {}
    directory = str(Path(socket).parent)
    return {
        "volumes": [{"name": "grpc-socket-dir", "hostPath": {"path": directory, "type": "DirectoryOrCreate"}}],
        "volumeMounts": [{"name": "grpc-socket-dir", "mountPath": directory}],
    }


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values()), None) for each in holder.get("attributes", [])}


def _config_map(namespace: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def _workload(kind: str, namespace: str, name: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _deployment(
    name: str,
    image: str,
    arguments: list[str],
    *,
    env: Mapping[str, str] | None = None,
    volumes: Iterable[tuple[dict[str, Any], str]] = (),
) -> dict[str, Any]:
    settings = {"name": "settings", "configMap": {"name": "settings"}}
    mounted = [(settings, "/etc/settings"), *volumes]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "args": arguments,
        "command": ["/bin/program"],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "volumeMounts": [{"name": volume["name"], "mountPath": path} for volume, path in mounted],
    }
    pod = {
        "containers": [container],
        "volumes": [volume for volume, _ in mounted],
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
    }
    return _workload("Deployment", "observability", name, pod)


def _service(name: str, port: int, *, address: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "observability"},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}], **({"clusterIP": address} if address else {})},
    }
