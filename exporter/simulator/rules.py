"""The rules that the simulator plays: names, priorities, tags and output formats of Falco's official rules.

Owns how a rule's output format becomes the line and the fields, as Falco fills
it. Conditions are not here: nothing is detected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.alert import Priority
from exporter.simulator.alerts import SimulatedAlert

_TOKEN = re.compile(r"%([a-z0-9_]+(?:\.[A-Za-z0-9_]+)+(?:\[[^\]]*\])?)")
_PROCESS = (
    "evt_type=%evt.type user=%user.name user_uid=%user.uid user_loginuid=%user.loginuid process=%proc.name "
    "proc_exepath=%proc.exepath parent=%proc.pname command=%proc.cmdline terminal=%proc.tty"
)
_EXEC = _PROCESS + " exe_flags=%evt.arg.flags"
_ANCESTORS = "gparent=%proc.aname[2] ggparent=%proc.aname[3] gggparent=%proc.aname[4] "
_CONNECTION = "connection=%fd.name lport=%fd.lport rport=%fd.rport fd_type=%fd.type fd_proto=%fd.l4proto "
_CONTAINER = (
    " container_id=%container.id container_name=%container.name "
    "container_image_repository=%container.image.repository container_image_tag=%container.image.tag "
    "k8s_pod_name=%k8s.pod.name k8s_ns_name=%k8s.ns.name"
)
"""What Falco's container plugin (0.41 and later) appends to every syscall rule's output."""


@dataclass(frozen=True)
class Rule:
    """One rule as far as its alerts show it."""

    name: str
    priority: Priority
    tags: tuple[str, ...]
    output: str
    source: str = "syscall"

    def fill(self, values: Mapping[str, str], *, time_ns: int, hostname: str) -> SimulatedAlert:
        """Make an alert; a field of the format that has no value is ``<NA>``, as in Falco."""
        output = self.output + (_CONTAINER if self.source == "syscall" else "")
        fields = {name: values.get(name, "<NA>") for name in _TOKEN.findall(output)}
        message = _TOKEN.sub(lambda match: fields[match.group(1)], output)
        return SimulatedAlert(time_ns, self.name, self.priority, self.source, hostname, message, fields, self.tags)


def _stable(name: str, priority: Priority, tags: str, output: str) -> Rule:
    return Rule(name, priority, ("maturity_stable", *tags.split()), output)


_WARNING, _NOTICE, _CRITICAL = Priority.WARNING, Priority.NOTICE, Priority.CRITICAL

SYSCALL_RULES = (
    _stable(
        "Directory traversal monitored file read",
        _WARNING,
        "host container filesystem mitre_credential_access T1555",
        "Read monitored file via directory traversal | file=%fd.name fileraw=%fd.nameraw " + _ANCESTORS + _PROCESS,
    ),
    _stable(
        "Read sensitive file trusted after startup",
        _WARNING,
        "host container filesystem mitre_credential_access T1555",
        "Sensitive file opened for reading by trusted program after startup | file=%fd.name pcmdline=%proc.pcmdline "
        + _ANCESTORS
        + _PROCESS,
    ),
    _stable(
        "Read sensitive file untrusted",
        _WARNING,
        "host container filesystem mitre_credential_access T1555",
        "Sensitive file opened for reading by non-trusted program | file=%fd.name " + _ANCESTORS + _PROCESS,
    ),
    _stable(
        "Run shell untrusted",
        _NOTICE,
        "host container process shell mitre_execution T1059.004",
        "Shell spawned by untrusted binary | parent_exe=%proc.pexe parent_exepath=%proc.pexepath "
        "pcmdline=%proc.pcmdline gparent=%proc.aname[2] ggparent=%proc.aname[3] aname[4]=%proc.aname[4] "
        "aname[5]=%proc.aname[5] aname[6]=%proc.aname[6] aname[7]=%proc.aname[7] " + _EXEC,
    ),
    _stable(
        "System user interactive",
        Priority.INFORMATIONAL,
        "host container users mitre_execution T1059 NIST_800-53_AC-2",
        "System user ran an interactive command | " + _EXEC,
    ),
    _stable(
        "Terminal shell in container",
        _NOTICE,
        "container shell mitre_execution T1059",
        "A shell was spawned in a container with an attached terminal | " + _EXEC,
    ),
    _stable(
        "Contact K8S API Server From Container",
        _NOTICE,
        "container network k8s mitre_discovery T1565",
        "Unexpected connection to K8s API Server from container | " + _CONNECTION + _PROCESS,
    ),
    _stable(
        "Netcat Remote Code Execution in Container",
        _WARNING,
        "container network process mitre_execution T1059",
        "Netcat runs inside container that allows remote code execution | " + _EXEC,
    ),
    _stable(
        "Search Private Keys or Passwords",
        _WARNING,
        "host container process filesystem mitre_credential_access T1552.001",
        "Grep private keys or passwords activities found | " + _EXEC,
    ),
    _stable(
        "Clear Log Activities",
        _WARNING,
        "host container filesystem mitre_defense_evasion T1070 NIST_800-53_AU-10",
        "Log files were tampered | file=%fd.name " + _PROCESS,
    ),
    _stable(
        "Remove Bulk Data from Disk",
        _WARNING,
        "host container process filesystem mitre_impact T1485",
        "Bulk data has been removed from disk | file=%fd.name " + _EXEC,
    ),
    _stable(
        "Create Symlink Over Sensitive Files",
        _WARNING,
        "host container filesystem mitre_credential_access T1555",
        "Symlinks created over sensitive files | target=%evt.arg.target linkpath=%evt.arg.linkpath " + _PROCESS,
    ),
    _stable(
        "Packet socket created in container",
        _NOTICE,
        "container network mitre_credential_access T1557.002",
        "Packet socket was created in a container | socket_info=%evt.args " + _CONNECTION + _PROCESS,
    ),
    _stable(
        "Redirect STDOUT/STDIN to Network Connection in Container",
        _NOTICE,
        "container network process mitre_execution T1059",
        "Redirect stdout/stdin to network connection | " + _ANCESTORS + "fd.sip=%fd.sip " + _CONNECTION + _PROCESS,
    ),
    _stable(
        "Linux Kernel Module Injection Detected",
        _WARNING,
        "host container process mitre_persistence TA0003",
        "Linux Kernel Module injection from container | parent_exepath=%proc.pexepath gparent=%proc.aname[2] "
        "gexepath=%proc.aexepath[2] module=%proc.args res=%evt.res " + _PROCESS,
    ),
    _stable(
        "Debugfs Launched in Privileged Container",
        _WARNING,
        "container cis process mitre_privilege_escalation T1611",
        "Debugfs launched started in a privileged container | " + _EXEC,
    ),
    _stable(
        "Detect release_agent File Container Escapes",
        _CRITICAL,
        "container process mitre_privilege_escalation T1611",
        "Detect an attempt to exploit a container escape using release_agent file | file=%fd.name "
        "cap_effective=%thread.cap_effective " + _PROCESS,
    ),
    _stable(
        "PTRACE attached to process",
        _WARNING,
        "host container process mitre_privilege_escalation T1055.008",
        "Detected ptrace PTRACE_ATTACH attempt | proc_pcmdline=%proc.pcmdline " + _PROCESS,
    ),
    _stable(
        "PTRACE anti-debug attempt",
        _NOTICE,
        "host container process mitre_defense_evasion T1622",
        "Detected potential PTRACE_TRACEME anti-debug attempt | proc_pcmdline=%proc.pcmdline " + _PROCESS,
    ),
    _stable(
        "Find AWS Credentials",
        _WARNING,
        "host container process aws mitre_credential_access T1552",
        "Detected AWS credentials search activity | proc_pcmdline=%proc.pcmdline proc_cwd=%proc.cwd "
        "group_gid=%group.gid group_name=%group.name user_loginname=%user.loginname " + _EXEC,
    ),
    _stable(
        "Execution from /dev/shm",
        _WARNING,
        "host container mitre_execution T1059.004",
        "File execution detected from /dev/shm | evt_res=%evt.res file=%fd.name proc_cwd=%proc.cwd "
        "proc_pcmdline=%proc.pcmdline user_loginname=%user.loginname group_gid=%group.gid group_name=%group.name "
        + _EXEC,
    ),
    _stable(
        "Drop and execute new binary in container",
        _CRITICAL,
        "container process mitre_persistence TA0003 PCI_DSS_11.5.1",
        "Executing binary not part of base image | proc_exe=%proc.exe proc_sname=%proc.sname gparent=%proc.aname[2] "
        "proc_exe_ino_ctime=%proc.exe_ino.ctime proc_exe_ino_mtime=%proc.exe_ino.mtime "
        "proc_exe_ino_ctime_duration_proc_start=%proc.exe_ino.ctime_duration_proc_start proc_cwd=%proc.cwd "
        "container_start_ts=%container.start_ts " + _EXEC,
    ),
    _stable(
        "Disallowed SSH Connection Non Standard Port",
        _NOTICE,
        "host container network process mitre_execution T1059",
        "Disallowed SSH Connection | " + _CONNECTION + _PROCESS,
    ),
    _stable(
        "Fileless execution via memfd_create",
        _CRITICAL,
        "host container process mitre_defense_evasion T1620",
        "Fileless execution via memfd_create | container_start_ts=%container.start_ts proc_cwd=%proc.cwd "
        "evt_res=%evt.res proc_sname=%proc.sname gparent=%proc.aname[2] " + _EXEC,
    ),
    Rule(
        "Launch Package Management Process in Container",
        Priority.ERROR,
        ("maturity_incubating", "container", "process", "software_mgmt", "mitre_persistence", "T1505"),
        "Package management process launched in container | " + _EXEC,
    ),
)

_GITHUB = (
    "(repository_name=%github.repo.name repository_url=%github.repo.url repo_owner=%github.owner "
    "org=%github.org user=%github.user)"
)
_GCP = (
    "user=%gcp.user userIP=%gcp.callerIP userAgent=%gcp.userAgent  authorizationInfo=%gcp.authorizationInfo  "
    "rawRequest=%gcp.request"
)

PLUGIN_RULES = (
    Rule(
        "Create Privileged Pod",
        _WARNING,
        ("k8s",),
        "Pod started with privileged container (user=%ka.user.name pod=%ka.resp.name resource=%ka.target.resource "
        "ns=%ka.target.namespace images=%ka.req.pod.containers.image init_images=%ka.req.pod.initContainers.image "
        "ephemeral_images=%ka.req.pod.ephemeralContainers.image)",
        "k8s_audit",
    ),
    Rule(
        "Attach/Exec Pod",
        _NOTICE,
        ("k8s",),
        "Attach/Exec to pod (user=%ka.user.name pod=%ka.target.name resource=%ka.target.resource "
        "ns=%ka.target.namespace action=%ka.target.subresource command=%ka.uri.param[command])",
        "k8s_audit",
    ),
    Rule(
        "K8s Secret Get Successfully",
        Priority.ERROR,
        ("k8s",),
        "K8s Secret Get Successfully (user=%ka.user.name secret=%ka.target.name ns=%ka.target.namespace "
        "resource=%ka.target.resource resp=%ka.response.code decision=%ka.auth.decision reason=%ka.auth.reason)",
        "k8s_audit",
    ),
    Rule(
        "Attach to cluster-admin Role",
        _WARNING,
        ("k8s",),
        "Cluster Role Binding to cluster-admin role (user=%ka.user.name subject=%ka.req.binding.subjects)",
        "k8s_audit",
    ),
    Rule(
        "Console Root Login Without MFA",
        _CRITICAL,
        ("cloud", "aws", "aws_console", "aws_iam"),
        "Detected a root console login without MFA. (requesting user=%ct.user, requesting IP=%ct.srcip, "
        "AWS region=%ct.region)",
        "aws_cloudtrail",
    ),
    Rule(
        "CloudTrail Logging Disabled",
        _WARNING,
        ("cloud", "aws", "aws_cloudtrail"),
        "The CloudTrail logging has been disabled. (requesting user=%ct.user, requesting IP=%ct.srcip, "
        "AWS region=%ct.region, resource name=%ct.request.name)",
        "aws_cloudtrail",
    ),
    Rule(
        "Delete Bucket Public Access Block",
        _CRITICAL,
        ("cloud", "aws", "aws_s3"),
        "A public access block for a bucket has been deleted (requesting user=%ct.user, requesting IP=%ct.srcip, "
        "AWS region=%ct.region, bucket=%s3.bucket)",
        "aws_cloudtrail",
    ),
    Rule(
        "GCP IAM service account key created",
        _NOTICE,
        ("GCP", "IAM", "abuse-elevation-control-mechanism"),
        "project=%gcp.projectId A GCP service account key was created by " + _GCP + "\n",
        "gcp_auditlog",
    ),
    Rule(
        "removing all MFA factor from user in OKTA",
        _NOTICE,
        ("okta",),
        "A user has removed all MFA factor in the OKTA account (user=%okta.actor.name, ip=%okta.client.ip)",
        "okta",
    ),
    Rule(
        "Private Repository Becoming Public",
        _CRITICAL,
        ("github",),
        "A repository went from private to public " + _GITHUB,
        "github",
    ),
)

CUSTOM_RULE = Rule(
    "Payroll export outside office hours",
    Priority.ALERT,
    ("company_policy",),
    "Payroll export was run outside office hours | file=%fd.name " + _PROCESS,
)
"""A rule that only its operator knows."""
HOSTILE_RULE = Rule(
    "Suspicious file name",
    Priority.EMERGENCY,
    ("container", "filesystem"),
    "A file with a suspicious name was written | file=%fd.name " + _PROCESS,
)
RULES = {rule.name: rule for rule in (*SYSCALL_RULES, *PLUGIN_RULES, CUSTOM_RULE, HOSTILE_RULE)}
