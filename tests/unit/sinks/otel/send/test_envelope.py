"""What stands around records: who sends them, and every byte of it where OTLP has it."""

from __future__ import annotations

import socket

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk.resources import Resource

from exporter import __version__
from exporter.sinks.otel.queue.records import Records
from exporter.sinks.otel.send.envelope import SCHEMA_URL, Envelope, to_resource
from tests.otel_records import to_value
from tests.unit.sinks.otel.send.sending import numbered


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have OTEL_* set."""
    for name in ("OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def own(resource: Resource) -> dict[str, object]:
    """The attributes but those about the SDK."""
    return {key: value for key, value in resource.attributes.items() if not key.startswith("telemetry.")}


def test_who_we_are_where_nothing_is_set() -> None:
    """The instance is the host, so that a restart is no new stream."""
    expected = {"service.name": "falco", "service.version": __version__}
    assert own(to_resource()) == expected | {"service.instance.id": socket.gethostname()}
    assert own(to_resource(host_name="node-1")) == expected | {"service.instance.id": "node-1"}
    assert to_resource().attributes["telemetry.sdk.name"] == "opentelemetry"


def test_the_standard_variables_go_before_defaults_and_settings_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels have the names of the semantic conventions where these have one."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,service.instance.id=i,k8s.cluster.name=other,a=b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "name")
    said = {"service.name": "name", "service.version": "9", "service.instance.id": "i", "a": "b"}
    assert own(to_resource()) == said | {"k8s.cluster.name": "other"}
    ours = own(to_resource("mine", {"cluster": "prod", "team": "blue"}))
    assert ours == said | {"service.name": "mine", "k8s.cluster.name": "prod", "team": "blue"}


def test_a_request_is_what_protobuf_makes_of_it() -> None:
    """Resource with each kind of value, scope, schemas and all records, however long."""
    attributes = {"text": "t", "number": 7, "float": 0.5, "truth": True, "list": ("a", "b")}
    envelope = Envelope(Resource(attributes, "https://schema.example"))
    for count in (0, 1, 3, 300):
        request = ExportLogsServiceRequest.FromString(envelope.request(numbered(0, count)))
        [resource] = request.resource_logs
        assert {attribute.key: to_value(attribute.value) for attribute in resource.resource.attributes} == {
            **attributes,
            "list": ["a", "b"],
        }
        assert resource.schema_url == "https://schema.example"
        [scope] = resource.scope_logs
        assert (scope.scope.name, scope.scope.version) == ("falco-report-exporter", __version__)
        assert scope.schema_url == SCHEMA_URL
        assert [record.body.int_value for record in scope.log_records] == list(range(count))
        size = sum(map(len, numbered(0, count).pieces))
        assert len(envelope.request(numbered(0, count))) - len(envelope.request(Records())) - size in range(5)
    assert len(envelope.request(Records())) < len(envelope.request(numbered(0, 1)))


def test_truth_is_no_number() -> None:
    """Python's bool is an int; OTLP's is not."""
    [resource] = ExportLogsServiceRequest.FromString(
        Envelope(Resource({"truth": True})).request(Records())
    ).resource_logs
    [attribute] = resource.resource.attributes
    assert attribute.value.WhichOneof("value") == "bool_value"
