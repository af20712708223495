"""port-forward: somebody opens a tunnel into a pod."""

from __future__ import annotations

import pytest

from tests.lab.audit import Event
from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.scenarios.k8s_audit.test_deletions import may_change, may_change_soon
from tests.lab.story import Tell

RULE = "port-forward"
LOCAL = {"127.0.0.1": "TCP4-LISTEN:8080,bind=127.0.0.1,fork", "::1": "TCP6-LISTEN:8080,bind=[::1],fork"}


def tunnel(cluster: Cluster) -> None:
    """Open a tunnel as mallory, and hold a connection through it."""
    mallory = cluster.laptop("mallory")
    mallory.run("kubectl port-forward -n shop web-1 18080:8080 >pf.log 2>&1 & echo $! >pf")
    mallory.run("while ! grep -q Forwarding pf.log; do sleep 0.2; done")
    mallory.run("(sleep 300 | nc 127.0.0.1 18080) >/dev/null 2>&1 &")


def inside(cluster: Cluster) -> list[str]:
    """Connections to the program in the pod, seen from the pod."""
    node = cluster.node
    pid = node.container_of("shop", "web-1").pid
    found = node.run(f"nsenter -t {pid} -n ss -tnH state established sport = :8080 || true")
    return found.splitlines()


def started(cluster: Cluster) -> str:
    """When the kubelet began."""
    return cluster.node.run("systemctl show -p ExecMainStartTimestampMonotonic kubelet")


@pytest.mark.parametrize("address", LOCAL)
def test_a_tunnel_is_ended(cluster: Cluster, tell: Tell, address: str) -> None:
    cluster.namespace("shop")
    pod = web_pod("web-1")
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 8080, "name": "admin"}]
    cluster.laptop("bob").apply(pod)
    cluster.await_pod("shop", "web-1")
    node = cluster.node
    # The image has no server for both kinds of address; one in the pod's network stands for it.
    inner = str(node.container_of("shop", "web-1").pid)
    server = node.start("nsenter", "-t", inner, "-n", "socat", LOCAL[address], "EXEC:cat")
    tunnel(cluster)
    node.wait_until(lambda: inside(cluster), "a connection through the tunnel", 30)
    event = cluster.audit_event(user="mallory", subresource="portforward", stage="ResponseStarted")

    with tell(event=event, node=node, cluster=node) as report:
        report.look("Whose call was it", shows=['"mallory"', ",101,", "/portforward"])
        report.look("What can be reached", shows=["node-1", "8080", '"admin"', '"account": "default"'])
        # The second run, too, finds no connection: kubectl does not open the tunnel again by itself.
        report.contain("end the streams", state=lambda: inside(cluster), becomes=[], shows="active", seconds=60)
        assert address in node.read(f"/root/evidence/{report.uid}/sockets"), "what was open was not kept"
        assert node.container_of("shop", "web-1"), "the pod itself was ended"
        report.contain(
            "refuse all that this user changes",
            state=lambda: may_change(cluster, "mallory"), becomes=False, shows="denied request", seconds=60,
        )  # fmt: skip
        told = cluster.laptop("mallory").refused("timeout 20 kubectl port-forward -n shop web-1 18081:8080")
        assert "denied request" in told, "the next tunnel was not refused"
        report.undo(state=lambda: may_change_soon(cluster, "mallory"), becomes=True)

        node.run(f"kill {server}")
        cluster.laptop("bob").run("kubectl delete pod -n shop web-1 --now")
        node.wait_until(lambda: "web-1" not in node.run("crictl pods --state ready"), "the pod is gone", 30)
        report.again("What can be reached", shows="NotFound")
        before = started(cluster)
        report.again("end the streams", shows="no_such_pod_here", hides="active")
        assert started(cluster) == before, "the kubelet was restarted for a pod that is not there"


def test_a_tunnel_into_a_pod_that_was_made_again(cluster: Cluster, tell: Tell) -> None:
    """The tunnel has ended with its pod; what others do on the node must not end for a pod that had none."""
    node = cluster.node
    event = opened(cluster)
    cluster.laptop("bob").run("kubectl delete pod -n shop web-1 --now")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    before = started(cluster)
    report = tell(event=event, node=node, cluster=node)
    report.again("end the streams", shows="no_such_pod_here", hides="active")
    assert started(cluster) == before, "the sessions of the whole node were ended"
    assert not node.exists(f"/root/evidence/{report.uid}/sockets"), "another pod's connections are the evidence"


def test_the_connections_of_the_tunnel_outlive_its_end(cluster: Cluster, tell: Tell) -> None:
    """Whom it spoke to is nowhere else; the step is pasted once more, and the pod speaks to somebody else by then."""
    node = cluster.node
    event = opened(cluster)
    report = tell(event=event, node=node, cluster=node)
    inner = f"nsenter -t {node.container_of('shop', 'web-1').pid} -n"
    node.start(*inner.split(), "socat", "TCP4-LISTEN:9090,bind=127.0.0.1,fork", "EXEC:cat")
    talk = node.start(*inner.split(), "sh", "-c", "sleep 301 | nc.traditional 127.0.0.1 9090")
    look = f"{inner} ss -tnH state established sport = :9090 || true"
    node.wait_until(lambda: node.run(look), "somebody speaks to the pod", 30)
    report.again("end the streams", shows="active")
    node.run(f"pkill -P {talk}; kill {talk}; true")
    node.wait_until(lambda: not node.run(look), "they have ended", 30)
    report.again("end the streams", shows="active")
    assert ":9090" in node.read(f"/root/evidence/{report.uid}/sockets"), "whom it spoke to is lost"


def opened(cluster: Cluster) -> Event:
    """Open a tunnel into a pod for a moment."""
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    mallory = cluster.laptop("mallory")
    mallory.run("kubectl port-forward -n shop web-1 18080:8080 >pf.log 2>&1 & echo $! >pf")
    mallory.run("while ! grep -q Forwarding pf.log; do sleep 0.2; done; (sleep 1 | nc 127.0.0.1 18080) || true")
    event = cluster.audit_event(user="mallory", subresource="portforward", stage="ResponseStarted")
    mallory.run("kill $(cat pf) || true")
    return event


def test_a_refused_tunnel(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-2"))
    cluster.await_pod("shop", "web-2")
    cluster.laptop("viewer").refused("kubectl port-forward -n shop web-2 18080:8080")
    event = cluster.audit_event(user="viewer", subresource="portforward", code=403)
    report = tell(event=event, node=cluster.node, cluster=cluster.node)
    report.look("Whose call was it", shows=['"viewer"', ",403,"], hides=",101,")
