"""Mode receive in a cluster: Falco posts over mutual TLS from another pod, into a namespace that enforces *restricted*.

Release, Falco's values and certificates are those that the chart's README names.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.chart.site import VALUES as COMMON
from tests.lab.chart.site import Site
from tests.lab.places.services import volume

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
TOKEN = "Bearer 5f1c0d2e9b7a4c36"
FALCO = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "falco"}}}]
OBSERVABILITY = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]
LAME_DUCK_SECONDS = 15
"""Longer than by default, so that a busy machine sees it."""
VALUES: dict[str, Any] = {
    **COMMON,
    "receiver": {"tls": {"mode": "generate", "falcoNamespace": "falco"}},
    "envSecrets": ["otel-headers"],
    "lameDuckSeconds": LAME_DUCK_SECONDS,
    "config": {"metrics": {"extra_labels": ["k8s.pod.name"]}},
    "networkPolicy": {
        "enabled": True,
        "fromFalco": FALCO,
        "fromPrometheus": OBSERVABILITY,
        "toCollector": OBSERVABILITY,
    },
}
STATEFUL_SET = "statefulset/falco-report-exporter"


@pytest.fixture(scope="module")
def installed(site: Site) -> Iterator[Site]:
    """The chart installed, and a Falco that posts twenty alerts a second."""
    site.forget_records()
    site.cluster.namespace("falco", "pod-security.kubernetes.io/enforce=restricted")
    for number in (0, 1):
        volume(site.cluster, f"falco/state-falco-report-exporter-{number}", mebibytes=32)
    secret = f"--from-literal=OTEL_EXPORTER_OTLP_HEADERS='authorization={TOKEN}'"
    site.kubectl(f"create secret generic otel-headers -n falco {secret}")
    site.helm("install falco-report-exporter /root/chart --namespace falco", values=VALUES)
    site.rolled_out("falco", STATEFUL_SET)
    site.start_falco("falco", "receive-mtls.yaml", per_second=20)
    yield site
    site.uninstall("falco")


def test_alerts_arrive_as_metrics_and_records_with_their_node_and_pod(installed: Site) -> None:
    """What Falco posts is a record in the collector and a count in Prometheus, both with the node and the pod."""
    site = installed
    site.node.wait_until(lambda: len(site.ledger("falco").kept) > 30, "Falco has posted", 60)
    site.await_delivery(site.ledger("falco").kept)
    found = next(record for record in site.records() if "-000004-" in json.dumps(record))
    assert found["host.name"] == "node-1"
    assert (found["k8s.namespace.name"], found["k8s.pod.name"]) == ("blog", "blog-1")
    assert found["service.instance.id"] in {"falco-report-exporter-0", "falco-report-exporter-1"}
    counted = 'sum by (hostname, k8s_ns_name, k8s_pod_name) (falco_events_total{k8s_pod_name="blog-1"})'
    site.node.wait_until(lambda: site.query(counted), "Prometheus has scraped it", 60)
    [series] = site.query(counted)
    assert (series["hostname"], series["k8s_ns_name"]) == ("node-1", "blog")
    assert series["value"] >= 1


def test_helm_test_passes_and_fails_without_a_collector(installed: Site) -> None:
    """``helm test`` succeeds on the release as it is, and says what is wrong where the collector does not answer."""
    command = "test falco-report-exporter --namespace falco --timeout 120s"
    said = installed.helm(command)
    assert "Phase:          Succeeded" in said
    installed.collector_runs(False)
    with pytest.raises(AssertionError, match="falco-report-exporter-test"):
        installed.helm(command)
    said = installed.kubectl("logs -n falco falco-report-exporter-test -c check")
    assert "FAIL OTLP http://otel-collector.observability:4317" in said
    assert said.count("FAIL") == 1
    installed.collector_runs(True)


def test_nothing_secret_stands_in_pods_or_settings(installed: Site) -> None:
    """Neither the collector's token nor a private key is in what anybody with view rights may read."""
    read = installed.kubectl("get pod,statefulset,configmap,service,event -n falco -o json")
    assert '"otel-headers"' in read
    for hidden in (TOKEN, TOKEN.split()[1], base64.b64encode(TOKEN.encode()).decode(), "PRIVATE KEY"):
        assert hidden not in read
    assert "no" in installed.node.run(
        "kubectl --kubeconfig /etc/kubernetes/admin.conf auth can-i list pods -n falco "
        "--as system:serviceaccount:falco:falco-report-exporter || true"
    )


