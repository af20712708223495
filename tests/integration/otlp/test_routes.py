"""Several endpoints: each gets its own records, with its own credentials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import Grouping, Otlp, OtlpEndpoint, Queue, Route
from exporter.config.routes import queue_of
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.record import Reports
from exporter.sinks.otel.routed import RoutedSink
from exporter.sinks.otel.routes import Router
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.send.environment import to_named_endpoint
from exporter.sinks.otel.send.probe import check_endpoint
from exporter.sinks.otel.send.sender import Pauses
from exporter.sinks.otel.sink import Destination, OtelLogsSink
from exporter.sources.decode import from_received
from tests.integration.otlp.receiver import free_port, grpc_receiver, http_receiver
from tests.integration.otlp.sinks import delivering
from tests.otel_records import many
from tests.waiting import wait_until


def test_routes_lead_each_record_where_it_belongs(tmp_path: Path) -> None:
    """Two endpoints with queues of their own: one is away, the other gets its records; what is dropped is counted."""
    registry, alerts = CollectorRegistry(), many(6)
    alerts = [replace(alert, rule=f"Rule {index}") for index, alert in enumerate(alerts)]
    metrics, grouping, away = SelfMetrics(registry), Grouping(), free_port()
    settings = Otlp(protocol="grpc")
    routes = [
        Route("noise", drop=True, rules=("Rule 0",)),
        Route("both", ("soc", "default"), rules=("Rule 1",)),
        Route("soc", ("soc",), rules=("Rule [45]", "Rule 2", "*3")),
    ]

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"falco_exporter_{name}", labels) or 0.0

    with grpc_receiver() as soc:
        sinks = {}
        for name, url in (("default", f"http://127.0.0.1:{away}"), ("soc", soc.endpoint)):
            destination = Destination(Endpoint("grpc", url), queue_of(Queue(directory=tmp_path), name), name=name)
            sinks[name] = OtelLogsSink(
                settings, destination, grouping, reports=Reports(None), read_message=from_received, metrics=metrics
            )
            sinks[name].pauses = Pauses(0.02, 0.1)
        routed = RoutedSink(sinks, Router(routes, lambda _alert: ""), metrics)
        routed.start()
        try:
            routed.write(alerts)
            assert routed.room() > 0
            wait_until(lambda: len(soc.accepted) == 3)
            wait_until(lambda: value("queue_records", endpoint="soc") == 0)
            assert value("queue_records", endpoint="default") == 3
            assert value("log_records_exported_total", endpoint="soc") == 3
            assert value("alerts_filtered_total", route="noise") == 1
            assert [status.failing_since is None for status in routed.statuses().values()] == [False, True]
            assert not routed.unready_reason()
        finally:
            routed.close(0.3)
    assert soc.uids == [alert.uid for alert in alerts[1:4]]
    with grpc_receiver(port=away) as default, delivering(default.endpoint, "grpc", tmp_path):
        wait_until(lambda: len(default.accepted) == 3)
    assert default.uids == [alerts[index].uid for index in (1, 4, 5)]


def test_a_named_endpoint_gets_its_own_headers_and_no_others(tmp_path: Path) -> None:
    """The default endpoint's token and certificate never go to another collector."""
    headers = tmp_path / "headers"
    headers.write_text("x-tenant=soc\nauthorization=Bearer%20own\n")
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret",
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": "/nowhere",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3000",
    }
    with http_receiver() as receiver:
        named = OtlpEndpoint("soc", receiver.endpoint, "http/protobuf", headers)
        endpoint = to_named_endpoint(named, Otlp(endpoint="http://default:4317"), environ)
        assert (endpoint.timeout_seconds, endpoint.ca_file) == (3.0, None)
        assert check_endpoint(endpoint).works
    assert receiver.headers[0]["authorization"] == "Bearer own"
    assert receiver.headers[0]["x-tenant"] == "soc"
    headers.write_text("authorization: hunter2")
    with pytest.raises(ConfigError, match="endpoints: soc: headers_file") as caught:
        to_named_endpoint(named, Otlp(), {})
    assert "hunter2" not in str(caught.value)
