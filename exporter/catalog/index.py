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

import yaml

from exporter.alert import Priority
from exporter.errors import CatalogError

_FIELD = re.compile(r"%([a-z][a-zA-Z0-9_.]*(?:\[[^\]]*\])?)")
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
    return [_facts(item, path) for item in items if isinstance(item, Mapping) and "rule" in item and "output" in item]


def _facts(item: Mapping[str, object], path: Path) -> RuleFacts:
    raw_tags = item.get("tags")
    tags = tuple(str(tag) for tag in raw_tags) if isinstance(raw_tags, list) else ()
    maturity = next((tag.removeprefix("maturity_") for tag in tags if tag.startswith("maturity_")), "")
    return RuleFacts(
        rule=str(item["rule"]),
        priority=Priority.from_label(str(item.get("priority", ""))).label,
        source=str(item.get("source", "syscall")),
        ruleset=path.name,
        maturity=maturity,
        tags=tags,
        fields=tuple(sorted(set(_FIELD.findall(str(item["output"]))))),
    )


def official_rules() -> tuple[RuleFacts, ...]:
    """Return the facts of every official rule and of Falco's internal alerts, as shipped."""
    text = resources.files("exporter.catalog").joinpath("data/index.json").read_text(encoding="utf-8")
    return tuple(
        RuleFacts(**{**item, "tags": tuple(item["tags"]), "fields": tuple(item["fields"])})
        for item in json.loads(text)["rules"]
    )


def to_json(rules: Iterable[RuleFacts]) -> str:
    """Write facts in the form of the shipped index."""
    return json.dumps({"rules": [asdict(rule) for rule in rules]}, indent=1, ensure_ascii=False) + "\n"
