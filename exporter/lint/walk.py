"""Walking a catalog: every piece of advice once, with where it stands.

Owns telling an entry's own steps from those a procedure brings, so that what
is shared is checked, and complained of, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.catalog.catalog import Catalog
from exporter.catalog.loader import Procedure
from exporter.catalog.model import ChangeStep, CommandStep, Entry, Innocent, Recommendation
from exporter.catalog.template import ProseTemplate

Step = CommandStep | ChangeStep | Recommendation


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
    return (*procedure.commands, *procedure.changes, *procedure.recommendations)


def all_steps(entry: Entry) -> tuple[Step, ...]:
    """Return an entry's steps of every kind, tuning included."""
    return (*entry.commands, *entry.changes, *entry.recommendations, *entry.tuning)


def prose_of(step: Step | Innocent) -> tuple[ProseTemplate, ...]:
    """Return a step's prose."""
    if isinstance(step, CommandStep):
        return (step.title, step.look, step.breaks)
    if isinstance(step, ChangeStep):
        return (step.title, step.note)
    return (step.text,)


def own_prose(entry: Entry, shared: frozenset[str]) -> Iterator[tuple[str, ProseTemplate]]:
    """Yield place and text of the prose that was written for this entry alone."""
    yield entry.place, entry.summary
    yield entry.place, entry.impact
    pieces: tuple[Step | Innocent, ...] = (*entry.innocent, *all_steps(entry))
    for step in pieces:
        if step.place not in shared:
            for text in prose_of(step):
                yield step.place, text
