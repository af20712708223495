"""What follows from an alert's fields: where it happened, who acted, what a number stands for.

Owns the fields named ``alert.…``, each a pure function of the alert, for
sentences, commands and signs alike. Refuses to judge (``verdict``) and to
advise (``catalog``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from exporter.alert import Alert
from exporter.escaping import Unembeddable, regular_expression
from exporter.first_of import FirstOf
from exporter.prose import Lookup

_NANOSECONDS = 1_000_000_000
_WINDOW_SECONDS = 600
_CONNECTION = re.compile(r"(?P<client>.+):(?P<client_port>\d+)->(?P<server>.+):(?P<server_port>\d+)\Z")
_SOCKETS = frozenset({"ipv4", "ipv6"})
_FD_LABELS: Mapping[str, str] = {
    "file": "File", "directory": "Directory", "ipv4": "Connection", "ipv6": "Connection", "unix": "Unix socket",
    "pipe": "Pipe", "event": "Event descriptor", "signalfd": "Signal descriptor", "eventpoll": "Epoll descriptor",
    "inotify": "Inotify descriptor", "timerfd": "Timer descriptor", "netlink": "Netlink socket", "bpf": "BPF object",
    "userfaultfd": "Userfaultfd descriptor", "io_uring": "io_uring descriptor", "memfd": "Memory file",
    "pidfd": "Process descriptor",
}  # fmt: skip
"""``fd.type`` to what a reader calls it."""
_PRINCIPALS = ("ka.user.name", "ct.user", "ct.user.arn", "gcp.user", "okta.actor.name", "github.user")
_DEPLOYMENT = re.compile(r".+-[a-z0-9]{6,10}-[a-z0-9]{5}\Z")
_STATEFULSET = re.compile(r".+-\d+\Z")
_PTS_MAJORS = range(136, 144)
_WRITABLE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/")  # noqa: S108 - looked for, not written to
_COMPARED = 1_200
"""So many characters of the arguments tell a process."""


def lookup_of(alert: Alert, *, uid: str | None = None) -> Lookup:
    """Return what gives a field of the alert, ``alert.…`` included; None where it is absent. Each is found once.

    ``uid`` is given as ``alert.uid`` instead of the alert's own.
    """
    values = _Values(alert)
    if uid is not None:
        values["alert.uid"] = uid
    return values.__getitem__


class _Values(dict[str, str | None]):
    __slots__ = ("_alert", "_fields")

    def __init__(self, alert: Alert) -> None:
        super().__init__()
        self._alert = alert
        self._fields = alert.all_fields()

    def __missing__(self, field: str) -> str | None:
        if field.startswith("alert."):
            reader = DERIVED.get(field)
            value = (reader(self._alert) or None) if reader else None
        else:
            value = self._alert.get(field) if field in self._fields or field.startswith("evt.") else None
        self[field] = value
        return value


def fd_label(alert: Alert) -> str:
    """Return what ``fd.name`` names, e.g. ``File``, ``Connection``; ``fd.type`` decides, then the name's form."""
    kind = alert.get("fd.type")
    if kind is not None:
        return _FD_LABELS.get(kind, "Descriptor")
    name = alert.get("fd.name") or ""
    return "Connection" if _CONNECTION.match(name) else "File"


def is_connection(alert: Alert) -> bool:
    """Whether the alert is about an IP connection or socket: ``fd.type`` decides, then the form of ``fd.name``."""
    kind = alert.get("fd.type")
    if kind is not None:
        return kind in _SOCKETS
    return bool(_CONNECTION.match(alert.get("fd.name") or "")) or any(
        alert.get(field) for field in ("fd.sip", "fd.rip", "fd.cip")
    )


def is_listener(alert: Alert) -> bool:
    """Whether the alert is about a port that waits for connections."""
    name = alert.get("fd.name") or ""
    return alert.get("evt.type") in {"listen", "bind"} and "->" not in name and is_connection(alert)


def is_file(alert: Alert) -> bool:
    """Whether the alert is about a path: ``fd.type`` decides, then a leading slash."""
    return _file(alert) is not None


_FILES = ("evt.arg.newpath", "evt.arg.linkpath", "evt.arg.path", "evt.arg.name", "evt.arg.filename")


