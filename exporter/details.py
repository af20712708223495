"""The facts of an alert for a reader: each field's name, and its value as a person reads it.

Owns the table of names, by event source, and which numbers are times,
durations or devices. Refuses to escape and to leave anything out: a field
without a name of its own stands under Falco's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from exporter.alert import Alert
from exporter.derived import DERIVED, fd_label, to_duration

NAMES: tuple[tuple[str, str], ...] = (
    ("Process", "proc.name"),
    ("Executable", "proc.exepath"),
    ("Command line", "proc.cmdline"),
    ("Arguments", "proc.args"),
    ("Flags of the executable", "evt.arg.flags"),
    ("Working directory", "proc.cwd"),
    ("Process id", "proc.pid"),
    ("Process id in the container", "proc.vpid"),
    ("Executable changed", "proc.exe_ino.ctime"),
    ("Executable written", "proc.exe_ino.mtime"),
    ("Executable changed before its start", "proc.exe_ino.ctime_duration_proc_start"),
    ("Executable changed before the pid namespace", "proc.exe_ino.ctime_duration_pidns_start"),
    ("Parent process", "proc.pname"),
    ("Parent's executable", "proc.pexepath"),
    ("Parent's command line", "proc.pcmdline"),
    ("Grandparent", "proc.aname[2]"),
    ("Great-grandparent", "proc.aname[3]"),
    ("Session leader", "proc.sname"),
    ("User", "user.name"),
    ("User id", "user.uid"),
    ("Login user", "user.loginname"),
    ("Login id", "user.loginuid"),
    ("Group", "group.name"),
    ("Terminal", "proc.tty"),
    ("System call", "evt.type"),
    ("Result", "evt.res"),
    ("File", "fd.name"),
    ("Protocol", "fd.l4proto"),
    ("Remote address", "fd.rip"),
    ("Remote port", "fd.rport"),
    ("Local port", "fd.lport"),
    ("Container", "container.name"),
    ("Container id", "container.id"),
    ("Container started", "container.start_ts"),
    ("Image", "container.image.repository"),
    ("Image tag", "container.image.tag"),
    ("Image digest", "container.image.digest"),
    ("Namespace", "k8s.ns.name"),
    ("Pod", "k8s.pod.name"),
    # k8s_audit
    ("User", "ka.user.name"),
    ("Groups", "ka.user.groups"),
    ("Verb", "ka.verb"),
    ("Target", "ka.target.name"),
    ("Target resource", "ka.target.resource"),
    ("Target subresource", "ka.target.subresource"),
    ("Target namespace", "ka.target.namespace"),
    ("Source addresses", "ka.sourceips"),
    ("User agent", "ka.useragent"),
    ("Command", "ka.uri.param[command]"),
    ("Images", "ka.req.pod.containers.image"),
    ("Response code", "ka.response.code"),
    ("Decision", "ka.auth.decision"),
    ("Reason of the decision", "ka.auth.reason"),
    # aws_cloudtrail
    ("Event", "ct.name"),
    ("Service", "ct.src"),
    ("User", "ct.user"),
    ("User's ARN", "ct.user.arn"),
    ("Identity type", "ct.user.identitytype"),
    ("Account", "ct.user.accountid"),
    ("Source address", "ct.srcip"),
    ("Region", "ct.region"),
    ("User agent", "ct.useragent"),
    ("Error", "ct.error"),
    ("Error message", "ct.errormessage"),
    ("Bucket", "s3.bucket"),
    ("Key", "s3.key"),
    # gcp_auditlog
    ("Method", "gcp.methodName"),
    ("Service", "gcp.serviceName"),
    ("User", "gcp.user"),
    ("Source address", "gcp.callerIP"),
    ("Project", "gcp.projectId"),
    ("Location", "gcp.location"),
    ("Bucket", "gcp.storage.bucket"),
    ("User agent", "gcp.userAgent"),
    ("Policy changes", "gcp.policyDelta"),
    ("Request", "gcp.request"),
    # okta
    ("Event", "okta.evt.type"),
    ("Actor", "okta.actor.name"),
    ("Actor's login", "okta.actor.alternateid"),
    ("Target user", "okta.target.user.name"),
    ("Target group", "okta.target.group.name"),
    ("Source address", "okta.client.ip"),
    ("City", "okta.client.geo.city"),
    ("Country", "okta.client.geo.country"),
    ("User agent", "okta.useragent.raw"),
    ("Outcome", "okta.result"),
    ("Reason", "okta.reason"),
    # github
    ("Event", "github.type"),
    ("Action", "github.action"),
    ("User", "github.user"),
    ("Repository", "github.repo.name"),
    ("Repository's address", "github.repo.url"),
    ("Organization", "github.org"),
    ("Owner", "github.owner"),
    ("Collaborator", "github.collaborator.name"),
    ("Collaborator's role", "github.collaborator.role"),
)  # fmt: skip
"""What a reader calls a field, in the order of reading; the fields of one event source stand together."""

_RANKS = {field: rank for rank, (_, field) in enumerate(NAMES)}
_NANOSECONDS = 1_000_000_000
_TIME = re.compile(r"[cm]time\Z|(?:\A|[._])(?:start_)?ts\Z|\.pidns_init_start_ts\Z")
_DURATION = re.compile(r"duration|\Aproc\.pid\.time\Z|\.latency\Z")
_NOT_NANOSECONDS = re.compile(r"\.(?:human|s|ns)\Z")


def details(alert: Alert) -> tuple[tuple[str, str], ...]:
    """Return the alert's facts, label and value: the host, then named facts in order of reading, then the others."""
    named = []
    others = []
    for field in alert.all_fields():
        value = alert.get(field)
        if value is None or field == "evt.time":
            continue
        shown = readable(alert, field, value)
        rank = _RANKS.get(field)
        if rank is None:
            others.append((field, shown))
        else:
            named.append((rank, shown))
    if alert.has_no_login:
        named.append((_RANKS["user.loginuid"], "none: no login session is attached"))
    named.sort()
    others.sort()
    host = [("Host", alert.hostname)] if alert.hostname else []
    return (*host, *[(_label(rank, alert), value) for rank, value in named], *others)


def readable(alert: Alert, field: str, value: str) -> str:
    """Return the field's value as a person reads it, Falco's own beside it: times, durations and devices by name."""
    if reader := _READERS.get(field):
        return reader(alert, value)
    if not value.isascii() or not value.isdigit() or len(value) > 19 or _NOT_NANOSECONDS.search(field):
        return value
    if _DURATION.search(field):
        return f"{to_duration(int(value))} ({value} ns)"
    return _time(alert, int(value)) if _TIME.search(field) and len(value) == 19 else value


def _time(alert: Alert, time_ns: int) -> str:
    """A time with how long before the alert it was, since the difference is what tells something."""
    seconds, nanoseconds = divmod(time_ns, _NANOSECONDS)
    shown = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{nanoseconds // 1_000_000:03d} UTC"
    difference = alert.time_ns - time_ns
    return f"{shown}, {to_duration(abs(difference))} {'before' if difference >= 0 else 'after'} the alert ({time_ns})"


def _terminal(alert: Alert, value: str) -> str:
    name = DERIVED["alert.terminal"](alert)
    return f"{name} ({value})" if name else f"none ({value})" if value == "0" else value


_READERS: Mapping[str, Callable[[Alert, str], str]] = {"proc.tty": _terminal}


def _label(rank: int, alert: Alert) -> str:
    return fd_label(alert) if rank == _RANKS["fd.name"] else NAMES[rank][0]
