"""What holds in a report's short form, and a step's text that still holds when steps are left out or come later.

Owns which step a kept file comes from and how texts name other steps. Refuses
how long a report is (see ``length.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.kept_files import kept_files
from exporter.lint.examples import examples
from exporter.lint.finding import Finding
from exporter.prose import to_plain
from exporter.render.brief_steps import split_steps
from exporter.report import Advice, Command
from exporter.reporter import Reporter

_NUMBERED = re.compile(r"\bsteps? (?:[2-9]|1 and)")


def check_brief(catalog: Catalog) -> Iterator[Finding]:
    """Yield steps of brief reports that read what a step writes that is not shown, and texts with steps' numbers."""
    reporter = Reporter(catalog)
    for entry in catalog.entries:
        facts = catalog.facts(entry.rule)
        for kind, alert in examples(facts) if facts else ():
            for message in _faults(reporter.advice_for(alert)):
                yield Finding(entry.place, entry.rule, f"{message} (on an example alert: {kind})")


def _faults(advice: Advice) -> Iterator[str]:
    brief, _ = split_steps(advice)
    for command in advice.commands:
        if away := _away(command, advice.commands):
            yield f"{to_plain(command.title)!r} reads {sorted(away)}, which a step on another machine keeps"
    for command in brief:
        if missing := _written_elsewhere(command, advice.commands) - _written(brief):
            yield f"the brief report shows {to_plain(command.title)!r} without the step that writes {sorted(missing)}"
    for said in (to_plain(advice.close_if), to_plain(advice.escalate_if), *_texts(advice.commands)):
        if _NUMBERED.search(said):
            yield f"only the first step has one number in both lengths; say what the other shows: {said!r}"


def _written_elsewhere(command: Command, commands: tuple[Command, ...]) -> frozenset[str]:
    reads, writes = kept_files(command.run)
    return (reads - writes) & _written(commands)


def _away(command: Command, commands: tuple[Command, ...]) -> frozenset[str]:
    """What the step reads that other steps keep, and none of them where it runs."""
    here = tuple(other for other in commands if _machine(other) == _machine(command))
    return _written_elsewhere(command, commands) - _written(here)


def _machine(command: Command) -> str:
    """Where a step's files are: on the host or node, the laptop, or the node that its rights name."""
    rights = to_plain(command.rights)
    if rights.startswith("root on ") and "control-plane node" in rights:
        return "control plane"
    return {"node": "host", "cloud": "laptop", "cluster": "laptop"}.get(command.where, command.where)


def _written(commands: tuple[Command, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(kept_files(command.run)[1] for command in commands))


def _texts(commands: tuple[Command, ...]) -> Iterator[str]:
    for command in commands:
        yield from (to_plain(command.shows), to_plain(command.empty), to_plain(command.breaks), command.run)
