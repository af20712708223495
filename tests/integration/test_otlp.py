"""Delivery to real OTLP receivers over gRPC and HTTP: every answer, every failure, nothing lost uncounted."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import Grouping, Otlp, OtlpEndpoint, Queue, Redaction, Route
from exporter.config.routes import queue_of
from exporter.errors import ConfigError
from exporter.redaction import make_redaction
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sinks.otel.encode.record import Reports
from exporter.sinks.otel.routed import RoutedSink
from exporter.sinks.otel.routes import Router
from exporter.sinks.otel.send.answer import failure_reasons
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.send.envelope import Envelope
from exporter.sinks.otel.send.environment import to_endpoint, to_named_endpoint
from exporter.sinks.otel.send.probe import check_endpoint
from exporter.sinks.otel.send.sender import Pauses
from exporter.sinks.otel.sink import Destination, OtelLogsSink
from exporter.sources.decode import from_grpc, from_json, from_received
from tests.integration.certificates import Authority
from tests.integration.otlp import (
    Receiver,
    Reply,
    forward_proxy,
    free_port,
    grpc_receiver,
    http_receiver,
    records_of,
)
from tests.otel_records import ALERT, advice_for, attributes_of, many, to_value
from tests.waiting import wait_until

RECEIVERS: dict[str, Callable[..., AbstractContextManager[Receiver]]] = {
    "grpc": grpc_receiver,
    "http/protobuf": http_receiver,
}
LOGS_PATHS = {"grpc": "", "http/protobuf": "/v1/logs"}
PARTIAL = ExportLogsServiceResponse(
    partial_success=ExportLogsPartialSuccess(rejected_log_records=2, error_message="two were bad")
).SerializeToString()


@pytest.fixture(params=list(RECEIVERS))
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def receiver(protocol: str) -> Iterator[Receiver]:
    with RECEIVERS[protocol]() as running:
        yield running


@contextmanager
def delivering(
    endpoint: str, protocol: str, directory: Path | None = None, *, close_seconds: float = 10.0, **options: Any
) -> Iterator[tuple[OtelLogsSink, Callable[..., float]]]:
    """A started sink, and a look at its metrics."""
    registry = CollectorRegistry()
    sink = OtelLogsSink(
        settings := Otlp(endpoint=endpoint, protocol=protocol, advice=options.pop("advice", "full")),
        Destination(
            to_endpoint(settings, options.pop("environ", {})), Queue(directory=directory, **options.pop("queue", {}))
        ),
        Grouping(**options.pop("grouping", {})),
        reports=Reports(advice_for),
        read_message=options.pop("read_message", from_received),
        metrics=SelfMetrics(registry),
    )
    sink.pauses = Pauses(0.02, 0.1, **options)
    sink.start()
    try:
        yield (
            sink,
            lambda name, **labels: (
                registry.get_sample_value(f"falco_exporter_{name}", {"endpoint": "default", **labels}) or 0.0
            ),
        )
    finally:
        sink.close(close_seconds)


def retry_info(seconds: int) -> dict[str, bytes]:
    """RetryInfo as collectors send it."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds)))
    return {"grpc-status-details-bin": Status(code=8, details=[detail]).SerializeToString()}


def busy(protocol: str) -> Reply:
    """A plain retryable answer."""
    return Reply(grpc.StatusCode.UNAVAILABLE if protocol == "grpc" else 503)


def denied(protocol: str) -> Reply:
    """A permanent answer that is not about the records."""
    return Reply(grpc.StatusCode.PERMISSION_DENIED if protocol == "grpc" else 403)


