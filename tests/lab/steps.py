"""The steps of an alert's report, as rendered, each with the digest of the author's text behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from exporter.alert import Alert
from exporter.catalog.advice import Command
from exporter.catalog.catalog import load_catalog
from exporter.catalog.proof import digest
from exporter.catalog.template import CommandTemplate
from exporter.derived import lookup_of
from exporter.prose import to_plain
from exporter.reporter import Reporter
from exporter.sources.decode_json import from_json

_NONE: Mapping[str, str] = {}
_FORMER = {"look": ("look", "verify"), "contain": ("contain", "keep", "recover")}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a report."""

    title: str
    phases: tuple[str, ...]
    """What it may be: ``look``, ``keep``, ``contain``, ``verify`` or ``recover``."""
    where: str
    """``host``, ``node``, ``cluster`` or ``cloud``."""
    shell: str
    """``sh`` or ``bash``: the dialect that the block is written in."""
    run: str
    undo: str
    look: str
    """What its answer is said to show; here for messages."""
    run_digest: str
    undo_digest: str


@cache
def reporter() -> Reporter:
    """Return a reporter over the catalog that comes with the exporter."""
    return Reporter(load_catalog(()))


def alert_of(rule: str, fields: Mapping[str, Any], *, source: str, hostname: str, time_ns: int) -> Alert:
    """Return the alert as it comes from Falco: through JSON, with the rule's own priority, tags and output fields."""
    facts = reporter().catalog.facts(rule)
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    priority = facts.priority if facts else "Warning"
    output = " ".join(f"{name}={value}" for name, value in fields.items())
    document = {
        "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 1_000_000_000:09d}Z",
        "rule": rule,
        "priority": priority,
        "source": source,
        "hostname": hostname,
        "output": f"{moment:%H:%M:%S}.{time_ns % 1_000_000_000:09d}: {priority} {rule} ({output})",
        "output_fields": dict(fields),
        "tags": list(facts.tags) if facts else [],
    }
    return from_json(json.dumps(document))


def steps_of(alert: Alert, broken: Mapping[str, str] = _NONE) -> list[Step]:
    """Return the steps of the alert's report in its order.

    ``broken`` holds, by a block's digest, what its author is taken to have written instead (``mutants``).
    """
    texts = _texts(alert)
    steps = [_step(command, texts) for command in reporter().report_for(alert).advice.commands]
    return [_broken(step, broken, alert) for step in steps] if broken else steps


def _broken(step: Step, broken: Mapping[str, str], alert: Alert) -> Step:
    if text := broken.get(step.run_digest):
        step = replace(step, run=CommandTemplate(text).render(lookup_of(alert)))
    if text := broken.get(step.undo_digest):
        step = replace(step, undo=CommandTemplate(text).render(lookup_of(alert)))
    return step


def _texts(alert: Alert) -> dict[tuple[str, str], tuple[str, str]]:
    """From what a step renders to, its block and its undo, to the author's text of both."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    lookup = lookup_of(alert)
    for template in reporter().catalog.advice_for(alert).commands:
        for rendered in template.render(lookup):
            found[rendered.run, rendered.undo] = (template.run.text, template.undo.text)
    return found


def _step(command: Command, texts: Mapping[tuple[str, str], tuple[str, str]]) -> Step:
    run_text, undo_text = texts[command.run, command.undo]
    return Step(
        title=to_plain(command.title),
        # Entries that have not been rewritten have two phases only.
        phases=_FORMER.get(command.phase, (command.phase,)),
        where=command.where,
        shell=command.shell,
        run=command.run,
        undo=command.undo,
        look=to_plain(command.shows),
        run_digest=digest(run_text),
        undo_digest=digest(undo_text) if undo_text else "",
    )
