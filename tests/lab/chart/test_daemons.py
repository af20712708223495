"""Modes file and socket in a cluster: a DaemonSet beside Falco on each node, in a *privileged* namespace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.chart.site import VALUES as COMMON
from tests.lab.chart.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
DAEMON_SET = "daemonset/falco-report-exporter"


def values(mode: str) -> dict[str, Any]:
    return {
        **COMMON,
        "mode": mode,
        # Each mode of this test begins with none of the other's state.
        "persistence": {"hostDirectory": f"/var/lib/falco-report-exporter-{mode}"},
    }


def install(site: Site, mode: str) -> str:
    namespace = f"falco-{mode}"
    site.forget_records()
    site.cluster.namespace(namespace, "pod-security.kubernetes.io/enforce=privileged")
    site.start_falco(namespace, f"{mode}.yaml", per_second=20, privileged=True)
    site.helm(f"install falco-report-exporter /root/chart --namespace {namespace}", values=values(mode))
    site.rolled_out(namespace, DAEMON_SET)
    return namespace


@pytest.mark.parametrize("mode", ["file", "socket"])
def test_nothing_is_lost_while_the_exporter_is_replaced(site: Site, mode: str) -> None:
    """An update and a deleted pod lose no alert: those that Falco makes meanwhile wait in its file, or in Falco."""
    namespace = install(site, mode)
    seen = len(site.ledger(namespace).kept)
    site.await_delivery(site.ledger(namespace).kept)
    assert "Succeeded" in site.helm(f"test falco-report-exporter --namespace {namespace} --timeout 120s")
    site.kubectl(f"rollout restart -n {namespace} {DAEMON_SET}")
    site.rolled_out(namespace, DAEMON_SET)
    # A file also keeps what an exporter has read that had no time to end in order, as where a node's memory runs out.
    force = "--grace-period=0 --force" if mode == "file" else ""
    site.kubectl(f"delete pod -n {namespace} -l app.kubernetes.io/name=falco-report-exporter {force}")
    site.rolled_out(namespace, DAEMON_SET)
    ledger = site.stop_falco(namespace)
    site.await_delivery(ledger.kept)
    assert not ledger.lost
    assert len(ledger.kept) > seen
    found = site.records()[-1]
    assert (found["host.name"], found["k8s.pod.name"][:5]) == ("node-1", "blog-")
    site.uninstall(namespace)
