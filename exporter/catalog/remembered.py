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

from exporter.catalog.advice import Advice, Technique
from exporter.catalog.model import Entry, Rendered, Step, to_advice
from exporter.catalog.template import ProseTemplate
from exporter.prose import Lookup, Prose

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
        self.kept: dict[_Key, T | None] = {}

    def render(self, key: _Key, lookup: Lookup) -> T | None:
        """Render anew, and keep it by the fields' values."""
        rendered = self._step.render(lookup)
        if sum([len(value) for value in key if value]) <= KEY_LIMIT_CHARACTERS:
            kept = self.kept if len(self.kept) < VALUES_KEPT else {}
            self.kept = kept | {key: rendered}
        return rendered


class _RememberedAll(Generic[T]):
    """The steps for one place of a report."""

    __slots__ = ("_fields", "_last", "_steps")

    def __init__(self, steps: Iterable[Step[T]]) -> None:
        self._steps = [_Remembered(step) for step in steps]
        self._fields = tuple(sorted({field for step in self._steps for field in step.fields}))
        self._last: tuple[_Key | None, tuple[T, ...]] = (None, ())

    def render(self, lookup: Lookup) -> tuple[T, ...]:
        """Return what fits the alert; the very same tuple where it is the same as the last time."""
        all_values = tuple(map(lookup, self._fields))
        last_values, last = self._last
        if all_values == last_values:
            return last
        rendered: list[T] = []
        for step in self._steps:
            values = tuple(map(lookup, step.fields))
            found = step.kept.get(values, step)
            if found is step:
                found = step.render(values, lookup)
            if found is not None:
                rendered.append(found)  # type: ignore[arg-type]
        if len(rendered) != len(last) or not all(map(is_, rendered, last)):
            last = tuple(rendered)
        if sum([len(value) for value in all_values if value]) <= KEY_LIMIT_CHARACTERS:
            self._last = (all_values, last)
        return last


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
        self._summary = _RememberedAll([_Prose(entry.summary)])
        self._impact = _RememberedAll([_Prose(entry.impact)])
        self._innocent = _RememberedAll(entry.innocent)
        self._changes = _RememberedAll(entry.changes)
        self._tuning = _RememberedAll(entry.tuning)
        self._commands = _RememberedAll(entry.commands)
        self._recommendations = _RememberedAll(entry.recommendations)

    def render(self, lookup: Lookup, maturity: str, techniques: tuple[Technique, ...]) -> Advice:
        """Return the advice with the alert's values."""
        return to_advice(
            self._entry,
            (maturity, techniques),
            Rendered(
                self._summary.render(lookup)[0],
                self._impact.render(lookup)[0],
                self._innocent.render(lookup),
                self._changes.render(lookup),
                self._tuning.render(lookup),
                self._commands.render(lookup),
                self._recommendations.render(lookup),
            ),
        )
