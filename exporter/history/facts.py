"""What is known of a kept alert without reading its message: time, verdict, rule, where, who.

Owns the row and how it follows from an alert and its judgement. Texts are
valid and cut, since they stand in indexes and lists; the message has them whole.
"""

from __future__ import annotations

from typing import NamedTuple

from exporter.alert import Alert, Priority
from exporter.derived import principal_of
from exporter.escaping import valid_text
from exporter.render.header import place_of
from exporter.verdict.judgement import Judgement

NAME_LIMIT_CHARACTERS = 300


class Row(NamedTuple):
    """One kept alert; ``id`` grows by one with each alert that is kept."""

    id: int
    time_ns: int
    """When the event happened, nanoseconds since 1970."""
    uid: str
    """32 hexadecimal digits."""
    verdict: str
    """As it was judged when it came."""
    outcome: str
    priority: Priority
    rule: str
    source: str
    host: str
    namespace: str
    """Empty where the alert names none."""
    principal: str
    """Who acted; empty where the alert names nobody."""
    place: str
    """Pod, container or principal; else the host."""


def row_of(number: int, alert: Alert, judgement: Judgement) -> Row:
    """Return the facts of an alert that is kept under this number."""
    return Row(
        number,
        alert.time_ns,
        alert.uid,
        judgement.verdict,
        judgement.outcome,
        alert.priority,
        name_of(alert.rule),
        name_of(alert.source),
        name_of(alert.hostname),
        name_of(alert.namespace),
        name_of(principal_of(alert) or ""),
        name_of(place_of(alert)),
    )


def name_of(text: str) -> str:
    """Return a name as it stands in rows and queries."""
    if len(text) <= NAME_LIMIT_CHARACTERS and text.isascii():  # nearly all, and six an alert
        return text
    return valid_text(text[:NAME_LIMIT_CHARACTERS])
