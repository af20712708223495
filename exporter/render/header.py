"""The report's first lines: when, which rule, how grave, where.

Owns the header's rows. They come from the alert alone, so that everything
else of a brief report can be kept for alerts that share their advice; and all
but the time is the same for a burst.
"""

from __future__ import annotations

from typing import NamedTuple

from exporter.alert import Alert
from exporter.escaping import shortened
from exporter.event_sources import EVENT_SOURCES, host_label
from exporter.first_of import FirstOf
from exporter.prose import Lookup
from exporter.verdict.judgement import Outcome
from exporter.verdict.outcome import APPARENT_FIELDS, only_apparent

VALUE_LIMIT_CHARACTERS = 200
"""Of a value; Alert Details have it whole."""


class Row(NamedTuple):
    """One line of the header."""

    label: str
    value: str
    kind: str = "value"
    """``own``: our word; ``name``: a name, as it is where it is plain words; ``value``: always shown as a value."""


class About(NamedTuple):
    """What an alert is about, its time left out; each value cut to its limit."""

    rule: str
    priority: str
    source: str
    host: str
    label: str
    """``Pod``, ``Container``, ``Principal`` or ``User``; empty where the alert names none."""
    subject: str
    outcome: str
    apparent: bool = False
    """Whether nothing but the lack of an error tells the outcome."""

    @property
    def told(self) -> str:
        """The outcome as a reader should take it, e.g. ``apparently succeeded``."""
        return f"apparently {self.outcome}" if self.apparent else self.outcome

    @property
    def place(self) -> str:
        """Where it happened, in one word: pod, container or principal; else the host."""
        return _place(self.label, self.subject, self.host)


_SUBJECTS = (
    ("Pod", ("k8s.pod.name", "ka.target.pod.name")),
    ("Container", ("container.name", "container.id")),
    ("Principal", tuple(field for source in EVENT_SOURCES.values() for field in source.principals)),
    ("User", ("user.name",)),
)  # fmt: skip
"""What an alert is about, the first that it names."""
_LABELS = {field: label for label, fields in reversed(_SUBJECTS) for field in fields}
_first = FirstOf(dict.fromkeys(field for _, fields in _SUBJECTS for field in fields))
FIELDS = (
    *dict.fromkeys(field for _, fields in _SUBJECTS for field in fields),
    *("k8s.ns.name", "ka.target.namespace"),
    *APPARENT_FIELDS,
)
"""The output fields that ``about`` looks at."""


def header(alert: Alert, outcome: Outcome) -> tuple[Row, ...]:
    """Return the header's rows; a row that would be empty is left out."""
    date, _, time = alert.time_text.partition("T")
    return (Row("Date", date, "own"), Row("Time", time, "own"), *timeless(about(alert, outcome)))


def timeless(known: About) -> tuple[Row, ...]:
    """Return the header's rows without date and time."""
    rows = (
        Row("Rule", known.rule, "name"),
        Row("Priority", known.priority, "own"),
        Row("Source", known.source, "name"),
        Row(host_label(known.source), known.host),
        Row(known.label, known.subject),
        Row("Outcome", known.told, "own"),
    )
    return tuple([row for row in rows if row.value])


def about(alert: Alert, outcome: Outcome = "unknown") -> About:
    """Return what the alert is about."""
    label, subject = _subject(alert)
    return About(
        shortened(alert.rule, VALUE_LIMIT_CHARACTERS),
        alert.priority.label,
        shortened(alert.source, VALUE_LIMIT_CHARACTERS),
        shortened(alert.hostname, VALUE_LIMIT_CHARACTERS),
        label,
        shortened(subject, VALUE_LIMIT_CHARACTERS),
        outcome,
        outcome == "succeeded" and only_apparent(_outcome_fields(alert)),
    )


def _outcome_fields(alert: Alert) -> Lookup:
    """What the outcome's words are made of: output fields, and the alert's source and rule."""
    own = {"alert.source": alert.source, "alert.rule": alert.rule}
    return lambda field: own.get(field) or alert.get(field)


def place_of(alert: Alert) -> str:
    """Return ``about(alert).place``, without the rest of it."""
    label, subject = _subject(alert)
    limit = VALUE_LIMIT_CHARACTERS
    return _place(label, shortened(subject, limit), shortened(alert.hostname, limit))


def _place(label: str, subject: str, host: str) -> str:
    return (host or subject) if label == "User" else subject or host


def _subject(alert: Alert) -> tuple[str, str]:
    found = _first.find(alert)
    if found is None:
        return "", ""
    label, value = _LABELS[found[0]], found[1]
    namespace = (alert.get("k8s.ns.name") or alert.get("ka.target.namespace")) if label == "Pod" else None
    return label, f"{namespace}/{value}" if namespace else value
