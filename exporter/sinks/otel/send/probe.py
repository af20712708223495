"""Whether an OTLP endpoint works, and if not, what to do: for the ``check`` command.

Owns the trial and its explanation. Refuses to send records: the trial is an
empty request.
"""

from __future__ import annotations

from dataclasses import dataclass

from exporter.sinks.otel.send.answer import Answer, Verdict
from exporter.sinks.otel.send.client import to_client
from exporter.sinks.otel.send.endpoint import GRPC, Endpoint

_HEADERS = "set OTEL_EXPORTER_OTLP_HEADERS to what the receiver expects, e.g. authorization=Bearer%20TOKEN"
_WRONG_SERVICE = (
    "something else listens there, or it takes no logs: check host, port (usually 4317 for grpc, 4318 for "
    "http/protobuf), path, and that the collector has a logs pipeline"
)
_TIMEOUT = (
    "nothing answered in time: check the address and any firewall, or raise OTEL_EXPORTER_OTLP_TIMEOUT (milliseconds)"
)
_ADVICE = {
    "unauthenticated": _HEADERS,
    "permission_denied": _HEADERS,
    "http_401": _HEADERS,
    "http_403": _HEADERS,
    "unimplemented": _WRONG_SERVICE,
    "http_404": _WRONG_SERVICE,
    "http_4xx": _WRONG_SERVICE,
    "http_405": _WRONG_SERVICE,
    "http_3xx": "set the address that it names as the endpoint",
    "not_otlp": "a proxy or another service answers in the receiver's place: check the address and HTTP(S)_PROXY",
    "deadline_exceeded": _TIMEOUT,
    "timeout": _TIMEOUT,
}
_CERTIFICATES = (
    "the TLS handshake failed: set OTEL_EXPORTER_OTLP_CERTIFICATE to the authority that signed the receiver's "
    "certificate, or use http:// where it has no TLS"
)
_NO_TLS = "the receiver does not speak TLS there: use http://, or the port on which it does"
_UNREACHABLE = "check that a collector runs, and that host and port are right"


@dataclass(frozen=True, slots=True)
class EndpointCheck:
    """The outcome of one trial."""

    works: bool
    endpoint: str
    protocol: str
    message: str
    """What was found and, where it does not work, what to do; a line for an operator."""


def check_endpoint(endpoint: Endpoint) -> EndpointCheck:
    """Send an empty request to the endpoint; it takes at most the endpoint's time-out."""
    client = to_client(endpoint)
    try:
        answer = client.send(b"")
    finally:
        client.close()
    # Some receivers, Loki among them, refuse a request without records: it was read all the same.
    works = answer.verdict is Verdict.ACCEPTED or answer.reason in {"http_400", "http_422", "invalid_argument"}
    message = "accepts log records" if works else f"{_found(answer)}: {_advice(answer, endpoint.protocol)}"
    return EndpointCheck(works, endpoint.shown, endpoint.protocol, message)


def _found(answer: Answer) -> str:
    return f"answered {answer.reason} {answer.message!r}" if answer.message else f"answered {answer.reason}"


def _advice(answer: Answer, protocol: str) -> str:
    text = answer.message.lower()
    if "wrong_version_number" in text:
        return _NO_TLS
    if answer.reason.startswith("http_") and "html page" in text:
        return _ADVICE.get(answer.reason, _WRONG_SERVICE)
    if any(word in text for word in ("certificate", "ssl", "tls", "handshake")):
        return _CERTIFICATES
    if protocol == GRPC and "http2" in text.replace("/", ""):
        return _WRONG_SERVICE
    return _ADVICE.get(answer.reason, _UNREACHABLE)
