"""Falco Report Exporter: every Falco alert becomes a metric, an OpenTelemetry log record and a report."""

__version__ = "0.1.0"
