"""What an entry must have, and how long its parts may be.

Owns the limits of one part. Refuses whole reports (see ``length.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.catalog.steps import ChangeStep, CommandStep
from exporter.catalog.template import ProseTemplate
from exporter.lint.finding import Finding
from exporter.lint.walk import changes, commands

REQUIRED = frozenset({"what", "ask", "close_if", "escalate_if", "steps", "references"})
_WORDS = {"what": 9, "summary": 40, "close_if": 35, "escalate_if": 30, "impact": 45}
"""The author's own words in each text."""
_STEP_WORDS = 45
_COUNTS = {"unknown": (0, 2), "changes": (0, 3), "recommendations": (0, 3), "references": (1, 4), "attack": (0, 6)}
_NAMES = {"changes": "configure", "recommendations": "recommend"}
_CHECKED_FORMATS = frozenset({"sudoers", "sshd_config", "nft", "audit", "rsyslog", "systemd", "falco"})
"""Formats whose reader has a checker of its own."""
_PLACE = re.compile(r"%\{[^}]*\}|\[\[|\]\]")
_FAKEABLE = re.compile(r"(?i)\b(?:process name|user agent|the image's name|looks normal|is expected|seems)\b")


def check_limits(catalog: Catalog) -> Iterator[Finding]:
    """Yield what an entry lacks, texts that are too long, and steps that lack their explanation."""
    for entry in catalog.entries:
        for message in (*_missing(entry), *_lengths(entry), *_counts(entry)):
            yield Finding(entry.place, entry.rule, message)
    for owned, step in commands(catalog):
        for message in _command(step):
            yield Finding(step.place, owned.owner, message)
    for owned, change in changes(catalog):
        for message in _change(change):
            yield Finding(change.place, owned.owner, message)


def words_in(template: ProseTemplate) -> int:
    """Return how many words the author wrote, placeholders left out."""
    return len(re.findall(r"\w[\w.'/-]*", _PLACE.sub(" ", template.text)))


def _missing(entry: Entry) -> Iterator[str]:
    for key in sorted(REQUIRED - entry.written):
        yield f"missing key: {key}"
    if len(entry.ask.split()) > 5:
        yield f"ask has {len(entry.ask.split())} words; expected at most 5, as the title has it after UNDECIDED"
    if match := _FAKEABLE.search(entry.close_if.text):
        yield f"close_if says {match[0]!r}; name a check that an intruder cannot fake"


def _lengths(entry: Entry) -> Iterator[str]:
    for name, limit in _WORDS.items():
        found = words_in(getattr(entry, name))
        if found > limit:
            yield f"{name} has {found} words of your own; expected at most {limit}"


def _counts(entry: Entry) -> Iterator[str]:
    for name, (low, high) in _COUNTS.items():
        found = len(getattr(entry, name))
        if not low <= found <= high and name in {"unknown", "references"}:
            yield f"{_NAMES.get(name, name)} has {found} items; expected {low} to {high}"
    for item in entry.unknown:
        if item.text.text.startswith("and "):
            yield f"unknown: {item.text.text!r} is half of a sentence; quote it in YAML, or leave out the `and`"


def _command(step: CommandStep) -> Iterator[str]:
    for name in ("title", "shows", "empty", "breaks", "rights"):
        found = words_in(getattr(step, name))
        if found > _STEP_WORDS:
            yield f"{name} has {found} words of your own; expected at most {_STEP_WORDS}"
    if "escalated" in step.title.text:
        yield "title says when to run it; the report says so itself where it is not a likely attack"
    if step.phase == "look" and not step.empty.text:
        yield "missing key: empty; say what an empty answer or an error means"
    if step.phase == "contain" and not step.undo.text and not step.breaks.text:
        yield "missing key: undo; write `undo: none` and the reason in `breaks`"
    if step.where in {"cluster", "cloud"} and not step.rights.text:
        yield "missing key: rights; say what the credentials must allow"


def _change(change: ChangeStep) -> Iterator[str]:
    if not change.check and change.format in _CHECKED_FORMATS:
        yield f"format {change.format} without `check`; name the checker of the program that reads the file"
