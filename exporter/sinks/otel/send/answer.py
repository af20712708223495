"""What an OTLP receiver's answer means for the batch that was sent.

Owns the OTLP specification's table of retryable and permanent answers for
gRPC and HTTP. Refuses to wait or to send.

Source: https://opentelemetry.io/docs/specs/otlp/ (1.10), "Failures", "OTLP/gRPC
Throttling", "OTLP/HTTP Response", "OTLP/HTTP Throttling".
"""

from __future__ import annotations

import enum
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from exporter.sinks.otel.send.endpoint import GRPC, without_user_information

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
_NAMED_STATUSES = frozenset({400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 504})
_INVALID_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
_INVALID_STATUSES = frozenset({400, 422, 500})
"""Answers that may be about one record of the batch: the others are sent without it."""
_TOO_LARGE = re.compile(r"larger than max|too large|exceed\w* (the )?(configured )?max", re.IGNORECASE)
"""How gRPC servers (C++, Go, Java, .NET, Rust) say that a message is above their limit. RESOURCE_EXHAUSTED is also
what a rate limit becomes on its way through a collector, and smaller pieces do not help against that."""
_PROTOBUF_TYPES = frozenset({"", "application/x-protobuf", "application/protobuf", "application/octet-stream"})
_MESSAGE_CHARACTERS = 300

REJECTED, UNSENDABLE = "rejected", "unsendable"


class Verdict(enum.Enum):
    """What becomes of the batch."""

    ACCEPTED = "accepted"
    """Delivered, but for ``Answer.rejected`` records."""
    RETRY = "retry"
    """Keep it and send the same again, not before ``Answer.retry_after_seconds``."""
    TOO_LARGE = "too large"
    """Never again in one piece."""
    INVALID = "invalid"
    """Never again as it is: a record in it may be at fault."""
    REFUSED = "refused"
    """Never again: it is not about the records."""


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


def failure_reasons(protocol: str) -> list[str]:
    """Return every reason for which records can be refused for good, so that each has a counter at 0."""
    if protocol == GRPC:
        never = _RETRYABLE_CODES - {grpc.StatusCode.OUT_OF_RANGE} | {grpc.StatusCode.OK}
        reasons = [code.name.lower() for code in grpc.StatusCode if code not in never]
    else:
        reasons = [f"http_{status}" for status in sorted(_NAMED_STATUSES - _RETRYABLE_STATUSES)]
        reasons += ["http_1xx", "http_4xx", "http_5xx"]
    return [*reasons, REJECTED]


def retry_reasons(protocol: str) -> list[str]:
    """Return every reason for which a request can be sent again."""
    if protocol == GRPC:
        return [code.name.lower() for code in sorted(_RETRYABLE_CODES, key=str)] + ["resource_exhausted"]
    return [
        *(f"http_{status}" for status in sorted(_RETRYABLE_STATUSES)),
        "http_3xx",
        "not_otlp",
        "unreachable",
        "timeout",
    ]


def from_response(response: ExportLogsServiceResponse) -> Answer:
    """Read a success, full or partial."""
    partial = response.partial_success
    return Answer(
        Verdict.ACCEPTED,
        rejected=max(partial.rejected_log_records, 0),
        message=_short(partial.error_message),
    )


def from_rpc_error(error: grpc.RpcError) -> Answer:
    """Read a gRPC failure.

    RESOURCE_EXHAUSTED without RetryInfo is tried again unless its text says that the message is too large: the
    specification would have it refused, but collectors pass a backend's rate limit on in this form.
    """
    code = error.code()
    message = _short(error.details() or "")
    metadata = {item.key: item.value for item in error.trailing_metadata() or ()}
    retry_after = _retry_info_seconds(metadata)
    reason = code.name.lower()
    exhausted = code is grpc.StatusCode.RESOURCE_EXHAUSTED
    if retry_after is None and (exhausted or code is grpc.StatusCode.OUT_OF_RANGE) and _TOO_LARGE.search(message):
        return Answer(Verdict.TOO_LARGE, reason, message)
    if code in _RETRYABLE_CODES or exhausted:
        return Answer(Verdict.RETRY, reason, message, retry_after_seconds=retry_after)
    return Answer(Verdict.INVALID if code in _INVALID_CODES else Verdict.REFUSED, reason, message)


def from_http(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read an HTTP answer.

    What comes with a 2xx but is not OTLP, such as a proxy's login page, and a redirection are no success. They are
    about the endpoint and not about the records, which are therefore kept.
    """
    if 200 <= status < 300:
        response = _to_response(headers, body)
        return _not_otlp(status, headers) if response is None else from_response(response)
    reason = f"http_{status}" if status in _NAMED_STATUSES else f"http_{status // 100}xx"
    if 300 <= status < 400:
        return Answer(Verdict.RETRY, "http_3xx", _redirection(status, headers))
    message = _http_message(headers, body)
    if status in _RETRYABLE_STATUSES:
        return Answer(Verdict.RETRY, reason, message, retry_after_seconds=_retry_after_seconds(headers))
    if status == 413:
        return Answer(Verdict.TOO_LARGE, reason, message)
    return Answer(Verdict.INVALID if status in _INVALID_STATUSES else Verdict.REFUSED, reason, message)


def _not_otlp(status: int, headers: Mapping[str, str]) -> Answer:
    kind = headers.get("content-type", "").partition(";")[0].strip() or "no content type"
    return Answer(Verdict.RETRY, "not_otlp", _short(f"status {status}, but the body ({kind}) is not an OTLP answer"))


def _redirection(status: int, headers: Mapping[str, str]) -> str:
    location = without_user_information(headers.get("location", "")) or "nowhere"
    return _short(f"status {status} redirects to {location}; redirections are not followed")


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


def _to_response(headers: Mapping[str, str], body: bytes) -> ExportLogsServiceResponse | None:
    """Read the body of a 2xx; None where it is not OTLP. An empty one is an empty response in protobuf."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    response = ExportLogsServiceResponse()
    try:
        if not body:
            return response
        if kind == "application/json":
            # Unknown members are ignored, as the specification asks, but not where there is no known one.
            members = json.loads(body)
            if members and "partialSuccess" not in members and "partial_success" not in members:
                return None
            json_format.ParseDict(members, response, ignore_unknown_fields=True)
        elif kind in _PROTOBUF_TYPES:
            response.ParseFromString(body)
        else:
            return None
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError, AttributeError):
        return None
    return response


def _http_message(headers: Mapping[str, str], body: bytes) -> str:
    """The failure's text: a google.rpc.Status in protobuf, a page's title, or text and JSON as they are."""
    if "protobuf" in headers.get("content-type", ""):
        try:
            return _short(Status.FromString(body).message)
        except DecodeError:
            return ""
    shown = body[: 4 * _MESSAGE_CHARACTERS].decode("utf-8", "replace")
    if re.match(r"\s*<(?:!doctype|html)", shown, re.IGNORECASE):
        title = re.search(r"<title>([^<]*)", shown, re.IGNORECASE)
        return _short(f"an HTML page, {' '.join(title[1].split())!r}" if title else "an HTML page")
    return _short(shown)


def _short(message: str) -> str:
    return message.strip()[:_MESSAGE_CHARACTERS]
