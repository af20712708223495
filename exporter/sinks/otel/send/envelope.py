"""Encoded records as an OTLP request: who sends them.

Owns the resource and the scope. Refuses to look into a record.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from exporter import __version__
from exporter.identity import ATTRIBUTES
from exporter.sinks.otel.encode import wire
from exporter.sinks.otel.queue.records import Records

SCOPE_NAME: Final = "falco-report-exporter"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
DEFAULT_SERVICE_NAME: Final = "falco"


def to_resource(
    service_name: str = "", labels: Mapping[str, str] | None = None, *, host_name: str | None = None
) -> Resource:
    """Return who we are, as opentelemetry-sdk makes it from ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME``.

    ``service_name``, where not empty, and ``labels`` go before both. Where nothing sets
    it, ``service.instance.id`` is the host's name: the SDK's own is random at
    each start, and Loki makes an index label, hence a new stream, of it.
    """
    said = OTELResourceDetector().detect().attributes
    defaults = {
        "service.name": DEFAULT_SERVICE_NAME,
        "service.version": __version__,
        "service.instance.id": host_name or socket.gethostname(),
    }
    ours = {key: value for key, value in defaults.items() if key not in said}
    ours |= {ATTRIBUTES.get(name, name): value for name, value in (labels or {}).items()}
    if service_name:
        ours["service.name"] = service_name
    return Resource.create(ours)


class Envelope:
    """Makes requests of entries. What stands around them is made once."""

    def __init__(self, resource: Resource) -> None:
        scope = InstrumentationScope(name=SCOPE_NAME, version=__version__)
        self._scope = ScopeLogs(scope=scope, schema_url=SCHEMA_URL).SerializeToString()
        attributes = [KeyValue(key=key, value=to_any_value(value)) for key, value in resource.attributes.items()]
        self._resource = ResourceLogs(
            resource=ResourceMessage(attributes=attributes), schema_url=resource.schema_url
        ).SerializeToString()

    def request(self, records: Records) -> bytes:
        """Return a serialised ExportLogsServiceRequest with these records.

        Joined in one go: a batch has megabytes, and each concatenation would copy them.
        """
        scope_size = len(self._scope) + len(records)
        scope_head = wire.tag(ResourceLogs, "scope_logs") + wire.varint(scope_size)
        resource_size = len(self._resource) + len(scope_head) + scope_size
        head = wire.tag(ExportLogsServiceRequest, "resource_logs") + wire.varint(resource_size)
        return b"".join((head, self._resource, scope_head, self._scope, *records.pieces))


def to_any_value(value: Any) -> AnyValue:
    """Return an attribute's value (text, number, truth or a sequence of them) as OTLP has it."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case _:
            return AnyValue(array_value=ArrayValue(values=map(to_any_value, value)))
