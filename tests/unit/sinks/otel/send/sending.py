"""A sender with everything around it, and a receiver whose answers are scripted."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry

from exporter.config.model import Queue
from exporter.selfmetrics import DeliveryMetrics, SelfMetrics
from exporter.sinks.otel.queue.records import Encoded, Records
from exporter.sinks.otel.queue.refused import RefusedBatches
from exporter.sinks.otel.queue.spool import Spool
from exporter.sinks.otel.send.answer import Answer, Verdict
from exporter.sinks.otel.send.envelope import Envelope
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.otel.send.sender import Pace, Pauses, Sender

ACCEPTED = Answer(Verdict.ACCEPTED)
BUSY = Answer(Verdict.RETRY, "unavailable", "come again")
INVALID = Answer(Verdict.INVALID, "http_400", "bad record")
DENIED = Answer(Verdict.REFUSED, "http_403", "not you")
TOO_LARGE = Answer(Verdict.TOO_LARGE, "http_413", "too much")
QUICK = Pauses(0.001, 0.002)
AT_ONCE = Batching(linger_seconds=0.0)


class Receiver:
    """A client whose answers are scripted, then made by ``answer``; ``seen`` has the numbers in each request."""

    def __init__(self, *script: Answer | BaseException) -> None:
        self.script = deque(script)
        self.answer: Callable[[list[int]], Answer] = lambda _numbers: ACCEPTED
        self.seen: list[list[int]] = []
        self.sizes: list[int] = []
        self.closed = False

    def send(self, request: bytes) -> Answer:
        [resource] = ExportLogsServiceRequest.FromString(request).resource_logs
        numbers = [record.body.int_value for record in resource.scope_logs[0].log_records]
        self.seen.append(numbers)
        self.sizes.append(len(request))
        answer = self.script.popleft() if self.script else self.answer(numbers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    """A sender with everything around it."""

    sender: Sender
    spool: Spool[Records]
    registry: CollectorRegistry
    next_number: int = 0

    def put(self, count: int, *, apart: bool = False) -> None:
        """Queue so many records, in one chunk or each in its own."""
        for chunk in [1] * count if apart else [count]:
            self.spool.append(numbered(self.next_number, chunk), chunk)
            self.next_number += chunk

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"falco_exporter_{name}_total", {"endpoint": "default", **labels})

    @property
    def exported(self) -> float | None:
        return self.value("log_records_exported")


def numbered(first: int, count: int) -> Records:
    records = Records()
    for number in range(first, first + count):
        record = LogRecord(body=AnyValue(int_value=number), severity_text="x" * 80)
        records.add(Encoded(record.SerializeToString(), b""))
    return records


def stored(raw: bytes, _records: int) -> Records:
    return Records.read(raw, lambda _message, _observed_ns: None)


@contextmanager
def sending(
    receiver: Receiver,
    directory: Path | None = None,
    *,
    pace: Pace = Pace(QUICK, AT_ONCE),  # noqa: B008 - never changed
    clock: Callable[[], float] = time.time,
    load: Callable[[bytes, int], Records] = stored,
) -> Iterator[Bench]:
    registry = CollectorRegistry()
    spool: Spool[Records] = Spool(Queue(directory=directory), load=load, on_drop=lambda *_: None, clock=clock)
    spool.open()
    sender = Sender(
        spool,
        receiver,
        Envelope(Resource({})),
        refused=RefusedBatches(directory / "refused" if directory else None),
        metrics=DeliveryMetrics(SelfMetrics(registry), "default"),
        pace=pace,
    )
    try:
        yield Bench(sender, spool, registry)
    finally:
        sender.close(0)
        spool.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]
