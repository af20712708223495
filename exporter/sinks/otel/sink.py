"""The sink of OpenTelemetry log records: alert in, record delivered, whatever happens in between.

Owns the order of things: grouping, encoding, the queue, the sender. When
``write`` returns, the records are on disk where the queue has a directory.
Refuses to know how a record is encoded (``encode.py``), kept (``spool.py``)
or sent (``sender.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.alert import Alert
from exporter.config.model import Grouping, Otlp, Queue
from exporter.report import Report
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.grouping import Grouper, Joined
from exporter.sinks.otel.budget import Budget
from exporter.sinks.otel.client import GrpcClient, HttpClient, OtlpClient, quiet_sdk_loggers
from exporter.sinks.otel.encode import RecordEncoder
from exporter.sinks.otel.envelope import Envelope, to_entry, to_resource
from exporter.sinks.otel.environment import GRPC
from exporter.sinks.otel.sender import BATCH_RECORDS, Pauses, Sender
from exporter.sinks.refused import DIRECTORY_NAME, RefusedBatches
from exporter.sinks.spool import Spool

CHUNK_BYTES = 1024 * 1024
_UNLIMITED = 1_000_000


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How delivery is doing, for people and probes."""

    endpoint: str
    queued_records: int
    queued_bytes: int
    durable: bool
    """Whether the queue is on disk just now."""
    failing_since: float | None
    """Seconds since 1970; None while delivery works."""
    last_error: str
    """Empty while delivery works."""


def to_client(settings: Otlp) -> OtlpClient:
    """Make the exporter for settings that ``with_environment`` has filled in."""
    return GrpcClient(settings.endpoint) if settings.protocol == GRPC else HttpClient(settings.endpoint)


class OtelLogsSink:
    """Deliver every alert as a log record. ``settings`` as ``with_environment`` returns them.

    ``report_for`` gives an alert's report. ``report_address`` is what stands
    before the uid in a report's own address, empty where there is none.
    """

    name = "otel_logs"
    pauses = Pauses()
    """The pauses between two tries; may be set before ``start``."""

    def __init__(
        self,
        settings: Otlp,
        queue: Queue,
        grouping: Grouping,
        *,
        report_for: Callable[[Alert], Report],
        metrics: SelfMetrics,
        report_address: str = "",
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._metrics = metrics
        self._grouper = Grouper(grouping) if grouping.window_seconds > 0 else None
        budget = Budget(settings.record_limit_bytes, settings.attribute_limit, metrics.log_records_truncated.inc)
        self._encoder = RecordEncoder(
            budget, report_for=report_for if settings.advice else None, report_address=report_address
        )
        self._spool = Spool(
            queue, on_drop=lambda reason, records: metrics.log_records_dropped.labels(reason).inc(records)
        )
        self._refused = RefusedBatches(queue.directory / DIRECTORY_NAME if queue.directory else None)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sender: Sender | None = None
        self._group_thread: threading.Thread | None = None

    def start(self) -> None:
        """Take up what an earlier process left, and begin to send."""
        quiet_sdk_loggers()
        self._spool.open()
        self._show_metrics()
        self._sender = Sender(
            self._spool,
            to_client(self._settings),
            Envelope(to_resource(self._settings.service_name)),
            refused=self._refused,
            metrics=self._metrics,
            pauses=self.pauses,
        )
        self._sender.start()
        if self._grouper is not None:
            self._group_thread = threading.Thread(
                target=self._close_groups, args=(self._grouper,), name="otlp-grouping", daemon=True
            )
            self._group_thread.start()

    def room(self) -> int:
        """How many alerts fit. 0 only where the queue is on disk, full, and set to wait.

        A queue in memory always has room: it drops its oldest, counted, so
        that a dead collector never stops metrics.
        """
        room = self._spool.room_bytes()
        return _UNLIMITED if room is None else room // self._settings.record_limit_bytes

    def write(self, alerts: Sequence[Alert]) -> None:
        """Queue the batch; on disk when this returns, where the queue has one."""
        if self._sender is not None and self._sender.error is not None:
            raise RuntimeError("the sender of log records has ended") from self._sender.error
        with self._lock:
            self._append(((alert, None) for alert in alerts) if self._grouper is None else self._grouper.take(alerts))

    def close(self, deadline_seconds: float) -> None:
        """Deliver until the deadline; a queue on disk keeps the rest. Twice is safe."""
        self._closing.set()
        if self._group_thread is not None:
            self._group_thread.join()
        if self._grouper is not None:
            with self._lock:
                self._append(self._grouper.flush())
        if self._sender is not None:
            self._sender.close(deadline_seconds)
        self._spool.close()

    def status(self) -> DeliveryStatus:
        """Say how delivery is doing."""
        sender = self._sender
        return DeliveryStatus(
            endpoint=self._settings.endpoint,
            queued_records=self._spool.records,
            queued_bytes=self._spool.size_bytes,
            durable=self._spool.durable,
            failing_since=sender.failing_since if sender else None,
            last_error=sender.last_error if sender else "",
        )

    @property
    def delivery_failing_since(self) -> float | None:
        """Since when nothing could be delivered, seconds since 1970; None while delivery works."""
        return self.status().failing_since

    def unready_reason(self) -> str:
        """Say why the exporter is not ready; empty while it is, or while delivery has not failed for long."""
        status = self.status()
        if status.failing_since is None or time.time() - status.failing_since < self._queue.unready_after_seconds:
            return ""
        return (
            f"log records cannot be delivered to {status.endpoint} since {time.time() - status.failing_since:.0f} s "
            f"({status.last_error}); {status.queued_records} wait"
        )

    def _append(self, joined: Iterable[Joined]) -> None:
        entries: list[bytes] = []
        size = 0
        for alert, group in joined:
            entry = to_entry(self._encoder.encode(alert, group))
            if entries and (len(entries) >= BATCH_RECORDS or size + len(entry) > CHUNK_BYTES):
                self._spool.append(b"".join(entries), len(entries))
                entries, size = [], 0
            entries.append(entry)
            size += len(entry)
            if group is not None:
                self._metrics.alerts_grouped.inc(group.count)
        if entries:
            self._spool.append(b"".join(entries), len(entries))

    def _close_groups(self, grouper: Grouper) -> None:
        """Send each group when its window ends, though no alert may come to tell the time."""
        pause = 0.0
        while not self._closing.wait(pause):
            with self._lock:
                self._append(grouper.ended())
            next_seconds = grouper.seconds_to_next()
            pause = min(grouper.window_seconds if next_seconds is None else next_seconds + 0.001, 1.0)

    def _show_metrics(self) -> None:
        metrics, spool = self._metrics, self._spool
        metrics.queue_records.set_function(lambda: spool.records)
        metrics.queue_bytes.set_function(lambda: spool.size_bytes)
        metrics.queue_oldest_timestamp.set_function(lambda: spool.oldest_queued_at)
        metrics.queue_limit_bytes.set(spool.limit_bytes)
        metrics.queue_durable.set_function(lambda: spool.durable)
        metrics.queue_refused_bytes.set_function(self._refused.size_bytes)
        metrics.delivery_failing_timestamp.set_function(lambda: self.delivery_failing_since or 0.0)
        for reason in ("full", "age", "damaged", "shutdown"):
            metrics.log_records_dropped.labels(reason)
