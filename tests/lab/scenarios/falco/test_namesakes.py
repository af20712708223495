"""What looks like the alert's own and is somebody else's: a container's server, a recorder, a session, an account.

Each of them is left alone by the step that changes what the alert is about.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.scenarios.falco.test_stopping import forward, shadow
from tests.lab.scenarios.falco.test_whose_process import still
from tests.lab.story import Tell

WEB = "Web Server Spawned Shell"
SHM = "Execution from /dev/shm"
TERMINAL = "Terminal shell in container"
LOGIN = "System user interactive"
USERS = "User mgmt binaries"
CRON = "Schedule Cron Jobs"
DRIFT = "Container Drift Detected (open+create)"
BACKDOOR = "Backdoored library loaded into SSHD (CVE-2024-3094)"
RULES = (WEB, SHM, TERMINAL, LOGIN, USERS, CRON, DRIFT, BACKDOOR)


def test_a_containers_web_server_of_the_same_user(node: Node, tell: Tell) -> None:
    """The images of web servers use the same user id as the host's packages."""
    inside, outside = Spot(node, node.start_container()), Spot(node)
    inside.write("/usr/sbin/nginx", "#!/bin/sh\n/bin/busybox sleep 4321 &\nwait\n", 0o755)
    node.run("cp /bin/bash /usr/sbin/nginx")
    other = inside.start("/usr/sbin/nginx")
    node.wait_until(lambda: node.run(f"pgrep -P {other} || true"), "the container's server has started something")
    helper = int(node.run(f"pgrep -P {other}"))
    server = node.start("nginx", "-c", "sleep 4322 & wait")
    node.wait_until(lambda: node.run(f"pgrep -P {server} || true"), "the server has started something")
    shell = int(node.run(f"pgrep -P {server}"))
    said = {"proc.cmdline": "sh", "proc.name": "sh", "proc.exepath": None, "proc.pname": "nginx", "user.uid": 0}
    report = tell(outside.fields() | said, rule=WEB, host=node)
    forward(report, "what the web server started")
    report.contain("what the web server started", state=lambda: still(node, shell), becomes=True, shows=f"{shell} T")
    assert not still(node, helper), "what a container's server had started was stopped"
    report.undo(state=lambda: still(node, shell), becomes=False)
    node.run(f"kill -KILL {server} {shell}; rm /usr/sbin/nginx")


def test_a_containers_recorder_writes_to_shared_memory(node: Node, tell: Tell) -> None:
    """It is the workload, and only names a file there."""
    spot = Spot(node, node.start_container())
    recorder = spot.start("sh", "-c", "sleep 4321; true", "-i", "-v", "/dev/shm/picture.jpg")
    spot.write("/dev/shm/x.sh", "sleep 4322; true\n")
    pid = spot.start("sh", "/dev/shm/x.sh")
    report = tell(spot.fields(pid), rule=SHM, host=node)
    forward(report, "Freeze what runs from there")
    report.contain("Freeze what runs", state=lambda: still(node, pid), becomes=True)
    assert node.state(recorder) == "S", "the workload was stopped"
    report.undo(state=lambda: still(node, pid), becomes=False)


def typed(node: Node, spot: Spot) -> int:
    """Open a terminal in the container, as `kubectl exec -it` does from another machine; return its shell."""
    container = spot.container
    assert container is not None
    before = node.pids_of(container, "^sh$")
    elsewhere = "mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts; mount --bind /dev/pts/ptmx /dev/ptmx"
    words = f"{elsewhere}; sleep 300 | script -qfc 'crictl exec -it {container.id} sh' /dev/null"
    node.run(f"unshare --mount sh -c {shlex.quote(words)} >/dev/null 2>&1 &")

    def new() -> list[int]:
        return [pid for pid in node.pids_of(container, "^sh$") if pid not in before and terminal(node, pid)]

    node.wait_until(new, "a shell on a terminal")
    return new()[0]


def terminal(node: Node, pid: int) -> int:
    """The number of a process's terminal, as Falco gives it."""
    return int(node.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[4])


def test_a_colleague_has_another_terminal(node: Node, tell: Tell) -> None:
    """Terminals of a container have numbers of its own: the node may have none of that number."""
    spot = Spot(node, node.start_container())
    colleague, intruder = typed(node, spot), typed(node, spot)
    fields = spot.fields(intruder) | {"proc.tty": terminal(node, intruder), "proc.pname": "containerd-shim"}
    assert terminal(node, colleague) != terminal(node, intruder)
    report = tell(fields, rule=TERMINAL, host=node)
    forward(report, "hang up")
    report.contain("keep evidence, then hang up", state=lambda: node.alive(intruder), becomes=False)
    assert node.alive(colleague), "a colleague was hung up on"


