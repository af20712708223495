"""A real OpenTelemetry Collector receives our log records, whole and with the right types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import Collector, Simulator, exporter
from tests.e2e.programs import find_collector
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


def attributes(record: dict[str, Any]) -> dict[str, Any]:
    """Attribute values by key; an array as a list of its values."""
    found = {}
    for item in record["attributes"]:
        ((kind, value),) = item["value"].items()
        found[item["key"]] = (
            kind,
            [next(iter(v.values())) for v in value["values"]] if kind == "arrayValue" else value,
        )
    return found


@pytest.fixture(params=["grpc", "http/protobuf"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    """The demo scenario's records, as the collector wrote them, over both transports."""
    collector = Collector(find_collector(), tmp_path)
    port = collector.grpc_port if request.param == "grpc" else collector.http_port
    falco = Simulator(tmp_path, tmp_path / "falco.sock", "--scenario", "demo", "--json-output")
    arguments = ("--target", f"unix://{tmp_path}/falco.sock", "--otlp.endpoint", f"http://127.0.0.1:{port}",
                 "--otlp.advice", "full")  # fmt: skip
    try:
        with exporter(tmp_path, *arguments, "--otlp.protocol", request.param) as running:
            wait_until(lambda: running.total("falco_exporter_log_records_exported_total") >= 35, "35 records exported")
            assert running.total("falco_exporter_log_records_dropped_total") == 0
            assert running.total("falco_exporter_log_records_failed_total") == 0
        wait_until(lambda: len(collector.records()) >= 35, "35 records in the collector's file")
        return collector.records()
    finally:
        falco.stop()
        collector.stop()


def test_the_reference_alert_arrives_whole(records: list[dict[str, Any]]) -> None:
    """Times, severity, body and attributes of the reference alert, each with the right type."""
    (record,) = (item for item in records if attributes(item)["security_rule.name"][1] == "Clear Log Activities")
    found = attributes(record)
    assert record["timeUnixNano"] == "1728152979273467556"
    assert int(record["observedTimeUnixNano"]) > 1_700_000_000_000_000_000
    assert (record["severityNumber"], record["severityText"]) == (13, "Warning")
    assert record["eventName"]
    assert record["body"]["stringValue"].startswith("Log files were tampered")
    assert found["log.record.uid"] == ("stringValue", found["log.record.uid"][1])
    assert found["user.name"] == ("stringValue", "root")
    assert found["host.name"] == ("stringValue", "mini-debian-lab")
    assert found["container.name"] == ("stringValue", "modest_brahmagupta")
    assert found["process.interactive"] == ("boolValue", False)
    assert found["falco.report.composed"] == ("boolValue", False)
    assert found["falco.report.summary"][0] == "stringValue"
    for key in ("mitigation.commands", "mitigation.configuration", "mitigation.recommendations", "references"):
        kind, values = found[f"falco.report.{key}"]
        assert kind == "arrayValue"
        assert values
        assert all(isinstance(value, str) for value in values)
    assert any("/syslog" in command for command in found["falco.report.mitigation.commands"][1])


def test_every_record_is_one_alert_with_advice(records: list[dict[str, Any]]) -> None:
    """35 alerts give 35 records with distinct uids, each with a summary and a rule, below Loki's limits."""
    found = [attributes(record) for record in records]
    assert len({item["log.record.uid"][1] for item in found}) == len(records) == 35
    assert all(item["falco.report.summary"][1] for item in found)
    assert max(len(item) for item in found) <= 100
    services = {
        item["value"]["stringValue"] for record in records for item in record["resource"]["attributes"]
        if item["key"] == "service.name"
    }  # fmt: skip
    assert services == {"falco"}


def test_typed_fields_are_numbers_and_booleans(records: list[dict[str, Any]]) -> None:
    """Process ids and ports arrive as integers wherever an alert has them."""
    integers = ("process.pid", "process.parent_pid", "network.peer.port", "server.port", "client.port")
    kinds = {attributes(record)[key][0] for record in records for key in integers if key in attributes(record)}
    assert kinds == {"intValue"}
