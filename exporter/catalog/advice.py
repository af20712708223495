"""Advice as a reader gets it: verdict, prose, steps and changes, with one alert's values in place.

Owns the pieces that a report is made of. Prose is spans whose values still
wait for a renderer's escaping; commands and file contents have their values
quoted already, for the shell or for the file's format. What a report makes
many of is a NamedTuple, a third as costly to make as a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from exporter.kept import PerObject
from exporter.prose import Prose, Span
from exporter.verdict.judgement import Judgement


class Command(NamedTuple):
    """One step: a block to paste into a shell, and how to read its answer."""

    title: Prose
    """What it does: an imperative or a question."""
    phase: str
    """One of ``PHASES``."""
    where: str
    """One of ``WHERE``."""
    shell: str
    """``sh`` (POSIX) or ``bash``."""
    run: str
    """The block, values quoted; may be of several lines."""
    shows: Prose
    """What to look for in its answer; empty where nothing is."""
    empty: Prose
    """What an empty answer or an error means; empty where it cannot be empty."""
    breaks: Prose
    """What it breaks; empty for a step that only reads."""
    undo: str
    """The block that undoes it; empty where there is none."""
    rights: Prose
    """What the credentials must allow; empty on a host, where it is root."""
    unproven: str
    """Why nobody could run it; empty where it was run."""


PHASES = ("look", "keep", "contain", "verify", "recover")
"""What a step is for, in the order of a report; the first two and ``verify`` change nothing that is not their own."""
WHERE = ("host", "node", "cluster", "cloud")
"""Where a step runs: the alert's host, a container's node, wherever kubectl is, wherever the provider's client is."""


_IF_ESCALATED = Span("text", "If escalated: ")
_KEPT_STEPS = 512


def only_if_escalated(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """Return the steps as they are for what is no likely attack: what contains says that it is not to be run yet."""
    return tuple([_if_escalated(command) if command.phase == "contain" else command for command in commands])


def title_alone(command: Command) -> Prose:
    """Return a step's title without the words that say when to run it."""
    return command.title[1:] if command.title[:1] == (_IF_ESCALATED,) else command.title


def _make_if_escalated(command: Command) -> Command:
    if any("escalated" in span.text for span in command.title if span.kind == "text"):
        return command
    return command._replace(title=(_IF_ESCALATED, *command.title))


_if_escalated = PerObject(_make_if_escalated, _KEPT_STEPS)
"""The same step again for the same step: what is made of it is found by the object."""


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


@dataclass(frozen=True, slots=True)
class Advice:
    """Everything that is said of an alert besides what Falco said; alike for alerts that differ in nothing it uses.

    Where a text names the alert's uid it holds ``template.UID_SENTINEL``
    instead, so that it can be given again; ``with_uid`` puts the uid in.
    """

    composed: bool
    """True where no entry was written for this rule: the advice is general and says so."""
    maturity: str
    """Upstream's word for the rule: stable, incubating, sandbox, deprecated; empty when it has none."""
    ruleset: str
    """The upstream rules file; empty when the rule is of none."""
    techniques: tuple[Technique, ...]
    judgement: Judgement
    """What the signs say: the verdict, the outcome, and every sign that matched."""
    what: Prose
    """What happened and where, for the title: a noun phrase of at most nine words."""
    ask: str
    """What the title says to do where the verdict is undecided."""
    summary: Prose
    """One sentence with the alert's values."""
    benign: tuple[Prose, ...]
    """Benign explanations that no sign can tell."""
    unknown: tuple[Prose, ...]
    """What the alert cannot say, at most two."""
    close_if: Prose
    """The check after which this may be closed; one that an intruder cannot fake."""
    escalate_if: Prose
    commands: tuple[Command, ...]
    """The steps in the order in which they are taken."""
    impact: Prose
    changes: tuple[Change, ...]
    recommendations: tuple[Prose, ...]
    tuning: tuple[Change, ...]
    references: tuple[Reference, ...]
    names_uid: bool = False
    """Whether ``template.UID_SENTINEL`` is in any text."""

    @property
    def verdict_words(self) -> str:
        """The verdict and what to do about it, e.g. ``LIKELY ATTACK, escalate now``."""
        return _VERDICT_WORDS.get(self.judgement.verdict) or f"UNDECIDED, {self.ask}"

    @property
    def title(self) -> Prose:
        """The verdict, what to do, what happened and where."""
        return (Span("text", f"{self.verdict_words}: "), *self.what)


def verdict_word(verdict: str) -> str:
    """Return a verdict as lists and charts show it, e.g. ``LIKELY ATTACK``."""
    return _VERDICT_WORDS.get(verdict, "UNDECIDED").partition(",")[0]


_VERDICT_WORDS = {
    "attack": "LIKELY ATTACK, escalate now",
    "benign": "LIKELY BENIGN, confirm, then close",
    "test": "LOOKS LIKE A TEST, confirm, then close",
}
