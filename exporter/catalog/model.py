"""The catalog's entries: what an author wrote for one rule, compiled.

Owns the parts of an entry and how they become one alert's advice. Refuses to
know where entries come from (``loader.py``) and which entry a rule gets
(``catalog.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from exporter.catalog.advice import Advice, Change, Command, Reference, only_if_escalated
from exporter.catalog.attack import techniques_of
from exporter.catalog.condition import When
from exporter.catalog.exception import ExceptionStep
from exporter.catalog.steps import ChangeStep, Choice, CommandStep, Sentence, Step
from exporter.catalog.template import ProseTemplate
from exporter.prose import Lookup, Prose
from exporter.verdict.judgement import Judgement
from exporter.verdict.sign import Sign

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TechniqueStep:
    """A technique that an alert of the rule may show."""

    technique: str
    """The technique's id, a current one."""
    tactic: str
    """The tactic's id."""
    when: When | None = None
    """None: always where it stands before every condition, else where none of the conditions before it held."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was written for one rule."""

    rule: str
    source: str
    """The event source of the rule."""
    ruleset: str
    """The upstream rules file's name, e.g. ``falco_rules.yaml``."""
    place: str
    """``FILE:LINE`` of the entry, for messages."""
    former_names: tuple[str, ...]
    """Names that upstream gave this rule before."""
    attack: tuple[TechniqueStep, ...]
    what: ProseTemplate
    """A noun phrase of at most nine words, with the place."""
    ask: str
    """What the title says to do where the verdict is undecided."""
    summary: ProseTemplate
    signs: tuple[Sign, ...]
    """The rule's own signs, beside the general ones."""
    benign: tuple[Sentence, ...]
    unknown: tuple[Sentence, ...]
    close_if: ProseTemplate
    escalate_if: ProseTemplate
    steps: tuple[CommandStep | Choice, ...]
    impact: ProseTemplate
    changes: tuple[ChangeStep, ...]
    recommendations: tuple[Sentence, ...]
    tuning: tuple[ChangeStep | ExceptionStep, ...]
    references: tuple[Reference, ...]
    composed: bool = False
    """True for advice put together from an alert's own facts."""
    written: frozenset[str] = frozenset()
    """The keys that its author wrote; what stands for the others is its source's default."""

    @property
    def commands(self) -> tuple[CommandStep, ...]:
        """Every step that an alert of the rule may get, variants included."""
        return tuple(command for step in self.steps for command in step.steps())

    @property
    def techniques(self) -> tuple[tuple[str, str], ...]:
        """Ids of every technique that an alert of the rule may show, with the tactic's."""
        return tuple(dict.fromkeys((each.technique, each.tactic) for each in self.attack))

    def fields_used(self) -> frozenset[str]:
        """Return every field that the advice depends on, beside the judgement."""
        steps: tuple[Step[object], ...] = (
            *self.benign, *self.unknown, *self.steps, *self.changes, *self.tuning, *self.recommendations,
        )  # fmt: skip
        prose = (self.what, self.summary, self.close_if, self.escalate_if, self.impact)
        conditions = [each.when.fields for each in self.attack if each.when]
        return frozenset[str]().union(
            *conditions, *(text.fields for text in prose), *(step.fields_used() for step in steps)
        )

    def techniques_for(self, lookup: Lookup) -> tuple[tuple[str, str], ...]:
        """Return the ids of the techniques that this alert shows."""
        found: list[tuple[str, str]] = []
        asked = held = False
        for each in self.attack:
            if each.when is not None:
                asked = True
                holds = each.when.holds(lookup)
                held = held or holds
            else:
                holds = not asked or not held
            if holds:
                found.append((each.technique, each.tactic))
        return tuple(found)

    def render(self, lookup: Lookup, judgement: Judgement, maturity: str) -> Advice:
        """Return the advice with the alert's values."""
        return to_advice(
            self,
            (judgement, maturity, self.techniques_for(lookup)),
            Rendered(
                self.what.render(lookup),
                self.summary.render(lookup),
                self.close_if.render(lookup),
                self.escalate_if.render(lookup),
                self.impact.render(lookup),
                _rendered(self.benign, lookup),
                _rendered(self.unknown, lookup),
                tuple([command for step in self.steps for command in step.render(lookup)]),
                _rendered(self.changes, lookup),
                _rendered(self.recommendations, lookup),
                _rendered(offered(self.tuning, judgement.verdict), lookup),
                "alert.uid" in self.fields_used(),
            ),
        )


class Rendered(NamedTuple):
    """The parts of an entry with one alert's values."""

    what: Prose
    summary: Prose
    close_if: Prose
    escalate_if: Prose
    impact: Prose
    benign: tuple[Prose, ...]
    unknown: tuple[Prose, ...]
    commands: tuple[Command, ...]
    changes: tuple[Change, ...]
    recommendations: tuple[Prose, ...]
    tuning: tuple[Change, ...]
    names_uid: bool


def _contains_at_once(entry: Entry, judgement: Judgement) -> bool:
    """Whether containing comes before asking: for a likely attack, and where Falco itself is what has to be mended."""
    return judgement.verdict == "attack" or entry.ruleset == "internal"


def to_advice(entry: Entry, context: tuple[Judgement, str, tuple[tuple[str, str], ...]], parts: Rendered) -> Advice:
    """Return the advice that an entry's parts make, with judgement, maturity and the ids of techniques."""
    judgement, maturity, techniques = context
    return Advice(
        composed=entry.composed,
        maturity=maturity,
        ruleset=entry.ruleset,
        techniques=techniques_of(techniques),
        judgement=judgement,
        what=parts.what,
        ask=entry.ask,
        summary=parts.summary,
        benign=parts.benign,
        unknown=parts.unknown,
        close_if=parts.close_if,
        escalate_if=parts.escalate_if,
        commands=parts.commands if _contains_at_once(entry, judgement) else only_if_escalated(parts.commands),
        impact=parts.impact,
        changes=parts.changes,
        recommendations=parts.recommendations,
        tuning=parts.tuning,
        references=entry.references,
        names_uid=parts.names_uid,
    )


def offered(tuning: Iterable[ChangeStep | ExceptionStep], verdict: str) -> tuple[ChangeStep | ExceptionStep, ...]:
    """Return the tuning that may be offered with this verdict: none that an author wrote by hand for an attack."""
    return tuple(
        [step for step in tuning if verdict not in (step.never_if if isinstance(step, ExceptionStep) else ("attack",))]
    )


def _rendered(steps: Iterable[Step[T]], lookup: Lookup) -> tuple[T, ...]:
    """Return what fits the alert."""
    return tuple([rendered for step in steps if (rendered := step.render(lookup)) is not None])
