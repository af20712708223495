"""Walking a catalog: every piece of advice once, with where it stands.

Owns telling an entry's own steps from those a procedure brings, so that what
is shared is checked, and complained of, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.catalog.catalog import Catalog
from exporter.catalog.exception import ExceptionStep
from exporter.catalog.model import Entry
from exporter.catalog.procedures import Procedure
from exporter.catalog.steps import ChangeStep, CommandStep, Sentence
from exporter.catalog.template import ProseTemplate

Step = CommandStep | ChangeStep | ExceptionStep | Sentence


@dataclass(frozen=True, slots=True)
class Owned:
    """A step with whose it is."""

    owner: str
    """The rule, or ``procedure NAME``."""
    entry: Entry | None
    """The entry whose own step it is; None for a procedure's."""
    step: Step


def shared_places(catalog: Catalog) -> frozenset[str]:
    """Return the places of the steps that procedures bring."""
    return frozenset(step.place for procedure in catalog.procedures.values() for step in _procedure_steps(procedure))


def steps(catalog: Catalog) -> Iterator[Owned]:
    """Yield each step once: the procedures' first, then each entry's own."""
    for procedure in catalog.procedures.values():
        for step in _procedure_steps(procedure):
            yield Owned(f"procedure {procedure.name}", None, step)
    shared = shared_places(catalog)
    for entry in catalog.entries:
        for step in all_steps(entry):
            if step.place not in shared:
                yield Owned(entry.rule, entry, step)


def commands(catalog: Catalog) -> Iterator[tuple[Owned, CommandStep]]:
    """Yield each command once."""
    for owned in steps(catalog):
        if isinstance(owned.step, CommandStep):
            yield owned, owned.step


def changes(catalog: Catalog) -> Iterator[tuple[Owned, ChangeStep]]:
    """Yield each change once, tuning included."""
    for owned in steps(catalog):
        if isinstance(owned.step, ChangeStep):
            yield owned, owned.step


def _procedure_steps(procedure: Procedure) -> tuple[Step, ...]:
    brought = procedure.itself
    steps = tuple(command for step in brought.steps for command in step.steps())
    return (*steps, *brought.changes, *brought.recommendations)


def all_steps(entry: Entry) -> tuple[Step, ...]:
    """Return an entry's steps of every kind, variants and tuning included."""
    return (*entry.commands, *entry.changes, *entry.recommendations, *entry.tuning)


def prose_of(step: Step) -> tuple[ProseTemplate, ...]:
    """Return a step's prose."""
    if isinstance(step, CommandStep):
        return (step.title, step.shows, step.empty, step.breaks, step.rights)
    if isinstance(step, ChangeStep | ExceptionStep):
        return (step.title, step.note)
    return (step.text,)


def own_prose(entry: Entry, shared: frozenset[str]) -> Iterator[tuple[str, ProseTemplate]]:
    """Yield place and text of the prose that was written for this entry only.

    When to close and when to escalate may be said alike for several rules.
    """
    for name in ("what", "summary", "impact"):
        if name in entry.written:
            yield entry.place, getattr(entry, name)
    for step in (*entry.benign, *entry.unknown, *all_steps(entry)):
        if step.place not in shared:
            for text in prose_of(step):
                yield step.place, text
