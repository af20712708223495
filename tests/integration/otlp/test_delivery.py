"""What arrives at a receiver, in which batches, and when."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import Grouping, Otlp, Queue
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.record import Reports
from exporter.sinks.otel.send.answer import failure_reasons
from exporter.sinks.otel.send.environment import to_endpoint
from exporter.sinks.otel.sink import Destination, OtelLogsSink
from exporter.sources.decode import from_received
from tests.integration.otlp.receiver import Receiver, Reply, records_of
from tests.integration.otlp.sinks import delivering
from tests.otel_records import ALERT, advice_for, attributes_of, many, to_value
from tests.waiting import wait_until


def test_records_arrive_whole_with_resource_and_scope(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a collector sees: who sends, in which scope, and every attribute with its type."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,service.instance.id=node-7")
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write([ALERT])
        wait_until(lambda: receiver.accepted)
        wait_until(lambda: metric("log_records_exported_total") == 1)
    [resource_logs] = receiver.requests[0].resource_logs
    resource = {attribute.key: to_value(attribute.value) for attribute in resource_logs.resource.attributes}
    assert resource["service.name"] == "falco"
    assert resource["service.instance.id"] == "node-7"
    assert resource["deployment.environment.name"] == "lab"
    assert resource_logs.scope_logs[0].scope.name == "falco-report-exporter"
    attributes = attributes_of(receiver.accepted[0])
    assert attributes["process.pid"] == 4711
    assert attributes["process.interactive"] is True
    assert attributes["container.image.tags"] == ["latest"]
    assert len(attributes["falco.report.mitigation.commands"]) == 2


def test_a_slow_receiver_never_holds_up_whoever_writes(receiver: Receiver, protocol: str) -> None:
    """While one call takes three seconds, batches are taken at once, and there is room."""
    receiver.script.append(Reply(None, delay_seconds=3.0, accepts=True))
    with delivering(receiver.endpoint, protocol) as (sink, _):
        sink.write(many(1))
        wait_until(lambda: receiver.requests)
        begun = time.monotonic()
        for first in range(1, 51):
            sink.write(many(1, first=first))
            assert sink.room() > 0
        assert time.monotonic() - begun < 2.8
        wait_until(lambda: len(receiver.accepted) == 51)


def test_a_stop_delivers_what_waits(receiver: Receiver, protocol: str) -> None:
    """Close sends everything before it returns, groups that are open included."""
    with delivering(receiver.endpoint, protocol, grouping={"window_seconds": 60.0}) as (sink, metric):
        sink.write(many(1000))
    assert metric("log_records_exported_total") == 2
    first, joined = receiver.accepted
    assert "falco.group.count" not in attributes_of(first)
    assert attributes_of(joined)["falco.group.count"] == 999
    assert attributes_of(joined)["falco.group.first_time"] == "2024-10-05T18:29:39.273467557Z"
    assert attributes_of(joined)["falco.group.last_time"] == "2024-10-05T18:29:39.273468555Z"
    assert attributes_of(joined)["log.record.uid"] == many(1000)[999].uid
    assert metric("alerts_grouped_total") == 999


def test_a_groups_window_ends_though_nothing_else_comes(receiver: Receiver, protocol: str) -> None:
    """The count goes out when the window ends."""
    with delivering(receiver.endpoint, protocol, grouping={"window_seconds": 0.3}) as (sink, _):
        sink.write(many(4))
        wait_until(lambda: len(receiver.accepted) == 2)
        assert attributes_of(receiver.accepted[1])["falco.group.count"] == 3


@pytest.mark.parametrize("limit", [1, 512])
def test_large_backlogs_go_in_batches_below_the_usual_limits(receiver: Receiver, protocol: str, limit: int) -> None:
    """At most 512 records and 3 MiB a request, all of them, each once."""
    alerts = [replace(alert, fields={"x": "y" * 20_000}) for alert in many(600)]
    with delivering(receiver.endpoint, protocol) as (sink, _):
        for first in range(0, 600, limit):
            sink.write(alerts[first : first + limit])
        wait_until(lambda: len(receiver.accepted) == 600)
    assert max(request.ByteSize() for request in receiver.requests) <= 4 * 1024 * 1024 - 1024
    assert max(len(records_of(request)) for request in receiver.requests) <= 512
    assert len(set(receiver.uids)) == 600


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_every_loss_exists_at_0_before_it_happens(receiver: Receiver, protocol: str) -> None:
    """A counter that begins with its first loss is one that `increase` does not see, and a panel that stays green."""
    registry = CollectorRegistry()
    settings = Otlp(endpoint=receiver.endpoint, protocol=protocol)
    sink = OtelLogsSink(
        settings,
        Destination(to_endpoint(settings, {}), Queue()),
        Grouping(),
        reports=Reports(advice_for),
        read_message=from_received,
        metrics=SelfMetrics(registry),
    )
    sink.start()
    try:
        for kind, reasons in (("dropped", {"full", "age", "damaged"}), ("failed", failure_reasons(protocol))):
            samples = [
                sample
                for family in registry.collect()
                for sample in family.samples
                if sample.name == f"falco_exporter_log_records_{kind}_total"
            ]
            assert {sample.labels["reason"] for sample in samples} >= set(reasons), kind
            assert {sample.value for sample in samples} == {0.0}
    finally:
        sink.close(0)
