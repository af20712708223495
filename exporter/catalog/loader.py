"""From YAML files to entries and procedures.

Owns the files' schema (``docs/catalog-format.md``) and how an operator's own
files add to, replace or extend what is shipped. Every error names file, line
and key. Refuses to judge whether advice is good (see ``checks``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from exporter.catalog.advice import Reference
from exporter.catalog.model import (
    PHASES,
    WHERE,
    ChangeStep,
    CommandStep,
    Condition,
    Entry,
    Innocent,
    Recommendation,
    Sign,
)
from exporter.catalog.template import CommandTemplate, ContentTemplate, ProseTemplate
from exporter.errors import CatalogError
from exporter.yaml_nodes import Node, read_document

_DOCUMENT_KEYS = frozenset({"ruleset", "source", "entries", "procedures"})
_ENTRY_KEYS = frozenset(
    {
        "rule", "mode", "source", "former_names", "attack", "summary", "impact", "innocent", "investigate", "contain",
        "configure", "recommend", "tune", "references",
    }
)  # fmt: skip
_COMMAND_KEYS = frozenset({"do", "where", "run", "look", "breaks", "undo", "needs", "only", "use"})
_CHANGE_KEYS = frozenset({"do", "tool", "file", "format", "content", "check", "load", "note", "needs", "only", "use"})
_PROCEDURE_KEYS = frozenset({"name", "purpose", "investigate", "contain", "configure", "recommend"})
_EMPTY_PROSE = ProseTemplate("")
_EMPTY_COMMAND = CommandTemplate("")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Procedure:
    """Steps that several entries share, written once."""

    name: str
    purpose: ProseTemplate
    commands: tuple[CommandStep, ...]
    changes: tuple[ChangeStep, ...]
    recommendations: tuple[Recommendation, ...]
    place: str = ""
    """``FILE:LINE``, for messages."""


@dataclass(slots=True)
class Documents:
    """What a set of files holds, by name."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    """By (rule, source)."""
    procedures: dict[str, Procedure] = field(default_factory=dict)


def load_files(paths: list[Path], documents: Documents, *, overlay: bool = False) -> None:
    """Read the files into ``documents``, procedures of all files first.

    With ``overlay`` an entry may replace or extend one that is there; without
    it a second entry for a rule is an error. Raises CatalogError.
    """
    roots = [read_document(path, CatalogError).mapping(_DOCUMENT_KEYS) for path in paths]
    for root in roots:
        for node in root["procedures"].items() if "procedures" in root else ():
            _add_procedure(node, documents.procedures, overlay=overlay)
    for root in roots:
        ruleset = root["ruleset"].text() if "ruleset" in root else ""
        source = root["source"].text() if "source" in root else ""
        for node in root["entries"].items() if "entries" in root else ():
            _add_entry(node, documents, ruleset=ruleset, source=source, overlay=overlay)


def _add_procedure(node: Node, procedures: dict[str, Procedure], *, overlay: bool) -> None:
    keys = node.mapping(_PROCEDURE_KEYS, frozenset({"name", "purpose"}))
    name = keys["name"].text()
    if name in procedures and not overlay:
        raise keys["name"].error(f"procedure {name!r} is there already; give this one another name")
    procedures[name] = Procedure(
        name=name,
        purpose=_compile(keys["purpose"], ProseTemplate),
        commands=_commands(keys, {}),
        changes=_changes(keys, "configure", {}),
        recommendations=_recommendations(keys, {}),
        place=_line(node),
    )


def _add_entry(node: Node, documents: Documents, *, ruleset: str, source: str, overlay: bool) -> None:
    keys = node.mapping(_ENTRY_KEYS, frozenset({"rule"}))
    entry_source = keys["source"].text() if "source" in keys else source
    rule = keys["rule"].text()
    mode = keys["mode"].text() if "mode" in keys else "replace"
    if mode not in {"replace", "extend"}:
        raise keys["mode"].error(f"found {mode!r}, expected replace or extend")
    present = documents.entries.get((rule, entry_source))
    if present and not overlay:
        raise keys["rule"].error(f"rule {rule!r} has an entry already, at {present.place}")
    if mode == "extend":
        present = present or next((entry for (name, _), entry in documents.entries.items() if name == rule), None)
        if present is None:
            raise keys["mode"].error(f"rule {rule!r} has no entry to extend; leave `mode` out to add one")
        documents.entries[present.rule, present.source] = _extended(present, keys, documents.procedures)
        return
    for required in ("summary", "impact"):
        if required not in keys:
            raise node.error(f"rule {rule!r}: missing key: {required}")
    if not entry_source:
        raise node.error(f"rule {rule!r}: missing key: source (e.g. syscall, k8s_audit)")
    parts = _parts(keys, documents.procedures)
    documents.entries[rule, entry_source] = Entry(
        rule=rule, source=entry_source, ruleset=ruleset, place=_line(node), **parts
    )


def _extended(present: Entry, keys: Mapping[str, Node], procedures: Mapping[str, Procedure]) -> Entry:
    """Lists grow; texts that are given replace."""
    added = _parts(keys, procedures)
    changed: dict[str, Any] = {}
    for name, value in added.items():
        if isinstance(value, tuple) and value:
            changed[name] = getattr(present, name) + value
        elif isinstance(value, ProseTemplate) and value.text:
            changed[name] = value
    return replace(present, **changed)


def _parts(keys: Mapping[str, Node], procedures: Mapping[str, Procedure]) -> dict[str, Any]:
    return {
        "former_names": tuple(item.text() for item in _list(keys, "former_names")),
        "techniques": tuple(_technique(item) for item in _list(keys, "attack")),
        "summary": _prose(keys, "summary"),
        "impact": _prose(keys, "impact"),
        "innocent": tuple(_innocent(item) for item in _list(keys, "innocent")),
        "commands": _commands(keys, procedures),
        "changes": _changes(keys, "configure", procedures),
        "recommendations": _recommendations(keys, procedures),
        "tuning": _changes(keys, "tune", procedures),
        "references": tuple(_reference(item) for item in _list(keys, "references")),
    }


def _line(node: Node) -> str:
    return node.place.removesuffix(f": {node.key}")


def _list(keys: Mapping[str, Node], key: str) -> list[Node]:
    return list(keys[key].items()) if key in keys else []


def _compile(node: Node, template: Callable[[str], _T]) -> _T:
    try:
        return template(node.text())
    except CatalogError as exc:
        if str(exc).startswith(node.file):
            raise
        raise node.error(str(exc)) from exc


def _prose(keys: Mapping[str, Node], key: str) -> ProseTemplate:
    return _compile(keys[key], ProseTemplate) if key in keys else _EMPTY_PROSE


def _text(keys: Mapping[str, Node], key: str) -> str:
    return keys[key].text().strip() if key in keys else ""


def _choice(node: Node, choices: tuple[str, ...]) -> str:
    if (found := node.text()) not in choices:
        raise node.error(f"found {found!r}, expected one of: {', '.join(choices)}")
    return found


def _technique(node: Node) -> tuple[str, str]:
    keys = node.mapping(frozenset({"technique", "tactic"}), frozenset({"technique", "tactic"}))
    return keys["technique"].text(), keys["tactic"].text()


def _reference(node: Node) -> Reference:
    keys = node.mapping(frozenset({"title", "url"}), frozenset({"title", "url"}))
    return Reference(keys["title"].text(), keys["url"].text())


def _innocent(node: Node) -> Innocent:
    keys = node.mapping(frozenset({"text", "signs"}), frozenset({"text"}))
    return Innocent(
        _compile(keys["text"], ProseTemplate),
        tuple(_compile(item, _sign) for item in _list(keys, "signs")),
        _line(node),
    )


def _sign(text: str) -> Sign:
    return Sign.from_text(text)


def _condition(keys: Mapping[str, Node]) -> Condition:
    return Condition(
        fields=frozenset(item.text() for item in _list(keys, "needs")),
        only=_choice(keys["only"], ("host", "container")) if "only" in keys else "",
    )


def _used(keys: Mapping[str, Node], procedures: Mapping[str, Procedure]) -> Procedure:
    node = keys["use"]
    if set(keys) != {"use"}:
        raise node.error("`use` stands alone; the procedure brings everything else")
    if node.text() not in procedures:
        known = ", ".join(sorted(procedures)) or "none here"
        raise node.error(f"procedure {node.text()!r} is not known; expected one of: {known}")
    return procedures[node.text()]


def _commands(keys: Mapping[str, Node], procedures: Mapping[str, Procedure]) -> tuple[CommandStep, ...]:
    steps: list[CommandStep] = []
    for phase in PHASES:
        for node in _list(keys, phase):
            step = node.mapping(_COMMAND_KEYS)
            if "use" in step:
                brought = [command for command in _used(step, procedures).commands if command.phase == phase]
                if not brought:
                    raise node.error(f"procedure {step['use'].text()!r} has nothing under {phase}")
                steps += brought
            else:
                steps.append(_command(node, phase))
    return tuple(steps)


def _command(node: Node, phase: str) -> CommandStep:
    required = {"do", "where", "run"} | ({"look"} if phase == "investigate" else {"breaks"})
    keys = node.mapping(_COMMAND_KEYS, frozenset(required))
    return CommandStep(
        title=_compile(keys["do"], ProseTemplate),
        phase=phase,
        where=_choice(keys["where"], WHERE),
        run=_compile(keys["run"], CommandTemplate),
        look=_prose(keys, "look"),
        breaks=_prose(keys, "breaks"),
        undo=_compile(keys["undo"], CommandTemplate) if "undo" in keys else _EMPTY_COMMAND,
        condition=_condition(keys),
        place=_line(node),
    )


def _changes(keys: Mapping[str, Node], key: str, procedures: Mapping[str, Procedure]) -> tuple[ChangeStep, ...]:
    steps: list[ChangeStep] = []
    for node in _list(keys, key):
        step = node.mapping(_CHANGE_KEYS)
        if "use" in step:
            brought = _used(step, procedures).changes
            if not brought:
                raise node.error(f"procedure {step['use'].text()!r} has nothing under configure")
            steps += brought
        else:
            steps.append(_change(node))
    return tuple(steps)


def _change(node: Node) -> ChangeStep:
    keys = node.mapping(_CHANGE_KEYS, frozenset({"do", "tool", "file", "format", "content"}))
    file_format = keys["format"].text()
    return ChangeStep(
        title=_compile(keys["do"], ProseTemplate),
        tool=_text(keys, "tool"),
        file=_text(keys, "file"),
        format=file_format,
        content=_compile(keys["content"], partial(ContentTemplate, file_format=file_format)),
        check=_text(keys, "check"),
        load=_text(keys, "load"),
        note=_prose(keys, "note"),
        condition=_condition(keys),
        place=_line(node),
    )


def _recommendations(keys: Mapping[str, Node], procedures: Mapping[str, Procedure]) -> tuple[Recommendation, ...]:
    found: list[Recommendation] = []
    for node in _list(keys, "recommend"):
        if node.is_text():
            found.append(Recommendation(_compile(node, ProseTemplate), Condition(), _line(node)))
            continue
        step = node.mapping(frozenset({"text", "needs", "only", "use"}))
        if "use" in step:
            found += _used(step, procedures).recommendations
        elif "text" in step:
            found.append(Recommendation(_compile(step["text"], ProseTemplate), _condition(step), _line(node)))
        else:
            raise node.error("missing key: text")
    return tuple(found)
