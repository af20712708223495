"""Field use: an entry names only fields that its rule's alerts can carry."""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.exception import SIDES, ExceptionStep
from exporter.catalog.index import RuleFacts
from exporter.catalog.model import Entry
from exporter.catalog.steps import Choice, CommandStep, Sentence
from exporter.catalog.template import ProseTemplate
from exporter.lint.finding import Finding
from exporter.lint.samples import ALERT_VALUES
from exporter.lint.walk import Step, all_steps, prose_of, shared_places

_PLACE = re.compile(r"%\{([^}]*)\}")
CONTAINER_VALUES = frozenset({"k8s.pod.name", "container.id"})
"""What `only` asks for, which any alert may lack."""


def places(text: str) -> list[tuple[str, ...]]:
    """Return for each placeholder of a template the fields that can fill it; none where words stand in for them."""
    found = [match.split("|") for match in _PLACE.findall(text)]
    return [() if parts[-1].startswith("'") else tuple(parts) for parts in found]


def check_fields(catalog: Catalog) -> Iterator[Finding]:
    """Yield placeholders, ``needs`` and signs that name a field which the rule's output never gives."""
    shared = shared_places(catalog)
    for entry in catalog.entries:
        facts = catalog.facts(entry.rule)
        if facts is not None:
            yield from _check_entry(entry, facts, shared)


def _check_entry(entry: Entry, facts: RuleFacts, shared: frozenset[str]) -> Iterator[Finding]:
    available = facts.available_fields | ALERT_VALUES.keys()
    for name in ("what", "summary", "close_if", "escalate_if", "impact"):
        yield from _complain(entry, entry.place, _unknown(getattr(entry, name).text, available))
    conditions = {field for each in entry.attack if each.when for field in each.when.fields}
    yield from _complain(entry, entry.place, conditions - available)
    single = {step.place for step in (*entry.steps, *entry.changes) if not isinstance(step, Choice)}
    for step in (*entry.benign, *entry.unknown, *all_steps(entry)):
        if step.place not in shared:
            given = available
            if isinstance(step, ExceptionStep) and "fd.name" in available:
                given = available | SIDES.keys()
            used = step.condition.fields_used() - given - CONTAINER_VALUES
            unknown = set[str]().union(*(_unknown(text, given) for text in _texts(step)))
            yield from _complain(entry, step.place, unknown | used)
        elif step.place in single and (missing := _never_shown(step, available)):
            yield Finding(
                entry.place,
                entry.rule,
                f"the shared step at {step.place} never shows: it needs {', '.join(sorted(missing))}, "
                "which this rule's output does not give; leave the procedure out",
            )


def _complain(entry: Entry, place: str, unknown: set[str]) -> Iterator[Finding]:
    for field in sorted(unknown):
        yield Finding(
            place,
            entry.rule,
            f"{field}: this rule's output does not give the field; take one of index.json's `fields` for the rule",
        )


def _unknown(text: str, available: frozenset[str]) -> set[str]:
    return {field for place in places(text) for field in place} - available


def _never_shown(step: Step, available: frozenset[str]) -> set[str]:
    """A shared step may offer alternatives; each placeholder of its command or content needs one that can be there."""
    missing = {
        "|".join(place) for text in _strict(step) for place in places(text) if place and not set(place) & available
    }
    return missing | {"|".join(group) for group in step.condition.needs if not set(group) & available}


def _strict(step: Step) -> tuple[str, ...]:
    if isinstance(step, CommandStep):
        return (step.run.text, step.undo.text)
    return () if isinstance(step, Sentence | ExceptionStep) else (step.content.text,)


def _texts(step: Step) -> tuple[str, ...]:
    prose: tuple[ProseTemplate, ...] = prose_of(step)
    compared = (
        [f"%{{{each.field}}}" for each in step.compared if not each.value] if isinstance(step, ExceptionStep) else []
    )
    return (*_strict(step), *(template.text for template in prose), *compared)
