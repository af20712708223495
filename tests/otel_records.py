"""Alerts, a report made by hand, and records read back, for the tests of log records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.alert import Alert, Priority
from exporter.report import Advice, Change, Command, Judgement, Matched, Reference, Span, Technique

ALERT = Alert(
    time_ns=1_728_152_979_273_467_556,
    rule="Clear Log Activities",
    priority=Priority.WARNING,
    source="syscall",
    hostname="mini-debian-lab",
    raw_output="18:29:39.273467556: Warning Log files were tampered | file=/var/log/syslog",
    fields={
        "container.id": "3ad7b26ded6d",
        "container.image.digest": "sha256:00ff",
        "container.image.repository": "docker.io/falcosecurity/event-generator",
        "container.image.tag": "latest",
        "evt.time": "1728152979273467556",
        "evt.type": "openat",
        "fd.name": "/var/log/syslog",
        "k8s.ns.name": "<NA>",
        "proc.cmdline": "event-generator run syscall --loop",
        "proc.exepath": "/bin/event-generator",
        "proc.name": "event-generator",
        "proc.pid": "4711",
        "proc.tty": "34816",
        "user.loginuid": "-1",
        "user.name": "root",
        "user.uid": "0",
    },
    tags=("T1070", "container", "maturity_stable", "mitre_defense_evasion"),
)


def text(*words: str) -> tuple[Span, ...]:
    """Prose: every second word is a value of the alert."""
    return tuple(Span("value" if index % 2 else "text", word) for index, word in enumerate(words))


def advice_for(alert: Alert) -> Advice:
    """Advice with something in every part, with the alert's file name as a value."""
    file = alert.get("fd.name") or "a file"
    change = Change(text("Send logs away"), "rsyslog", "/etc/rsyslog.d/90.conf", "text", "a\nb\n", "c -N1", "", ())
    tuning = Change(text("Allow it"), "falco", "/etc/falco/rules.d/x.yaml", "yaml", "- macro: x\n", "", "", ())
    return Advice(
        composed=False,
        maturity="stable",
        ruleset="falco_rules.yaml",
        techniques=(Technique("T1070.002", "Clear Linux or Mac System Logs", "TA0005", "Defense Evasion"),),
        judgement=Judgement("attack", "succeeded", (Matched("attack", 4, False, text("not rotated: ", file)),)),
        what=text("log emptied"),
        ask="ask who did it",
        summary=text("The file ", file, " was emptied."),
        benign=(text("It is a test."), text("logrotate")),
        unknown=(text("who did it"),),
        close_if=text("the owner confirms it."),
        escalate_if=text("nobody does."),
        commands=(
            _command("Look at it", "look", "host", "stat -- /var/log/syslog")._replace(shows=text("size 0")),
            _command("Stop it", "contain", "node", "docker pause 3ad")._replace(
                breaks=text("the service"), undo="docker x"
            ),
        ),
        impact=text("Emptied logs hide what came before."),
        changes=(change,),
        recommendations=(text("Consider chattr +a."),),
        tuning=(tuning,),
        references=(
            Reference("ATT&CK", "https://attack.mitre.org/techniques/T1070/002/"),
            Reference("The rule", "https://falco.org/docs/reference/rules/default-rules/"),
        ),
    )


def _command(title: str, phase: str, where: str, run: str) -> Command:
    return Command(text(title), phase, where, "sh", run, (), (), (), "", (), "")


def to_value(value: AnyValue) -> Any:
    """One attribute's value as plain Python, its type kept."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [to_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes_of(record: LogRecord) -> dict[str, Any]:
    """A record's attributes; no key comes twice."""
    attributes = {attribute.key: to_value(attribute.value) for attribute in record.attributes}
    assert len(attributes) == len(record.attributes)
    return attributes


def many(count: int, *, first: int = 0) -> list[Alert]:
    """Different alerts, each a nanosecond after the one before."""
    return [replace(ALERT, time_ns=ALERT.time_ns + index) for index in range(first, first + count)]
