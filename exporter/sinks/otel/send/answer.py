"""What an OTLP receiver's answer means for the batch that was sent.

Owns the OTLP specification's table of retryable and permanent answers for
gRPC and HTTP. Refuses to wait or to send.

Source: https://opentelemetry.io/docs/specs/otlp/ (1.10), "Failures", "OTLP/gRPC
Throttling", "OTLP/HTTP Response", "OTLP/HTTP Throttling".
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

_RETRYABLE_CODES = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
_NAMED_STATUSES = frozenset({400, 401, 403, 404, 413, 429, 500, 502, 503, 504})
_MESSAGE_CHARACTERS = 300


class Verdict(enum.Enum):
    """What becomes of the batch."""

    ACCEPTED = "accepted"
    """Delivered, but for ``Answer.rejected`` records."""
    RETRY = "retry"
    """Keep it and send the same again, not before ``Answer.retry_after_seconds``."""
    TOO_LARGE = "too large"
    """Never again in one piece."""
    REFUSED = "refused"
    """Never again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    verdict: Verdict
    reason: str = ""
    """A word of a closed set, fit for a metric label: ``unavailable``, ``http_400``, …; empty when accepted."""
    message: str = ""
    """The receiver's own words, shortened; not to be trusted."""
    rejected: int = 0
    """Records that an accepting receiver says it did not take (partial success)."""
    retry_after_seconds: float | None = None
    """The receiver's wish; None where it has none."""


def from_response(response: ExportLogsServiceResponse) -> Answer:
    """Read a success, full or partial."""
    partial = response.partial_success
    return Answer(
        Verdict.ACCEPTED,
        rejected=max(partial.rejected_log_records, 0),
        message=_short(partial.error_message),
    )


def from_rpc_error(error: grpc.RpcError) -> Answer:
    """Read a gRPC failure. RESOURCE_EXHAUSTED is retryable only with RetryInfo, says the specification."""
    code = error.code()
    message = _short(error.details() or "")
    metadata = {item.key: item.value for item in error.trailing_metadata() or ()}
    retry_after = _retry_info_seconds(metadata)
    reason = code.name.lower()
    if code in _RETRYABLE_CODES or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after is not None):
        return Answer(Verdict.RETRY, reason, message, retry_after_seconds=retry_after)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Answer(Verdict.TOO_LARGE, reason, message)
    return Answer(Verdict.REFUSED, reason, message)


def from_http(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read an HTTP answer. A redirection is none: the specification knows only 2xx as success."""
    if 200 <= status < 300:
        return from_response(_to_response(headers, body))
    reason = f"http_{status}" if status in _NAMED_STATUSES else f"http_{status // 100}xx"
    message = _http_message(headers, body)
    if status in _RETRYABLE_STATUSES:
        return Answer(Verdict.RETRY, reason, message, retry_after_seconds=_retry_after_seconds(headers))
    return Answer(Verdict.TOO_LARGE if status == 413 else Verdict.REFUSED, reason, message)


def _retry_info_seconds(metadata: Mapping[str, str | bytes]) -> float | None:
    """RetryInfo as a detail of google.rpc.Status, as collectors send it, or bare, as the SDK reads it."""
    info = RetryInfo()
    try:
        if isinstance(bare := metadata.get("google.rpc.retryinfo-bin"), bytes):
            info.ParseFromString(bare)
            return _seconds(info)
        if isinstance(status := metadata.get("grpc-status-details-bin"), bytes):
            for detail in Status.FromString(status).details:
                if detail.Unpack(info):
                    return _seconds(info)
    except DecodeError:
        return None
    return None


def _seconds(info: RetryInfo) -> float:
    delay = info.retry_delay
    return max(float(delay.seconds + delay.nanos / 1e9), 0.0)


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Retry-After as seconds or as a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value) if value[0].isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _to_response(headers: Mapping[str, str], body: bytes) -> ExportLogsServiceResponse:
    """Read the body of a 2xx; one that cannot be read says nothing against the success."""
    response = ExportLogsServiceResponse()
    try:
        if "json" in headers.get("content-type", ""):
            json_format.Parse(body, response, ignore_unknown_fields=True)
        else:
            response.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError):
        return ExportLogsServiceResponse()
    return response


def _http_message(headers: Mapping[str, str], body: bytes) -> str:
    """The failure's text: a google.rpc.Status in protobuf, or text and JSON as they are."""
    if "protobuf" in headers.get("content-type", ""):
        try:
            return _short(Status.FromString(body).message)
        except DecodeError:
            return ""
    return _short(body[: 4 * _MESSAGE_CHARACTERS].decode("utf-8", "replace"))


def _short(message: str) -> str:
    return message.strip()[:_MESSAGE_CHARACTERS]
