"""What becomes of an incident as an OpenTelemetry LogRecord.

Owns the record's names (``docs/incidents.md``). It holds no advice: the
alerts' own records and the incident's page have it.
"""

from __future__ import annotations

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from exporter.escaping import shortened, visible
from exporter.incidents.entities import entities_of
from exporter.incidents.ledger import Change

EVENT_NAME = "falco.incident"
_VALUE_LIMIT_CHARACTERS = 400
_RULES_LIMIT = 24
_SEVERITIES = {
    "attack": (SeverityNumber.SEVERITY_NUMBER_ERROR2, "Critical"),
    "undecided": (SeverityNumber.SEVERITY_NUMBER_WARN, "Warning"),
    "benign": (SeverityNumber.SEVERITY_NUMBER_INFO, "Informational"),
    "test": (SeverityNumber.SEVERITY_NUMBER_INFO, "Informational"),
}


def incident_record(change: Change, *, observed_ns: int, address: str = "") -> bytes:
    """Return the change's record, serialised.

    ``observed_ns`` is the time now, nanoseconds since 1970; ``address``, with the identifier behind it, is the
    incident's page.
    """
    incident, name = change.incident, change.merged_id or change.incident.id
    number, text = _SEVERITIES[incident.verdict]
    entities = [f"{entity.label}: {_line(entity.value)}" for entity in entities_of(incident)]
    alerts = "1 alert" if incident.count == 1 else f"{incident.count} alerts"
    became = f"merged into {incident.id}" if change.merged_id else change.kind
    body = f"Incident {name} {became}: {incident.verdict}, {alerts}" + (f", {entities[0]}" if entities else "")
    attributes: dict[str, str | int | list[str]] = {
        "falco.incident.id": name,
        "falco.incident.change": change.kind,
        "falco.incident.merged_into": incident.id if change.merged_id else "",
        "falco.verdict": incident.verdict,
        "falco.incident.alerts": incident.count,
        "falco.incident.first_time": incident.first_text,
        "falco.incident.last_time": incident.last_text,
        "falco.incident.raised_by": list(incident.raised_by),
        "falco.incident.other_ids": list(incident.other_ids),
        "falco.incident.entities": entities,
        "falco.incident.rules": list(dict.fromkeys(_line(each.alert.rule) for each in incident.members))[:_RULES_LIMIT],
        "falco.incident.url": f"{address}{incident.id}" if address else "",
    }
    return LogRecord(
        time_unix_nano=incident.last_ns,
        observed_time_unix_nano=observed_ns,
        severity_number=number,
        severity_text=text,
        event_name=EVENT_NAME,
        body=AnyValue(string_value=body),
        attributes=[KeyValue(key=key, value=_value(value)) for key, value in attributes.items() if value],
    ).SerializeToString()


def _line(value: str) -> str:
    return visible(shortened(value, _VALUE_LIMIT_CHARACTERS))


def _value(value: str | int | list[str]) -> AnyValue:
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=each) for each in value]))
