"""Answers of receivers, by the OTLP specification's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from exporter.sinks.otel.send.answer import Answer, Verdict, failure_reasons, from_http, from_rpc_error, retry_reasons
from exporter.sinks.otel.send.sender import Pauses

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.ACCEPTED) for status in (200, 202, 204)),
        *((status, Verdict.RETRY) for status in (301, 307, 308, 429, 502, 503, 504)),
        *((status, Verdict.REFUSED) for status in (401, 403, 404, 405, 501)),
        *((status, Verdict.INVALID) for status in (400, 422, 500)),
        (413, Verdict.TOO_LARGE),
    ],
)
def test_http_statuses_mean_what_the_specification_says(status: int, verdict: Verdict) -> None:
    """2xx is a success; 429, 502, 503 and 504 may be tried again; 413 in smaller pieces; all else never again.

    A redirection, of which the table says nothing, is the endpoint's fault and not the records': they are kept.
    """
    answer = from_http(status, {}, b"the words")
    if verdict is Verdict.ACCEPTED:
        answer = from_http(status, {}, b"")
        assert answer == Answer(verdict)
    elif status < 400:
        assert answer == Answer(
            verdict, "http_3xx", f"status {status} redirects to nowhere; redirections are not followed"
        )
    else:
        named = {405: "http_4xx", 501: "http_5xx"}.get(status, f"http_{status}")
        assert answer == Answer(verdict, named, "the words")


def test_where_a_redirection_leads_is_said() -> None:
    """So that the endpoint can be set right; without a password in it."""
    answer = from_http(300, {"location": "https://u:p@other/v1/logs"}, b"")
    assert (answer.verdict, answer.reason) == (Verdict.RETRY, "http_3xx")
    assert answer.message == "status 300 redirects to https://other/v1/logs; redirections are not followed"


def test_every_reason_has_its_counter_before_it_happens() -> None:
    """Both transports' reasons, of refusals and of tries that are repeated, by the specification's tables."""
    codes = {code.name.lower() for code in grpc.StatusCode} - {"ok"}
    again = {*RETRYABLE, "resource_exhausted"}
    assert sorted(retry_reasons("grpc")) == sorted(again)
    assert sorted(failure_reasons("grpc")) == sorted(codes - again | {"out_of_range", "resource_exhausted", "rejected"})
    assert sorted(retry_reasons("http/protobuf")) == sorted(
        ["http_3xx", "http_429", "http_502", "http_503", "http_504", "not_otlp", "timeout", "unreachable"]
    )
    assert sorted(failure_reasons("http/protobuf")) == sorted(
        [f"http_{word}" for word in ("1xx", "4xx", "5xx", 400, 401, 403, 404, 413, 422, 500)] + ["rejected"]
    )


@pytest.mark.parametrize(
    ("write", "least", "most"),
    [
        (lambda: "7", 7.0, 7.0),
        (lambda: "1.5", 1.5, 1.5),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True), 20.0, 61.0),
        (lambda: format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True), 0.0, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(write: Callable[[], str], least: float, most: float) -> None:
    """Both forms of RFC 9110."""
    seconds = from_http(503, {"retry-after": write()}, b"").retry_after_seconds
    assert seconds is not None
    assert least <= seconds <= most


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "1e999", "-5", "Tue, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_ignored(value: str) -> None:
    """Nonsense neither raises nor makes us wait."""
    assert not from_http(503, {"retry-after": value}, b"").retry_after_seconds


def test_partial_success_is_read_in_both_encodings() -> None:
    """Protobuf and JSON bodies of a 200."""
    json_body = b'{"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "x"}, "future": 1}'
    answer = Answer(Verdict.ACCEPTED, message="x", rejected=3)
    assert from_http(200, {"content-type": "application/json; charset=utf-8"}, json_body) == answer
    as_in_the_schema = json_body.replace(b"partialSuccess", b"partial_success")
    assert from_http(200, {"content-type": "application/json"}, as_in_the_schema) == answer
    assert from_http(200, PROTOBUF, b"\x0a\x05\x08\x03\x12\x01x") == answer
    assert from_http(200, {}, b"\x0a\x05\x08\x03\x12\x01x") == answer
    assert "(no content type)" in from_http(200, {}, b"<html>").message


@pytest.mark.parametrize("number", [0, -1, -(2**63)])
def test_a_partial_success_that_took_everything_rejects_nothing(number: int) -> None:
    """0 with a message is a warning; a negative number, which makes no sense, takes nothing back."""
    partial = ExportLogsPartialSuccess(rejected_log_records=number, error_message="careful")
    body = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    assert from_http(200, PROTOBUF, body) == Answer(Verdict.ACCEPTED, message="careful")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("text/plain", b"OK"),
        ("application/json", b'{"error": "sign in"}'),
        ("application/json", b"[1]"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"\xff"),
        ("application/x-protobuf", b"<!DOCTYPE html>"),
        ("", b"<html>"),
    ],
)
def test_a_2xx_that_is_not_otlp_is_no_delivery(kind: str, body: bytes) -> None:
    """Only a response of the protocol counts as accepted; what stands in its place is named by its type."""
    answer = from_http(200, {"content-type": kind}, body)
    assert (answer.verdict, answer.reason) == (Verdict.RETRY, "not_otlp")
    assert answer.message == (
        f"status 200, but the body ({kind.partition(';')[0] or 'no content type'}) is not an OTLP answer"
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [("", b""), ("text/plain", b""), ("application/json", b"{}"), ("application/json", b'{"partialSuccess": {}}')],
)
def test_an_empty_response_is_a_delivery(kind: str, body: bytes) -> None:
    """Loki answers 204, VictoriaLogs an empty 200: an empty message in protobuf."""
    assert from_http(200, {"content-type": kind}, body).verdict is Verdict.ACCEPTED


def test_a_failures_text_is_read_in_both_forms() -> None:
    """google.rpc.Status in protobuf, or plain text."""
    assert from_http(400, PROTOBUF, Status(message="bad record").SerializeToString()).message == "bad record"
    assert from_http(400, {"content-type": "text/plain"}, b" bad record \n").message == "bad record"
    assert from_http(400, PROTOBUF, b"\xff\xff").message == ""


def test_a_page_in_a_failures_place_is_told_by_its_title() -> None:
    """A web server's page of errors is long, and says in its title what matters."""
    page = b"\n<!DOCTYPE HTML>\n<html><head><title>502 Bad\n Gateway</title></head><body><h1>nginx</h1></body></html>"
    assert from_http(502, {"content-type": "text/html"}, page).message == "an HTML page, '502 Bad Gateway'"
    assert from_http(404, {}, b"<html><body>x").message == "an HTML page"


