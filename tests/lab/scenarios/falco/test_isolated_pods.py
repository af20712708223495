"""A rule of the reader's own about a pod: it is cut off by a network policy, where something enforces such policies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.internet import internet
from tests.lab.places.node import Container, Node
from tests.lab.scenarios.falco.test_in_a_cluster import fields, labels, pod
from tests.lab.story import Story, Tell

RULE = "A rule of the reader's own"
ISOLATE = "Isolate the pod"
CHECK = "Is it cut off?"
CUT = """table inet plugin {
chain i { type filter hook input priority 0; policy drop; }
chain o { type filter hook output priority 0; policy drop; }
}
"""
"""What a network plugin loads into a pod's network that nothing may enter or leave."""


def outside(cluster: Cluster, container: Container) -> str:
    """The address that the pod knows of the API server."""
    words = cluster.node.read(f"/proc/{container.pid}/environ").split("\0")
    return next(word.partition("=")[2] for word in words if word.startswith("KUBERNETES_SERVICE_HOST="))


@pytest.fixture
def web(cluster: Cluster) -> Iterator[Container]:
    """A pod's container. The API server answers at its Service's address, which no proxy of the lab provides."""
    container = pod(cluster)
    address = outside(cluster, container)
    cluster.node.run(
        f"ip addr add {address}/32 dev lab0; socat TCP4-LISTEN:443,bind={address},fork,reuseaddr TCP4:10.98.0.1:6443 "
        "</dev/null >/dev/null 2>&1 & echo $! > /run/lab-proxy"
    )
    cluster.node.wait_until(lambda: f"{address}:443" in cluster.node.run("ss -Hltn"), "the Service's address answers")
    yield container
    cluster.node.run(f"kill $(cat /run/lab-proxy); ip addr del {address}/32 dev lab0")


def enforce(cluster: Cluster, name: str = "web-1") -> None:
    """Do for one pod what a network plugin does: let nothing pass where a policy without rules selects it."""
    admin = cluster.laptop()
    found = admin.get("pod", "-n", "shop", name)["metadata"]["labels"].items()
    policies = admin.get("networkpolicy", "-n", "shop")["items"]
    for policy in policies:
        assert not {"ingress", "egress"} & policy["spec"].keys(), "it lets something through"
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    chosen = [each for each in policies if each["spec"]["podSelector"]["matchLabels"].items() <= found]
    chains = CUT if chosen else ""
    pid = cluster.node.container_of("shop", name).pid
    cluster.node.run(
        f"nsenter -t {pid} -n nft -f -", text=f"table inet plugin {{}}\ndelete table inet plugin\n{chains}"
    )


def reaches(cluster: Cluster, container: Container) -> bool:
    """Whether the pod gets out, once the network plugin has seen to the policies."""
    enforce(cluster)
    script = f": < /dev/tcp/{outside(cluster, container)}/443"
    return "yes" in cluster.node.run(
        f"nsenter -t {container.pid} -n timeout 2 bash -c '{script}' 2>/dev/null && echo yes || echo no"
    )


def begin(tell: Tell, cluster: Cluster, container: Container, kind: str = "container") -> Story:
    """The story of an alert about a port that was opened, or about the container."""
    more = {"fd__name": "0.0.0.0:4444", "fd__type": "ipv4", "evt__type": "listen"} if kind == "listener" else {}
    alert = fields(container, **more)
    return tell(alert, rule=RULE, source="syscall", node=cluster.node, cluster=cluster.node)


@pytest.mark.parametrize("kind", ["listener", "container"])
def test_a_pod_is_cut_off(cluster: Cluster, web: Container, tell: Tell, kind: str) -> None:
    cluster.laptop("bob").apply(web_pod("web-2"))
    cluster.await_pod("shop", "web-2")
    before = labels(cluster)
    with begin(tell, cluster, web, kind) as report:
        report.looks(seconds=60)
        report.contain("Freeze", state=lambda: cluster.node.state(web.pid), becomes="T")
        report.contain(ISOLATE, state=lambda: reaches(cluster, web), becomes=False, seconds=60)
        assert labels(cluster) == before | {f"falco-{report.uid}": "isolated"}
        report.verify(CHECK, held="CLOSED", hides="OPEN", not_held="OPEN", seconds=60)
        enforce(cluster, "web-2")
        other = cluster.node.container_of("shop", "web-2").pid
        assert "drop" not in cluster.node.run(f"nsenter -t {other} -n nft list ruleset"), "another pod was cut off"
        state = lambda: (cluster.node.state(web.pid), labels(cluster), reaches(cluster, web))  # noqa: E731
        report.undo(state=state, becomes=("S", before, True), seconds=60)
    assert cluster.laptop().get("networkpolicy", "-n", "shop")["items"] == []


def test_the_pod_is_gone(cluster: Cluster, web: Container, tell: Tell) -> None:
    report = begin(tell, cluster, web)
    cluster.laptop("bob").run("kubectl delete pod web-1 -n shop --now", 60)
    report.again(ISOLATE, shows="gone, or made again since")
    report.again(ISOLATE, undo=True, shows="NotFound")
    report.again(CHECK, shows="gone", hides=["OPEN", "CLOSED"])


def with_address(node: Node, address: str) -> Container:
    """Start a container to which the API server has this address."""
    return node.start_container(["env", f"KUBERNETES_SERVICE_HOST={address}", "sleep", "86400"])


def test_the_check_knows_what_is_open(node: Node, tell: Tell) -> None:
    """Nothing enforces the policy at first; then all is dropped."""
    with internet(node):
        node.run("ip addr add 10.96.0.1/32 dev lo")
        node.run("socat TCP4-LISTEN:443,bind=10.96.0.1,fork,reuseaddr EXEC:true </dev/null >/dev/null 2>&1 &")
        node.wait_until(lambda: "10.96.0.1:443" in node.run("ss -Hltn"), "the Service's address answers")
        made = with_address(node, "10.96.0.1")
        report = tell(fields(made), rule=RULE, source="syscall", node=node)
        report.again(CHECK, shows="OPEN", hides="CLOSED")
        node.run(f"nsenter -t {made.pid} -n nft -f -", text=CUT)
        report.again(CHECK, shows="CLOSED", hides="OPEN")
        node.remove_pods()
        report.again(CHECK, shows="gone", hides=["OPEN", "CLOSED"])


@pytest.mark.parametrize("address", ["", 'x"; touch owned; echo "', "$(touch owned)"])
def test_an_address_that_the_container_chose(node: Node, tell: Tell, address: str) -> None:
    report = tell(fields(with_address(node, address)), rule=RULE, source="syscall", node=node)
    report.again(CHECK, shows="CLOSED" if address else "unknown", hides=["OPEN"] if address else ["OPEN", "CLOSED"])
    assert not node.exists("/root/owned")
    assert not node.exists("/owned")