def _file(alert: Alert) -> str | None:
    """The path that the alert is about: of a descriptor, of a call on a path, or among a call's arguments."""
    is_named = alert.get("fd.type") in {None, "file", "directory"}
    for field in ("fd.name", "fs.path.name", *_FILES) if is_named else _FILES:
        if (value := alert.get(field)) and value.startswith("/"):
            return value
    return None


def _peer(alert: Alert) -> str | None:
    """The other end's address: what Falco calls remote; else the client of a connection that was accepted."""
    if not is_connection(alert):
        return None
    if remote := alert.get("fd.rip"):
        return remote
    client, server = _side("client")(alert), _side("server")(alert)
    if client is None:
        return None if is_listener(alert) else alert.get("fd.sip")
    ports = _side("client_port")(alert), _side("server_port")(alert)
    is_server = alert.get("fd.lport") == ports[1] and ports[0] != ports[1]
    return client if is_server or (alert.get("evt.type") or "").startswith("accept") else server


def _side(side: str) -> Callable[[Alert], str | None]:
    def find(alert: Alert) -> str | None:
        if not is_connection(alert):
            return None
        match = _CONNECTION.match(alert.get("fd.name") or "")
        return match[side].removeprefix("::ffff:") if match else None

    return find


def _placed(alert: Alert) -> tuple[str, str]:
    """``NAMESPACE/POD``, a container, a cloud's principal and account, a repository, or the host.

    The word before it comes first: in a pod, on a host, by a principal.
    """
    get = alert.get
    if pod := get("k8s.pod.name"):
        namespace = get("k8s.ns.name")
        return "in", f"{namespace}/{pod}" if namespace else pod
    if container := get("container.name") or get("container.id"):
        return "in", container
    found = _placed_by_service(alert) if alert.source != "syscall" else None
    return found or (("on", alert.hostname) if alert.hostname else ("from", alert.source))


def _host_of_container(alert: Alert) -> str | None:
    """The host of a container that no pod's name places."""
    in_container = alert.get("container.name") or alert.get("container.id")
    return alert.hostname if in_container and not alert.get("k8s.pod.name") else None


def _placed_by_service(alert: Alert) -> tuple[str, str] | None:
    if found := _repository(alert) or _target(alert):
        return "in", found
    if found := _account(alert):
        return "by", found
    if project := alert.get("gcp.projectId"):
        return "in", project
    actor = alert.get("okta.actor.name")
    return ("by", actor) if actor else None


def _repository(alert: Alert) -> str | None:
    owner, repository = alert.get("github.org") or alert.get("github.owner"), alert.get("github.repo.name")
    return f"{owner}/{repository}" if owner and repository and "/" not in repository else repository or owner


def _target(alert: Alert) -> str | None:
    target, namespace = alert.get("ka.target.name"), alert.get("ka.target.namespace")
    return f"{namespace}/{target}" if target and namespace else target or namespace


def _account(alert: Alert) -> str | None:
    user, arn = alert.get("ct.user") or alert.get("ct.user.arn"), alert.get("ct.user.arn") or ""
    number = arn.split(":")[4:5]
    account = alert.get("ct.user.accountid") or (number[0] if number and user != arn else "")
    if not account and not user:
        account = alert.get("ct.region") or ""
    if user or account:
        return f"{user}@{account}" if user and account else user or account
    return None


_actor = FirstOf((*_PRINCIPALS, "user.loginname", "user.name"))


def principal_of(alert: Alert) -> str | None:
    """Return who acted: the API's user, or the login behind a process, or its user."""
    found = _actor.find(alert)
    return found[1] if found else None


def _arguments(alert: Alert) -> str | None:
    """The process's arguments: ``proc.args``, or the command line without the name before them."""
    line, name = alert.get("proc.cmdline"), alert.get("proc.name")
    if (arguments := alert.get("proc.args")) is not None or line is None:
        return arguments
    return line[len(name) :].lstrip(" ") if name and line.startswith(name) else line.partition(" ")[2]


