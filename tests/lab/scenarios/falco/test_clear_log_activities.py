"""Clear Log Activities: somebody empties a log file."""

from __future__ import annotations

import pytest

from tests.lab.hostile import file_names
from tests.lab.kernel import ext4
from tests.lab.places.cluster import Cluster, web_pod
from tests.lab.places.host import Host
from tests.lab.places.node import Container, Node
from tests.lab.story import Tell

RULE = "Clear Log Activities"


def fields(file: str, **more: object) -> dict[str, object]:
    """What Falco says of root's shell that opens a log with O_TRUNC."""
    return {
        "container.id": "host",
        "evt.type": "openat",
        "fd.name": file,
        "proc.cmdline": "bash -c : > /var/log/auth.log",
        "proc.exepath": "/usr/bin/bash",
        "proc.name": "bash",
        "proc.pname": "sshd",
        "proc.tty": 34816,
        "user.loginuid": 1000,
        "user.name": "root",
        "user.uid": 0,
        **more,
    }


def test_root_empties_the_log_of_logins(booted_host: Host, tell: Tell) -> None:
    log = "/var/log/auth.log"
    with ext4(booted_host, "/var/log"):
        booted_host.run("logger -t sshd 'Accepted password for alice from 203.0.113.9'; journalctl --sync")
        booted_host.write(log, "Accepted password for alice from 203.0.113.9 port 50222\n")
        booted_host.run(f": > {log}")
        # As large as the highest user id makes it, and all of it holes.
        booted_host.run("truncate -s 500G /var/log/lastlog")

        with tell(fields(log), host=booted_host) as report:
            report.look("What is left of the log?", shows=["Size: 0", "Modify: "], status=0)
            report.look("What did it hide?", shows="Accepted password for alice")
            report.contain("let this one only grow", state=lambda: grows_only(booted_host, log), becomes=True)
            kept = booted_host.snapshot(f"/root/evidence/{report.uid}")
            assert any(name.endswith("log.tgz") for name in kept)
            booted_host.run(f"echo more >> {log}")
            report.undo(state=lambda: grows_only(booted_host, log), becomes=False)
            booted_host.run(f": > {log}")

            booted_host.path(log).unlink()
            report.again("What is left of the log?", shows="No such file or directory")
            report.again("let this one only grow", shows="No such file or directory")


def test_a_log_that_only_grew_before_keeps_its_flag(booted_host: Host, tell: Tell) -> None:
    log = "/var/log/secure"
    with ext4(booted_host, "/var/log"):
        booted_host.write(log, "")
        booted_host.run(f"chattr +a {log}")
        report = tell(fields(log), host=booted_host)
        report.again("let this one only grow", shows="set before")
        report.again("let this one only grow", undo=True)
        assert grows_only(booted_host, log)
        booted_host.run(f"chattr -a {log}")


def grows_only(host: Host, file: str) -> bool:
    """Whether a file can be appended to only."""
    return "a" in host.run(f"lsattr -d {file}").split()[0]


def test_a_pod_empties_its_own_log(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop().apply(web_pod("web-1"))
    cluster.await_pod("shop", "web-1")
    node = cluster.node
    container = node.container_of("shop", "web-1")
    node.in_container(container, "echo a line > /var/log/app.log; : > /var/log/app.log; echo tool > /tmp/x")
    pod = {"user.loginuid": -1, "proc.tty": 0, "proc.exepath": "/bin/busybox", **container.fields}

    with tell(fields("/var/log/app.log", **pod), node=node, cluster=cluster.laptop("viewer")) as report:
        report.look("What is left of the log?", shows="Size: 0")
        report.look("Which request came just before?", status=0)
        report.look("What else runs there?", shows="sleep 86400")
        report.contain("freeze the container", state=lambda: is_frozen(node, container), becomes=True, shows="frozen 1")
        assert f"/root/evidence/{report.uid}/files.tgz" in node.snapshot(f"/root/evidence/{report.uid}")
        report.undo(state=lambda: is_frozen(node, container), becomes=False)

        node.run(f"crictl stop -t 0 {container.id}; crictl rm -f {container.id} || true")
        report.again("What is left of the log?", shows="gone")


def is_frozen(node: Node, container: Container) -> bool:
    """Whether the kernel has stopped every process of a container."""
    group = node.run(f"sed -n 's/^0:://p' /proc/{container.pid}/cgroup").strip()
    return "frozen 1" in node.read(f"/sys/fs/cgroup/unified{group}/cgroup.events")


@pytest.mark.parametrize("file", file_names("/var/log"))
def test_a_hostile_name(host: Host, tell: Tell, file: str) -> None:
    host.write(file, "a line\n")
    host.write(file, "")

    with tell(fields(file, **{"proc.cmdline": f"sh -c {file}"}), host=host) as report:
        report.look("What is left of the log?", shows="Size: 0")
        report.everything()
    assert not host.exists("/root/owned")
    assert not host.exists("/owned")
