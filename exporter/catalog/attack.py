"""MITRE ATT&CK: current names of techniques and tactics, and what took the place of revoked ids.

Owns the table of ATT&CK Enterprise (``data/attack.yaml``, which names its
version). Refuses to know which rule gets which technique.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml

from exporter.catalog.advice import Technique

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class AttackTable:
    """ATT&CK Enterprise of one version."""

    version: str
    """ATT&CK's version, e.g. ``19.0``."""
    tactics: Mapping[str, str]
    """Tactic id to name, in the matrix' order."""
    techniques: Mapping[str, tuple[str, tuple[str, ...]]]
    """Technique or sub-technique id to its name and the ids of its tactics."""
    replaced: Mapping[str, str]
    """Revoked technique id to the id that took its place."""

    def current(self, technique_id: str) -> str | None:
        """Return the id that stands for this technique today, None where ATT&CK has never had it."""
        found = self.replaced.get(technique_id, technique_id)
        return found if found in self.techniques else None

    def technique(self, technique_id: str, tactic_id: str) -> Technique:
        """Return technique and tactic with their names; an unknown id is its own name."""
        name, _ = self.techniques.get(technique_id, (technique_id, ()))
        return Technique(technique_id, name, tactic_id, self.tactics.get(tactic_id, tactic_id))


@lru_cache(maxsize=1)
def attack_table() -> AttackTable:
    """Return the shipped table, read once."""
    text = resources.files("exporter.catalog").joinpath("data/attack.yaml").read_text(encoding="utf-8")
    table = yaml.load(text, Loader=_Loader)  # noqa: S506 - the safe loader
    return AttackTable(
        version=table["version"],
        tactics=table["tactics"],
        techniques={key: (item["name"], tuple(item["tactics"])) for key, item in table["techniques"].items()},
        replaced=table["replaced"],
    )


@lru_cache(maxsize=1_024)
def techniques_of(pairs: tuple[tuple[str, str], ...]) -> tuple[Technique, ...]:
    """Return techniques with names for pairs of technique id and tactic id, the same object for the same ones."""
    table = attack_table()
    return tuple(table.technique(technique_id, tactic_id) for technique_id, tactic_id in pairs)