def test_a_colleagues_later_terminal_has_the_same_number(node: Node, tell: Tell) -> None:
    """The intruder of an hour ago has left, and its terminal's number is given out again."""
    spot = Spot(node, node.start_container())
    colleague = typed(node, spot)
    fields = spot.fields(colleague) | {"proc.tty": terminal(node, colleague), "proc.pname": "containerd-shim"}
    report = tell(fields, rule=TERMINAL, host=node, time_ns=time.time_ns() - 3600 * 10**9)
    report.again("keep evidence, then hang up", shows=f"{colleague}: a later session")
    assert node.alive(colleague), "a colleague was hung up on"


def told_of_a_login(host: Host, tell: Tell, uid: int) -> Any:
    """An alert of somebody who has become a service's account, from a login with this user id."""
    said: dict[str, Any] = {
        "proc.cmdline": "bash -i",
        "proc.exepath": "/usr/bin/bash",
        "proc.name": "bash",
        "proc.pname": "sudo",
    }
    said |= {"proc.tty": 34816, "user.loginuid": uid, "user.name": "www-data", "user.uid": 33, "container.id": "host"}
    report = tell(said, rule=LOGIN, host=host)
    forward(report, "lock the account")
    return report


def test_the_reader_whose_login_has_no_id(booted_host: Host, tell: Tell) -> None:
    """Without PAM's module nothing says whose login it is; what runs above the shell still does."""
    host = booted_host
    # As sudo from alice's login: hers stays above the reader's shell.
    host.starter = ["perl", "-e", "if (fork) { $> = $< = 1000; wait; exit $? >> 8 } exec @ARGV"]
    host.run("echo 'alice:correct horse' | chpasswd")
    before = shadow(host, "alice")
    report = told_of_a_login(host, tell, 1000)
    report.again("lock the account", shows="your own login")
    assert shadow(host, "alice") == before, "the reader was locked out"


def test_the_login_was_roots(booted_host: Host, tell: Tell) -> None:
    """Root's sessions end; the host's own jobs, which run as root, go on."""
    host = booted_host
    host.run("systemctl -q unmask systemd-logind; systemctl start dbus systemd-logind")
    host.run("(echo 0 > /proc/self/loginuid; exec setsid su -l root -c 'sleep 4321') </dev/null >/dev/null 2>&1 &")
    host.wait_until(lambda: host.run("loginctl list-sessions; pgrep -x sleep || true").count("root"), "a login")
    before = shadow(host, "root")
    report = told_of_a_login(host, tell, 0)
    runs = lambda: bool(host.run("pgrep -fx 'sleep 4321' || true"))  # noqa: E731
    report.contain("lock the account", state=runs, becomes=False, shows="root is not locked")
    assert shadow(host, "root") == before, "root was locked, and with it every job of the host"


def test_a_group_has_the_name_of_a_services_account(booted_host: Host, tell: Tell) -> None:
    """Its jobs would not start any more; it has no login that could be locked."""
    host = booted_host
    host.run("useradd -s /bin/bash eve; echo 'eve:correct horse' | chpasswd; usermod -aG www-data eve")
    alert = Spot(host).fields(host.start("tail", "-f", "/etc/passwd"))
    alert |= {"proc.cmdline": "usermod -aG www-data eve", "proc.name": "usermod", "user.loginuid": -1}
    service = shadow(host, "www-data")
    report = tell(alert, rule=USERS, host=host)
    forward(report, "lock the accounts")
    report.contain("lock the accounts", state=lambda: "!" in shadow(host, "eve"), becomes=True, shows="eve L")
    assert shadow(host, "www-data") == service, "a service's account has expired"
    report.undo(state=lambda: "!" in shadow(host, "eve"), becomes=False)
    assert shadow(host, "www-data") == service


