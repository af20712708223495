"""General advice for a rule that nobody wrote an entry for, composed from what the alert itself says.

Owns reading an alert's traits (a file, a connection, a container, a cloud
identity, …) and ATT&CK tags, and putting the pieces for them together
(``data/composed``). What it makes says that it is general. Refuses rules that
have an entry (see ``catalog.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TypeVar

import yaml

from exporter.alert import Alert
from exporter.catalog.attack import attack_table
from exporter.catalog.defaults import defaults_of
from exporter.catalog.exception import composed_exception
from exporter.catalog.loader import Documents, load_files
from exporter.catalog.model import Entry, TechniqueStep
from exporter.catalog.procedures import Procedure
from exporter.catalog.steps import Choice, CommandStep
from exporter.catalog.template import ProseTemplate
from exporter.derived import is_connection, is_file, is_listener
from exporter.event_sources import EVENT_SOURCES
from exporter.kept import Recent

KEPT_COMPOSITIONS = 1_024
"""Recent kinds of alert, twice that at most."""
_KEY_LIMIT_CHARACTERS, _KEY_LIMIT_TAGS = 1_024, 64
"""Of names and tags, and how many of these; senders choose them, and what has more is composed each time."""
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?(?=\W|_|\Z)")
_TACTIC = re.compile(r"(TA\d{4})(?=\W|_|\Z)")
_LIMITS = {"look": 2, "keep": 1, "contain": 2}
"""Steps of each phase in a composed report; what is contained brings its own verification."""
_TOLD_VALUES = 6
"""So many fields of a plugin that nobody described are told in the summary."""
_TELLABLE = re.compile(r"(?!evt\.)[a-z][A-Za-z0-9_.]{0,60}(?:\[[A-Za-z0-9_./-]{1,60}\])?")
_PLUGINS = {
    source.fields[0].name.partition(".")[0]: name
    for name, source in EVENT_SOURCES.items()
    if source.fields and not source.on_falcos_host
}
"""First word of a plugin's fields to the trait that they show."""
_T = TypeVar("_T")


_TRAITS: tuple[tuple[str, Callable[[Alert], bool]], ...] = (
    ("listener", is_listener),
    ("connection", lambda alert: is_connection(alert) and not is_listener(alert)),
    ("file", is_file),
    ("container", lambda alert: alert.get("container.id") is not None),
    ("process", lambda alert: any(alert.get(f) for f in ("proc.name", "proc.exepath", "proc.cmdline"))),
)


def traits_of(alert: Alert) -> tuple[str, ...]:
    """Return what the alert is about, in the order in which advice is taken; ``anything`` always comes last."""
    found = [name for name, holds in _TRAITS if holds(alert)]
    plugins = {
        _PLUGINS[prefix] for prefix in _PLUGINS.keys() & {field.partition(".")[0] for field in alert.all_fields()}
    }
    return (*found, *sorted(plugins), "anything")


