"""Incidents in log records: alerts name theirs, and a record says what becomes of one."""

from __future__ import annotations

import time

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.app import App
from exporter.config.model import Config, Incidents, Otlp, Web
from exporter.incidents.incident import Incident
from exporter.incidents.ledger import Change
from exporter.sinks.otel.encode.incident import incident_record
from tests.integration.otlp.receiver import grpc_receiver
from tests.otel_records import attributes_of
from tests.unit.incidents.made import alert, register
from tests.waiting import wait_until
from tools.incidents import stories


@pytest.fixture(autouse=True)
def _no_endpoint_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def of(records: list[LogRecord], event: str) -> list[dict[str, object]]:
    return [attributes_of(record) for record in records if record.event_name == event]


@pytest.mark.parametrize("records", [True, False])
def test_records_name_their_incident_and_tell_what_becomes_of_it(
    records: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alert of a story has its incident's identifier; by setting, opened and ended are records too."""
    story = next(stories())
    shift = time.time_ns() - story.steps[-1].alert.time_ns
    alerts = [step.alert.changed(time_ns=step.alert.time_ns + shift) for step in story.steps]
    uids = {alert.uid for alert, step in zip(alerts, story.steps, strict=True) if step.part}
    with grpc_receiver() as receiver:
        config = Config(
            web=Web(listen_address="127.0.0.1:0", external_url="https://falco.example"),
            otlp=Otlp(endpoint=receiver.endpoint),
            incidents=Incidents(records=records),
        )
        app = App(config)
        app.start()
        try:
            app.pipeline.deliver(alerts)
            assert app.incidents is not None
            (incident,) = app.incidents.all()
            monkeypatch.setattr(app.incidents, "_clock", lambda: 10**10)
            list(app.registry.collect())
            wait_until(lambda: len(receiver.accepted) >= len(alerts) + 2 * records)
        finally:
            app.close()
        of_alerts = of(receiver.accepted, "falco.alert")
        named = {each["log.record.uid"] for each in of_alerts if each.get("falco.incident.id") == incident.id}
        assert named == uids
        told = of(receiver.accepted, "falco.incident")
        assert [each["falco.incident.change"] for each in told] == (["opened", "ended"] if records else [])
        for each in told:
            assert each["falco.incident.id"] == incident.id
            assert each["falco.verdict"] == "attack"
            assert each["falco.incident.url"] == f"https://falco.example/incidents/{incident.id}"


def test_the_record_of_a_merged_incident_names_both() -> None:
    """Whoever looks for the old identifier finds where it went."""
    found = one_incident()
    change = Change("merged", found, "0123456789abcdef")
    record = LogRecord.FromString(incident_record(change, observed_ns=1, address="https://falco.example/incidents/"))
    attributes = attributes_of(record)
    assert attributes["falco.incident.id"] == "0123456789abcdef"
    assert attributes["falco.incident.change"] == "merged"
    assert attributes["falco.incident.merged_into"] == found.id
    assert attributes["falco.incident.url"] == f"https://falco.example/incidents/{found.id}"
    assert record.body.string_value.startswith(f"Incident 0123456789abcdef merged into {found.id}: attack")


def one_incident() -> Incident:
    """Return an incident of one alert."""
    incidents = register()
    incidents.take([alert(0, "attack a", container__id="a" * 12)])
    (found,) = incidents.all()
    return found


def test_without_a_window_nothing_is_joined() -> None:
    """``incidents.window_seconds: 0`` turns all of it off."""
    app = App(Config(web=Web(listen_address="127.0.0.1:0"), incidents=Incidents(window_seconds=0)))
    assert app.incidents is None
    assert "incidents" not in [sink.name for sink in app.pipeline.sinks]
