"""An alert as the bytes of an OpenTelemetry log record."""
