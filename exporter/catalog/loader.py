"""From YAML files to entries and procedures.

Owns the files' schema (``docs/catalog-format.md``) and how an operator's own
files add to, replace or extend what is shipped. Every error names file, line
and key. Refuses to judge whether advice is good (see ``lint``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.catalog.advice import Reference
from exporter.catalog.defaults import with_defaults
from exporter.catalog.model import Entry, TechniqueStep
from exporter.catalog.procedures import Arguments, Procedure, Used
from exporter.catalog.step_loader import (
    Keys,
    Surroundings,
    changes,
    compiled,
    items,
    line_of,
    prose,
    sentences,
    steps,
    text_of,
    tuning,
    when_of,
)
from exporter.catalog.template import ProseTemplate
from exporter.errors import CatalogError
from exporter.verdict.files import SIGN_FILE_KEYS, shipped_language, sign_from_node
from exporter.verdict.language import Language
from exporter.verdict.sign import Scope, Sign
from exporter.yaml_nodes import Node, read_document

_DOCUMENT_KEYS = frozenset({"ruleset", "source", "entries", "procedures"}) | SIGN_FILE_KEYS
_ENTRY_KEYS = frozenset(
    {
        "rule", "mode", "source", "former_names", "attack", "what", "ask", "summary", "signs", "benign", "unknown",
        "close_if", "escalate_if", "steps", "impact", "configure", "recommend", "tune", "references",
    }
)  # fmt: skip
_PROCEDURE_KEYS = frozenset({"name", "purpose", "arguments", "steps", "configure", "recommend"})
_TEXTS = frozenset({"what", "summary", "close_if", "escalate_if", "impact"})
EVERY_ALERT = frozenset(
    {"alert.time", "alert.rule", "alert.priority", "alert.source", "alert.place", "alert.in", "alert.uid"}
)
"""What an alert has whatever its rule."""


@dataclass(slots=True)
class Documents:
    """What a set of files holds, by name."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    """By (rule, source)."""
    procedures: dict[str, Procedure] = field(default_factory=dict)
    outputs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Rule to the fields that its output names; a rule that is not in it may have any."""
    language: Language | None = None
    """Lists and macros for the conditions of signs; None: the shipped ones."""


def load_files(paths: list[Path], documents: Documents, *, overlay: bool = False) -> None:
    """Read the files into ``documents``, procedures of all files first.

    With ``overlay`` an entry may replace or extend one that is there; without
    it a second entry for a rule is an error. Raises CatalogError.
    """
    load_documents([read_document(path, CatalogError) for path in paths], documents, overlay=overlay)


def load_documents(read: list[Node], documents: Documents, *, overlay: bool = False) -> None:
    """Take what was read of the files, as ``load_files``."""
    roots = [node.mapping(_DOCUMENT_KEYS) for node in read]
    for root in roots:
        for node in root["procedures"].items() if "procedures" in root else ():
            _add_procedure(node, documents, overlay=overlay)
    for root in roots:
        ruleset = root["ruleset"].text() if "ruleset" in root else ""
        source = root["source"].text() if "source" in root else ""
        for node in root["entries"].items() if "entries" in root else ():
            _add_entry(node, documents, ruleset=ruleset, source=source, overlay=overlay)


def _add_procedure(node: Node, documents: Documents, *, overlay: bool) -> None:
    procedures = documents.procedures
    keys = node.mapping(_PROCEDURE_KEYS, frozenset({"name", "purpose"}))
    name = keys["name"].text()
    if name in procedures and not overlay:
        raise keys["name"].error(f"procedure {name!r} already exists; give this one another name")
    around = Surroundings(procedures, language=documents.language)

    def compile_with(arguments: Arguments) -> Used:
        inside = around.inside(arguments)
        return Used(
            steps(items(keys, "steps"), inside),
            changes(items(keys, "configure"), inside),
            sentences(items(keys, "recommend"), inside),
        )

    arguments: dict[str, str | None] = {}
    for item in items(keys, "arguments"):
        argument, equals, default = item.text().partition("=")
        arguments[argument] = default if equals else None
    purpose = compiled(keys["purpose"], ProseTemplate, around)
    procedures[name] = Procedure(name, purpose, arguments, line_of(node), compile_with)


