"""Attach/Exec Pod: somebody opens a shell in a pod."""

from __future__ import annotations

import time

from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.node import Container
from tests.lab.story import Story, Tell

RULE = "Attach/Exec Pod"
FREEZE = "keep and freeze what the sessions run"


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
        report.contain(FREEZE, state=state, becomes=frozen, shows="sleep 4321")
        kept = node.snapshot(f"/root/evidence/{report.uid}")
        assert len([name for name in kept if name.endswith(".exe")]) == 2, "the shell of the session and its sleep"
        # A process that somebody else has stopped, with the number of one that was frozen and has ended since.
        other = node.start("sleep", "4399")
        node.run(f"kill -STOP {other}")
        stopped = node.path(f"/root/evidence/{report.uid}/stopped")
        stopped.write_text(f"{stopped.read_text()}{other} 1\n")
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


def session(cluster: Cluster, tell: Tell, command: str, runs: str) -> tuple[Story, Container]:
    """Open a session in a pod, wait until a process of it matches, and tell of it, up to what freezes it."""
    cluster.namespace("shop")
    cluster.laptop("bob").apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    cluster.laptop("mallory").run(f"kubectl exec -n shop web-1 -- sh -c '{command}' >/dev/null 2>&1 &")
    node = cluster.node
    container = node.container_of("shop", "web-1")
    node.wait_until(lambda: bool(node.pids_of(container, runs)), "the session runs", 30)
    event = cluster.audit_event(user="mallory", subresource="exec", stage="ResponseStarted")
    return tell(event=event, node=node, cluster=node), container


def test_sessions_go_on_where_the_clock_was_set_meanwhile(cluster: Cluster, tell: Tell) -> None:
    """As after a machine's snapshot: an honest session must not stand still for good."""
    report, container = session(cluster, tell, "sleep 4322; true", "^sleep 4322")
    node, running = cluster.node, states(cluster, container)
    report.again(FREEZE)
    assert sorted(states(cluster, container).values()) == ["runs", "stopped", "stopped"]
    node.run("sed 's/^btime .*/btime 1000000000/' /proc/stat > /root/stat; mount --bind /root/stat /proc/stat")
    try:
        report.again(FREEZE, undo=True)
    finally:
        node.run("umount /proc/stat; rm /root/stat")
    assert states(cluster, container) == running


def test_no_session_is_frozen_that_could_not_be_written_down(cluster: Cluster, tell: Tell) -> None:
    """The node's disk is full, or read-only: the undo would never find it."""
    report, container = session(cluster, tell, "sleep 4322; true", "^sleep 4322")
    cluster.node.run("mkdir -p /root/evidence; mount -t tmpfs -o ro tmpfs /root/evidence")
    try:
        report.again(FREEZE, shows="Read-only file system")
    finally:
        cluster.node.run("umount /root/evidence")
    assert set(states(cluster, container).values()) == {"runs"}, "it stands still, and no undo knows"


def test_a_session_that_starts_programs_all_the_time(cluster: Cluster, tell: Tell) -> None:
    """What it has started after the step looked goes on otherwise."""
    starts = "n=5000; while [ $n -lt 5300 ]; do n=$((n+1)); sleep $n & sleep 0.03; done; wait"
    report, container = session(cluster, tell, starts, "^sleep 5020")
    report.again(FREEZE)
    time.sleep(2)
    running = [line for line, state in states(cluster, container).items() if state == "runs" and "5" in line]
    assert not running, "the session goes on"


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
