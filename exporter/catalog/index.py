"""Facts about rules: name, priority, source, maturity, tags and output fields.

Owns taking these facts from rules that were read (``exporter/falco``), and the index of the official
rules that is shipped (``data/index.json``, made by ``tools/index_rules.py``).
Refuses to know any advice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from typing import Any

from exporter.alert import Priority
from exporter.falco.condition import ConditionError, Macro, parse, walk
from exporter.falco.rules import Rule, Rules, paste_lists

_FIELD = re.compile(r"%([a-z][a-zA-Z0-9_.]*(?:\[[^\]]*\])?)")
_EMPTY = frozenset({"never_true", "always_true", "k8s_audit_always_true", "k8s_audit_never_true"})
"""Upstream's macros that stand in for a condition which an operator may put there."""
CONTAINER_FIELDS = (
    "container.id",
    "container.name",
    "container.image.repository",
    "container.image.tag",
    "k8s.pod.name",
    "k8s.ns.name",
)
"""What Falco's container plugin (Falco 0.41 and newer) appends to every syscall rule's output."""


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What a rules file says about one rule."""

    rule: str
    priority: str
    """Falco's word, e.g. ``Warning``."""
    source: str
    ruleset: str
    """The rules file's name."""
    maturity: str
    """stable, incubating, sandbox or deprecated; empty where upstream gives none."""
    tags: tuple[str, ...]
    fields: tuple[str, ...]
    """Output fields that the rule's output names, sorted."""
    macros: tuple[str, ...] = ()
    """Macros that the condition uses, directly or by other macros, sorted: overriding one changes the rule."""
    lists: tuple[str, ...] = ()
    """Lists that the condition uses, likewise."""
    hooks: tuple[str, ...] = ()
    """Those of the macros and lists that upstream leaves empty, for operators to fill."""
    exceptions: tuple[str, ...] = ()
    """Names of the exceptions that the rule defines."""
    former_names: tuple[str, ...] = ()
    """Names that upstream gave the rule before."""

    @property
    def available_fields(self) -> frozenset[str]:
        """Fields that an alert of this rule can carry."""
        return frozenset(self.fields) | (frozenset(CONTAINER_FIELDS) if self.source == "syscall" else frozenset())


def facts_of(rules: Rules) -> list[RuleFacts]:
    """Return the facts of each rule, those of its macros and lists included.

    A condition that Falco would not load gives no fields, macros and lists,
    and one of the ``problems``.
    """
    reader = _Reader(rules)
    return [reader.facts(rule) for rule in rules.rules.values()]


class _Reader:
    """Reads what conditions lead to; each macro once."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._items = rules.list_items()
        self._macros: dict[str, _Reach] = {}

    def facts(self, rule: Rule) -> RuleFacts:
        try:
            reach = self._reach(rule.condition, ())
        except ConditionError as exc:
            self._rules.problems.append(f"{rule.file}: rule {rule.name}: condition: {exc}")
            reach = _Reach()
        return RuleFacts(
            rule=rule.name,
            priority=Priority.from_label(rule.priority).label,
            source=rule.source,
            ruleset=rule.file,
            maturity=next((tag.removeprefix("maturity_") for tag in rule.tags if tag.startswith("maturity_")), ""),
            tags=rule.tags,
            fields=tuple(sorted(set(_FIELD.findall(rule.output)))),
            macros=tuple(sorted(reach.macros)),
            lists=tuple(sorted(reach.lists)),
            hooks=tuple(sorted(name for name in (reach.macros | reach.lists) - _EMPTY if self._is_empty(name))),
            exceptions=tuple(exception.name for exception in rule.exceptions),
        )

    def _reach(self, condition: str, path: tuple[str, ...]) -> _Reach:
        text, used = paste_lists(condition, self._items)
        nodes = list(walk(parse(text)))
        reach = _Reach(lists=set(used))
        for name in used:
            reach.lists |= self._rules.lists.keys() & set(self._rules.lists[name].items)
        for node in nodes:
            if isinstance(node, Macro):
                reach.macros.add(node.name)
                reach.add(self._macro(node.name, path))
        return reach

    def _macro(self, name: str, path: tuple[str, ...]) -> _Reach:
        if name not in self._rules.macros or name in path:
            raise ConditionError(f"macro {name} {'leads back to itself' if name in path else 'is defined nowhere'}")
        if name not in self._macros:
            self._macros[name] = self._reach(self._rules.macros[name].condition, (*path, name))
        return self._macros[name]

    def _is_empty(self, name: str) -> bool:
        macro = self._rules.macros.get(name)
        return macro.condition.strip("() \n") in _EMPTY if macro else not self._rules.lists[name].items


@dataclass(slots=True)
class _Reach:
    """What a condition leads to, through macros and lists."""

    macros: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)

    def add(self, other: _Reach) -> None:
        self.macros |= other.macros
        self.lists |= other.lists


def official_rules() -> tuple[RuleFacts, ...]:
    """Return the facts of every official rule and of Falco's internal alerts, as shipped."""
    text = resources.files("exporter.catalog").joinpath("data/index.json").read_text(encoding="utf-8")
    return tuple(_from_json(item) for item in json.loads(text)["rules"])


def _from_json(item: Mapping[str, Any]) -> RuleFacts:
    facts: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    return RuleFacts(**facts)


def to_json(rules: Iterable[RuleFacts]) -> str:
    """Write facts in the form of the shipped index."""
    return json.dumps({"rules": [asdict(rule) for rule in rules]}, indent=1, ensure_ascii=False) + "\n"
