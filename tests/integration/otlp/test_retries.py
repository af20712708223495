"""Answers that ask for another try, and receivers that are slow, silent or away: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from tests.integration.otlp.receiver import Receiver, Reply, free_port, records_of
from tests.integration.otlp.sinks import RECEIVERS, busy, delivering, retry_info
from tests.otel_records import many
from tests.waiting import wait_until


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


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_an_answer_that_drips_or_never_ends_is_left(receiver: Receiver, protocol: str) -> None:
    """A receiver that sends its answer byte by byte costs no more than the time-out."""
    receiver.script.append(Reply(200, {"content-type": "text/plain"}, b"x" * 100, drip_seconds=0.1))
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "500"}
    with delivering(receiver.endpoint, protocol, environ=environ) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: metric("log_export_retries_total", reason="timeout") == 1)
        wait_until(lambda: metric("log_records_exported_total") == 1)


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
