"""OpenTelemetry log records: what the rest of the program needs of them."""

from exporter.sinks.otel.environment import otlp_enabled, with_environment
from exporter.sinks.otel.probe import EndpointCheck, check_endpoint
from exporter.sinks.otel.sink import DeliveryStatus, OtelLogsSink

__all__ = ["DeliveryStatus", "EndpointCheck", "OtelLogsSink", "check_endpoint", "otlp_enabled", "with_environment"]
