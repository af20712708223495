"""A sink that delivers to a real receiver, over either protocol, and what such a receiver answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from prometheus_client import CollectorRegistry

from exporter.config.model import Grouping, Otlp, Queue
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.record import Reports
from exporter.sinks.otel.send.environment import to_endpoint
from exporter.sinks.otel.send.sender import Pauses
from exporter.sinks.otel.sink import Destination, OtelLogsSink
from exporter.sources.decode import from_received
from tests.integration.otlp.receiver import Receiver, Reply, grpc_receiver, http_receiver
from tests.otel_records import advice_for

RECEIVERS: dict[str, Callable[..., AbstractContextManager[Receiver]]] = {
    "grpc": grpc_receiver,
    "http/protobuf": http_receiver,
}


LOGS_PATHS = {"grpc": "", "http/protobuf": "/v1/logs"}


@contextmanager
def delivering(
    endpoint: str, protocol: str, directory: Path | None = None, *, close_seconds: float = 10.0, **options: Any
) -> Iterator[tuple[OtelLogsSink, Callable[..., float]]]:
    """A started sink, and a look at its metrics."""
    registry = CollectorRegistry()
    sink = OtelLogsSink(
        settings := Otlp(endpoint=endpoint, protocol=protocol, advice=options.pop("advice", "full")),
        Destination(
            to_endpoint(settings, options.pop("environ", {})), Queue(directory=directory, **options.pop("queue", {}))
        ),
        Grouping(**options.pop("grouping", {})),
        reports=Reports(advice_for),
        read_message=options.pop("read_message", from_received),
        metrics=SelfMetrics(registry),
    )
    sink.pauses = Pauses(0.02, 0.1, **options)
    sink.start()
    try:
        yield (
            sink,
            lambda name, **labels: (
                registry.get_sample_value(f"falco_exporter_{name}", {"endpoint": "default", **labels}) or 0.0
            ),
        )
    finally:
        sink.close(close_seconds)


def retry_info(seconds: int) -> dict[str, bytes]:
    """RetryInfo as collectors send it."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds)))
    return {"grpc-status-details-bin": Status(code=8, details=[detail]).SerializeToString()}


def busy(protocol: str) -> Reply:
    """A plain retryable answer."""
    return Reply(grpc.StatusCode.UNAVAILABLE if protocol == "grpc" else 503)


def denied(protocol: str) -> Reply:
    """A permanent answer that is not about the records."""
    return Reply(grpc.StatusCode.PERMISSION_DENIED if protocol == "grpc" else 403)


def bad(protocol: str) -> Reply:
    """A permanent answer that is about the records."""
    return Reply(grpc.StatusCode.INVALID_ARGUMENT if protocol == "grpc" else 400)
