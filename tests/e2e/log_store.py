"""VictoriaLogs as a process, and records put into it as the exporter sends them."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.reporter import Reporter
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from tests.e2e.processes import Process, fetch, free_port
from tests.e2e.programs import find_victorialogs
from tests.waiting import wait_until


@contextmanager
def victorialogs(directory: Path) -> Iterator[str]:
    """Run one with nothing in it; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={directory / 'data'}", "-retentionPeriod=100y"]
    process = Process([find_victorialogs(), *arguments], directory / "victorialogs.log")
    try:
        wait_until(lambda: fetch(f"{url}/health") or not process.alive(), "VictoriaLogs answers")
        yield url
    finally:
        process.stop()


def records_of(alerts: Sequence[Alert]) -> list[LogRecord]:
    """The records that the exporter makes of alerts, with all their advice."""
    encoder = RecordEncoder(Budget(10**6, 10**3, lambda: None), Reports(Reporter(load_catalog()).advice_for))
    return [LogRecord.FromString(encoder.encode(alert, observed_ns=alert.time_ns).joined) for alert in alerts]


def insert(url: str, records: Sequence[LogRecord]) -> None:
    """Send records by OTLP, with the exporter's resource."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="falco")))
    group.scope_logs.add().log_records.extend(records)
    asked = urllib.request.Request(
        f"{url}/insert/opentelemetry/v1/logs", request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
    )
    urllib.request.urlopen(asked, timeout=30).close()
