"""Facts about rules: name, priority, source, maturity, tags and output fields.

Owns reading Falco rules files for these facts, and the index of the official
rules that is shipped (``data/index.json``, made by ``tools/index_rules.py``).
Refuses to know any advice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from exporter.alert import Priority
from exporter.errors import CatalogError

_FIELD = re.compile(r"%([a-z][a-zA-Z0-9_.]*(?:\[[^\]]*\])?)")
_CONDITION_FIELD = re.compile(
    r"(?<![\w./-])([a-z]\w*(?:\.[A-Za-z]\w*)+(?:\[[^\]]*\])?)(?![\w.\[])(?=\)?\s*(?:[=!<>]"
    r"|(?:in|intersects|pmatch|b?contains|icontains|b?startswith|endswith|i?glob|regex|exists)\b))"
)
_EMPTY = frozenset({"never_true", "always_true", "k8s_audit_always_true", "k8s_audit_never_true"})
"""Upstream's macros that stand in for a condition which an operator may put there."""
_NAME = re.compile(r"(?<![\w./-])[a-zA-Z]\w*(?![\w./-])")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
    condition_fields: tuple[str, ...] = ()
    """Fields that the rule's condition compares, those of its macros included, sorted."""
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


def read_rules_file(path: Path) -> list[RuleFacts]:
    """Return the facts of each rule that the Falco rules file defines.

    Raises CatalogError where the file cannot be read or is no rules file.
    """
    try:
        items = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - the safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise CatalogError(f"{path}: cannot be read as a Falco rules file: {exc}") from exc
    if not isinstance(items, list):
        raise CatalogError(f"{path}: found no list at the top; expected a Falco rules file (a list of rules)")
    items = [item for item in items if isinstance(item, Mapping)]
    macros = {str(item["macro"]): str(item.get("condition", "")) for item in items if "macro" in item}
    lists = {str(item["list"]): " ".join(_texts(item.get("items"))) for item in items if "list" in item}
    return [
        _facts(item, path, _reach(str(item.get("condition", "")), macros, lists))
        for item in items
        if "rule" in item and "output" in item
    ]


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a condition leads to, through macros and lists."""

    fields: frozenset[str]
    macros: frozenset[str]
    lists: frozenset[str]
    hooks: frozenset[str]


def _reach(condition: str, macros: Mapping[str, str], lists: Mapping[str, str]) -> _Reach:
    fields: set[str] = set()
    names: set[str] = set()
    texts = [condition]
    while texts:
        text = _QUOTED.sub(" ", texts.pop())
        fields |= set(_CONDITION_FIELD.findall(text))
        found = set(_NAME.findall(text)) & (macros.keys() | lists.keys()) - names
        names |= found
        texts += [body for name in found for body in (macros.get(name, ""), lists.get(name, ""))]
    return _Reach(
        fields=frozenset(fields),
        macros=frozenset(names & macros.keys()),
        lists=frozenset(names & lists.keys()),
        hooks=frozenset(name for name in names - _EMPTY if _is_empty(name, macros, lists)),
    )


def _is_empty(name: str, macros: Mapping[str, str], lists: Mapping[str, str]) -> bool:
    return macros[name].strip("() \n") in _EMPTY if name in macros else not lists[name]


def _facts(item: Mapping[str, object], path: Path, reach: _Reach) -> RuleFacts:
    tags = tuple(_texts(item.get("tags")))
    maturity = next((tag.removeprefix("maturity_") for tag in tags if tag.startswith("maturity_")), "")
    exceptions = item.get("exceptions")
    return RuleFacts(
        rule=str(item["rule"]),
        priority=Priority.from_label(str(item.get("priority", ""))).label,
        source=str(item.get("source", "syscall")),
        ruleset=path.name,
        maturity=maturity,
        tags=tags,
        fields=tuple(sorted(set(_FIELD.findall(str(item["output"]))))),
        condition_fields=tuple(sorted(reach.fields)),
        macros=tuple(sorted(reach.macros)),
        lists=tuple(sorted(reach.lists)),
        hooks=tuple(sorted(reach.hooks)),
        exceptions=tuple(
            str(exception["name"])
            for exception in (exceptions if isinstance(exceptions, list) else ())
            if isinstance(exception, Mapping) and "name" in exception
        ),
    )


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
