"""The report as a JSON document (``docs/report-json.md``): one line, for programs.

Owns the document's schema, which grows but keeps what it has within one
``schema`` number. Values are complete and not escaped for any other target.
"""

from __future__ import annotations

import json
from typing import Any

from exporter.escaping import valid_text
from exporter.render.document import Length
from exporter.report import Change, Command, Matched, Prose, Report, Span, Technique

SCHEMA = 2
_MARKUP = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\x7f", "\\u007f"))
"""Inert in a page's script element and on a terminal; inside strings only, where JSON can hold these."""
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def to_json(report: Report, length: Length = Length.FULL) -> str:
    """Return the report as one line of JSON, ASCII only, ending with a line feed (RFC 8259).

    Programs pick what they want: the document is whole, whatever the length.
    """
    return to_json_line(to_document(report))


def to_json_line(document: dict[str, Any]) -> str:
    """Return a document's members as one line of JSON, inert on pages and terminals, ending with a line feed."""
    line = _ENCODE(document)
    if "\\ud" in line:
        # Perhaps a lone surrogate, which JSON parsers refuse or differ on.
        line = _ENCODE(_valid(document))
    return inert(line) + "\n"


def inert(line: str) -> str:
    """Return JSON in ASCII with the characters escaped that mean something to a page or a terminal."""
    for character, escape in _MARKUP:
        line = line.replace(character, escape)
    return line


def to_document(report: Report) -> dict[str, Any]:
    """Return the document's members as plain dicts, lists and strings."""
    alert, advice = report.alert, report.advice
    return {
        "schema": SCHEMA,
        "uid": alert.uid,
        "time": alert.time_text,
        "time_unix_nano": str(alert.time_ns),
        "rule": alert.rule,
        "priority": alert.priority.label,
        "source": alert.source,
        "hostname": alert.hostname,
        "output": alert.output,
        "tags": list(alert.tags),
        "fields": {name: value for name, value in alert.all_fields().items() if name != "evt.time"},
        "advice": "general" if advice.composed else "written",
        "maturity": advice.maturity,
        "ruleset": advice.ruleset,
        "verdict": advice.judgement.verdict,
        "outcome": advice.judgement.outcome,
        "signs": [_sign(each) for each in advice.judgement.signs],
        "title": prose_members(advice.title),
        "summary": prose_members(advice.summary),
        "benign_if": [prose_members(each) for each in advice.benign],
        "unknown": [prose_members(each) for each in advice.unknown],
        "close_if": prose_members(advice.close_if),
        "escalate_if": prose_members(advice.escalate_if),
        "attack": [technique_members(each) for each in advice.techniques],
        "impact": prose_members(advice.impact),
        "mitigation": {
            "commands": [command_members(each) for each in advice.commands],
            "configuration": [_change(each) for each in advice.changes],
            "recommendations": [prose_members(each) for each in advice.recommendations],
            "tuning": [_change(each) for each in advice.tuning],
        },
        "details": [{"label": label, "value": value} for label, value in report.details],
        "references": [{"title": each.title, "url": each.url} for each in advice.references],
    }


def technique_members(technique: Technique) -> dict[str, str]:
    """Return an ATT&CK technique's members."""
    return {
        "technique_id": technique.technique_id,
        "technique": technique.technique,
        "tactic_id": technique.tactic_id,
        "tactic": technique.tactic,
    }


def _sign(sign: Matched) -> dict[str, Any]:
    return {"side": sign.side, "weight": sign.weight, "forgeable": sign.forgeable, **prose_members(sign.text)}


def prose_members(prose: Prose) -> dict[str, Any]:
    """Return prose as its text, and the spans that keep the alert's values apart from the catalog's words."""
    return {"text": "".join([span.text for span in prose]), "spans": [_span(span) for span in prose]}


def _span(span: Span) -> dict[str, str]:
    return {"kind": span.kind, "text": span.text}


def _change(change: Change) -> dict[str, Any]:
    return {
        "title": prose_members(change.title),
        "tool": change.tool,
        "file": change.file,
        "format": change.format,
        "content": change.content,
        "check": change.check,
        "load": change.load,
        "note": prose_members(change.note),
    }


def command_members(command: Command) -> dict[str, Any]:
    """Return a step's members."""
    return {
        "title": prose_members(command.title),
        "phase": command.phase,
        "where": command.where,
        "rights": prose_members(command.rights),
        "shell": command.shell,
        "run": command.run,
        "shows": prose_members(command.shows),
        "empty": prose_members(command.empty),
        "breaks": prose_members(command.breaks),
        "undo": command.undo,
        "unproven": command.unproven,
    }


def _valid(node: Any) -> Any:
    """Replace lone surrogates by U+FFFD."""
    if isinstance(node, str):
        return valid_text(node)
    if isinstance(node, dict):
        return {valid_text(key): _valid(value) for key, value in node.items()}
    return [_valid(item) for item in node] if isinstance(node, list) else node