def bad(protocol: str) -> Reply:
    """A permanent answer that is about the records."""
    return Reply(grpc.StatusCode.INVALID_ARGUMENT if protocol == "grpc" else 400)


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


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_the_standard_variables_configure_the_client(receiver: Receiver, protocol: str, compression: str) -> None:
    """Endpoint, headers and compression from OTEL_* alone reach the receiver."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue,authorization=Bearer%20t%2Ct",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
    }
    with delivering("", protocol, environ=environ) as (sink, _):
        sink.write(many(3))
        wait_until(lambda: len(receiver.accepted) == 3)
    headers = receiver.headers[0]
    assert (headers["x-tenant"], headers["authorization"]) == ("blue", "Bearer t,t")
    assert headers["user-agent"].startswith("falco-report-exporter/")
    if protocol != "grpc":
        assert headers[":path"] == "/v1/logs"
        assert headers.get("content-encoding", "none") == compression


def test_a_retryable_answer_keeps_the_records_with_the_same_bytes(receiver: Receiver, protocol: str) -> None:
    """What was not taken is sent again, identical, until it is; retries are counted, nothing is failed."""
    receiver.script.extend(busy(protocol) for _ in range(2))
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(3))
        wait_until(lambda: metric("log_records_exported_total") == 3)
        assert metric("log_records_failed_total", reason="unavailable") == 0
        wait_until(lambda: sink.delivery_failing_since is None)
    assert [records_of(request) for request in receiver.requests] == [records_of(receiver.requests[0])] * 3
    assert receiver.uids == [alert.uid for alert in many(3)]


@pytest.mark.parametrize("protocol", ["grpc"])
def test_retry_info_is_obeyed(receiver: Receiver, protocol: str) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo means: later, and not before."""
    receiver.script.append(Reply(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(1)))
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: receiver.accepted)
        assert metric("log_export_retries_total", reason="resource_exhausted") == 1
    assert receiver.times[1] - receiver.times[0] >= 1.0


@pytest.mark.parametrize("protocol", ["grpc"])
def test_a_rate_limit_without_retry_info_is_no_size(receiver: Receiver, protocol: str) -> None:
    """A backend's 429 as a collector passes it on: the same batch again, and no smaller ones."""
    receiver.script.extend([Reply(grpc.StatusCode.RESOURCE_EXHAUSTED, details="429 Too Many Requests")] * 2)
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(8))
        wait_until(lambda: metric("log_records_exported_total") == 8)
    assert [len(records_of(request)) for request in receiver.requests] == [8, 8, 8]


@pytest.mark.parametrize("protocol", ["http/protobuf"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(receiver: Receiver, protocol: str, status: int) -> None:
    """429 and 503 with Retry-After mean: later, and not before."""
    receiver.script.append(Reply(status, {"retry-after": "1"}))
    with delivering(receiver.endpoint, protocol) as (sink, _):
        sink.write(many(1))
        wait_until(lambda: receiver.accepted)
    assert receiver.times[1] - receiver.times[0] >= 1.0


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_long_retry_after_is_obeyed_beyond_the_timeout(receiver: Receiver, protocol: str) -> None:
    """A request ends after its time-out; the queue still waits as long as asked."""
    receiver.script.append(Reply(429, {"retry-after": "2"}))
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "500"}
    with delivering(receiver.endpoint, protocol, environ=environ) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: receiver.accepted)
        assert metric("log_export_retries_total", reason="http_429") == 1
    assert receiver.times[1] - receiver.times[0] >= 2.0


def test_the_timeout_is_in_milliseconds(receiver: Receiver, protocol: str) -> None:
    """300 means 0.3 seconds: a receiver that does not answer is left, and the records are sent again."""
    receiver.script.append(Reply(None, delay_seconds=2.0))
    reason = "deadline_exceeded" if protocol == "grpc" else "timeout"
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
    with delivering(receiver.endpoint, protocol, environ=environ) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: metric("log_export_retries_total", reason=reason) == 1)
        wait_until(lambda: metric("log_records_exported_total") == 1)


def test_a_batch_refused_for_good_is_set_aside_whole_and_counted(
    receiver: Receiver, protocol: str, tmp_path: Path
) -> None:
    """Never sent again, kept as a private file that can be sent by hand, and the next batch goes through."""
    receiver.script.append(denied(protocol))
    reason = "permission_denied" if protocol == "grpc" else "http_403"
    with delivering(receiver.endpoint, protocol, tmp_path) as (sink, metric):
        assert metric("log_records_failed_total", reason=reason) == 0
        sink.write(many(3))
        wait_until(lambda: metric("log_records_failed_total", reason=reason) == 3)
        sink.write(many(1, first=3))
        wait_until(lambda: metric("log_records_exported_total") == 1)
        wait_until(lambda: metric("queue_records") == 0)
        [file] = (tmp_path / "refused").glob("*.otlp")
        assert metric("queue_refused_bytes") == file.stat().st_size
    assert ExportLogsServiceRequest.FromString(file.read_bytes()) == receiver.requests[0]
    assert file.stat().st_mode & 0o777 == 0o600
    assert receiver.uids == [many(4)[3].uid]