@given(
    status=st.integers(100, 999),
    kind=st.sampled_from(["application/json", "application/x-protobuf", "text/plain", ""]),
    retry_after=st.text(max_size=20),
    body=st.binary(max_size=2_000),
)
def test_no_answer_raises_or_makes_a_new_label(status: int, kind: str, retry_after: str, body: bytes) -> None:
    """A hostile receiver gets a verdict, a reason out of a closed set, and a short message."""
    answer = from_http(status, {"content-type": kind, "retry-after": retry_after, "location": retry_after}, body)
    assert answer.rejected >= 0
    assert len(answer.message) <= 300
    known = {*failure_reasons("http/protobuf"), *retry_reasons("http/protobuf"), ""}
    assert answer.reason in known | {f"http_{family}xx" for family in range(6, 10)}


@given(failures=st.integers(1, 10_000), asked=st.none() | st.floats(0, 1e9))
def test_pauses_grow_to_a_ceiling_and_obey_the_receiver(failures: int, asked: float | None) -> None:
    """Never zero, never above the ceiling by ourselves, never less than asked up to ten minutes."""
    pause = Pauses().after(failures, asked)
    assert 0.4 <= pause <= max(12.0, min(asked or 0.0, 600.0))
    assert pause >= min(asked or 0.0, 600.0)


class Failure(grpc.RpcError):
    """A gRPC failure with what a channel gives: code, details and trailing metadata."""

    def __init__(
        self, code: grpc.StatusCode, details: str | None = "", metadata: Mapping[str, bytes] | None = None
    ) -> None:
        self._code, self._details = code, details
        self._metadata = None if metadata is None else [Metadatum(*item) for item in metadata.items()]

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._metadata


