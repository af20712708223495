"""The chart before this one is upgraded to this one while Falco posts: volumes, certificates and alerts stay.

``previous.tgz`` is the chart of the last release without its dashboards; a release puts its own there.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.chart.site import VALUES as COMMON
from tests.lab.chart.site import Site, falco_values
from tests.lab.places.services import volume

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
NAMESPACE = "falco-reports"
FALCO = "falco-upgrade"
"""Falco's own namespace, as where it is privileged and the exporter's enforces *restricted*."""
STATEFUL_SET = "statefulset/falco-report-exporter"
VALUES = {
    **COMMON,
    "receiver": {"tls": {"mode": "generate", "falcoNamespace": FALCO}},
    "networkPolicy": {"enabled": True},
}


def test_an_upgrade_keeps_volumes_certificates_and_alerts(site: Site) -> None:
    """With the collector away during the upgrade, what the old pods acknowledged comes out of the new ones."""
    site.forget_records()
    site.cluster.namespace(NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    site.cluster.namespace(FALCO, "pod-security.kubernetes.io/enforce=privileged")
    for number in (0, 1):
        volume(site.cluster, f"{NAMESPACE}/state-falco-report-exporter-{number}", mebibytes=32)
    site.node.write("/root/previous.tgz", (Path(__file__).parent / "previous.tgz").read_bytes())
    site.helm(f"install falco-report-exporter /root/previous.tgz --namespace {NAMESPACE}", values=VALUES)
    site.rolled_out(NAMESPACE, STATEFUL_SET)
    before = kept_objects(site)
    falco = falco_values("receive-mtls.yaml", NAMESPACE)
    # A connection for each alert, as Falco's own default is, meets every moment at which a pod ends.
    falco["falco"]["http_output"]["keep_alive"] = False
    site.start_falco_with(FALCO, falco, per_second=20)
    site.collector_runs(False)
    waiting = len(site.ledger(FALCO).kept)
    site.helm(f"upgrade falco-report-exporter /root/chart --namespace {NAMESPACE}", values=VALUES)
    site.rolled_out(NAMESPACE, STATEFUL_SET)
    assert kept_objects(site) == before
    site.collector_runs(True)
    ledger = site.stop_falco(FALCO)
    assert len(ledger.kept) > waiting
    site.await_delivery(ledger.kept)
    assert not ledger.lost
    pods = json.loads(site.kubectl(f"get pod -n {NAMESPACE} -l app.kubernetes.io/name=falco-report-exporter -o json"))
    assert len(pods["items"]) == 2
    site.uninstall(NAMESPACE)
    assert not json.loads(site.kubectl(f"get secret -n {FALCO} -o json"))["items"]
    site.kubectl(f"delete namespace {FALCO} --timeout=120s", 130)


def kept_objects(site: Site) -> dict[str, str]:
    """What an upgrade must leave alone: the claims, and the content of the generated certificates."""
    mine = []
    for namespace, kinds in ((NAMESPACE, "persistentvolumeclaim,secret"), (FALCO, "secret")):
        found = json.loads(site.kubectl(f"get {kinds} -n {namespace} -o json"))["items"]
        mine += [each for each in found if each.get("type") != "helm.sh/release.v1"]
    assert Counter(each["kind"] for each in mine) == {"PersistentVolumeClaim": 2, "Secret": 2}
    return {each["metadata"]["name"]: each["metadata"]["uid"] + json.dumps(each.get("data")) for each in mine}