def test_only_the_records_at_fault_are_set_aside(receiver: Receiver, protocol: str, tmp_path: Path) -> None:
    """Of 40 records two are refused, with their whole batch: the 38 others arrive, once each, in order."""
    alerts = many(40)
    culprits = {alerts[7].uid, alerts[31].uid}

    def refuse(request: ExportLogsServiceRequest) -> Reply | None:
        uids = {attributes_of(record)["log.record.uid"] for record in records_of(request)}
        return bad(protocol) if uids & culprits else None

    receiver.refuse = refuse
    reason = "invalid_argument" if protocol == "grpc" else "http_400"
    with delivering(receiver.endpoint, protocol, tmp_path) as (sink, metric):
        sink.write(alerts)
        wait_until(lambda: metric("log_records_exported_total") == 38)
        wait_until(lambda: metric("log_records_failed_total", reason=reason) == 2)
        assert metric("queue_records") == 0
    assert receiver.uids == [alert.uid for alert in alerts if alert.uid not in culprits]
    kept = [ExportLogsServiceRequest.FromString(path.read_bytes()) for path in (tmp_path / "refused").glob("*.otlp")]
    assert {attributes_of(record)["log.record.uid"] for request in kept for record in records_of(request)} == culprits


def test_a_receiver_that_refuses_everything_is_not_asked_for_each_record(receiver: Receiver, protocol: str) -> None:
    """After some refusals without a success the rest of a batch is set aside as it is."""
    receiver.refuse = lambda _request: bad(protocol)
    reason = "invalid_argument" if protocol == "grpc" else "http_400"
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(400))
        wait_until(lambda: metric("log_records_failed_total", reason=reason) == 400)
        assert sink.delivery_failing_since is not None
    assert len(receiver.requests) < 40


@pytest.mark.parametrize("protocol", ["http/protobuf"])
@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        (Reply(200, {"content-type": "text/html"}, b"<html>Sign in</html>"), "not_otlp", "text/html"),
        (Reply(200, {"content-type": "application/json"}, b'{"error": "sign in"}'), "not_otlp", "application/json"),
        (Reply(308, {"location": "https://u:pw@elsewhere/v1/logs"}), "http_3xx", "https://elsewhere/v1/logs"),
    ],
)
def test_what_is_not_an_otlp_answer_keeps_the_records(
    receiver: Receiver, protocol: str, reply: Reply, reason: str, words: str
) -> None:
    """A login page with 200 or a redirection is no delivery: said clearly, and the records go out once that ends."""
    receiver.script.extend([reply] * 3)
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(2))
        wait_until(lambda: words in sink.status().last_error)
        assert "pw" not in sink.status().last_error
        wait_until(lambda: metric("log_records_exported_total") == 2)
        assert metric("log_export_retries_total", reason=reason) == 3


@pytest.mark.parametrize("protocol", ["http/protobuf"])
@pytest.mark.parametrize(("status", "reason"), [(401, "http_401"), (418, "http_4xx"), (501, "http_5xx")])
def test_what_is_no_success_is_no_delivery(receiver: Receiver, protocol: str, status: int, reason: str) -> None:
    """Every refusal counts as failed."""
    receiver.script.append(Reply(status))
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(2))
        wait_until(lambda: metric("log_records_failed_total", reason=reason) == 2)
        assert metric("log_records_exported_total") == 0


def test_partial_success_counts_what_was_rejected(receiver: Receiver, protocol: str) -> None:
    """The receiver took all but two: those are counted as failed, and nothing is sent again."""
    receiver.script.append(Reply(None, {}, PARTIAL, accepts=True))
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(5))
        wait_until(lambda: metric("log_records_exported_total") == 3)
        assert metric("log_records_failed_total", reason="rejected") == 2
        wait_until(lambda: metric("queue_records") == 0)
    assert len(receiver.requests) == 1


