"""Encoded records as an OTLP request: who sends them.

Owns the resource and the scope. Refuses to look into a record.
"""

from __future__ import annotations

import socket
from typing import Final

from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporter import __version__
from exporter.sinks.otel.encode import wire
from exporter.sinks.otel.queue.records import Records

SCOPE_NAME: Final = "falco-report-exporter"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
DEFAULT_SERVICE_NAME: Final = "falco"


def to_resource(service_name: str = "", *, host_name: str | None = None) -> Resource:
    """Return who we are, as opentelemetry-sdk makes it from ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME``.

    ``service_name``, where not empty, goes before both. Where nothing sets
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
    if service_name:
        ours["service.name"] = service_name
    return Resource.create(ours)


def to_scope() -> InstrumentationScope:
    """Return the instrumentation scope of every record."""
    return InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)


class Envelope:
    """Makes requests of entries. What stands around them is made once, by the SDK's own encoder."""

    def __init__(self, resource: Resource) -> None:
        empty = ReadableLogRecord(LogRecord(), resource, to_scope())
        resource_logs = encode_logs([empty]).resource_logs[0]
        scope_logs = resource_logs.scope_logs[0]
        del scope_logs.log_records[:]
        self._scope = scope_logs.SerializeToString()
        del resource_logs.scope_logs[:]
        self._resource = resource_logs.SerializeToString()

    def request(self, records: Records) -> bytes:
        """Return a serialised ExportLogsServiceRequest with these records.

        Joined in one go: a batch has megabytes, and each concatenation would copy them.
        """
        scope_size = len(self._scope) + len(records)
        scope_head = wire.tag(ResourceLogs, "scope_logs") + wire.varint(scope_size)
        resource_size = len(self._resource) + len(scope_head) + scope_size
        head = wire.tag(ExportLogsServiceRequest, "resource_logs") + wire.varint(resource_size)
        return b"".join((head, self._resource, scope_head, self._scope, *records.pieces))
