"""The report: one alert with what it may mean and what to do about it.

Owns the report's shape. Everything in it is plain data: prose as spans whose
values still wait for their escaping, commands and file contents already
rendered with values quoted for shell or format. Refuses to know any output
format (see ``render/``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.alert import Alert
from exporter.catalog.advice import Change, Command, Explanation, Prose, Reference, Span, Technique, to_plain
from exporter.catalog.model import Entry, rendered_changes, rendered_commands

__all__ = [
    "Change",
    "Command",
    "Explanation",
    "Prose",
    "Reference",
    "Report",
    "RuleContext",
    "Span",
    "Technique",
    "make_report",
    "to_plain",
]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reader needs of one alert."""

    alert: Alert
    composed: bool
    """True where no entry was written for this rule: the advice is general and says so."""
    maturity: str
    """Upstream's word for the rule: stable, incubating, sandbox, deprecated; empty when it has none."""
    ruleset: str
    """The upstream rules file; empty when the rule is of none."""
    techniques: tuple[Technique, ...]
    details: tuple[tuple[str, str], ...]
    """The alert's own facts: label and value, in order of reading."""
    summary: Prose
    impact: Prose
    innocent: tuple[Explanation, ...]
    changes: tuple[Change, ...]
    tuning: tuple[Change, ...]
    commands: tuple[Command, ...]
    recommendations: tuple[Prose, ...]
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What is known of the rule besides its entry."""

    maturity: str
    techniques: tuple[Technique, ...]


_WINDOW_SECONDS = 600
_DETAILS: tuple[tuple[str, str], ...] = (
    ("Host", "alert.hostname"),
    ("Process", "proc.name"),
    ("Executable", "proc.exepath"),
    ("Command line", "proc.cmdline"),
    ("Parent process", "proc.pname"),
    ("User", "user.name"),
    ("User id", "user.uid"),
    ("Login id", "user.loginuid"),
    ("Terminal", "proc.tty"),
    ("File", "fd.name"),
    ("Container", "container.name"),
    ("Container id", "container.id"),
    ("Image", "container.image.repository"),
    ("Image tag", "container.image.tag"),
    ("Namespace", "k8s.ns.name"),
    ("Pod", "k8s.pod.name"),
    ("User", "ka.user.name"),
    ("Target", "ka.target.name"),
    ("Target resource", "ka.target.resource"),
    ("Target namespace", "ka.target.namespace"),
    ("User", "ct.user"),
    ("Source address", "ct.srcip"),
    ("Region", "ct.region"),
)


def _details(alert: Alert) -> tuple[tuple[str, str], ...]:
    """Named facts first, in order of reading, then every other field under its own name."""
    lookup = _lookup(alert)
    named = [(label, value) for label, field in _DETAILS if (value := lookup(field)) is not None]
    known = {field for _, field in _DETAILS}
    others = [
        (field, value) for field in sorted(alert.fields) if field not in known and (value := lookup(field)) is not None
    ]
    return tuple(named + others)


def make_report(alert: Alert, entry: Entry, context: RuleContext) -> Report:
    """Return the report of one alert: the entry's advice with the alert's values in place. Pure."""
    lookup = _lookup(alert)
    return Report(
        alert=alert,
        composed=entry.composed,
        maturity=context.maturity,
        ruleset=entry.ruleset,
        techniques=context.techniques,
        details=_details(alert),
        summary=entry.summary.render(lookup),
        impact=entry.impact.render(lookup),
        innocent=tuple([innocent.render(lookup) for innocent in entry.innocent]),
        changes=rendered_changes(entry.changes, lookup),
        tuning=rendered_changes(entry.tuning, lookup),
        commands=rendered_commands(entry.commands, lookup),
        recommendations=tuple(
            [item.text.render(lookup) for item in entry.recommendations if item.condition.holds(lookup)]
        ),
        references=entry.references,
    )


def _lookup(alert: Alert) -> Callable[[str], str | None]:
    """Fields of the alert, and ``alert.…`` for what every alert has."""

    def look_up(field: str) -> str | None:
        if field.startswith("alert."):
            reader = _ALERT_FIELDS.get(field)
            return (reader(alert) or None) if reader else None
        return alert.get(field)

    return look_up


def _moment(alert: Alert, offset_seconds: int, form: str) -> str:
    return datetime.fromtimestamp(alert.time_ns // 1_000_000_000 + offset_seconds, UTC).strftime(form)


_PLAIN, _RFC3339 = "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%SZ"
_ALERT_FIELDS: Mapping[str, Callable[[Alert], str]] = {
    "alert.time": lambda alert: _moment(alert, 0, _PLAIN),
    "alert.since": lambda alert: _moment(alert, -_WINDOW_SECONDS, _PLAIN),
    "alert.until": lambda alert: _moment(alert, _WINDOW_SECONDS, _PLAIN),
    "alert.since_rfc3339": lambda alert: _moment(alert, -_WINDOW_SECONDS, _RFC3339),
    "alert.until_rfc3339": lambda alert: _moment(alert, _WINDOW_SECONDS, _RFC3339),
    "alert.hostname": lambda alert: alert.hostname,
    "alert.rule": lambda alert: alert.rule,
    "alert.priority": lambda alert: alert.priority.label,
    "alert.source": lambda alert: alert.source,
    "alert.uid": lambda alert: alert.uid,
}
ALERT_FIELDS = frozenset(_ALERT_FIELDS)
"""Placeholders that every alert can fill."""
