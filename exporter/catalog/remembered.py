"""An entry that remembers what its steps gave for recent values.

Owns which values are remembered, and how many: they come from attackers. A
step depends on a few fields, so that an alert with a new command line leaves
most of an entry's steps as they were; those are the very same objects again.
Refuses to know what a step is (see ``model.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import Generic, TypeVar

from exporter.catalog.advice import Advice, Command
from exporter.catalog.model import Entry, Rendered, offered, to_advice
from exporter.catalog.steps import Step
from exporter.catalog.template import ProseTemplate
from exporter.kept import Kept
from exporter.prose import Lookup, Prose
from exporter.verdict.judgement import VERDICTS, Judgement

VALUES_KEPT = 4
"""Results kept a step, some 500 bytes each."""
KEY_LIMIT_CHARACTERS = 1_024
"""Longer values are not kept."""

T = TypeVar("T")
_Key = tuple[str | None, ...]
"""The values of a step's fields."""


class _Remembered(Generic[T]):
    """One step, with what it gave for recent values of its fields."""

    __slots__ = ("_step", "fields", "kept")

    def __init__(self, step: Step[T]) -> None:
        self._step = step
        self.fields = tuple(sorted(step.fields_used()))
        self.kept: Kept[_Key, T | None] = Kept(VALUES_KEPT)

    def render(self, key: _Key, lookup: Lookup) -> T | None:
        """Render anew, and keep it by the fields' values."""
        rendered = self._step.render(lookup)
        if sum([len(value) for value in key if value]) <= KEY_LIMIT_CHARACTERS:
            self.kept.keep(key, rendered)
        return rendered


class _RememberedAll(Generic[T]):
    """The steps for one place of a report."""

    __slots__ = ("_fields", "_last", "_of_field", "_steps")

    def __init__(self, steps: Iterable[Step[T]]) -> None:
        self._steps = [_Remembered(step) for step in steps]
        self._fields = tuple(sorted({field for step in self._steps for field in step.fields}))
        self._of_field = [[n for n, step in enumerate(self._steps) if field in step.fields] for field in self._fields]
        """For each field the steps that depend on it."""
        self._last: tuple[_Key | None, tuple[T, ...], list[T | None]] = (None, (), [])
        """The values of all fields, what fitted them, and what each step gave."""

    def render(self, lookup: Lookup) -> tuple[T, ...]:
        """Return what fits the alert; the very same tuple where it is the same as the last time."""
        all_values = tuple(map(lookup, self._fields))
        last_values, last, given = self._last
        if all_values == last_values:
            return last
        given = self._render_anew(self._touched(last_values, all_values), given, lookup)
        rendered = [found for found in given if found is not None]
        if len(rendered) != len(last) or not all(map(is_, rendered, last)):
            last = tuple(rendered)
        if sum([len(value) for value in all_values if value]) <= KEY_LIMIT_CHARACTERS:
            self._last = (all_values, last, given)
        return last

    def _touched(self, last: _Key | None, values: _Key) -> Iterable[int]:
        """Return the numbers of the steps that these values may change."""
        if last is None:
            return range(len(self._steps))
        changed = [steps for steps, old, new in zip(self._of_field, last, values, strict=True) if old != new]
        return changed[0] if len(changed) == 1 else {number for steps in changed for number in steps}

    def _render_anew(self, numbers: Iterable[int], given: list[T | None], lookup: Lookup) -> list[T | None]:
        given = list(given) or [None] * len(self._steps)
        for number in numbers:
            step = self._steps[number]
            values = tuple(map(lookup, step.fields))
            found = step.kept.get(values, step)
            given[number] = step.render(values, lookup) if found is step else found  # type: ignore[assignment]
        return given


class _Prose:
    """Prose as a step."""

    __slots__ = ("_template",)

    def __init__(self, template: ProseTemplate) -> None:
        self._template = template

    def fields_used(self) -> frozenset[str]:
        return self._template.fields

    def render(self, lookup: Lookup) -> Prose:
        return self._template.render(lookup)


class RememberedEntry:
    """Gives the advice that ``entry.render`` gives, sooner. Safe from any thread: what is kept is replaced whole."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        texts = (entry.what, entry.summary, entry.close_if, entry.escalate_if, entry.impact)
        self._prose = _RememberedAll([_Prose(text) for text in texts])
        self._benign = _RememberedAll(entry.benign)
        self._unknown = _RememberedAll(entry.unknown)
        self._steps = _RememberedAll(entry.steps)
        self._changes = _RememberedAll(entry.changes)
        self._recommendations = _RememberedAll(entry.recommendations)
        self._tuning = {verdict: _RememberedAll(offered(entry.tuning, verdict)) for verdict in VERDICTS}
        self._names_uid = "alert.uid" in entry.fields_used()
        self._commands: tuple[tuple[tuple[Command, ...], ...], tuple[Command, ...]] = ((), ())

    def render(self, lookup: Lookup, judgement: Judgement, maturity: str) -> Advice:
        """Return the advice with the alert's values."""
        return self._render(lookup, judgement, maturity, is_brief=False)

    def render_brief(self, lookup: Lookup, judgement: Judgement, maturity: str) -> Advice:
        """Return the advice without what brief reports leave out: benign cases, changes, recommendations, tuning."""
        return self._render(lookup, judgement, maturity, is_brief=True)

    def _render(self, lookup: Lookup, judgement: Judgement, maturity: str, *, is_brief: bool) -> Advice:
        what, summary, close_if, escalate_if, impact = self._prose.render(lookup)
        return to_advice(
            self._entry,
            (judgement, maturity, self._entry.techniques_for(lookup)),
            Rendered(
                what,
                summary,
                close_if,
                escalate_if,
                impact,
                () if is_brief else self._benign.render(lookup),
                self._unknown.render(lookup),
                self._flat(self._steps.render(lookup)),
                () if is_brief else self._changes.render(lookup),
                () if is_brief else self._recommendations.render(lookup),
                () if is_brief else self._tuning[judgement.verdict].render(lookup),
                self._names_uid,
            ),
        )

    def _flat(self, groups: tuple[tuple[Command, ...], ...]) -> tuple[Command, ...]:
        """Return the groups' steps in a row; the very same tuple for the very same groups."""
        last, flat = self._commands
        if groups is not last:
            flat = tuple([command for group in groups for command in group])
            self._commands = (groups, flat)
        return flat
