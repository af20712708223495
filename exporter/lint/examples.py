"""Alerts to read reports of: made up, with a plausible value in every field that a rule's output names.

Owns what an example of a rule looks like. Refuses hostile values (see
``samples.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.alert import Alert, Priority
from exporter.catalog.index import CONTAINER_FIELDS, RuleFacts
from exporter.lint.samples import plain

TIME_NS = 1_728_152_979_273_467_556
_CONNECTION = "10.0.3.17:40512->192.0.2.7:443"
_LIKELY = {
    "proc.tty": "34816", "user.uid": "33", "user.name": "www-data", "user.loginuid": "-1", "proc.name": "python3",
    "proc.pname": "sh", "proc.exepath": "/usr/bin/python3", "evt.type": "openat", "ka.verb": "create",
    "ka.response.code": "201", "ka.user.name": "alice@example.net", "ka.target.resource": "pods",
    "ka.target.name": "web-7d4b9c6f5-x2x9z", "ct.user": "alice", "gcp.user": "alice@example.net",
    "gcp.projectId": "shop-prod", "okta.actor.name": "Alice Example", "github.user": "alice", "github.org": "example",
    "github.owner": "example", "github.repo.name": "shop", "github.repo.url": "https://github.com/example/shop",
}  # fmt: skip


def examples(facts: RuleFacts) -> Iterator[tuple[str, Alert]]:
    """Yield alerts of the rule with what each is about: a system call's on a host, and in a pod."""
    if facts.source != "syscall":
        yield facts.source, _example(facts, frozenset())
        return
    if "host" in facts.tags or "container" not in facts.tags:
        yield "host", _example(facts, frozenset(CONTAINER_FIELDS))
    if "container" in facts.tags or "host" not in facts.tags:
        yield "pod", _example(facts, frozenset())


def _example(facts: RuleFacts, without: frozenset[str]) -> Alert:
    value = plain()
    connected = bool({"fd.l4proto", "fd.lport", "fd.rport", "fd.sip", "fd.rip"} & set(facts.fields))
    fields = {
        field: _LIKELY.get(field) or (_CONNECTION if field == "fd.name" and connected else value(field)) or ""
        for field in sorted(facts.available_fields - without)
    }
    named = " ".join([f"{field}={fields.get(field, '<NA>')}" for field in facts.fields])
    output = f"{facts.rule} ({named})"
    priority = Priority.from_label(facts.priority)
    return Alert(TIME_NS, facts.rule, priority, facts.source, "node-1", output, fields, tuple(sorted(facts.tags)))
