"""A rule of the reader's own: the composed steps look at what the alert names, stop who acted, and bring all back."""

from __future__ import annotations

import hashlib
import shlex

import pytest

from tests.lab.hostile import file_names, words
from tests.lab.paste import Answer
from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Tell

RULE = "A rule of the reader's own"
JOB = "/etc/cron.d/x"


# Of a name with a line feed no pattern says that it acts: it is kept, and who acted is stopped.
NAMES = [pytest.param(p.values[0], id=str(p.id)) for p in file_names("/etc/cron.d") if "\n" not in str(p.values[0])]


@pytest.mark.parametrize("path", [JOB, *NAMES])
def test_a_file_that_acts_by_itself(spot: Spot, tell: Tell, path: str) -> None:
    spot.write(path, "* * * * * root touch /root/made\n")
    pid = spot.start("tail", "-f", "/etc/passwd")
    before = spot.snapshot(path)
    with tell(spot.fields(pid, fd__name=path), rule=RULE, source="syscall", host=spot.place) as report:
        report.looks(shows=["touch /root/made"], seconds=60)
        report.contain("Freeze", state=lambda: spot.place.state(pid), becomes="T")
        report.contain("take it away", state=lambda: spot.path(path).exists(), becomes=False, shows="No such file")
        report.undo(state=lambda: (spot.place.state(pid), spot.snapshot(path)), becomes=("S", before))
    assert not spot.place.exists("/root/owned")


def test_a_file_that_the_system_needs(spot: Spot, tell: Tell) -> None:
    pid = spot.start("tail", "-f", "/etc/passwd")
    before = spot.snapshot("/etc/passwd")
    with tell(spot.fields(pid, fd__name="/etc/passwd"), rule=RULE, source="syscall", host=spot.place) as report:
        report.looks(shows=["root:x:0:0"], seconds=60)
        assert "root:x:0:0" in (spot.evidence / report.uid / "file").read_text()
        report.contain("Freeze", state=lambda: spot.place.state(pid), becomes="T")
        assert spot.snapshot("/etc/passwd") == before
        report.undo(state=lambda: spot.place.state(pid), becomes="S")


