"""OpenTelemetry log records. Nothing is imported here: the SDK costs a fifth of a start, and may not be wanted."""