class Metadatum(NamedTuple):
    key: str
    value: bytes


RETRYABLE = ("cancelled", "deadline_exceeded", "aborted", "out_of_range", "unavailable", "data_loss")
MAYBE_ONE_RECORDS = ("invalid_argument", "failed_precondition", "internal", "unknown")


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_grpc_codes_mean_what_the_specification_says(code: grpc.StatusCode) -> None:
    """Some are tried again; of the others some may be about one record; each is named, with the receiver's words."""
    answer = from_rpc_error(Failure(code, " the words\n"))
    reason = code.name.lower()
    if reason in (*RETRYABLE, "resource_exhausted"):
        assert answer == Answer(Verdict.RETRY, reason, "the words")
    elif reason in MAYBE_ONE_RECORDS:
        assert answer == Answer(Verdict.INVALID, reason, "the words")
    else:
        assert answer == Answer(Verdict.REFUSED, reason, "the words")


def test_a_failure_without_words_has_none() -> None:
    """Nothing stands in their place."""
    assert from_rpc_error(Failure(grpc.StatusCode.UNAVAILABLE, None)) == Answer(Verdict.RETRY, "unavailable", "")


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE])
@pytest.mark.parametrize(
    "words",
    [
        "Received message larger than max (5000 vs. 4000)",
        "grpc: received message larger than max (5000 vs. 4000)",
        "Error, decoded message length too large: found 5000 bytes",
        "Received message exceeds the maximum configured message size.",
        "gRPC message exceeds maximum size 4194304: 5000000",
        "the message exceeded the configured max",
    ],
)
def test_a_size_above_the_limit_is_known_by_its_words(code: grpc.StatusCode, words: str) -> None:
    """Smaller pieces help; with RetryInfo it is a rate, and with another code something else."""
    reason = code.name.lower()
    assert from_rpc_error(Failure(code, words)) == Answer(Verdict.TOO_LARGE, reason, words)
    later = from_rpc_error(Failure(code, words, in_status(7)))
    assert later == Answer(Verdict.RETRY, reason, words, retry_after_seconds=7.0)
    assert from_rpc_error(Failure(grpc.StatusCode.UNAVAILABLE, words)).verdict is Verdict.RETRY
    assert from_rpc_error(Failure(grpc.StatusCode.INTERNAL, words)).verdict is Verdict.INVALID


def in_status(seconds: int, nanos: int = 0) -> dict[str, bytes]:
    """RetryInfo as collectors send it, behind another detail."""
    status = Status(code=8)
    status.details.add().Pack(Duration(seconds=99))
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    return {"x-other": b"?", "grpc-status-details-bin": status.SerializeToString()}


def bare(seconds: int, nanos: int = 0) -> dict[str, bytes]:
    """RetryInfo as OpenTelemetry's SDK reads it."""
    info = RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))
    return {"x-other": b"?", "google.rpc.retryinfo-bin": info.SerializeToString()}


@pytest.mark.parametrize("form", [in_status, bare])
@pytest.mark.parametrize(
    ("seconds", "nanos", "expected"),
    [(7, 0, 7.0), (1, 500_000_000, 1.5), (0, 250_000_000, 0.25), (0, 0, 0.0), (-3, 0, 0.0)],
)
def test_retry_info_is_read_in_both_forms(
    form: Callable[..., dict[str, bytes]], seconds: int, nanos: int, expected: float
) -> None:
    """Seconds and their parts; never below zero."""
    answer = from_rpc_error(Failure(grpc.StatusCode.UNAVAILABLE, "", form(seconds, nanos)))
    assert answer == Answer(Verdict.RETRY, "unavailable", "", retry_after_seconds=expected)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"grpc-status-details-bin": b""},
        {"grpc-status-details-bin": b"\xff\xff"},
        {"google.rpc.retryinfo-bin": b"\xff\xff"},
    ],
)
def test_retry_info_that_is_none_says_nothing(metadata: dict[str, bytes]) -> None:
    """The pause is then our own."""
    assert from_rpc_error(Failure(grpc.StatusCode.UNAVAILABLE, "", metadata)).retry_after_seconds is None
