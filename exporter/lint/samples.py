"""Values to render advice with when it is checked: plausible ones, and hostile ones.

Owns lookups in which every field is present, so that every step renders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from exporter.prose import Lookup

ALERT_VALUES: Mapping[str, str] = {
    "alert.time": "2024-10-05 18:29:39 UTC",
    "alert.since": "2024-10-05 18:19:39 UTC",
    "alert.until": "2024-10-05 18:39:39 UTC",
    "alert.since_rfc3339": "2024-10-05T18:19:39Z",
    "alert.until_rfc3339": "2024-10-05T18:39:39Z",
    "alert.hostname": "node-1",
    "alert.rule": "Clear Log Activities",
    "alert.priority": "Warning",
    "alert.source": "syscall",
    "alert.uid": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "alert.time_rfc3339": "2024-10-05T18:29:39Z",
    "alert.just_after": "2024-10-05 18:29:41 UTC",
    "alert.minute_before": "2024-10-05 18:28:39 UTC",
    "alert.minute_before_rfc3339": "2024-10-05T18:28:39Z",
    "alert.day_before": "2024-10-04 18:29:39 UTC",
    "alert.day_before_rfc3339": "2024-10-04T18:29:39Z",
    "alert.place": "shop/web-7d4b9c6f5-x2x9z",
    "alert.place_host": "node-1",
    "alert.in": "in",
    "alert.principal": "alice",
    "alert.args": "/srv/app.py",
    "alert.cmdline_regex": ".* /srv/app[.]py",
    "alert.terminal": "pts/0",
    "alert.workload": "deployment",
    "alert.object_kind": "file",
    "alert.file": "/etc/cron.d/backup",
    "alert.peer": "192.0.2.7",
    "alert.client": "10.0.3.17",
    "alert.client_port": "40512",
    "alert.server": "192.0.2.7",
    "alert.server_port": "443",
    "alert.exe_changed": "2024-10-05 18:29:37 UTC",
    "alert.exe_modified": "2024-10-05 18:29:37 UTC",
    "alert.exe_age": "2.2 s",
    "alert.container_started": "2024-10-05 17:29:39 UTC",
    "alert.container_age": "60 min",
}
"""What follows from every alert, with an example of each."""

HOSTILE = 'x\'; $(touch owned) `id` "y" | & > z < \\ ~ * ? [a] {b,c} !! k:v %s ${HOME} /../ =1,--'
"""Everything that a shell, a quoted string or a query language could take for its own, in printable characters."""
HOSTILE_HIDDEN = "x\n'; touch owned #\x1b[31m: \u202e\u200b\x07"
"""The same with a line feed, characters that do not show, and what YAML takes for its own."""
SPACED = "a b"
"""A value that an unquoted variable would tear in two."""

_PLAIN: tuple[tuple[str, str], ...] = (
    (r"k8s\.ns\.name|.*target\.namespace", "shop"),
    (r"k8s\.pod\.name|ka\.target\.pod.*", "web-7d4b9c6f5-x2x9z"),
    (r"container\.id", "3fa1b2c4d5e6"),
    (r"container\.name", "web"),
    (r"container\.image\.repository", "registry.example.net/shop/web"),
    (r"container\.image\.tag", "1.2.3"),
    (r".*(\.uid|uid\b|\.gid|loginuid|\.pid|vpid|ppid|\.tty|port|num|rawres|n_\w+|\w+_mb|written_bytes)", "1000"),
    (r".*(srcip|\.ip|[scrl]ip|sip|cip|sourceips?|address)(\[.*)?", "192.0.2.7"),
    (r"proc\.exepath", "/usr/bin/python3"),
    (r"proc\.(cmdline|pcmdline|args)", "python3 /srv/app.py"),
    (r"fd\.name|fs\.path.*|.*\.(target|linkpath|path|name|oldpath|newpath)", "example"),
    (r"ct\.region", "eu-central-1"),
    (r".*arn", "arn:aws:iam::123456789012:user/alice"),
)


def _plain_value(field: str) -> str:
    if field in ALERT_VALUES:
        return ALERT_VALUES[field]
    if field in {"fd.name", "fs.path.name", "evt.arg.name", "evt.arg.path"}:
        return "/etc/example.conf"
    return next((value for pattern, value in _PLAIN if re.fullmatch(pattern, field)), "example")


_WORKLOADS = frozenset({"deployment", "statefulset", "daemonset"})
_ABSENT: Mapping[str, frozenset[str]] = {
    "host": frozenset({"container.id", "container.name", "k8s.pod.name", "k8s.ns.name"}),
    "no-pod": frozenset({"k8s.pod.name", "k8s.ns.name"}),
}
"""What an alert lacks that a step is only for."""


def _lookup(value_of: Callable[[str], str], only: Collection[str]) -> Lookup:
    absent = frozenset[str]().union(*(_ABSENT.get(kind, ()) for kind in only))
    workload = next((kind for kind in only if kind in _WORKLOADS), None)

    def look_up(field: str) -> str | None:
        if field == "alert.workload" and workload:
            return workload
        return None if field in absent else value_of(field)

    return look_up


def plain(only: Collection[str] = ()) -> Lookup:
    """Return a lookup with a plausible value for every field; with ``host`` in ``only`` as of an alert of a host."""
    return _lookup(_plain_value, only)


def hostile(only: Collection[str] = ()) -> Lookup:
    """Return a lookup with a hostile value for every field."""
    return _lookup(lambda _: HOSTILE, only)


def hidden(only: Collection[str] = ()) -> Lookup:
    """Return a lookup with a hostile value that has hidden characters, for every field."""
    return _lookup(lambda _: HOSTILE_HIDDEN, only)


def spaced(only: Collection[str] = ()) -> Lookup:
    """Return a lookup with a value of two words for every field."""
    return _lookup(lambda _: SPACED, only)


VALUES: Mapping[str, Callable[[Collection[str]], Lookup]] = {
    "plain": plain,
    "hostile": hostile,
    "hidden": hidden,
    "spaced": spaced,
}
"""Kinds of values by name; each makes a lookup from a step's ``only``."""
