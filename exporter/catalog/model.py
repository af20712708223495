"""The catalog's entries: what an author wrote for one rule, compiled.

Owns the parts of an entry and when each of them fits an alert. Refuses to
know where entries come from (``loader.py``) and which entry a rule gets
(``catalog.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from exporter.catalog.advice import Change, Command, Explanation, Reference
from exporter.catalog.template import Absent, CommandTemplate, ContentTemplate, Lookup, ProseTemplate
from exporter.errors import CatalogError
from exporter.escaping import Unembeddable

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

    def render(self, lookup: Lookup) -> Command | None:
        """Return the command with the alert's values; None where it does not fit this alert."""
        if not self.condition.holds(lookup):
            return None
        try:
            run, undo = self.run.render(lookup), self.undo.render(lookup)
        except (Absent, Unembeddable):
            return None
        title, look, breaks = self.title.render(lookup), self.look.render(lookup), self.breaks.render(lookup)
        # By position, which costs half of what keywords do.
        return Command(title, self.phase, self.where, run, look, breaks, undo)


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


@dataclass(frozen=True, slots=True)
class Innocent:
    """An innocent explanation, with the signs in an alert that bear it out."""

    text: ProseTemplate
    signs: tuple[Sign, ...]
    place: str = ""
    """``FILE:LINE`` of the step, for messages."""

    def render(self, lookup: Lookup) -> Explanation:
        """Return the explanation; it fits when it has signs and all of them hold."""
        fits = bool(self.signs) and all(sign.holds(lookup) for sign in self.signs)
        return Explanation(self.text.render(lookup), fits)


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
        prose = [self.summary, self.impact]
        used: set[str] = set()
        for command in self.commands:
            prose += [command.title, command.look, command.breaks]
            used |= command.run.fields | command.undo.fields | command.condition.fields_used()
        for change in (*self.changes, *self.tuning):
            prose += [change.title, change.note]
            used |= change.content.fields | change.condition.fields_used()
        for recommendation in self.recommendations:
            prose.append(recommendation.text)
            used |= recommendation.condition.fields_used()
        for innocent in self.innocent:
            prose.append(innocent.text)
            used.update(sign.field for sign in innocent.signs)
        return frozenset(used).union(*(text.fields for text in prose))


def rendered_commands(steps: Iterable[CommandStep], lookup: Lookup) -> tuple[Command, ...]:
    """Return the commands that fit the alert."""
    return tuple([command for step in steps if (command := step.render(lookup)) is not None])


def rendered_changes(steps: Iterable[ChangeStep], lookup: Lookup) -> tuple[Change, ...]:
    """Return the changes that fit the alert."""
    return tuple([change for step in steps if (change := step.render(lookup)) is not None])