def _add_entry(node: Node, documents: Documents, *, ruleset: str, source: str, overlay: bool) -> None:
    keys = node.mapping(_ENTRY_KEYS, frozenset({"rule"}))
    entry_source = keys["source"].text() if "source" in keys else source
    rule = keys["rule"].text()
    mode = keys["mode"].text() if "mode" in keys else "replace"
    if mode not in {"replace", "extend"}:
        raise keys["mode"].error(f"found {mode!r}, expected replace or extend")
    present = documents.entries.get((rule, entry_source))
    if present and not overlay:
        raise keys["rule"].error(f"rule {rule!r} already has an entry, at {present.place}")
    if mode == "extend":
        present = present or next((entry for (name, _), entry in documents.entries.items() if name == rule), None)
        if present is None:
            raise keys["mode"].error(f"rule {rule!r} has no entry to extend; leave `mode` out to add one")
        documents.entries[present.rule, present.source] = _extended(present, keys, documents)
        return
    for required in ("summary", "impact"):
        if required not in keys:
            raise node.error(f"rule {rule!r}: missing key: {required}")
    if not entry_source:
        raise node.error(f"rule {rule!r}: missing key: source (e.g. syscall, k8s_audit)")
    parts = with_defaults(_parts(keys, (rule, entry_source), documents), rule, entry_source)
    documents.entries[rule, entry_source] = Entry(
        rule=rule, source=entry_source, ruleset=ruleset, place=line_of(node), written=frozenset(keys), **parts
    )


def _extended(present: Entry, keys: Keys, documents: Documents) -> Entry:
    """Lists grow; texts that are given replace."""
    added = _parts(keys, (present.rule, present.source), documents)
    changed: dict[str, Any] = {}
    for name, value in added.items():
        if isinstance(value, tuple) and value:
            changed[name] = getattr(present, name) + value
        elif (isinstance(value, ProseTemplate) and value.text) or (isinstance(value, str) and value):
            changed[name] = value
    return replace(present, **changed)


def _parts(keys: Keys, rule: tuple[str, str], documents: Documents) -> dict[str, Any]:
    output = documents.outputs.get(rule[0])
    guaranteed = None if output is None else output | EVERY_ALERT
    around = Surroundings(documents.procedures, guaranteed=guaranteed, language=documents.language)
    return {
        "former_names": tuple(item.text() for item in items(keys, "former_names")),
        "attack": tuple(_technique(item, around) for item in items(keys, "attack")),
        **{name: prose(keys, name, around) for name in _TEXTS},
        "ask": text_of(keys, "ask"),
        "signs": _signs(keys, rule[0], documents.language),
        "benign": sentences(items(keys, "benign"), around),
        "unknown": sentences(items(keys, "unknown"), around),
        "steps": steps(items(keys, "steps"), around),
        "changes": changes(items(keys, "configure"), around),
        "recommendations": sentences(items(keys, "recommend"), around),
        "tuning": tuning(items(keys, "tune"), rule, around),
        "references": tuple(_reference(item) for item in items(keys, "references")),
    }


def _signs(keys: Keys, rule: str, language: Language | None) -> tuple[Sign, ...]:
    if "signs" not in keys:
        return ()
    language = language or shipped_language()
    names = frozenset({rule, *(item.text() for item in items(keys, "former_names"))})
    return tuple(sign_from_node(node, language, Scope(rules=names)) for node in items(keys, "signs"))


def _technique(node: Node, around: Surroundings) -> TechniqueStep:
    keys = node.mapping(frozenset({"technique", "tactic", "when"}), frozenset({"technique", "tactic"}))
    when = when_of(keys["when"], around) if "when" in keys else None
    return TechniqueStep(keys["technique"].text(), keys["tactic"].text(), when)


def _reference(node: Node) -> Reference:
    keys = node.mapping(frozenset({"title", "url"}), frozenset({"title", "url"}))
    return Reference(keys["title"].text(), keys["url"].text())
