"""A rule of the reader's own: the composed steps look at what the alert names, stop who acted, and bring all back."""

from __future__ import annotations

import pytest

from tests.lab.hostile import file_names
from tests.lab.places.host import Host
from tests.lab.places.internet import PEER, internet
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
    report.again("Who was on the host", shows="COMMAND=/usr/bin/id")


def test_how_often_a_plugins_rule_matched(booted_host: Host, tell: Tell) -> None:
    host = booted_host
    host.run(f'systemd-run --wait --unit falco-lab -- echo "Warning {RULE} (user=admin)"')
    report = tell({"keycloak.user.name": "admin"}, rule=RULE, source="keycloak", host=host)
    report.again("How often", shows="user=admin")


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
