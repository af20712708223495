"""What to do about an incident: the steps of its alerts' reports, each once, in an order that harms nothing.

Owns which steps are the same, which belong together, and their order: looks,
then what keeps, then what contains, each with what verifies it, then what
recovers. A step works in the directory of evidence of the alert that it is
of, as in that alert's own report: files of two alerts never meet. Refuses to
change a step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.alert import Alert
from exporter.catalog.advice import PHASES
from exporter.catalog.kept_files import kept_files
from exporter.catalog.uid import command_with_uid
from exporter.derived import lookup_of
from exporter.report import Advice, Command

STEPS_LIMIT = 24
"""Steps of the merged list; the alerts' own reports have the others."""
PHASE_STEPS_LIMIT = 8

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z| UTC)?")
_COLUMNS = re.compile(r" -o [a-z,]+")
_OF_THAT_MOMENT = re.compile(r"==\s*\$(?:a?t\b|w\[0\])|fabs<=|\. \* \. <=")
"""What was done in the alert's own second is looked for: at another time it was something else."""
_OF_CALLER = frozenset({"event.json", "trail.json"})
"""Kept files that say who called; and what else a block may ask them for."""
_OF_CALL = re.compile(r"responseElements|requestParameters")


@dataclass(slots=True)
class _Step:
    """A step, with those that it cannot do without."""

    command: Command
    """With the stand-in for the uid."""
    uid: str
    """Of the alert whose directory it works in: that of what it reads."""
    key: tuple[str, ...]
    sources: list[_Step]
    """Those that write what it reads."""
    writes: frozenset[str]
    verified_by: list[_Step] = field(default_factory=list)


class Merged(NamedTuple):
    """The steps of all alerts."""

    steps: tuple[Command, ...]
    alerts: tuple[Alert, ...]
    """Of each step the alert in whose directory it works."""
    left_out: int
    """How many found no room."""


def merged(advised: Sequence[tuple[Alert, Advice]]) -> Merged:
    """Return the steps of all alerts, the most severe first."""
    found: dict[tuple[str, ...], _Step] = {}
    verifying: set[tuple[str, ...]] = set()
    for alert, advice in advised:
        contained: _Step | None = None
        for step in _of_alert(alert, advice):
            first = found.setdefault(step.key, step)
            phase = step.command.phase
            if first is step:
                step.sources = [found[source.key] for source in step.sources]
                step.uid = next((source.uid for source in step.sources), step.uid)
                if phase == "verify" and contained:
                    step.uid = contained.uid
                    contained.verified_by.append(step)
                    verifying.add(step.key)
            elif not (step.writes or step.sources) and _earlier(step.command, first.command):
                # Of two that differ in when they begin to look, the one that looks further back says more.
                first.command = step.command
            contained = first if phase == "contain" else contained
    chosen = _chosen([step for step in found.values() if step.key not in verifying])
    alerts = {alert.uid: alert for alert, _ in advised}
    return Merged(
        tuple([command_with_uid(step.command, step.uid) for step in chosen]),
        tuple([alerts[step.uid] for step in chosen]),
        len(found) - len(chosen),
    )


def _of_alert(alert: Alert, advice: Advice) -> Iterator[_Step]:
    """Yield the steps of one alert."""
    before: list[_Step] = []
    fields = lookup_of(alert)
    who = fields("ct.user.arn") or fields("alert.principal") or ""
    for command in advice.commands:
        names, writes = kept_files(command.run)
        reads = names - writes
        sources = [step for step in before if step.writes & reads]
        key = (command.phase, _act(command.run), *_rests_on(command.run, reads, sources, who))
        before.append(_Step(command, alert.uid, key, sources, writes))
        yield before[-1]


def _rests_on(run: str, reads: frozenset[str], sources: Iterable[_Step], who: str) -> Iterator[str]:
    """Yield what tells the step from one of the same words: who called, or else what it reads of other steps."""
    if who and len(reads) == 1 and reads <= _OF_CALLER:
        asking = [line for line in run.split("\n") if min(reads) in line]
        if not any(_OF_CALL.search(line) for line in asking):
            yield who
            return
    for step in sources:
        yield from step.key


def _act(run: str) -> str:
    """What a block does, whatever columns it prints and from when on it looks."""
    timeless = run if _OF_THAT_MOMENT.search(run) else _TIME.sub("", run)
    return " ".join(_COLUMNS.sub("", timeless).split())


def _earlier(step: Command, other: Command) -> bool:
    return _TIME.findall(step.run) < _TIME.findall(other.run)


def _chosen(steps: Sequence[_Step]) -> list[_Step]:
    """Return the steps that find room, in order; none without those that it cannot do without."""
    by_phase = {phase: [step for step in steps if step.command.phase == phase] for phase in PHASES}
    # What cannot be undone comes last: a deleted pod can be neither looked at nor frozen.
    by_phase["contain"].sort(key=lambda step: not step.command.undo)
    wanted: dict[tuple[str, ...], _Step] = {}
    for phase in ("contain", "look", "keep", "verify", "recover"):
        for step in by_phase[phase][:PHASE_STEPS_LIMIT]:
            group = {each.key: each for each in (*_needed(step), step, *step.verified_by)}
            if len(wanted.keys() | group.keys()) <= STEPS_LIMIT:
                wanted.update(group)
    ordered: list[_Step] = []
    for phase in PHASES:
        for step in by_phase[phase]:
            if step.key in wanted:
                ordered += [step, *step.verified_by]
    return ordered


def _needed(step: _Step) -> Iterator[_Step]:
    for source in step.sources:
        yield from _needed(source)
        yield source