def test_what_a_command_left(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    fields = {"proc.name": "crontab", "proc.cmdline": "crontab -u root x", "proc.exepath": "/usr/bin/crontab"}
    report = tell(fields | {"proc.pname": "bash"}, rule=RULE, source="syscall", host=host)
    host.write("/var/spool/cron/crontabs/root", "* * * * * id\n")
    report.looks(shows=["/var/spool/cron/crontabs/root"], seconds=60)


def test_a_host_without_any_field(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("logger -t sudo 'alice : COMMAND=/usr/bin/id'")
    report = tell({}, rule=RULE, source="syscall", host=host)
    report.look("Who was on the host", shows="COMMAND=/usr/bin/id")


def test_who_opened_a_port(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run("logger -t CRON '(root) CMD (/usr/bin/nc.traditional -l -p 4444)'")
    host.run("nc.traditional -l -p 4444 </dev/null >/dev/null 2>&1 &")
    host.wait_until(lambda: ":4444" in host.run("ss -Hltn"), "something listens on the port")
    fields = {"fd.name": "0.0.0.0:4444", "fd.type": "ipv4", "evt.type": "bind", "proc.name": "nc.traditional"}
    report = tell(fields, rule=RULE, source="syscall", host=host)
    report.looks(shows=[":4444", "CMD (/usr/bin/nc.traditional -l -p 4444)"], seconds=60)


def test_how_often_a_plugins_rule_matched(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run(f'systemd-run --wait --unit falco-lab -- echo "Warning {RULE} (user=admin)"')
    host.run('systemd-run --wait --unit falco-other -- echo "Warning Another rule (user=guest)"')
    report = tell({"keycloak.user.name": "admin"}, rule=RULE, source="keycloak", host=host)
    report.look("How often", shows="user=admin", hides="user=guest")


@pytest.mark.parametrize("rule", words("quotes", "substitution", "dash"))
def test_a_rules_name_that_is_a_command(booted_host: Host, tell: Tell, rule: str) -> None:
    booted_host.run(f"systemd-run --wait --unit falco-lab -- printf %s {shlex.quote(rule.replace('$', '$$'))}")
    report = tell({"keycloak.user.name": "admin"}, rule=rule, source="keycloak", host=booted_host)
    report.look("How often", shows=rule)
    assert not booted_host.exists("/root/owned")


SHADOW = "/etc/shadow"
SECRETS = [pytest.param(SHADOW, id="shadow")] + [
    pytest.param(f"{p.values[0]}.pem", id=str(p.id)) for p in file_names("/srv") if "\n" not in str(p.values[0])
]


@pytest.mark.parametrize("path", SECRETS)
def test_a_secret_is_described_and_not_shown(spot: Spot, tell: Tell, path: str) -> None:
    spot.write(path, "root:hunter2:20000::::::\n", 0o640)
    digest = hashlib.sha256(spot.path(path).read_bytes()).hexdigest()
    report = tell(spot.fields(fd__name=path), rule=RULE, source="syscall", host=spot.place)
    report.look("What is this file now?", shows=["-rw-r-----", "Change: 20", digest], hides="hunter2")
    assert not spot.place.exists("/root/owned")

    # A link is said to be one, and in a container it leads to no file of the host.
    spot.place.write("/etc/of_the_host", "secret of the host")
    spot.path(path).unlink()
    spot.path(path).symlink_to("/etc/of_the_host")
    ours = hashlib.sha256(b"secret of the host").hexdigest()
    if spot.container:
        report.again("What is this file now?", shows=["lrwxrwxrwx", "no_plain_file_of_the_container"], hides=ours)
    else:
        report.again("What is this file now?", shows=["lrwxrwxrwx", ours], hides="secret of")

    spot.path(path).unlink()
    report.again("What is this file now?", shows="No such file")


def test_whose_program_it_is(booted_host: Host, tell: Tell) -> None:
    host, changed = booted_host, "??5?????? "
    report = tell({"fd.name": "/usr/bin/tail"}, rule=RULE, source="syscall", host=host)
    digest = hashlib.sha256(host.path("/usr/bin/tail").read_bytes()).hexdigest()
    report.look("Whose file is it", shows=["ELF", "Change: 20", digest], hides=[changed, "/usr/bin/tail: no path"])
    with host.path("/usr/bin/tail").open("ab") as file:
        file.write(b"implant")
    report.again("Whose file is it", shows=changed, hides=digest)
    host.path("/usr/bin/tail").unlink()
    report.again("Whose file is it", shows="No such file")


@pytest.mark.parametrize("path", ["/opt/implant", *file_names("/opt")])
def test_a_program_of_no_package(booted_host: Host, tell: Tell, path: str) -> None:
    booted_host.write(path, b"\x7fELF\x1b]0;title\x07", 0o755)
    report = tell({"fd.name": path}, rule=RULE, source="syscall", host=booted_host)
    if any("Whose file" in step.title for step in report.steps):
        report.look("Whose file is it", shows=["^?ELF^[]0;title^G", "no path found"], hides="\x1b]0;title")
    assert not booted_host.exists("/root/owned")
    assert path != "/opt/implant" or report.at == 1


def test_what_a_container_is_doing(node: Node, tell: Tell) -> None:
    spot = Spot(node, node.start_container())
    other = Spot(node, node.start_container(["sleep", "4711"], pod="other"))
    spot.start("tail", "-f", "/etc/passwd")
    report = tell(spot.fields(), rule=RULE, source="syscall", host=node)
    report.look("What is it doing now?", shows=["tail -f /etc/passwd", "sleep 86400"], hides="sleep 4711")
    assert other.container
    node.remove_pods()
    report.again("What is it doing now?", hides=["tail -f", "sleep 4711"])


def test_what_a_container_had_is_kept(node: Node, tell: Tell) -> None:
    made = node.start_container(["sh", "-c", "echo 'GET /../../etc/shadow'; sleep 86400"])
    spot = Spot(node, made)
    spot.write("/tmp/-rf $(touch owned)", "dropped")
    spot.start("nc.traditional", "-l", "-p", "4444")
    report = tell(spot.fields(), rule=RULE, source="syscall", host=node)
    report.look("What is it doing now?", shows="nc.traditional -l -p 4444")
    while "Keep the container" not in report.steps[report.at].title:
        report.look(seconds=60)
    folder = f"/root/evidence/{report.uid}"

    def kept(_: Answer) -> dict[str, str]:
        found = node.snapshot(folder)
        assert ":4444" in node.read(f"{folder}/sockets")
        assert "GET /../../etc/shadow" in node.read(f"{folder}/log")
        assert "./tmp/-rf $(touch owned)" in node.run(f"tar -tzf {folder}/files.tgz")
        for pid in node.pids_of(made):
            assert node.path(f"{folder}/exe-{pid}").stat().st_size > 0
            assert "PATH=" in node.read(f"{folder}/environ-{pid}")
        return found

    report.keep("Keep the container's sockets", keeps=kept, seconds=60)
    assert not node.exists(f"{folder}/owned")
    assert not node.exists("/root/owned")
    node.remove_pods()
    before = node.snapshot(folder)
    report.again("Keep the container's sockets", shows="gone")
    assert node.snapshot(folder) == before, "what was kept was spoiled once the container was gone"


def test_a_containers_client_is_cut(node: Node, tell: Tell) -> None:
    spot = Spot(node, node.start_container())
    with internet(node):
        more = {"fd.name": f"{PEER}:51234->10.99.0.4:22", "fd.sip": "10.99.0.4", "evt.type": "accept4"}
        report = tell(spot.fields() | more, rule=RULE, source="syscall", host=node)
        while "Drop all packets" not in report.steps[report.at].title:
            report.looks(seconds=60)
        rules = lambda: "drop" in inside(spot, "nft list ruleset")  # noqa: E731
        before = inside(spot, "nft list ruleset")
        report.contain(f"from and to {PEER}", state=rules, becomes=True)
        assert "drop" not in node.run("nft list ruleset"), "the node itself was cut"
        report.verify("Does nothing pass?", held=["drop", PEER], not_held="No such file")
        report.undo(state=lambda: inside(spot, "nft list ruleset"), becomes=before)
        node.remove_pods()
        report.again("Drop all packets", shows="gone")
        report.again("Drop all packets", undo=True, hides="Error")


def inside(spot: Spot, command: str) -> str:
    """Run a command of the node in the container's network."""
    assert spot.container
    return spot.place.run(f"nsenter -t {spot.container.pid} -n {command}")


def test_who_connects_is_cut(host: Host, tell: Tell) -> None:
    with internet(host):
        fields = {
            "fd.name": f"{PEER}:51234->10.0.0.4:22",
            "fd.sip": "10.0.0.4",
            "evt.type": "accept4",
            "proc.name": "sshd",
        }
        report = tell(fields, rule=RULE, source="syscall", host=host)
        while "Drop all packets" not in report.steps[report.at].title:
            report.looks(seconds=60)
        report.contain(f"from and to {PEER}", state=lambda: "drop" in host.run("nft list ruleset"), becomes=True)
