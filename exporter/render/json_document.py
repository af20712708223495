"""The report as a JSON document (``docs/report-json.md``): one line, for programs.

Owns the document's schema, which grows but keeps what it has within one
``schema`` number. Values are complete and not escaped for any other target.
"""

from __future__ import annotations

import json
from typing import Any

from exporter.escaping import valid_text
from exporter.report import Change, Command, Prose, Report, Span

SCHEMA = 2
_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\x7f": "\\u007f"})
"""Inert in a page's script element and on a terminal; inside strings alone, where JSON can hold these."""


def to_json(report: Report) -> str:
    """Return the report as one line of JSON, ASCII only, ending with a line feed (RFC 8259)."""
    return json.dumps(_valid(to_document(report)), separators=(",", ":")).translate(_MARKUP) + "\n"


def to_document(report: Report) -> dict[str, Any]:
    """Return the document's members as plain dicts, lists and strings."""
    alert = report.alert
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
        "advice": "general" if report.advice.composed else "written",
        "maturity": report.advice.maturity,
        "ruleset": report.advice.ruleset,
        "attack": [
            {
                "technique_id": each.technique_id,
                "technique": each.technique,
                "tactic_id": each.tactic_id,
                "tactic": each.tactic,
            }
            for each in report.advice.techniques
        ],
        "details": [{"label": label, "value": value} for label, value in report.details],
        "summary": _prose(report.advice.summary),
        "impact": _prose(report.advice.impact),
        "benign": [_prose(each) for each in report.advice.benign],
        "mitigation": {
            "configuration": [_change(each) for each in report.advice.changes],
            "tuning": [_change(each) for each in report.advice.tuning],
            "commands": [_command(each) for each in report.advice.commands],
            "recommendations": [_prose(each) for each in report.advice.recommendations],
        },
        "references": [{"title": each.title, "url": each.url} for each in report.advice.references],
    }


def _prose(prose: Prose) -> dict[str, Any]:
    return {"text": "".join([span.text for span in prose]), "spans": [_span(span) for span in prose]}


def _span(span: Span) -> dict[str, str]:
    return {"kind": span.kind, "text": span.text}


def _change(change: Change) -> dict[str, Any]:
    return {
        "title": _prose(change.title),
        "tool": change.tool,
        "file": change.file,
        "format": change.format,
        "content": change.content,
        "check": change.check,
        "load": change.load,
        "note": _prose(change.note),
    }


def _command(command: Command) -> dict[str, Any]:
    return {
        "title": _prose(command.title),
        "phase": command.phase,
        "where": command.where,
        "run": command.run,
        "shell": command.shell,
        "shows": _prose(command.shows),
        "empty": _prose(command.empty),
        "breaks": _prose(command.breaks),
        "undo": command.undo,
        "rights": _prose(command.rights),
        "unproven": command.unproven,
    }


def _valid(node: Any) -> Any:
    """Lone surrogates, which JSON parsers refuse or differ on, become U+FFFD."""
    if isinstance(node, str):
        return valid_text(node)
    if isinstance(node, dict):
        return {valid_text(key): _valid(value) for key, value in node.items()}
    return [_valid(item) for item in node] if isinstance(node, list) else node