def _command_line_pattern(alert: Alert) -> str | None:
    """A regular expression that fits a command line with these arguments, whatever the program is called in it.

    What everybody may write to is run by nobody else: there the executable tells, which steps compare as well, and the
    arguments may be anything, as malware writes others over them. Falco keeps a page of arguments, and nobody reads or
    pastes that: of long ones the beginning is compared.
    """
    if alert.get("proc.cmdline") is None and alert.get("proc.args") is None:
        return None
    if (alert.get("proc.exepath") or "").startswith(_WRITABLE):
        return ".*"
    arguments = _arguments(alert)
    try:
        if not arguments:
            return "[^ ]*"
        # No pipe: a step that was given to `sh -c` has the expression among its own arguments, and pipes after it.
        rest = "[^|]*" if len(arguments) > _COMPARED else ""
        return f".* {regular_expression(arguments[:_COMPARED])}{rest}"
    except Unembeddable:
        return None


def _terminal(alert: Alert) -> str | None:
    """``proc.tty`` as the device's name, e.g. ``pts/0`` for 34816 (Linux' ``new_decode_dev``); None without one."""
    number = _number(alert.get("proc.tty"))
    if not number or number < 0:
        return None
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if major in _PTS_MAJORS:
        return f"pts/{minor + 256 * (major - _PTS_MAJORS.start)}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return {(5, 0): "tty", (5, 1): "console", (204, 64): "ttyAMA0", (229, 0): "hvc0"}.get(
        (major, minor), f"device {major}:{minor}"
    )


def _workload(alert: Alert) -> str | None:
    """What keeps the pod: ``deployment``, ``statefulset``, ``daemonset``, or ``pod`` where its name does not tell."""
    pod = alert.get("k8s.pod.name")
    if pod is None:
        return None
    for kind, field in (("deployment", "k8s.deployment.name"), ("statefulset", "k8s.statefulset.name"),
                        ("daemonset", "k8s.daemonset.name")):  # fmt: skip
        if alert.get(field):
            return kind
    if _STATEFULSET.match(pod):
        return "statefulset"
    return "deployment" if _DEPLOYMENT.match(pod) else "pod"


def _number(value: str | None) -> int | None:
    return int(value) if value and re.fullmatch(r"-?\d{1,19}", value, re.ASCII) else None


