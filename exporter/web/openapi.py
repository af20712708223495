"""The description of ``/api/v1`` in OpenAPI's form, served and in ``docs/openapi.json``.

Owns nothing of what it describes: names of parameters and members come from
where they are read and made. Refuses what is not read-only.
"""

from __future__ import annotations

from typing import Any, Final

from exporter import __version__
from exporter.alert import Priority
from exporter.times import EXPECTED
from exporter.verdict.judgement import OUTCOMES, VERDICTS
from exporter.web.listing import Shown
from exporter.web.query import API_LIMIT

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
_FILTERS: Final[dict[str, tuple[str, Schema]]] = {
    "text": ('Words that all have to be in the alert; "words in order"; a beginning: ssh*', TEXT),
    "verdict": ("The verdict that the alert got when it came", {"enum": list(VERDICTS)}),
    "priority": ("This priority and above", {"enum": [each.label for each in Priority]}),
    "rule": ("The rule's name, any case", TEXT),
    "host": ("The host's name, any case", TEXT),
    "namespace": ("The Kubernetes namespace", TEXT),
    "principal": ("Who acted: the API's user, or the login or user of a process", TEXT),
    "since": (f"Only alerts from this time on: {EXPECTED}", TEXT),
    "until": (f"Only alerts before this time: {EXPECTED}", TEXT),
}
_OF_ROWS: Final[dict[str, Schema]] = {
    "time": {"type": "string", "format": "date-time"},
    "verdict": {"enum": list(VERDICTS)},
    "outcome": {"enum": list(OUTCOMES)},
    "priority": {"enum": [each.label for each in Priority]},
    "uid": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
}


def openapi() -> dict[str, Any]:
    """Return the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Falco Report Exporter",
            "version": __version__,
            "description": "Read-only access to reports and to the catalog of advice, for tools. It is served with "
            "the report pages, to those who may see them. Every answer has an ETag; If-None-Match gives 304.",
        },
        "paths": {
            "/api/v1/reports": _collection(
                "Reports, one line each, newest first", "reports", "Report", [*_filters(), *_paging("before")]
            ),
            "/api/v1/reports/{uid}": _single("uid", "WholeReport", "One report with every command", "alert"),
            "/api/v1/incidents": _collection(
                "Incidents, one line each, the one with the latest alert first", "incidents", "Incident",
                _paging("after"),
            ),
            "/api/v1/incidents/{id}": _single("id", "WholeIncident", "One incident with every step", "incident"),
            "/api/v1/catalog": _collection(
                "The rules that have advice of their own, by source and name", "rules", "Rule",
                [_parameter("rule", "The rule's name, any case", TEXT),
                 _parameter("source", "The event source, e.g. syscall", TEXT), *_paging("after")],
            ),
        },
        "components": {"schemas": _schemas()},
    }  # fmt: skip


def _filters() -> list[Schema]:
    return [_parameter(name, text, schema) for name, (text, schema) in _FILTERS.items()]


def _paging(cursor: str) -> list[Schema]:
    return [
        _parameter("limit", "Maximum number of members", {"type": "integer", "minimum": 1, "maximum": API_LIMIT}),
        _parameter(
            cursor, "Where to continue: the cursor in the last page's `next`", {"type": "integer", "minimum": 1}
        ),
    ]


def _parameter(name: str, text: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


def _collection(summary: str, name: str, member: str, parameters: list[Schema]) -> Schema:
    members = {"type": "array", "items": {"$ref": f"#/components/schemas/{member}"}}
    following = {"type": ["string", "null"], "description": "The address of the next page; null on the last"}
    schema = _object({name: members, "next": following})
    return {"get": {"summary": summary, "parameters": parameters, "responses": _responses(schema)}}


def _single(name: str, member: str, summary: str, what: str) -> Schema:
    parameter = {"name": name, "in": "path", "required": True, "schema": _OF_ROWS[name]}
    schema = {"$ref": f"#/components/schemas/{member}"}
    responses = _responses(schema) | {"404": {"description": f"No {what} with this identifier is kept"}}
    return {"get": {"summary": summary, "parameters": [parameter], "responses": responses}}


def _responses(schema: Schema) -> Schema:
    return {
        "200": {
            "description": "What was asked for",
            "headers": {"ETag": {"description": "Changes with the content", "schema": TEXT}},
            "content": {"application/json": {"schema": schema}},
        },
        "304": {"description": "Nothing has changed since the ETag in If-None-Match"},
        "400": {"description": "A parameter is not valid; the answer says what was expected"},
        "401": {"description": "The listener asks for a user name and a password"},
        "403": {"description": "Report pages are off for this listener"},
        "503": {"description": "The history does not answer; the answer says why"},
    }


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _of_report() -> dict[str, Schema]:
    return {name: schema for name, schema in _OF_ROWS.items() if name != "id"}


def _incident() -> dict[str, Schema]:
    entity = _object({"label": TEXT, "value": TEXT})
    return {
        "id": _OF_ROWS["id"], "verdict": _OF_ROWS["verdict"], "state": {"enum": ["open", "ended"]},
        "first_time": _OF_ROWS["time"], "last_time": _OF_ROWS["time"], "alerts": {"type": "integer"},
        "entities": {"type": "array", "items": entity},
    }  # fmt: skip


def _schemas() -> Schema:
    of_text = {"type": "object", "required": ["text"], "properties": {"text": TEXT}}
    command = {
        "title": of_text, "phase": TEXT, "where": TEXT, "rights": of_text, "shell": TEXT, "run": TEXT, "shows": of_text,
        "empty": of_text, "breaks": of_text, "undo": TEXT, "unproven": TEXT,
    }  # fmt: skip
    attack = _object({"technique_id": TEXT, "tactic_id": TEXT})
    reference = _object({"title": TEXT, "url": TEXT})
    mitigation = _object({"commands": {"type": "array", "items": _object(command)}})
    step = _object({"title": TEXT, "phase": TEXT, "where": TEXT})
    return {
        "Report": _object({name: _OF_ROWS.get(name, TEXT) for name in Shown._fields} | {"url": TEXT}),
        "WholeReport": {
            "description": "docs/report-json.md has every member",
            **_object({"schema": {"type": "integer"}, **_of_report(), "rule": TEXT, "title": of_text,
                       "mitigation": mitigation}),
        },
        "Incident": _object({**_incident(), "url": TEXT}),
        "WholeIncident": {
            "description": "docs/incidents.md has every member",
            **_object({"schema": {"type": "integer"}, **_incident(), "title": of_text,
                       "steps": {"type": "array", "items": _object(command)}}),
        },
        "Rule": _object({
            "rule": TEXT, "source": TEXT, "ruleset": TEXT, "priority": TEXT, "maturity": TEXT,
            "attack": {"type": "array", "items": attack}, "steps": {"type": "array", "items": step},
            "references": {"type": "array", "items": reference},
        }),
    }  # fmt: skip
