"""Bytes become an Alert: Falco's gRPC message and Falco's JSON form of the same.

Owns everything that is known about Falco's two notations. Pure: no socket, no
log, no counter. Refuses to judge an alert; it only says in which respect a
message is none. The same alert by either way gives equal Alerts.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError as ProtobufDecodeError

from exporter._proto import falco_lenient_pb2
from exporter.alert import TIME_LIMIT_NS, Alert, Priority, make_alert
from exporter.errors import DecodeError
from exporter.sources.alike_grpc import find_alike, give_fields
from exporter.sources.decode_json import from_json, output_of_document

__all__ = ["REASONS", "from_grpc", "from_json", "from_received"]

REASONS = ("malformed", "empty", "text", "nested", "bad_rule", "bad_time", "bad_priority", "bad_member")
"""Every ``DecodeError.reason`` of this module; label values of the decode error counter."""

_PRIORITIES = {int(priority): priority for priority in Priority if priority is not Priority.UNKNOWN}
_NO_FIELDS: dict[str, str] = {}
_DEPRECATED_SOURCES = ("syscall", "k8s_audit", "internal", "plugin")


def from_grpc(raw: bytes) -> Alert:
    """Decode one ``falco.outputs.response``.

    Text that is not UTF-8 is replaced by U+FFFD, enum values that the contract
    does not know become ``Priority.UNKNOWN`` or an empty source: such an alert
    is not lost.

    Raises DecodeError where the bytes are no such message, or one without rule or time.
    """
    try:
        alert = find_alike(raw)
        if alert is not None:
            return alert
        message = falco_lenient_pb2.received.FromString(raw)
        time = message.time
        output = message.output
        tags = tuple(message.tags)
        alert = make_alert(
            time.seconds * 1_000_000_000 + time.nanos,
            message.rule,
            _PRIORITIES.get(message.priority, Priority.UNKNOWN),
            message.source or _deprecated_source(message.source_deprecated),
            message.hostname,
            output_of_document(output) if output.startswith("{") else output,
            _NO_FIELDS,
            tags,
            raw,
        )
        give_fields(alert, message.output_fields, tags, raw)
    except (ProtobufDecodeError, UnicodeDecodeError):
        return _from_lenient(raw)
    return _checked(alert)


def from_received(message: bytes) -> Alert:
    """Return the alert of ``Alert.received``, whichever way it came. Raises DecodeError as it did then."""
    return from_json(message) if message.startswith(b"{") else from_grpc(message)


def _from_lenient(raw: bytes) -> Alert:
    """Decode a message with text that is not UTF-8, or say that it is no message at all."""
    try:
        message = falco_lenient_pb2.response.FromString(raw)
    except ProtobufDecodeError as exc:
        raise DecodeError(
            "malformed",
            f"expected a falco.outputs.response, found {len(raw)} bytes that are not such a protobuf message",
        ) from exc
    output = _text(message.output)
    return _checked(
        Alert(
            message.time.seconds * 1_000_000_000 + message.time.nanos,
            _text(message.rule),
            _PRIORITIES.get(message.priority, Priority.UNKNOWN),
            _text(message.source) or _deprecated_source(message.source_deprecated),
            _text(message.hostname),
            output_of_document(output) if output.startswith("{") else output,
            dict(sorted({_text(field.key): _text(field.value) for field in message.output_fields}.items())),
            [_text(tag) for tag in message.tags],
            raw,
        )
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _checked(alert: Alert) -> Alert:
    """Return the alert if it has what every alert has."""
    if not alert.rule:
        raise DecodeError("bad_rule", "expected a rule's name in field 4 (rule) of the gRPC message, found none")
    if not 0 < alert.time_ns < TIME_LIMIT_NS:
        raise DecodeError(
            "bad_time",
            "expected a time between 1970 and 2262 in field 1 (time) of the gRPC message, "
            f"found {alert.time_ns} ns since 1970",
        )
    return alert


def _deprecated_source(number: int) -> str:
    """Name the source as Falco before 0.31 sent it; empty for a number that is not in the contract."""
    return _DEPRECATED_SOURCES[number] if 0 <= number < len(_DEPRECATED_SOURCES) else ""
