"""Advice as a reader gets it: prose, commands, changes, with one alert's values in place.

Owns the pieces that a report is made of. Prose is spans whose values still
wait for a renderer's escaping; commands and file contents have their values
quoted already, for the shell or for the file's format. What a report makes
many of is a NamedTuple, a third as costly to make as a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from exporter.prose import Prose, Span, to_plain

__all__ = [
    "Advice", "Change", "Command", "Explanation", "Prose", "Reference", "Span", "Technique", "to_plain",
]  # fmt: skip


class Command(NamedTuple):
    """One command line to run."""

    title: Prose
    """What it does, an imperative."""
    phase: str
    """``investigate`` (reads only) or ``contain`` (changes state)."""
    where: str
    """``host``, ``container``, ``cluster`` or ``cloud``."""
    run: str
    """The command, values quoted; may be of several lines."""
    look: Prose
    """What to look for in its answer; empty where nothing is."""
    breaks: Prose
    """What it breaks; empty for a command that only reads."""
    undo: str
    """The command that undoes it; empty where there is none."""


class Change(NamedTuple):
    """One configuration change."""

    title: Prose
    """What it brings about, an imperative."""
    tool: str
    """The program that reads the file."""
    file: str
    """The file's path, or where else it goes."""
    format: str
    """The content's format: ``yaml``, ``ini``, ``falco``, …"""
    content: str
    """Exactly what the file holds, values quoted for the format."""
    check: str
    """The command that checks it; empty where there is none."""
    load: str
    """The command that loads it; empty where none is needed."""
    note: Prose
    """A cost or a limit; may be empty."""


class Explanation(NamedTuple):
    """One innocent explanation."""

    text: Prose
    """What it is and what tells it apart."""
    fits: bool
    """Whether this alert's own fields bear it out."""


class Advice(NamedTuple):
    """What an entry says of one alert."""

    summary: Prose
    impact: Prose
    innocent: tuple[Explanation, ...]
    changes: tuple[Change, ...]
    tuning: tuple[Change, ...]
    commands: tuple[Command, ...]
    recommendations: tuple[Prose, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A link."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Technique:
    """An ATT&CK technique with one of its tactics."""

    technique_id: str
    technique: str
    tactic_id: str
    tactic: str
