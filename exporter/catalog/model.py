"""The catalog's entries: what an author wrote for one rule, compiled.

Owns the parts of an entry and when each of them fits an alert. Refuses to
know where entries come from (``loader.py``) and which entry a rule gets
(``catalog.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from exporter.catalog.advice import Advice, Change, Command, Reference, Technique
from exporter.catalog.template import Absent, CommandTemplate, ContentTemplate, ProseTemplate
from exporter.errors import CatalogError
from exporter.escaping import Unembeddable
from exporter.prose import Lookup, Prose, Span
from exporter.verdict.judgement import UNDECIDED

WHERE = ("host", "container", "cluster", "cloud")
PHASES = ("investigate", "contain")
_SIGN = re.compile(
    r"(?P<field>[a-z][A-Za-z0-9_.]*(?:\[[^\]]*\])?) (?P<operator>=|!=|startswith|endswith|contains|in|exists)"
    r"(?: (?P<operand>.+))?\Z"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """When a step fits an alert."""

    fields: frozenset[str] = frozenset()
    """Fields that must be present."""
    only: str = ""
    """``container``: the alert names a container; ``host``: it names none; empty: either."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the condition looks at."""
        return self.fields | ({"container.id"} if self.only else frozenset())

    def holds(self, lookup: Lookup) -> bool:
        """Whether the alert's fields meet the condition."""
        if self.only and (lookup("container.id") is not None) != (self.only == "container"):
            return False
        return not self.fields or all(lookup(field) is not None for field in self.fields)


@dataclass(frozen=True, slots=True)
class Sign:
    """One comparison with an alert's field, in Falco's operators."""

    field: str
    operator: str
    operands: tuple[str, ...]

    @classmethod
    def from_text(cls, text: str) -> Sign:
        """Read e.g. ``proc.name = sshd``, ``proc.name in (cp, mv)``. Raises CatalogError."""
        match = _SIGN.match(" ".join(text.split()))
        if match is None or (match["operand"] is None) != (match["operator"] == "exists"):
            raise CatalogError(
                f"{text!r} is no sign; expected FIELD OPERATOR VALUE with one of "
                "=, !=, startswith, endswith, contains, in (A, B), or FIELD exists"
            )
        operand = (match["operand"] or "").strip()
        if match["operator"] != "in":
            return cls(match["field"], match["operator"], (operand,))
        if not (operand.startswith("(") and operand.endswith(")")):
            raise CatalogError(f"{text!r}: in takes a list in parentheses, as in `proc.name in (cp, mv)`")
        return cls(match["field"], "in", tuple(item.strip() for item in operand[1:-1].split(",")))

    def holds(self, lookup: Lookup) -> bool:
        """Whether the alert bears the sign out; an absent field never does."""
        value = lookup(self.field)
        if value is None:
            return False
        return _OPERATORS[self.operator](value, self.operands)


_OPERATORS: Mapping[str, Callable[[str, tuple[str, ...]], bool]] = {
    "=": lambda value, operands: value == operands[0],
    "!=": lambda value, operands: value != operands[0],
    "startswith": lambda value, operands: value.startswith(operands[0]),
    "endswith": lambda value, operands: value.endswith(operands[0]),
    "contains": lambda value, operands: operands[0] in value,
    "in": lambda value, operands: value in operands,
    "exists": lambda value, operands: True,
}


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Step(Protocol[T_co]):
    """What an author wrote for one place of a report."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that ``render`` looks at."""

    def render(self, lookup: Lookup) -> T_co | None:
        """Return it with the alert's values; None where it does not fit this alert."""


@dataclass(frozen=True, slots=True)
class CommandStep:
    """A command that an entry or procedure offers."""

    title: ProseTemplate
    phase: str
    where: str
    run: CommandTemplate
    look: ProseTemplate
    breaks: ProseTemplate
    undo: CommandTemplate
    condition: Condition
    place: str = ""
    """``FILE:LINE`` of the step, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the command depends on."""
        prose = self.title.fields | self.look.fields | self.breaks.fields
        return prose | self.run.fields | self.undo.fields | self.condition.fields_used()

    def render(self, lookup: Lookup) -> Command | None:
        """Return the command with the alert's values; None where it does not fit this alert."""
        if not self.condition.holds(lookup):
            return None
        try:
            run, undo = self.run.render(lookup), self.undo.render(lookup)
        except (Absent, Unembeddable):
            return None
        title, look, breaks = self.title.render(lookup), self.look.render(lookup), self.breaks.render(lookup)
        phase = "look" if self.phase == "investigate" else self.phase
        where = "node" if self.where == "container" else self.where
        # By position, which costs half of what keywords do.
        return Command(title, phase, where, "bash", run, look, (), breaks, undo, (), "")


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """A configuration change that an entry or procedure offers."""

    title: ProseTemplate
    tool: str
    file: str
    format: str
    content: ContentTemplate
    check: str
    load: str
    note: ProseTemplate
    condition: Condition
    place: str = ""
    """``FILE:LINE`` of the step, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the change depends on."""
        return self.title.fields | self.note.fields | self.content.fields | self.condition.fields_used()

    def render(self, lookup: Lookup) -> Change | None:
        """Return the change with the alert's values; None where it does not fit this alert."""
        if not self.condition.holds(lookup):
            return None
        try:
            content = self.content.render(lookup)
        except (Absent, Unembeddable):
            return None
        title, note = self.title.render(lookup), self.note.render(lookup)
        return Change(title, self.tool, self.file, self.format, content, self.check, self.load, note)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommendation that is neither a command nor a file."""

    text: ProseTemplate
    condition: Condition
    place: str = ""
    """``FILE:LINE`` of the step, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the recommendation depends on."""
        return self.text.fields | self.condition.fields_used()

    def render(self, lookup: Lookup) -> Prose | None:
        """Return the recommendation with the alert's values; None where it does not fit this alert."""
        return self.text.render(lookup) if self.condition.holds(lookup) else None


