"""What is known of each of Falco's event sources: where its events happen, and what its fields are called.

Owns the one table: what a source is called, who acted (``render/header.py``),
what tells one case from its neighbours (``catalog/exception.py``), a field's
name for a reader (``details.py``) and its OpenTelemetry attribute
(``sinks/otel/encode/attributes.py``, semantic conventions 1.44); dashboards
and generated pages read it, too. A new source is added here. One that the table does not name
is a plugin's, whose events come from elsewhere: the machine that Falco runs on
is not what they are about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Field(NamedTuple):
    """One output field."""

    name: str
    """Falco's own, e.g. ``proc.name``."""
    label: str
    """What a reader calls it; empty where it stands under Falco's name."""
    attribute: str = ""
    """The OpenTelemetry attribute that has its value as it is; empty where there is none, or it is worked out."""
    kind: type = str
    """The attribute's type: ``str``, or ``int`` for a decimal number."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """One event source."""

    title: str = ""
    """What a reader calls it."""
    on_falcos_host: bool = False
    """Whether its events happen on the machine that Falco runs on, so that the alert's hostname is theirs."""
    attributes: tuple[tuple[str, str], ...] = ()
    """OpenTelemetry attributes that every alert of it has."""
    principals: tuple[str, ...] = ()
    """Fields that name who acted, the most telling first."""
    case: tuple[str, ...] = ()
    """Fields that tell one case from its neighbours, for an exception of a rule that has no entry."""
    fields: tuple[Field, ...] = ()
    """Its fields in the order of reading."""


FALCOS_HOST = "Falco's host"