def _moment_of(field: str) -> Callable[[Alert], str | None]:
    """A field in nanoseconds since 1970 as a time."""

    def read(alert: Alert) -> str | None:
        number = _number(alert.get(field))
        return _moment(number // _NANOSECONDS).replace("T", " ") + " UTC" if number and number > 0 else None

    return read


def _duration_of(field: str) -> Callable[[Alert], str | None]:
    """A field in nanoseconds as a duration, e.g. ``2.2 s``."""

    def read(alert: Alert) -> str | None:
        number = _number(alert.get(field))
        return to_duration(number) if number is not None and number >= 0 else None

    return read


def _since(field: str) -> Callable[[Alert], str | None]:
    """How long before the alert the time in a field was."""

    def read(alert: Alert) -> str | None:
        number = _number(alert.get(field))
        return to_duration(alert.time_ns - number) if number and 0 < number <= alert.time_ns else None

    return read


def to_duration(nanoseconds: int) -> str:
    """Return a duration with two digits that matter, e.g. ``3 ms``, ``2.2 s``, ``14 min``, ``5 h``, ``12 days``."""
    seconds = nanoseconds / _NANOSECONDS
    if seconds < 1:
        return f"{nanoseconds // 1_000_000} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def _plain(offset_seconds: int) -> Callable[[Alert], str]:
    """The time as journalctl and ausearch's neighbours take it."""
    return lambda alert: _moment(alert.time_ns // _NANOSECONDS + offset_seconds).replace("T", " ") + " UTC"


def _rfc3339(offset_seconds: int) -> Callable[[Alert], str]:
    return lambda alert: _moment(alert.time_ns // _NANOSECONDS + offset_seconds) + "Z"


@lru_cache(maxsize=64)
def _moment(seconds: int) -> str:
    """Kept, because alerts come in bursts."""
    return datetime.fromtimestamp(min(seconds, 253_402_300_799), UTC).isoformat(timespec="seconds")[:19]


DERIVED: Mapping[str, Callable[[Alert], str | None]] = {
    "alert.time": _plain(0),
    "alert.since": _plain(-_WINDOW_SECONDS),
    "alert.until": _plain(_WINDOW_SECONDS),
    "alert.time_rfc3339": _rfc3339(0),
    "alert.since_rfc3339": _rfc3339(-_WINDOW_SECONDS),
    "alert.until_rfc3339": _rfc3339(_WINDOW_SECONDS),
    "alert.just_after": _plain(2),
    "alert.minute_before": _plain(-60),
    "alert.minute_before_rfc3339": _rfc3339(-60),
    "alert.day_before": _plain(-86_400),
    "alert.day_before_rfc3339": _rfc3339(-86_400),
    "alert.hostname": lambda alert: alert.hostname,
    "alert.rule": lambda alert: alert.rule,
    "alert.priority": lambda alert: alert.priority.label,
    "alert.source": lambda alert: alert.source,
    "alert.uid": lambda alert: alert.uid,
    "alert.place": lambda alert: _placed(alert)[1],
    "alert.place_host": _host_of_container,
    "alert.in": lambda alert: _placed(alert)[0],
    "alert.principal": principal_of,
    "alert.args": _arguments,
    "alert.cmdline_regex": _command_line_pattern,
    "alert.terminal": _terminal,
    "alert.workload": _workload,
    "alert.object_kind": lambda alert: fd_label(alert).lower() if alert.get("fd.name") else None,
    "alert.file": _file,
    "alert.peer": _peer,
    "alert.client": _side("client"),
    "alert.client_port": _side("client_port"),
    "alert.server": _side("server"),
    "alert.server_port": _side("server_port"),
    "alert.exe_changed": _moment_of("proc.exe_ino.ctime"),
    "alert.exe_modified": _moment_of("proc.exe_ino.mtime"),
    "alert.exe_age": _duration_of("proc.exe_ino.ctime_duration_proc_start"),
    "alert.container_started": _moment_of("container.start_ts"),
    "alert.container_age": _since("container.start_ts"),
}
"""Each derived field and how it is found; None, or an empty text, where it is absent."""
OF_HEADER = frozenset(
    {"alert.rule", "alert.priority", "alert.source", "alert.hostname", "alert.place", "alert.place_host", "alert.in"}
)
"""Those that depend on the rule, priority, source or host."""
OF_SECOND = frozenset(
    {
        name
        for name in DERIVED
        if name.startswith(("alert.time", "alert.since", "alert.until", "alert.just", "alert.minute", "alert.day"))
    }
    | {"alert.container_age"}
)
"""Those that change with the alert's time."""
_OF_PLACE = (
    "container.id", "container.name", "ct.region", "ct.user", "ct.user.accountid", "ct.user.arn", "gcp.projectId",
    "github.org", "github.owner", "github.repo.name", "k8s.ns.name", "k8s.pod.name", "ka.target.name",
    "ka.target.namespace", "okta.actor.name",
)  # fmt: skip
_PEER = ("fd.name", "fd.type", "fd.sip", "fd.rip", "fd.cip")
_COMMAND_LINE = ("proc.args", "proc.cmdline", "proc.name")
READS: Mapping[str, tuple[str, ...]] = {
    "alert.place": _OF_PLACE,
    "alert.place_host": ("container.id", "container.name", "k8s.pod.name"),
    "alert.in": _OF_PLACE,
    "alert.principal": (*_PRINCIPALS, "user.loginname", "user.name"),
    "alert.args": _COMMAND_LINE,
    "alert.cmdline_regex": (*_COMMAND_LINE, "proc.exepath"),
    "alert.terminal": ("proc.tty",),
    "alert.workload": ("k8s.daemonset.name", "k8s.deployment.name", "k8s.pod.name", "k8s.statefulset.name"),
    "alert.object_kind": ("fd.name", "fd.type"),
    "alert.file": ("fd.name", "fd.type", "fs.path.name", *_FILES),
    "alert.peer": (*_PEER, "evt.type", "fd.lport"),
    "alert.client": _PEER,
    "alert.client_port": _PEER,
    "alert.server": _PEER,
    "alert.server_port": _PEER,
    "alert.exe_changed": ("proc.exe_ino.ctime",),
    "alert.exe_modified": ("proc.exe_ino.mtime",),
    "alert.exe_age": ("proc.exe_ino.ctime_duration_proc_start",),
    "alert.container_started": ("container.start_ts",),
    "alert.container_age": ("container.start_ts",),
}  # fmt: skip
"""The output fields that each derived field is made of, besides what every alert has."""
