"""The steps, changes and sentences that an entry or procedure offers, compiled.

Owns how each is rendered with an alert's values, and when it is left out.
Refuses to know where they come from (``loader.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from exporter.catalog.advice import Change, Command
from exporter.catalog.condition import Condition
from exporter.catalog.template import Absent, CommandTemplate, ContentTemplate, ProseTemplate
from exporter.escaping import Unembeddable
from exporter.prose import Lookup, Prose

_ANSI_C = "$'"
T_co = TypeVar("T_co", covariant=True)


def _has_ansi_c(block: str, text: str) -> bool:
    """Whether a block has values in ``$'…'``; the author's own text may hold these characters too, as in ``'x$'``."""
    return _ANSI_C in block and block.count(_ANSI_C) > text.count(_ANSI_C)


class Step(Protocol[T_co]):
    """What an author wrote for one place of a report."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that ``render`` looks at."""

    def render(self, lookup: Lookup) -> T_co | None:
        """Return it with the alert's values; None where it does not fit this alert."""


@dataclass(frozen=True, slots=True)
class CommandStep:
    """A block to paste that an entry or procedure offers."""

    title: ProseTemplate
    phase: str
    where: str
    shell: str
    run: CommandTemplate
    shows: ProseTemplate
    empty: ProseTemplate
    breaks: ProseTemplate
    undo: CommandTemplate
    rights: ProseTemplate
    unproven: str
    condition: Condition
    place: str = ""
    """``FILE:LINE`` of the step, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the step depends on."""
        prose = (self.title, self.shows, self.empty, self.breaks, self.rights)
        fields = self.run.fields.union(self.undo.fields, *(text.fields for text in prose))
        return fields | self.condition.fields_used()

    def render(self, lookup: Lookup) -> tuple[Command, ...]:
        """Return the step with the alert's values, alone; nothing where it does not fit this alert."""
        if not self.condition.holds(lookup):
            return ()
        try:
            run, undo = self.run.render(lookup), self.undo.render(lookup)
        except (Absent, Unembeddable):
            return ()
        title, shows, empty = self.title.render(lookup), self.shows.render(lookup), self.empty.render(lookup)
        breaks, rights = self.breaks.render(lookup), self.rights.render(lookup)
        # A value with hidden characters is written $'…', which bash and zsh know and sh does not.
        shell = "bash" if _has_ansi_c(run, self.run.text) or _has_ansi_c(undo, self.undo.text) else self.shell
        # By position, which costs half of what keywords do.
        return (Command(title, self.phase, self.where, shell, run, shows, empty, breaks, undo, rights, self.unproven),)

    def limited(self, condition: Condition) -> CommandStep | None:
        """Return the same step for fewer alerts; None where no alert can meet both conditions."""
        both = self.condition & condition
        return replace(self, condition=both) if both.can_hold else None

    def steps(self) -> Iterator[CommandStep]:
        """Yield every step that can come of it."""
        yield self


@dataclass(frozen=True, slots=True)
class Choice:
    """Variants of one or a few steps: those of the first variant whose first step fits the alert are shown."""

    variants: tuple[tuple[CommandStep | Choice, ...], ...]
    place: str = ""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the choice and its steps depend on."""
        return frozenset[str]().union(*(step.fields_used() for step in self.steps()))

    def render(self, lookup: Lookup) -> tuple[Command, ...]:
        """Return the steps with the alert's values; nothing where no variant fits this alert."""
        for variant in self.variants:
            first = variant[0].render(lookup)
            if first:
                return first + tuple([command for step in variant[1:] for command in step.render(lookup)])
        return ()

    def limited(self, condition: Condition) -> Choice | None:
        """Return the same choice for fewer alerts, without what can no longer be shown; None where nothing is left."""
        variants = [_limited(variant, condition) for variant in self.variants]
        left = tuple(variant for variant in variants if variant)
        return replace(self, variants=left) if left else None

    def steps(self) -> Iterator[CommandStep]:
        """Yield every step that can come of it."""
        for variant in self.variants:
            for step in variant:
                yield from step.steps()


def _limited(variant: tuple[CommandStep | Choice, ...], condition: Condition) -> tuple[CommandStep | Choice, ...]:
    """Return a variant for fewer alerts; none of it where its first step, which decides, cannot be shown."""
    first, *rest = (step.limited(condition) for step in variant)
    return () if first is None else (first, *(step for step in rest if step is not None))


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
class Sentence:
    """A sentence that stands for itself: a recommendation, a benign explanation, what is unknown."""

    text: ProseTemplate
    condition: Condition = Condition()
    place: str = ""
    """``FILE:LINE``, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the sentence depends on."""
        return self.text.fields | self.condition.fields_used()

    def render(self, lookup: Lookup) -> Prose | None:
        """Return the sentence with the alert's values; None where it does not fit this alert."""
        return self.text.render(lookup) if self.condition.holds(lookup) else None