def test_a_request_that_is_too_large_goes_in_smaller_pieces(receiver: Receiver, protocol: str) -> None:
    """413, or RESOURCE_EXHAUSTED for the size: halved until it fits; each record arrives once."""
    code, text = grpc.StatusCode.RESOURCE_EXHAUSTED, "grpc: received message larger than max (5000 vs. 4000)"
    too_large = Reply(code, details=text) if protocol == "grpc" else Reply(413)
    receiver.refuse = lambda request: too_large if len(records_of(request)) > 3 else None
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(10))
        wait_until(lambda: metric("log_records_exported_total") == 10)
    assert sorted(receiver.uids) == sorted(alert.uid for alert in many(10))


def test_a_receiver_that_dies_and_comes_back_gets_everything(protocol: str, tmp_path: Path) -> None:
    """Nobody listens, then somebody does: the queue is kept, readiness says so meanwhile, then all arrives."""
    port, receiver = free_port(), Receiver()
    with delivering(f"http://127.0.0.1:{port}", protocol, tmp_path, queue={"unready_after_seconds": 1e-9}) as (
        sink,
        metric,
    ):
        sink.write(many(20))
        wait_until(lambda: sink.delivery_failing_since is not None)
        assert "20 wait" in sink.unready_reason()
        assert metric("queue_records") == 20
        assert metric("delivery_failing_since_timestamp_seconds") > 0
        with RECEIVERS[protocol](receiver, port=port):
            wait_until(lambda: len(receiver.accepted) == 20)
            wait_until(lambda: not sink.unready_reason())
    assert receiver.uids == [alert.uid for alert in many(20)]


def test_what_was_not_delivered_is_delivered_after_a_restart(protocol: str, tmp_path: Path) -> None:
    """The exporter stops while the collector is away: the next one delivers the same uids and bytes."""
    port, receiver = free_port(), Receiver()
    with delivering(f"http://127.0.0.1:{port}", protocol, tmp_path, close_seconds=0.2) as (sink, metric):
        sink.write(many(5))
        wait_until(lambda: sink.delivery_failing_since is not None)
    assert metric("log_records_dropped_total", reason="shutdown") == 0
    with RECEIVERS[protocol](receiver, port=port), delivering(receiver.endpoint, protocol, tmp_path):
        wait_until(lambda: len(receiver.accepted) == 5)
    assert receiver.uids == [alert.uid for alert in many(5)]


def test_the_disk_keeps_what_falco_sent_and_delivers_the_whole_record(protocol: str, tmp_path: Path) -> None:
    """After a restart each record is, attribute by attribute, what it would have been without the disk."""
    alerts = [from_grpc(stamp(message, 1_760_000_000_000_000_000)) for message in islice(flood_messages(), 40)]
    with RECEIVERS[protocol](Receiver()) as direct, delivering(direct.endpoint, protocol) as (sink, _):
        sink.write(alerts)
        wait_until(lambda: len(direct.accepted) == 40)
    port, receiver = free_port(), Receiver()
    with delivering(f"http://127.0.0.1:{port}", protocol, tmp_path, close_seconds=0.2) as (sink, metric):
        sink.write(alerts)
        assert metric("queue_bytes") < sum(record.ByteSize() for record in direct.accepted)
        observed = time.time_ns()
    assert b"Consider chattr" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with RECEIVERS[protocol](receiver, port=port), delivering(receiver.endpoint, protocol, tmp_path):
        wait_until(lambda: len(receiver.accepted) == 40)
    assert [attributes_of(record) for record in receiver.accepted] == [
        attributes_of(record) for record in direct.accepted
    ]
    assert all(record.observed_time_unix_nano < observed for record in receiver.accepted)


def test_what_was_masked_is_not_on_disk_either(protocol: str, tmp_path: Path) -> None:
    """The message that an alert came in, which the disk would keep, does not outlive its masking."""
    redaction = make_redaction(Redaction(fields=("proc.cmdline",)))
    assert redaction is not None
    line = b'{"rule":"R","priority":"Debug","time":"2024-10-05T18:29:39Z","output_fields":{"proc.cmdline":"hunter2"}}'
    with delivering(f"http://127.0.0.1:{free_port()}", protocol, tmp_path, close_seconds=0.2) as (sink, metric):
        sink.write([redaction(from_json(line))])
        assert metric("queue_records") == 1
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


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


