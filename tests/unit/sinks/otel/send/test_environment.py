"""Which endpoint and transport: our settings before the standard variables, mistakes before a socket opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.model import Otlp
from exporter.errors import ConfigError
from exporter.sinks.otel.send.envelope import to_resource
from exporter.sinks.otel.send.environment import otlp_enabled, with_environment

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOGS = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


@pytest.mark.parametrize(
    ("endpoint", "environ", "enabled"),
    [
        ("", {}, False),
        ("http://c:4317", {}, True),
        ("", {BASE: "http://c:4317"}, True),
        ("", {LOGS: "http://c:4318/v1/logs"}, True),
        ("", {BASE: " "}, False),
        ("", {BASE: "http://c:4317", "OTEL_LOGS_EXPORTER": "none"}, False),
        ("http://c:4317", {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_log_records_are_on_where_an_endpoint_is_set(endpoint: str, environ: dict[str, str], enabled: bool) -> None:
    """No endpoint anywhere means off; OpenTelemetry's own switches turn it off too."""
    assert otlp_enabled(Otlp(endpoint=endpoint), environ) is enabled


@pytest.mark.parametrize(
    ("settings", "environ", "protocol", "endpoint"),
    [
        (Otlp(), {BASE: "http://c:4317"}, "grpc", "http://c:4317"),
        (Otlp(protocol="http/protobuf"), {BASE: "http://c:4318"}, "http/protobuf", "http://c:4318/v1/logs"),
        (Otlp(protocol="http/protobuf"), {LOGS: "http://c/own"}, "http/protobuf", "http://c/own"),
        (Otlp(), {BASE: "http://c:4318/", PROTOCOL: "http/protobuf"}, "http/protobuf", "http://c:4318/v1/logs"),
        (Otlp(protocol="http/protobuf"), {}, "http/protobuf", "http://localhost:4318/v1/logs"),
        (Otlp(endpoint="http://o", protocol="grpc"), {LOGS: "http://c", PROTOCOL: "http/protobuf"}, "grpc", "http://o"),
        (
            Otlp(endpoint="http://loki:3100/otlp", protocol="http/protobuf"),
            {},
            "http/protobuf",
            "http://loki:3100/otlp/v1/logs",
        ),
        (
            Otlp(endpoint="http://loki:3100/otlp/v1/logs", protocol="http/protobuf"),
            {LOGS: "http://c/own"},
            "http/protobuf",
            "http://loki:3100/otlp/v1/logs",
        ),
    ],
)
def test_settings_go_before_variables(settings: Otlp, environ: dict[str, str], protocol: str, endpoint: str) -> None:
    """Our endpoint and transport first, then the variables for logs, then the general ones, then the defaults."""
    found = with_environment(settings, environ)
    assert (found.protocol, found.endpoint) == (protocol, endpoint)


@pytest.mark.parametrize(
    ("settings", "environ", "words"),
    [
        (Otlp(), {PROTOCOL: "http/json"}, [PROTOCOL, "http/json", "http/protobuf"]),
        (Otlp(endpoint="collector:4317"), {}, ["otlp.endpoint", "collector:4317", "http://HOST:PORT"]),
        (Otlp(protocol="http/protobuf"), {BASE: "c:4318"}, [BASE, "c:4318"]),
        (Otlp(), {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem"}, ["CERTIFICATE", "/nowhere.pem"]),
    ],
)
def test_mistakes_are_named_before_a_socket_opens(settings: Otlp, environ: dict[str, str], words: list[str]) -> None:
    """The message says where it was set, what was found and what was expected."""
    with pytest.raises(ConfigError) as caught:
        with_environment(settings, environ)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_certificate_that_is_there_is_no_mistake(tmp_path: Path) -> None:
    """Only a file that is missing is complained about."""
    file = tmp_path / "ca.pem"
    file.write_text("x")
    assert with_environment(Otlp(), {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(file)}).protocol == "grpc"


def test_the_resource_is_stable_and_the_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same instance id at each start; OTEL_* before our defaults, our setting before OTEL_*."""
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    plain = to_resource(host_name="node-1").attributes
    assert (plain["service.name"], plain["service.instance.id"]) == ("falco", "node-1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=x,service.version=9,k8s.cluster.name=c")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    said = to_resource(host_name="node-1").attributes
    assert (said["service.name"], said["service.instance.id"], said["service.version"]) == ("named", "x", "9")
    assert said["k8s.cluster.name"] == "c"
    assert to_resource("ours").attributes["service.name"] == "ours"