@dataclass(frozen=True, slots=True)
class Innocent:
    """An innocent explanation, with the signs in an alert that bear it out."""

    text: ProseTemplate
    signs: tuple[Sign, ...]
    place: str = ""
    """``FILE:LINE`` of the step, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the explanation depends on."""
        return self.text.fields.union(sign.field for sign in self.signs)

    def render(self, lookup: Lookup) -> Prose:
        """Return the explanation."""
        return self.text.render(lookup)


@dataclass(frozen=True, slots=True)
class Entry:
    """What was written for one rule."""

    rule: str
    former_names: tuple[str, ...]
    """Names that upstream gave this rule before."""
    source: str
    """The event source of the rule."""
    ruleset: str
    """The upstream rules file's name, e.g. ``falco_rules.yaml``."""
    techniques: tuple[tuple[str, str], ...]
    """ATT&CK technique id and tactic id, current ones."""
    summary: ProseTemplate
    impact: ProseTemplate
    innocent: tuple[Innocent, ...]
    commands: tuple[CommandStep, ...]
    changes: tuple[ChangeStep, ...]
    recommendations: tuple[Recommendation, ...]
    tuning: tuple[ChangeStep, ...]
    references: tuple[Reference, ...]
    place: str
    """``FILE:LINE`` of the entry, for messages."""
    composed: bool = False
    """True for advice put together from an alert's own facts."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the advice depends on: two alerts equal in these get the same."""
        steps: tuple[Step[object], ...] = (
            *self.innocent,
            *self.commands,
            *self.changes,
            *self.tuning,
            *self.recommendations,
        )
        return self.summary.fields.union(self.impact.fields, *(step.fields_used() for step in steps))

    def render(self, lookup: Lookup, maturity: str, techniques: tuple[Technique, ...]) -> Advice:
        """Return the advice with the alert's values."""
        return to_advice(
            self,
            (maturity, techniques),
            Rendered(
                self.summary.render(lookup),
                self.impact.render(lookup),
                _rendered(self.innocent, lookup),
                _rendered(self.changes, lookup),
                _rendered(self.tuning, lookup),
                _rendered(self.commands, lookup),
                _rendered(self.recommendations, lookup),
            ),
        )


class Rendered(NamedTuple):
    """The parts of an entry with one alert's values."""

    summary: Prose
    impact: Prose
    benign: tuple[Prose, ...]
    changes: tuple[Change, ...]
    tuning: tuple[Change, ...]
    commands: tuple[Command, ...]
    recommendations: tuple[Prose, ...]


def to_advice(entry: Entry, context: tuple[str, tuple[Technique, ...]], parts: Rendered) -> Advice:
    """Return the advice that an entry's parts make."""
    return Advice(
        composed=entry.composed,
        maturity=context[0],
        ruleset=entry.ruleset,
        techniques=context[1],
        judgement=UNDECIDED,
        what=(Span("text", entry.rule),),
        ask="ask who did it",
        summary=parts.summary,
        benign=parts.benign,
        unknown=(),
        close_if=(Span("text", "the responsible person confirms it over another channel."),),
        escalate_if=(Span("text", "nobody does, or the same host or account raises another alert."),),
        commands=parts.commands,
        impact=parts.impact,
        changes=parts.changes,
        recommendations=parts.recommendations,
        tuning=parts.tuning,
        references=entry.references,
        names_uid="alert.uid" in entry.fields_used(),
    )


def _rendered(steps: Iterable[Step[T]], lookup: Lookup) -> tuple[T, ...]:
    """Return what fits the alert."""
    return tuple([rendered for step in steps if (rendered := step.render(lookup)) is not None])
