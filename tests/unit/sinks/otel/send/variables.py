"""The names of the variables that the specification of OpenTelemetry's OTLP exporter gives."""

from __future__ import annotations

PREFIX = "OTEL_EXPORTER_OTLP_"
BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOGS = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
