"""An incident's change as a record: inert and small, whatever its alerts hold."""

from __future__ import annotations

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.alert import Alert, Priority
from exporter.incidents.ledger import Change
from exporter.sinks.otel.encode.incident import incident_record
from tests.hostile import MEGABYTE, hostile_values
from tests.otel_records import attributes_of
from tests.unit.incidents.made import register


def record_of(value: str) -> LogRecord:
    found = register()
    fields = {"container.id": "c3d2a90f1b7e", "k8s.pod.name": value, "k8s.ns.name": value}
    changes: list[Change] = found.take(
        [Alert(1_790_000_000_000_000_000, f"attack {value}", Priority.ERROR, "syscall", value, "", fields, ())]
    )
    return LogRecord.FromString(incident_record(changes[0], observed_ns=7, address="https://x/incidents/"))


def test_a_record_names_what_matters() -> None:
    """Identifier, change, verdict, entities, rules and the page's address, at the incident's time."""
    record = record_of("web-0")
    attributes = attributes_of(record)
    assert (record.event_name, record.severity_text) == ("falco.incident", "Critical")
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (1_790_000_000_000_000_000, 7)
    name = attributes["falco.incident.id"]
    assert attributes["falco.incident.url"] == f"https://x/incidents/{name}"
    assert record.body.string_value == f"Incident {name} opened: attack, 1 alert, Pod: web-0/web-0"
    assert attributes["falco.incident.entities"][:2] == ["Pod: web-0/web-0", "Container: c3d2a90f1b7e"]
    assert attributes["falco.incident.rules"] == ["attack web-0"]


def test_hostile_values_show_as_escapes_and_are_cut() -> None:
    """No control character passes, and a megabyte in each field stays a small record."""
    for value in (*hostile_values().values(), "x" * MEGABYTE):
        record = record_of(value)
        assert record.ByteSize() < 16_384
        texts = [record.body.string_value]
        for each in attributes_of(record).values():
            texts += each if isinstance(each, list) else [str(each)]
        assert all(text.isprintable() for text in texts)