def test_a_full_queue_on_disk_asks_sources_to_wait(protocol: str, tmp_path: Path) -> None:
    """With when_full wait and no collector, room goes to 0 and nothing is dropped."""
    with delivering(
        f"http://127.0.0.1:{free_port()}", protocol, tmp_path, close_seconds=0.2, queue={"limit_bytes": 200_000}
    ) as (sink, metric):
        while room := sink.room():
            sink.write(many(min(room, 10)))
        assert metric("queue_bytes") <= 200_000
        assert metric("log_records_dropped_total", reason="full") == 0


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


def test_check_says_whether_an_endpoint_works(receiver: Receiver, protocol: str) -> None:
    """A working endpoint is named as such, and gets no record."""
    outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), {}))
    assert outcome.works
    assert not receiver.accepted


@pytest.mark.parametrize(
    ("grpc_status", "http_status", "advice"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 401, "OTEL_EXPORTER_OTLP_HEADERS"),
        (grpc.StatusCode.UNIMPLEMENTED, 404, "logs pipeline"),
    ],
)
def test_check_says_what_to_do(
    receiver: Receiver, protocol: str, grpc_status: grpc.StatusCode, http_status: int, advice: str
) -> None:
    """Each refusal comes with the setting that would help."""
    receiver.script.append(Reply(grpc_status if protocol == "grpc" else http_status))
    outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), {}))
    assert not outcome.works
    assert advice in outcome.message


def test_check_says_that_nobody_listens(protocol: str) -> None:
    """A port where nobody is gives a plain word."""
    settings = Otlp(endpoint=f"http://127.0.0.1:{free_port()}", protocol=protocol)
    outcome = check_endpoint(to_endpoint(settings, {"OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}))
    assert not outcome.works
    assert "check that a collector runs" in outcome.message


def test_check_knows_the_other_protocols_port() -> None:
    """gRPC spoken to an HTTP port: says that something else listens there, or that nobody does."""
    with http_receiver() as receiver:
        outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol="grpc"), {}))
    assert not outcome.works
    assert "listens there" in outcome.message or "collector runs" in outcome.message


