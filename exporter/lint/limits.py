"""Length: whoever is paged reads an entry in a minute."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.model import ChangeStep, CommandStep, Entry
from exporter.lint.finding import Finding
from exporter.lint.walk import changes, commands

SUMMARY_LIMIT_CHARACTERS = 300
IMPACT_LIMIT_CHARACTERS = 400
INNOCENT_LIMIT_CHARACTERS = 300
STEP_LIMIT_CHARACTERS = 300


_CHECKED_FORMATS = frozenset({"sudoers", "sshd_config", "nft", "audit", "rsyslog", "systemd", "falco"})
"""Formats whose reader has a checker of its own."""


def check_limits(catalog: Catalog) -> Iterator[Finding]:
    """Yield texts that are too long, lists that are too long or too short, and steps that lack their explanation."""
    for entry in catalog.entries:
        for message in (*_lengths(entry), *_counts(entry)):
            yield Finding(entry.place, entry.rule, message)
        for innocent in entry.innocent:
            if innocent.text.length > INNOCENT_LIMIT_CHARACTERS:
                message = _long("explanation", innocent.text.length, INNOCENT_LIMIT_CHARACTERS)
                yield Finding(innocent.place, entry.rule, message)
    for owned, step in commands(catalog):
        for message in _command(step):
            yield Finding(step.place, owned.owner, message)
    for owned, change in changes(catalog):
        for message in _change(change):
            yield Finding(change.place, owned.owner, message)


def _command(step: CommandStep) -> Iterator[str]:
    for name, text in (("do", step.title), ("look", step.look), ("breaks", step.breaks)):
        if text.length > STEP_LIMIT_CHARACTERS:
            yield _long(name, text.length, STEP_LIMIT_CHARACTERS)
    if step.phase == "investigate" and (step.breaks.text or step.undo.text):
        yield "an investigate step with breaks or undo; put it under contain"


def _change(change: ChangeStep) -> Iterator[str]:
    for name, text in (("do", change.title), ("note", change.note)):
        if text.length > STEP_LIMIT_CHARACTERS:
            yield _long(name, text.length, STEP_LIMIT_CHARACTERS)
    if not change.check and change.format in _CHECKED_FORMATS:
        yield f"format {change.format} without `check`; name the checker of the program that reads the file"


def _long(what: str, found: int, limit: int) -> str:
    return f"{what} has {found} characters of your own; expected at most {limit}"


def _lengths(entry: Entry) -> Iterator[str]:
    for name, text, limit in (
        ("summary", entry.summary, SUMMARY_LIMIT_CHARACTERS),
        ("impact", entry.impact, IMPACT_LIMIT_CHARACTERS),
    ):
        if text.length > limit:
            yield _long(name, text.length, limit)


def _counts(entry: Entry) -> Iterator[str]:
    phases = [command.phase for command in entry.commands]
    counts = {
        "innocent": (len(entry.innocent), 1, 4),
        "investigate": (phases.count("investigate"), 2, 5),
        "contain": (phases.count("contain"), 0 if entry.source == "internal" else 1, 3),
        "configure": (len(entry.changes), 1, 3),
        "recommend": (len(entry.recommendations), 1, 4),
        "tune": (len(entry.tuning), 0 if entry.source == "internal" else 1, 3),
        "references": (len(entry.references), 2, 4),
        "attack": (len(entry.techniques), 0, 3),
    }
    for name, (found, low, high) in counts.items():
        if not low <= found <= high:
            yield f"{name} has {found} items, procedures included; expected {low} to {high}"
