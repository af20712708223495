"""Settings: what can be set (``model``) and where values come from (``loader``)."""

from exporter.config.model import (
    Catalog,
    Config,
    FalcoGrpc,
    FalcoHttp,
    FalcoTarget,
    Grouping,
    JsonLines,
    Logging,
    Metrics,
    Otlp,
    Queue,
    Redaction,
    ServeGrpc,
    TlsClient,
    TlsServer,
    Web,
)

__all__ = [
    "Catalog",
    "Config",
    "FalcoGrpc",
    "FalcoHttp",
    "FalcoTarget",
    "Grouping",
    "JsonLines",
    "Logging",
    "Metrics",
    "Otlp",
    "Queue",
    "Redaction",
    "ServeGrpc",
    "TlsClient",
    "TlsServer",
    "Web",
]