EVENT_SOURCES: Mapping[str, EventSource] = {
    "syscall": EventSource(
        title="System calls",
        on_falcos_host=True,
        case=("proc.exepath", "proc.cmdline", "proc.pname", "user.name", "fd.name", "evt.type",
              "container.image.repository", "k8s.ns.name"),
        fields=(
            Field("proc.name", "Process", "process.executable.name"),
            Field("proc.exepath", "Executable", "process.executable.path"),
            Field("proc.cmdline", "Command line", "process.command_line"),
            Field("proc.args", "Arguments"),
            Field("evt.arg.flags", "Flags of the executable"),
            Field("proc.cwd", "Working directory", "process.working_directory"),
            Field("proc.pid", "Process id", "process.pid", int),
            Field("proc.vpid", "Process id in the container", "process.vpid", int),
            Field("proc.exe_ino.ctime", "Executable changed"),
            Field("proc.exe_ino.mtime", "Executable written"),
            Field("proc.exe_ino.ctime_duration_proc_start", "Executable changed before its start"),
            Field("proc.exe_ino.ctime_duration_pidns_start", "Executable changed before the pid namespace"),
            Field("proc.pname", "Parent process"),
            Field("proc.pexepath", "Parent's executable"),
            Field("proc.pcmdline", "Parent's command line"),
            Field("proc.aname[2]", "Grandparent"),
            Field("proc.aname[3]", "Great-grandparent"),
            Field("proc.sname", "Session leader"),
            Field("user.name", "User", "user.name"),
            Field("user.uid", "User id", "user.id"),
            Field("user.loginname", "Login user"),
            Field("user.loginuid", "Login id"),
            Field("group.name", "Group"),
            Field("proc.tty", "Terminal"),
            Field("evt.type", "System call"),
            Field("evt.res", "Result"),
            Field("fd.name", "File"),
            Field("fd.l4proto", "Protocol"),
            Field("fd.rip", "Remote address", "network.peer.address"),
            Field("fd.rport", "Remote port", "network.peer.port", int),
            Field("fd.lport", "Local port", "network.local.port", int),
            Field("container.name", "Container", "container.name"),
            Field("container.id", "Container id", "container.id"),
            Field("container.start_ts", "Container started"),
            Field("container.image.repository", "Image", "container.image.name"),
            Field("container.image.tag", "Image tag"),
            Field("container.image.digest", "Image digest"),
            Field("k8s.ns.name", "Namespace", "k8s.namespace.name"),
            Field("k8s.pod.name", "Pod", "k8s.pod.name"),
            Field("container.image.id", "", "container.image.id"),
            Field("container.type", "", "container.runtime.name"),
            Field("k8s.pod.uid", "", "k8s.pod.uid"),
            Field("k8s.pod.ip", "", "k8s.pod.ip"),
            Field("k8s.deployment.name", "", "k8s.deployment.name"),
            Field("k8s.rs.name", "", "k8s.replicaset.name"),
            Field("fd.directory", "", "file.directory"),
            Field("fd.filename", "", "file.name"),
            Field("fd.lip", "", "network.local.address"),
            Field("fd.cip", "", "client.address"),
            Field("fd.sip", "", "server.address"),
            Field("proc.ppid", "", "process.parent_pid", int),
            Field("proc.sid", "", "process.session_leader.pid", int),
            Field("thread.tid", "", "thread.id", int),
            Field("fd.cport", "", "client.port", int),
            Field("fd.sport", "", "server.port", int),
        ),
    ),
    "k8s_audit": EventSource(
        title="Kubernetes audit log",
        principals=("ka.user.name",),
        case=("ka.user.name", "ka.verb", "ka.target.resource", "ka.target.subresource", "ka.target.namespace",
              "ka.target.name", "ka.req.pod.containers.image", "ka.req.binding.role"),
        fields=(
            Field("ka.user.name", "User", "user.name"),
            Field("ka.user.groups", "Groups"),
            Field("ka.verb", "Verb"),
            Field("ka.target.name", "Target"),
            Field("ka.target.resource", "Target resource"),
            Field("ka.target.subresource", "Target subresource"),
            Field("ka.target.namespace", "Target namespace", "k8s.namespace.name"),
            Field("ka.sourceips", "Source addresses"),
            Field("ka.useragent", "User agent", "user_agent.original"),
            Field("ka.uri.param[command]", "Command"),
            Field("ka.req.pod.containers.image", "Images"),
            Field("ka.response.code", "Response code", "http.response.status_code", int),
            Field("ka.auth.decision", "Decision"),
            Field("ka.auth.reason", "Reason of the decision"),
            Field("ka.cluster.name", "", "k8s.cluster.name"),
            Field("ka.target.pod.name", "", "k8s.pod.name"),
            Field("ka.uri", "", "url.original"),
        ),
    ),
    "aws_cloudtrail": EventSource(
        title="AWS CloudTrail",
        attributes=(("cloud.provider", "aws"),),
        principals=("ct.user.arn", "ct.user"),
        case=("ct.name", "ct.user", "ct.user.arn", "ct.user.accountid", "ct.srcip", "ct.region", "ct.request.name",
              "ct.request.username", "ct.request.functionname", "ct.request.groupname", "ct.request.cluster",
              "ct.request.taskdefinition", "s3.bucket"),
        fields=(
            Field("ct.name", "Event"),
            Field("ct.src", "Service"),
            Field("ct.user", "User", "user.name"),
            Field("ct.user.arn", "User's ARN"),
            Field("ct.user.identitytype", "Identity type"),
            Field("ct.user.accountid", "Account", "cloud.account.id"),
            Field("ct.srcip", "Source address", "client.address"),
            Field("ct.region", "Region", "cloud.region"),
            Field("ct.useragent", "User agent", "user_agent.original"),
            Field("ct.error", "Error", "error.type"),
            Field("ct.errormessage", "Error message", "error.message"),
            Field("s3.bucket", "Bucket", "aws.s3.bucket"),
            Field("s3.key", "Key", "aws.s3.key"),
            Field("ct.user.principalid", "", "user.id"),
            Field("ct.requestid", "", "aws.request_id"),
        ),
    ),
    "gcp_auditlog": EventSource(
        title="Google Cloud audit log",
        attributes=(("cloud.provider", "gcp"),),
        principals=("gcp.user",),
        case=("gcp.user", "gcp.methodName", "gcp.serviceName", "gcp.projectId", "gcp.callerIP",
              "gcp.storage.bucket", "gcp.cloudfunctions.function", "gcp.cloudsql.databaseId"),
        fields=(
            Field("gcp.methodName", "Method"),
            Field("gcp.serviceName", "Service"),
            Field("gcp.user", "User", "user.email"),
            Field("gcp.callerIP", "Source address", "client.address"),
            Field("gcp.projectId", "Project", "cloud.account.id"),
            Field("gcp.location", "Location", "cloud.region"),
            Field("gcp.storage.bucket", "Bucket"),
            Field("gcp.userAgent", "User agent", "user_agent.original"),
            Field("gcp.policyDelta", "Policy changes"),
            Field("gcp.request", "Request"),
        ),
    ),
    "okta": EventSource(
        title="Okta",
        principals=("okta.actor.alternateid", "okta.actor.name"),
        case=("okta.evt.type", "okta.actor.name", "okta.target.user.name", "okta.target.group.name",
              "okta.target.app.alternateid", "okta.client.ip"),
        fields=(
            Field("okta.evt.type", "Event"),
            Field("okta.actor.name", "Actor", "user.name"),
            Field("okta.actor.alternateid", "Actor's login", "user.email"),
            Field("okta.target.user.name", "Target user"),
            Field("okta.target.group.name", "Target group"),
            Field("okta.client.ip", "Source address", "client.address"),
            Field("okta.client.geo.city", "City", "geo.locality.name"),
            Field("okta.client.geo.country", "Country"),
            Field("okta.useragent.raw", "User agent", "user_agent.original"),
            Field("okta.result", "Outcome"),
            Field("okta.reason", "Reason"),
            Field("okta.actor.id", "", "user.id"),
            Field("okta.client.geo.postalcode", "", "geo.postal_code"),
        ),
    ),
    "github": EventSource(
        title="GitHub",
        attributes=(("vcs.provider.name", "github"),),
        principals=("github.user",),
        case=("github.type", "github.action", "github.user", "github.repo.name", "github.org",
              "github.collaborator.name", "github.workflow.filename"),
        fields=(
            Field("github.type", "Event"),
            Field("github.action", "Action"),
            Field("github.user", "User", "user.name"),
            Field("github.repo.name", "Repository", "vcs.repository.name"),
            Field("github.repo.url", "Repository's address", "vcs.repository.url.full"),
            Field("github.org", "Organization"),
            Field("github.owner", "Owner", "vcs.owner.name"),
            Field("github.collaborator.name", "Collaborator"),
            Field("github.collaborator.role", "Collaborator's role"),
        ),
    ),
    "internal": EventSource(title="Falco itself", on_falcos_host=True),
}  # fmt: skip
_ELSEWHERE = EventSource()


def event_source(name: str) -> EventSource:
    """Return what is known of a source."""
    return EVENT_SOURCES.get(name, _ELSEWHERE)


def host_label(source: str) -> str:
    """Return what a reader calls the alert's hostname: Falco's own machine, where the event did not happen on it."""
    return "Host" if event_source(source).on_falcos_host else FALCOS_HOST


def fields() -> Iterator[Field]:
    """Yield every field of every source, in the order of reading."""
    for source in EVENT_SOURCES.values():
        yield from source.fields