def techniques_in(tags: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return technique and tactic ids that the tags name, outdated ids as their current ones."""
    table = attack_table()
    tactics = set(tactics_in(tags))
    found: dict[str, str] = {}
    for match in chain.from_iterable(_TECHNIQUE.findall(tag) for tag in tags):
        technique = table.current(match)
        if technique:
            serves = table.techniques[technique][1]
            found.setdefault(technique, next((tactic for tactic in serves if tactic in tactics), serves[0]))
    return tuple(found.items())


def tactics_in(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tactic ids that the tags name as an id or as Falco's ``mitre_…``."""
    table = attack_table()
    by_tag = {"mitre_" + name.lower().replace(" ", "_"): tactic for tactic, name in table.tactics.items()}
    by_tag["mitre_defense_evasion"] = "TA0005"
    found = [
        tactic for tag in tags for tactic in (*_TACTIC.findall(tag), by_tag.get(tag, "")) if tactic in table.tactics
    ]
    return tuple(dict.fromkeys(found))


class Composer:
    """Composes general advice. Safe from any thread; keeps what it made for the newest kinds of alert."""

    def __init__(self, procedures: Mapping[str, Procedure]) -> None:
        self._procedures = procedures
        self._impacts = {tactic: ProseTemplate(text) for tactic, text in _read_impacts().items()}
        self._kept: Recent[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], Entry] = Recent(
            KEPT_COMPOSITIONS
        )

    @cached_property
    def pieces(self) -> Mapping[str, Entry]:
        """The pieces by trait, with the catalog's procedures in place. Raises CatalogError where one is missing."""
        documents = Documents(procedures=dict(self._procedures))
        load_files([_data() / "pieces.yaml"], documents)
        return {entry.rule: entry for entry in documents.entries.values()}

    def advice_for(self, alert: Alert) -> Entry:
        """Return general advice for the alert; the same object for alerts of the same kind."""
        tags = tuple(alert.tags)
        traits = traits_of(alert)
        key = (alert.rule, alert.source, tags, traits, _told(alert) if len(traits) == 1 else ())
        entry = self._kept.get(key)
        if entry is None:
            entry = self._compose(*key)
            if (
                len(tags) <= _KEY_LIMIT_TAGS
                and sum(map(len, (alert.rule, alert.source, *tags))) <= _KEY_LIMIT_CHARACTERS
            ):
                self._kept.keep(key, entry)
        return entry

    def _compose(
        self, rule: str, source: str, tags: tuple[str, ...], traits: tuple[str, ...], told: tuple[str, ...]
    ) -> Entry:
        pieces = [self.pieces[trait] for trait in traits if trait in self.pieces]
        techniques = techniques_in(tags)
        tactics = (*(tactic for _, tactic in techniques), *tactics_in(tags), "none")
        special = pieces[:-1] or pieces
        found = [
            step
            for phase, limit in _LIMITS.items()
            for step in _first([_fitting(piece, phase, traits) for piece in special], limit)
        ]
        ask, close_if, escalate_if = defaults_of(pieces[0].source if pieces[0].source != "any" else source)
        return replace(
            pieces[0],
            ask=ask,
            close_if=close_if,
            escalate_if=escalate_if,
            summary=_summary_of(told) if told else pieces[0].summary,
            rule=rule,
            source=source,
            attack=tuple(TechniqueStep(*pair) for pair in techniques[:3]),
            impact=self._impacts[tactics[0]],
            benign=_first([piece.benign for piece in special], 4),
            steps=tuple(found),
            changes=_first([piece.changes for piece in pieces], 3),
            recommendations=_first([piece.recommendations for piece in pieces], 4),
            tuning=(composed_exception(rule, source, traits),),
            references=_first([piece.references for piece in pieces], 4),
            composed=True,
        )


def _told(alert: Alert) -> tuple[str, ...]:
    """Names of fields that a summary tells with their values, in the alert's order."""
    names = [name for name in alert.all_fields() if _TELLABLE.fullmatch(name) and alert.get(name)]
    return tuple(names[:_TOLD_VALUES])


def _summary_of(told: Iterable[str]) -> ProseTemplate:
    """What an alert of a plugin says that nobody has described: its own fields, by their names."""
    values = ", ".join(f"`{name}` %{{{name}|'none'}}" for name in told)
    return ProseTemplate(f"The rule matched an event of source %{{alert.source}}: {values}.")


def _fitting(piece: Entry, phase: str, traits: tuple[str, ...]) -> tuple[CommandStep | Choice, ...]:
    """The steps of a phase, each with what verifies it; one that this alert cannot show would only take a place."""
    found: list[CommandStep | Choice] = []
    for number, step in enumerate(piece.steps):
        if _phase(step) == phase and any(_may_show(each, traits) for each in step.steps()):
            following = piece.steps[number + 1 : number + 2]
            verified = phase == "contain" and following and _phase(following[0]) == "verify"
            found.append(Choice(((step, following[0]),)) if verified else step)
    return tuple(found)


def _phase(step: CommandStep | Choice) -> str:
    return next(step.steps()).phase


def _may_show(step: CommandStep, traits: tuple[str, ...]) -> bool:
    container = "container" in traits
    unfit = {"host"} if container else {"container", "pod", "no-pod", "deployment", "statefulset", "daemonset"}
    return not unfit.intersection(step.condition.only) and (container or "container.id" not in step.run.fields)


def _first(parts: Iterable[tuple[_T, ...]], limit: int) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))[:limit]


def _data() -> Path:
    return Path(str(resources.files("exporter.catalog").joinpath("data/composed")))


def _read_impacts() -> dict[str, str]:
    impacts: dict[str, str] = yaml.safe_load((_data() / "impact.yaml").read_text(encoding="utf-8"))
    return impacts
