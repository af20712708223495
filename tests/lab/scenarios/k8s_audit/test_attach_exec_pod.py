"""Attach/Exec Pod: somebody opens a shell in a pod."""

from __future__ import annotations

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.node import Container
from tests.lab.story import Tell

RULE = "Attach/Exec Pod"


def test_mallory_opens_a_shell(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    mallory = cluster.laptop("mallory")
    # What was started by exec outlives it.
    mallory.run("kubectl exec -n shop web-1 -- sh -c 'sleep 4321 >/dev/null 2>&1 &'")
    node = cluster.node
    container = node.container_of("shop", "web-1")
    mallory.run("kubectl exec -n shop web-1 -- sh -c 'sleep 4322; true' >/dev/null 2>&1 &")
    node.wait_until(lambda: bool(node.pids_of(container, "^sleep 4322")), "the session runs", 30)
    event = cluster.audit_event(user="mallory", subresource="exec", stage="ResponseStarted")

    # The audit log is on a control plane's node, so the reader is root there.
    with tell(event=event, node=node, cluster=node) as report:
        report.look("Whose call was it", shows=["command=sh", "sleep+4321", '"mallory"', ",101,"])
        report.look("On which node is the pod", shows="node-1")
        state = lambda: states(cluster, container)  # noqa: E731
        running = state()
        frozen = {**running, **{line: "stopped" for line in running if "4322" in line}}
        report.contain("keep and freeze what the sessions run", state=state, becomes=frozen, shows="sleep 4321")
        kept = node.snapshot(f"/root/evidence/{report.uid}")
        assert len([name for name in kept if name.endswith(".exe")]) == 2, "the shell of the session and its sleep"
        # A process that somebody else has stopped, with the number of one that was frozen and has ended since.
        other = node.start("sleep", "4399")
        node.run(f"kill -STOP {other}")
        frozen_file = node.path(f"/root/evidence/{report.uid}/frozen")
        frozen_file.write_text(f"{frozen_file.read_text()}{other} Thu Jan  1 00:00:00 2026\n")
        report.undo(state=state, becomes=running)
        assert node.state(other) == "T", "a process that was not frozen goes on"
        node.run(f"kill -KILL {other}")
        report.contain(
            "Delete the pod",
            state=lambda: (exists(cluster), node.pids_of(container)),
            becomes=(False, []),
            seconds=60,
        )
        kept = node.snapshot(f"/root/evidence/{report.uid}")
        assert "name: web-1" in node.read(f"/root/evidence/{report.uid}/pod.yaml"), kept
        report.again("On which node", shows="NotFound")
        report.again("keep and freeze", hides="sleep")
        report.again("Delete the pod", shows="gone, or made again since")
        speaks = web_pod("web-1")
        speaks["spec"]["containers"][0]["command"] = ["sh", "-c", "echo another pod; sleep 86400"]
        cluster.laptop("bob").apply(speaks)
        cluster.await_pod("shop", "web-1")
        # Its successor of the same name, in which somebody works.
        cluster.laptop("bob").run("kubectl exec -n shop web-1 -- sh -c 'sleep 4323; true' >/dev/null 2>&1 &")
        successor = node.container_of("shop", "web-1")
        node.wait_until(lambda: bool(node.pids_of(successor, "^sleep 4323")), "honest work runs", 30)
        report.again("keep and freeze", shows="absent_or_younger")
        assert set(states(cluster, successor).values()) == {"runs"}, "sessions of the pod's successor were frozen"
        report.again("Delete the pod", shows="gone, or made again since")
        log = node.read(f"/root/evidence/{report.uid}/log")
        assert "another pod" not in log, "the log of another pod is among the evidence"
        node.run(f"rm -r /root/evidence/{report.uid}")
        report.again("Delete the pod", shows="gone, or made again since")
        assert exists(cluster), "another pod of this name was deleted"


def test_mallory_attaches(cluster: Cluster, tell: Tell) -> None:
    """An attached terminal is no process of its own; only the pod's end ends it."""
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    cluster.laptop("mallory").run("timeout 3 kubectl attach -n shop web-1 || true")
    event = cluster.audit_event(user="mallory", subresource="attach", stage="ResponseStarted")
    with tell(event=event, node=cluster.node, cluster=cluster.node) as report:
        report.looks(shows=["attach", "node-1"])
        report.contain("Delete the pod", state=lambda: exists(cluster), becomes=False, seconds=60)


def states(cluster: Cluster, container: Container) -> dict[str, str]:
    """Each process of the container, by its command line: whether it runs."""
    node = cluster.node
    found = {node.read(f"/proc/{pid}/cmdline").replace("\0", " "): pid for pid in node.pids_of(container)}
    return {line: "stopped" if node.state(pid) == "T" else "runs" for line, pid in found.items()}


def test_a_refused_exec_changes_nothing(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    assert "forbidden" in cluster.laptop("viewer").refused("kubectl exec -n shop web-1 -- id")
    event = cluster.audit_event(user="viewer", subresource="exec", code=403)

    report = tell(event=event, node=cluster.node, cluster=cluster.node)
    report.again("Whose call was it", shows=['"viewer"', ",403,"])


def exists(cluster: Cluster) -> bool:
    """Whether the pod is there."""
    return bool(cluster.laptop().get("pod", "-n", "shop", "web-1"))
