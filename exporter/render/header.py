"""The report's first lines: when, which rule, how grave, where.

Owns the header's rows. They come from the alert alone, so that everything
else of a brief report can be kept for alerts that share their advice.
"""

from __future__ import annotations

from typing import NamedTuple

from exporter.alert import Alert
from exporter.escaping import shortened

VALUE_LIMIT_CHARACTERS = 200
"""Of a value; Alert Details have it whole."""
OUTCOMES = {"succeeded": "succeeded", "refused": "refused", "unknown": "unknown"}


class Row(NamedTuple):
    """One line of the header."""

    label: str
    value: str
    kind: str = "value"
    """``own``: our word; ``name``: a name, as it is where it is plain words; ``value``: always shown as a value."""


_SUBJECTS = (
    ("Pod", ("k8s.pod.name", "ka.target.pod.name")),
    ("Container", ("container.name", "container.id")),
    ("Principal", ("ct.user.arn", "ct.user", "gcp.user", "okta.actor.alternateid", "okta.actor.name", "github.user",
                   "ka.user.name")),
    ("User", ("user.name",)),
)  # fmt: skip
"""What an alert is about, the first that it names."""


def header(alert: Alert, outcome: str) -> tuple[Row, ...]:
    """Return the header's rows; a row that would be empty is left out."""
    date, time = alert.time_text.split("T")
    label, subject = _subject(alert)
    limit = VALUE_LIMIT_CHARACTERS
    rows = (
        Row("Date", date, "own"),
        Row("Time", time, "own"),
        Row("Rule", shortened(alert.rule, limit), "name"),
        Row("Priority", alert.priority.label, "own"),
        Row("Source", shortened(alert.source, limit), "name"),
        Row("Host", shortened(alert.hostname, limit)),
        Row(label, shortened(subject, limit)),
        Row("Outcome", OUTCOMES.get(outcome, "unknown"), "own"),
    )
    return tuple([row for row in rows if row.value])


def _subject(alert: Alert) -> tuple[str, str]:
    for label, fields in _SUBJECTS:
        for field in fields:
            if value := alert.get(field):
                namespace = alert.get("k8s.ns.name") or alert.get("ka.target.namespace")
                return label, f"{namespace}/{value}" if label == "Pod" and namespace else value
    return "", ""


def place(alert: Alert) -> str:
    """Return in one word where an alert happened: pod, container or principal; else the host."""
    label, subject = _subject(alert)
    return (alert.hostname or subject) if label == "User" else subject or alert.hostname