def test_mutual_tls_from_the_standard_variables(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authority, certificate and key of OTEL_*; without them the check says which variable to set."""
    authority = Authority(tmp_path)
    client = authority.make_client()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path, "other").cert_file))
    with RECEIVERS[protocol](tls=(authority.make_server(), authority.cert_file)) as receiver:
        settings = Otlp(endpoint=receiver.endpoint, protocol=protocol)
        environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2000"}
        outcome = check_endpoint(to_endpoint(settings, environ))
        assert not outcome.works
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in outcome.message
        environ["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(authority.cert_file)
        assert not check_endpoint(to_endpoint(settings, environ)).works
        environ["OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE"] = str(client.cert_file)
        environ["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(client.key_file)
        assert check_endpoint(to_endpoint(settings, environ)).works
        with delivering(receiver.endpoint, protocol, environ=environ) as (sink, _):
            sink.write(many(2))
            wait_until(lambda: len(receiver.accepted) == 2)


def test_certificates_without_the_newer_extensions_are_taken(protocol: str, tmp_path: Path) -> None:
    """Python 3.13 would refuse over HTTP what gRPC takes: an authority without key usage."""
    authority = Authority(tmp_path, is_plain=True)
    client = authority.make_client()
    with RECEIVERS[protocol](tls=(authority.make_server(), authority.cert_file)) as receiver:
        environ = {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.cert_file),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(client.cert_file),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(client.key_file),
        }
        outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), environ))
        assert outcome.works, outcome.message


@pytest.mark.parametrize("protocol", ["grpc"])
def test_insecure_counts_where_the_address_has_no_scheme(receiver: Receiver, protocol: str) -> None:
    """HOST:PORT is TLS unless INSECURE says otherwise; http:// is plain whatever INSECURE says."""
    host_port = receiver.endpoint.removeprefix("http://")
    for variable in ("OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_LOGS_INSECURE"):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": host_port, "OTEL_EXPORTER_OTLP_TIMEOUT": "2000"}
        assert not check_endpoint(to_endpoint(Otlp(protocol=protocol), environ)).works
        assert check_endpoint(to_endpoint(Otlp(protocol=protocol), environ | {variable: "true"})).works
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint
        assert check_endpoint(to_endpoint(Otlp(protocol=protocol), environ | {variable: "false"})).works


def test_a_proxy_is_used_where_the_standard_variables_name_one(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """http_proxy names a real proxy that sees the call; no_proxy goes around it."""
    port = int(receiver.endpoint.rpartition(":")[2])
    with forward_proxy(port) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        endpoint = f"http://collector.invalid:{port}"
        with delivering(endpoint, protocol) as (sink, metric):
            sink.write(many(2))
            wait_until(lambda: metric("log_records_exported_total") == 2)
        assert any("collector.invalid" in line for line in proxy.request_lines)
        seen = len(proxy.request_lines)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with delivering(receiver.endpoint, protocol) as (sink, metric):
            sink.write(many(2))
            wait_until(lambda: metric("log_records_exported_total") == 2)
        assert len(proxy.request_lines) == seen


@pytest.mark.parametrize("protocol", ["grpc"])
@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_grpc_messages_are_compressed_on_the_wire(
    receiver: Receiver, protocol: str, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of the record shows in the bytes that pass a proxy only without compression."""
    with forward_proxy(int(receiver.endpoint.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        environ = {"OTEL_EXPORTER_OTLP_COMPRESSION": compression}
        with delivering("http://collector.invalid:4317", protocol, environ=environ) as (sink, metric):
            sink.write(many(2))
            wait_until(lambda: metric("log_records_exported_total") == 2)
        assert (b"Consider chattr" in proxy.sent) == (compression == "none")


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_password_in_the_address_is_sent_and_never_shown(
    receiver: Receiver, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It becomes Basic authentication; status, check and log have the address without it."""
    receiver.script.extend([busy(protocol)] * 2)
    endpoint = receiver.endpoint.replace("http://", "http://user:hunter%402@")
    with delivering(endpoint, protocol, queue={"unready_after_seconds": 1e-9}) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: metric("log_records_exported_total") == 1)
        shown = [
            str(sink.status()),
            sink.unready_reason(),
            str(check_endpoint(to_endpoint(Otlp(endpoint=endpoint, protocol=protocol), {}))),
        ]
    shown.append(caplog.text)
    assert "hunter" not in "".join(shown)
    assert receiver.headers[0]["authorization"] == "Basic " + base64.b64encode(b"user:hunter@2").decode()


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_netrc_does_not_go_before_the_headers(
    receiver: Receiver, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that a file of this user names for the host is not sent to a collector."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20token"}
    assert check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), environ)).works
    assert receiver.headers[0]["authorization"] == "Bearer token"


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_an_answer_that_drips_or_never_ends_is_left(receiver: Receiver, protocol: str) -> None:
    """A receiver that sends its answer byte by byte costs no more than the time-out."""
    receiver.script.append(Reply(200, {"content-type": "text/plain"}, b"x" * 100, drip_seconds=0.1))
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "500"}
    with delivering(receiver.endpoint, protocol, environ=environ) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: metric("log_export_retries_total", reason="timeout") == 1)
        wait_until(lambda: metric("log_records_exported_total") == 1)


def test_a_queue_directory_that_cannot_be_used_is_not_ready(receiver: Receiver, protocol: str) -> None:
    """Alerts are delivered from memory, and readiness says why that is not what was asked for."""
    with delivering(receiver.endpoint, protocol, Path("/proc/queue")) as (sink, metric):
        assert "/proc/queue" in sink.unready_reason()
        sink.write(many(1))
        wait_until(lambda: metric("log_records_exported_total") == 1)


def test_an_alert_that_cannot_be_sent_does_not_stop_the_others(
    receiver: Receiver, protocol: str, tmp_path: Path
) -> None:
    """A queued message that no code can read any more is counted; what comes after it is delivered."""
    with delivering(f"http://127.0.0.1:{free_port()}", protocol, tmp_path, close_seconds=0.2) as (sink, _):
        sink.write([from_json(b'{"rule":"R","priority":"Debug","time":"2024-10-05T18:29:39Z"}')])
        sink.write(many(2))

    def read_message(_message: bytes) -> Alert:
        raise RecursionError("nested too deeply")

    with delivering(receiver.endpoint, protocol, tmp_path, read_message=read_message) as (sink, metric):
        wait_until(lambda: metric("log_records_exported_total") == 2)
        assert metric("log_records_dropped_total", reason="damaged") == 1
        assert not sink.unready_reason()