def test_a_services_account_that_was_given_a_password(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("echo 'www-data:correct horse' | chpasswd")
    alert = Spot(host).fields(host.start("tail", "-f", "/etc/passwd"))
    report = tell(alert | {"proc.cmdline": "passwd www-data", "proc.name": "passwd"}, rule=USERS, host=host)
    forward(report, "lock the accounts")
    before = shadow(host, "www-data")
    report.contain("lock the accounts", state=lambda: "!" in shadow(host, "www-data"), becomes=True)
    report.undo(state=lambda: shadow(host, "www-data"), becomes=before)


@pytest.mark.parametrize("words", ["-u alice /tmp/x", "-ualice -", "-eu alice"])
def test_root_sets_somebody_elses_table(booted_host: Host, tell: Tell, words: str) -> None:
    host = booted_host
    host.write("/var/spool/cron/crontabs/root", "* * * * * /opt/backup\n", 0o600)
    host.write("/var/spool/cron/crontabs/alice", "* * * * * /opt/miner\n", 0o600)
    fields = Spot(host).fields(host.start("tail", "-f", "/etc/passwd"), user__name="root")
    report = tell(fields | {"proc.cmdline": f"crontab {words}", "proc.name": "crontab"}, rule=CRON, host=host)
    forward(report, "take it away")
    hers = lambda: host.run("crontab -u alice -l || true")  # noqa: E731
    report.contain("take it away", state=hers, becomes="")
    assert host.run("crontab -l") == "* * * * * /opt/backup\n", "another table was removed"
    report.undo(state=hers, becomes="* * * * * /opt/miner\n")
    assert host.run("crontab -l") == "* * * * * /opt/backup\n"


def test_a_name_that_leads_to_a_packages_program(booted_host: Host, tell: Tell) -> None:
    """Of `awk` and many others, packages own what the name leads to, and not the name."""
    host = booted_host
    spot = Spot(host)
    assert "awk" in host.run("readlink -f /usr/bin/awk")
    assert "no path found" in host.run("dpkg -S /usr/bin/awk 2>&1 || true")
    fields = spot.fields(spot.start("tail", "-f", "/etc/passwd"), evt__arg__name="/usr/bin/awk")
    tell(fields, rule=DRIFT, host=host).again("take it away", shows="kept, not moved")
    assert host.run("awk 'BEGIN {print 6*7}'").strip() == "42", "a program of the host's is gone"


OVER6 = ("2001:db8:99::1", "2001:db8:99::2")


def test_a_reader_over_ipv6_keeps_the_session(booted_host: Host, tell: Tell) -> None:
    """Neighbours are asked for over IPv6 itself; who may not ask is cut off within a minute."""
    host = booted_host
    far_address, own = OVER6
    host.environment["SSH_CONNECTION"] = f"{far_address} 50000 {own} 22"
    host.write("/usr/lib/x86_64-linux-gnu/liblzma.so.5.6.0", b"\xf3\x0f\x1e\xfa\x55")
    fields: dict[str, Any] = {
        "fd.name": "/usr/lib/x86_64-linux-gnu/liblzma.so.5.6.0",
        "proc.name": "sshd",
        "proc.pname": "systemd",
    }
    fields |= {"container.id": "host", "user.loginuid": -1, "proc.exepath": "/usr/sbin/sshd"}
    host.run("socat TCP6-LISTEN:22,fork,reuseaddr SYSTEM:'echo hello; cat' </dev/null >/dev/null 2>&1 &")
    with internet(host) as far:
        host.run(f"ip -6 addr add {own}/64 dev eth0 nodad")
        far.run(f"ip -6 addr add {far_address}/64 dev wan nodad")
        host.wait_until(lambda: ":22" in host.run("ss -Hltn"), "something listens on the port")

        def forget() -> None:
            host.run("ip -6 neigh flush all")
            far.run("ip -6 neigh flush all")

        def enters() -> bool:
            forget()
            said = far.run(f"socat -T 9 - TCP6:[{own}]:22,connect-timeout=5 </dev/null || true")
            return "hello" in said

        def leaves() -> bool:
            return "yes" in host.run(f"nc.traditional -z -w 2 {PEER} 4444 && echo yes || echo no")

        far.connect(own, 22)
        host.wait_until(lambda: far_address in host.run("ss -Htn state established"), "the reader's session")
        report = tell(fields, rule=BACKDOOR, host=host)
        forward(report, "Isolate this host")
        report.contain("Isolate this host", state=lambda: bool(host.run("nft list tables").strip()), becomes=True)
        assert enters(), "the reader was cut off"
        assert not leaves()
        report.undo(state=lambda: bool(host.run("nft list tables").strip()), becomes=False)
