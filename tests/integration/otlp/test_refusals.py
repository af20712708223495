"""Records that a receiver refuses for good: set aside, counted, and the others arrive."""

from __future__ import annotations

from pathlib import Path

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.integration.otlp.receiver import Receiver, Reply, records_of
from tests.integration.otlp.sinks import bad, delivering, denied
from tests.otel_records import attributes_of, many
from tests.waiting import wait_until

PARTIAL = ExportLogsServiceResponse(
    partial_success=ExportLogsPartialSuccess(rejected_log_records=2, error_message="two were bad")
).SerializeToString()


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
