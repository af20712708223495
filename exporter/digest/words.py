"""The digest's words, the same in every format.

Owns the sentences and how numbers are compared. Values stay apart from words, for
each format to escape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.alert import time_text
from exporter.catalog.advice import verdict_word
from exporter.digest.digest import Digest, RuleLine
from exporter.incidents.incident import Incident

_HOURS = {24: "a day", 168: "a week"}


class IncidentLine(NamedTuple):
    """One incident in a line."""

    id: str
    verdict: str
    label: str
    about: str
    """What its alerts share, e.g. a pod; empty where that is nothing with a name."""
    rules: tuple[str, ...]
    alerts: int
    first: str
    last: str


def label(verdict: str) -> str:
    """Return a verdict in a table's words, e.g. ``Likely attack``."""
    return verdict_word(verdict).capitalize()


def moment(time_ns: int) -> str:
    """Return a time to the minute, e.g. ``2026-03-01 12:00 UTC``."""
    return time_text(time_ns)[:16].replace("T", " ") + " UTC"


def bar_length(hours: int) -> str:
    """Return what a bar stands for, e.g. ``6 hours``."""
    return _HOURS.get(hours) or ("an hour" if hours == 1 else f"{hours} hours")


def number(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun, e.g. ``1 alert``, ``1,204 alerts``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """Return a part of a whole, e.g. ``54 %``."""
    return f"{share:.0%}".replace("%", " %")


def compared(now: int, before: int | None) -> str:
    """Return how a number compares with the one before, e.g. ``+20 %``, ``new``; empty where nothing is known."""
    if before is None:
        return ""
    if not before:
        return "new" if now else "none before"
    if now >= 3 * before:
        return f"{now / before:.0f} times"
    change = round(100 * (now - before) / before)
    return "the same" if not change else f"{change:+d} %"


def headline(digest: Digest) -> str:
    """Return the one sentence that says how it was."""
    if not digest.alerts:
        return "There were no alerts in this period."
    attacks = digest.verdicts["attack"]
    alerts = number(digest.alerts, "alert")
    if digest.before is not None:
        alerts += f" ({digest.before:,} in the period before)"
    serious = number(attacks, "likely attack") if attacks else "no likely attack"
    by_verdict = digest.incidents_by_verdict
    incidents = ""
    if any(by_verdict.values()):
        incidents = f", {number(sum(by_verdict.values()), 'incident')}"
        if by_verdict["attack"]:
            incidents += f" ({by_verdict['attack']} likely {'attack' if by_verdict['attack'] == 1 else 'attacks'})"
    return f"{alerts}, {serious}{incidents}."


def caveats(digest: Digest) -> Iterator[str]:
    """Yield what the numbers do not cover."""
    if digest.kept_since_ns > digest.since_ns and digest.alerts:
        yield f"The history begins at {moment(digest.kept_since_ns)}: what came earlier is not counted."
    if digest.before is None and digest.alerts:
        yield "The history does not reach back far enough to say what is new or has grown."
    if digest.incidents_are_partial:
        yield "There were too many alerts for one page: incidents are those of the latest ones."


def lines_of(incidents: Sequence[Incident]) -> list[IncidentLine]:
    """Return incidents as lines."""
    return [
        IncidentLine(
            incident.id,
            incident.verdict,
            label(incident.verdict),
            incident.entities[0][1] if incident.entities else "",
            tuple(dict.fromkeys(member.alert.rule for member in incident.members)),
            incident.count,
            moment(incident.first_ns),
            moment(incident.last_ns),
        )
        for incident in incidents
    ]


def verdicts_of(line: RuleLine) -> str:
    """Return a rule's verdicts in words, e.g. ``3 likely attack, 10 undecided``."""
    return ", ".join([f"{count:,} {label(verdict).lower()}" for verdict, count in line.verdicts.items() if count])
