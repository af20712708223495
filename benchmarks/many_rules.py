"""Rules files, catalogs and alerts of many rules: the official ones first, then made-up ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from exporter._proto import falco_lenient_pb2
from exporter.catalog.catalog import shipped_files
from exporter.catalog.index import official_rules

ENTRIES_A_FILE = 50


def rules(count: int, *, own: bool = False) -> list[tuple[str, str]]:
    """Return names and sources of so many rules; with ``own`` only made-up ones."""
    official = [] if own else [(facts.rule, facts.source) for facts in official_rules() if facts.source != "internal"]
    made_up = [(f"Own rule {number:05d}", "syscall") for number in range(count)]
    return [*official, *made_up][:count]


def of_rule(message: bytes, rule: str, source: str) -> bytes:
    """Give an alert another ``rule`` and ``source``."""
    alert = falco_lenient_pb2.received.FromString(message)
    alert.rule, alert.source = rule, source
    return alert.SerializeToString()


def write_rules_file(path: Path, count: int) -> None:
    """Write a Falco rules file with so many rules."""
    document = [
        {
            "rule": rule,
            "desc": f"see when {rule} happens",
            "condition": "evt.type = execve and proc.name = nothing",
            "output": "%proc.cmdline",
            "priority": "WARNING",
            "source": source,
        }
        for rule, source in rules(count)
    ]
    path.write_text(yaml.safe_dump(document), "utf-8")


def write_catalog(directory: Path, count: int) -> None:
    """Write an operator's catalog with so many entries: the shipped ones of ``falco_rules.yaml`` for other rules."""
    directory.mkdir()
    named = rules(count, own=True)
    entries = list(_entries(named))
    for start in range(0, count, ENTRIES_A_FILE):
        document = {
            "ruleset": "own_rules.yaml",
            "source": "syscall",
            "entries": entries[start : start + ENTRIES_A_FILE],
        }
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        (directory / f"{start:05d}.yaml").write_text(text, "utf-8")


def _entries(named: list[tuple[str, str]]) -> Iterator[dict[str, object]]:
    path = next(path for path in shipped_files() if path.name == "falco_rules.yaml")
    shipped = yaml.safe_load(path.read_text("utf-8"))["entries"]
    for number, (rule, _) in enumerate(named):
        entry = shipped[number % len(shipped)]
        yield {"rule": rule, **{key: value for key, value in entry.items() if key not in {"rule", "former_names"}}}