def test_the_namespace_enforces_restricted_and_the_policy_is_stored(installed: Site) -> None:
    """A pod that the standard forbids is refused there, the chart's were not; the API server took the NetworkPolicy."""
    refused = installed.admin.refused("kubectl run root -n falco --image=x --privileged --dry-run=server")
    assert 'violates PodSecurity "restricted' in refused
    [policy] = json.loads(installed.kubectl("get networkpolicy -n falco -o json"))["items"]
    named = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    pod = json.loads(installed.kubectl("get pod falco-report-exporter-0 -n falco -o json"))
    [container] = pod["spec"]["containers"]
    assert named == {port["name"] for port in container["ports"]}
    everything = installed.kubectl("get events -n falco -o custom-columns=R:.reason,M:.message")
    assert "violates" not in everything


def test_an_ending_pod_takes_posts_until_senders_know(installed: Site) -> None:
    """Told to end, it says that it is not ready, and its port stays open: not every node's Service knows at once."""
    site = installed
    pod = "falco-report-exporter-0"
    address = site.kubectl(f"get pod -n falco {pod} -o jsonpath={{.status.podIP}}").strip()
    site.kubectl(f"delete pod -n falco {pod} --wait=false")
    asked = f"curl -s -m 5 -o /dev/null -w '%{{http_code}}' http://{address}:19376/readiness || true"
    site.node.wait_until(lambda: site.node.run(asked).strip() == "503", "the pod is not ready any more", 60)
    time.sleep(1)
    site.node.run(f"timeout 5 bash -c '</dev/tcp/{address}/2801'")
    site.rolled_out("falco", STATEFUL_SET)


def test_what_was_acknowledged_is_delivered(installed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Rolling update, deleted pod, full volume, a collector that is away for a minute: nothing acknowledged is lost."""
    site = installed
    lines: list[str] = []
    found: dict[str, dict[int, str]] = {}
    for name, disturb in (
        ("rolling update", rolling_update),
        ("a deleted pod", deleted_pod),
        ("collector away, killed pods", away_and_killed),
        ("collector still away, full volumes", full_volumes),
    ):
        before = site.ledger("falco")
        disturb(site)
        after = site.ledger("falco")
        lost = {number: why for number, why in after.lost.items() if number not in before.lost}
        found[name] = lost
        lines.append(f"{name}: {len(after.kept) - len(before.kept)} acknowledged, {len(lost)} lost by Falco {lost}")
    site.collector_runs(True)
    ledger = site.stop_falco("falco")
    delivered = site.await_delivery(ledger.kept)
    twice = sum(count - 1 for number, count in delivered.items() if number in ledger.kept)
    lines.append(f"in all: {len(ledger.kept)} acknowledged and delivered ({twice} duplicates), {len(ledger.lost)} lost")
    with capsys.disabled():
        print("", *lines, sep="\n  ")
    site.restart_falco("falco")  # what other tests ask for needs one that posts, and their order is random
    # Two replicas: one answers while the other ends in order. What a killed pod had not answered is lost.
    assert not any(lost for name, lost in found.items() if "killed" not in name), found


def rolling_update(site: Site) -> None:
    site.kubectl(f"rollout restart -n falco {STATEFUL_SET}")
    site.rolled_out("falco", STATEFUL_SET)


def deleted_pod(site: Site) -> None:
    site.kubectl("delete pod -n falco falco-report-exporter-0")
    site.rolled_out("falco", STATEFUL_SET)


def away_and_killed(site: Site) -> None:
    """Both pods, one after the other: the one that Falco posts to is among them. What they hold is on their volumes."""
    site.collector_runs(False)
    await_acknowledged(site, 100)
    for number in (0, 1):
        site.kubectl(f"delete pod -n falco falco-report-exporter-{number} --grace-period=0 --force")
        site.rolled_out("falco", STATEFUL_SET)


def full_volumes(site: Site) -> None:
    ballast = [f"/srv/volumes/falco-state-falco-report-exporter-{number}/ballast" for number in (0, 1)]
    for file in ballast:
        site.node.run(f"dd if=/dev/zero of={file} bs=4k 2>&1 | grep 'No space left'")
    # With those before, the alerts of a minute.
    await_acknowledged(site, 1000)
    site.node.run(f"rm {' '.join(ballast)}")


def await_acknowledged(site: Site, more: int) -> None:
    """Wait until Falco has been answered for so many more alerts."""
    wanted = len(site.ledger("falco").kept) + more
    site.node.wait_until(lambda: len(site.ledger("falco").kept) >= wanted, f"{wanted} alerts answered", 400)