def test_a_batch_that_breaks_the_sender_is_dropped_and_counted(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in making one request costs that batch, and not delivery for good."""
    request = Envelope.request
    broken = iter([True])
    monkeypatch.setattr(
        Envelope, "request", lambda self, records: 1 / 0 if next(broken, False) else request(self, records)
    )
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        assert metric("log_records_dropped_total", reason="unsendable") == 0
        sink.write(many(3))
        wait_until(lambda: metric("log_records_dropped_total", reason="unsendable") == 3)
        sink.write(many(2))
        wait_until(lambda: metric("log_records_exported_total") == 2)
        assert metric("queue_records") == 0


def test_a_sender_that_has_ended_is_not_ready_and_ends_the_process(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no try can go around: readiness says so at once, and the next alert raises."""

    def end(*_arguments: object) -> None:
        raise SystemExit("gone")

    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    monkeypatch.setattr(Envelope, "request", end)
    with delivering(receiver.endpoint, protocol) as (sink, _):
        sink.write(many(1))
        wait_until(sink.unready_reason)
        with pytest.raises(RuntimeError, match="has ended"):
            sink.write(many(1))


def test_a_queue_in_memory_is_tried_until_the_deadline(protocol: str) -> None:
    """At a stop without a disk, one refusal is not the end: what waits is sent again until time is over."""
    port, receiver = free_port(), Receiver()
    receiver.script.extend([busy(protocol)] * 3)
    with RECEIVERS[protocol](receiver, port=port), delivering(receiver.endpoint, protocol) as (sink, metric):
        sink.write(many(2))
        sink.close(10.0)
        assert metric("log_records_exported_total") == 2
        assert metric("log_records_dropped_total", reason="shutdown") == 0
    assert len(receiver.requests) == 4


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


KILLED = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from exporter.config.model import Grouping, Otlp, Queue
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.record import Reports
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.sink import Destination, OtelLogsSink
from exporter.sources.decode import from_received
from tests.otel_records import many, advice_for
sink = OtelLogsSink(
    Otlp(), Destination(Endpoint(sys.argv[2], sys.argv[1]), Queue(directory=Path(sys.argv[3]))), Grouping(),
    reports=Reports(advice_for), read_message=from_received, metrics=SelfMetrics(CollectorRegistry()),
)
sink.start()
for first in range(int(sys.argv[4]), 10**9, 5):
    sink.write(many(5, first=first))
    print(first + 5, flush=True)
"""


def test_kill_9_in_mid_stream_loses_nothing_that_was_taken(protocol: str, tmp_path: Path) -> None:
    """Killed three times while it writes and sends: every alert that was taken arrives, under one uid each."""
    taken = 0
    with RECEIVERS[protocol]() as receiver:
        for _ in range(3):
            arguments = [
                sys.executable,
                "-c",
                KILLED,
                receiver.endpoint + LOGS_PATHS[protocol],
                protocol,
                str(tmp_path),
                str(taken),
            ]
            with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(40):
                    taken = int(process.stdout.readline())
                process.kill()
                taken = max([taken, *(int(line) for line in process.stdout if line.endswith("\n"))])
        with delivering(receiver.endpoint, protocol, tmp_path) as (sink, metric):
            wait_until(lambda: metric("queue_records") == 0)
            assert sink.status().queued_records == 0
    expected = {alert.uid for alert in many(taken)}
    # One more batch may have been queued than the last one that was reported.
    assert expected <= set(receiver.uids) <= {alert.uid for alert in many(taken + 5)}
    bytes_by_uid: dict[str, set[bytes]] = {}
    for record in receiver.accepted:
        uid = attributes_of(record)["log.record.uid"]
        bytes_by_uid.setdefault(uid, set()).add(record.SerializeToString())
    assert {len(versions) for versions in bytes_by_uid.values()} == {1}


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
