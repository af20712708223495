"""What ties alerts about processes: container, pod, login session, ancestry, files, the other end of a connection.

Owns the ties of system calls. Refuses the host, root and an image by
themselves: too much that has nothing to do with each other shares them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exporter.alert import Alert
from exporter.incidents.tie import ANY, BOTH, EIGHTH, HALF, ONE, QUARTER, WHOLE, Tie
from exporter.incidents.values import (
    Values,
    container_of,
    login_of,
    public_addresses,
    stem_of,
    unusual_paths,
    values_of,
)
from exporter.incidents.words import ANCESTORS_OF_ALL
from exporter.verdict.places import path_kind

_ANCESTORS = ("proc.pname", *[f"proc.aname[{number}]" for number in range(2, 8)])
_TEXTS = ("proc.cmdline", "proc.pcmdline", "fd.name", "proc.exepath", "evt.arg.path", "evt.arg.name", "evt.arg.oldpath")
_SHELLS = frozenset({"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh"})
_INSTALLED = frozenset({"system", "local", "opt"})


def process_ties(alert: Alert, *, grave: bool) -> Iterator[Tie]:
    """Yield what the alert may share with others; ``grave``: it is a likely attack or a test."""
    fields, value = alert.all_fields(), values_of(alert)
    host = alert.hostname
    container = container_of(fields)
    if container:
        yield Tie(("container", container), ANY, WHOLE)
    if pod := value("k8s.pod.name"):
        yield from _of_pod(value, pod, host, container, fields)
    login, terminal = login_of(value)
    if host and login:
        if terminal:
            yield Tie(("session", host, login, terminal), ANY, WHOLE)
        yield Tie(("login", host, login), ONE, HALF, (terminal,) if terminal else ())
    if host:
        yield from _of_process_ids(value, host)
        if not container and not pod:
            yield from _of_host(value, fields, host, grave=grave)
            if grave:
                yield Tie(("host", host), BOTH, EIGHTH, (login, terminal) if login else ())
    if grave:
        for address in public_addresses([fields.get(name, "") for name in _TEXTS]):
            yield Tie(("address", address), BOTH, HALF)


def _of_pod(value: Values, pod: str, host: str, container: str, fields: Mapping[str, str]) -> Iterator[Tie]:
    namespace = value("k8s.ns.name")
    owner = (host, value("container.name"), container) if container else ()
    yield Tie(("pod", namespace, pod), ANY, HALF, owner)
    yield Tie(("workload", namespace, stem_of(pod)), ONE, HALF, ("pod",))
    text = f"{fields.get('fd.name', '')} {fields.get('proc.cmdline', '')[:512]}"
    if "kubernetes.io/serviceaccount" in text or "kubectl" in text or fields.get("fd.rport") in {"443", "6443"}:
        yield Tie(("account", namespace, stem_of(pod)), ONE, QUARTER, ("pod",))


def _of_process_ids(value: Values, host: str) -> Iterator[Tie]:
    """Rules print no process ids by themselves, but many people append them."""
    if (pid := value("proc.pid")).isdigit() and pid not in {"0", "1"}:
        yield Tie(("process", host, pid), ANY, QUARTER)
    parent = value("proc.pname")
    if (pid := value("proc.ppid")).isdigit() and pid not in {"0", "1"} and _acts(parent):
        yield Tie(("process", host, pid), ANY, QUARTER)
    if (sid := value("proc.sid")).isdigit() and sid not in {"0", "1"} and _acts(value("proc.sname")):
        yield Tie(("process session", host, sid), ANY, WHOLE)


def _acts(program: str) -> bool:
    """Whether a process of this name acts for one user or attacker, and is not what starts everything."""
    return bool(program) and (program in _SHELLS or program not in ANCESTORS_OF_ALL)


def _of_host(value: Values, fields: Mapping[str, str], host: str, *, grave: bool) -> Iterator[Tie]:
    names = {value(field) for field in _ANCESTORS}
    path, own = value("proc.exepath"), value("proc.name")
    if path and path_kind(path) not in _INSTALLED:
        names.add(own)
    names -= ANCESTORS_OF_ALL | {""}
    for name in sorted(names):
        yield Tie(("ancestor", host, name), ONE, HALF)
    if grave and own and own not in names | ANCESTORS_OF_ALL:
        yield Tie(("ancestor", host, own), ONE, HALF, ("itself",))
    for path, writable in unusual_paths([fields.get(name, "") for name in _TEXTS]):
        yield Tie(("path", host, path), ANY if writable else ONE, WHOLE)
    user = value("user.name")
    if grave and user and user != "root" and value("user.loginuid") in {"", "-1", "4294967295"}:
        yield Tie(("daemon user", host, user), BOTH, QUARTER)


FIELDS = frozenset(
    {
        *_ANCESTORS, *_TEXTS, "container.id", "container.name", "fd.rport", "k8s.ns.name", "k8s.pod.name", "proc.name",
        "proc.pid", "proc.ppid", "proc.sid", "proc.sname", "proc.tty", "user.loginuid", "user.name",
    }
)  # fmt: skip
"""Everything that is read."""
