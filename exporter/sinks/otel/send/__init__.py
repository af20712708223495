"""OTLP over gRPC and HTTP: sending, and what the answer means."""
