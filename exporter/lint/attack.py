"""ATT&CK ids: they exist, are current, and the tactic is one of the technique's."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.catalog.attack import attack_table
from exporter.catalog.catalog import Catalog
from exporter.lint.finding import Finding


def check_attack(catalog: Catalog) -> Iterator[Finding]:
    """Yield technique and tactic ids that the table does not have, and pairs that do not belong together."""
    for entry in catalog.entries:
        for technique_id, tactic_id in entry.techniques:
            if message := _wrong(technique_id, tactic_id):
                yield Finding(entry.place, entry.rule, message)
        if len(set(entry.techniques)) != len(entry.techniques):
            yield Finding(entry.place, entry.rule, "attack names a pair twice; leave one out")


def _wrong(technique_id: str, tactic_id: str) -> str:
    table = attack_table()
    if technique_id in table.replaced:
        now = table.replaced[technique_id]
        return f"{technique_id} was revoked; ATT&CK {table.version} has {now} ({table.techniques[now][0]})"
    if technique_id not in table.techniques:
        return f"{technique_id} is not a technique of ATT&CK {table.version}; see attack.yaml"
    name, tactics = table.techniques[technique_id]
    if tactic_id not in tactics:
        known = ", ".join(f"{tactic} ({table.tactics[tactic]})" for tactic in tactics)
        return f"{technique_id} ({name}) does not serve {tactic_id}; ATT&CK {table.version} has it under {known}"
    return ""
