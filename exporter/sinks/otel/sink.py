"""The sink of OpenTelemetry log records: alert in, record delivered, whatever happens in between.

Owns the order of things: grouping, encoding, the queue, the sender. When
``write`` returns, the records are on disk where the queue has a directory.
Refuses to know how a record is encoded (``encode/``), kept (``queue/``) or
sent (``send/``), and which alerts come here (``routes.py``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.alert import Alert
from exporter.config.model import Grouping, Otlp, Queue
from exporter.pipeline import Arrival
from exporter.selfmetrics import DeliveryMetrics, SelfMetrics
from exporter.sinks.otel.ahead import CHUNK_BYTES, Ahead
from exporter.sinks.otel.encode.advice import NONE
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.queue.grouping import Grouper, Joined
from exporter.sinks.otel.queue.records import Encoded, Records
from exporter.sinks.otel.queue.refused import DIRECTORY_NAME, RefusedBatches
from exporter.sinks.otel.queue.spool import DROP_REASONS, MemoryLimit, Spool
from exporter.sinks.otel.queue.stored import StoredRecords
from exporter.sinks.otel.send.answer import UNSENDABLE, failure_reasons, retry_reasons
from exporter.sinks.otel.send.client import to_client
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.send.envelope import Envelope, to_resource
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.otel.send.sender import Pace, Pauses, Sender

_UNLIMITED = 1_000_000

logger = logging.getLogger(__name__)


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
    has_delivered: bool
    """Whether the receiver has taken any record since the start."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where records go and how they wait for it."""

    endpoint: Endpoint
    queue: Queue
    batching: Batching = field(default_factory=Batching)
    name: str = "default"
    """What routes and metrics call it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the resource."""


class OtelLogsSink:
    """Deliver every alert as a log record.

    ``read_message`` gives the alert of a message that the queue kept
    (``Alert.received``); it may raise ExporterError.
    """

    name = "otel_logs"
    pauses = Pauses()
    """The pauses between two tries; may be set before ``start``."""

    def __init__(
        self,
        settings: Otlp,
        destination: Destination,
        grouping: Grouping,
        *,
        reports: Reports,
        read_message: Callable[[bytes], Alert],
        metrics: SelfMetrics,
    ) -> None:
        self._settings = settings
        self._endpoint = destination.endpoint
        self._labels = destination.labels
        self._batching = destination.batching
        self._queue = queue = destination.queue
        self._metrics = delivery = DeliveryMetrics(metrics, destination.name)
        self._grouper = Grouper(grouping) if grouping.window_seconds > 0 else None
        budget = Budget(settings.record_limit_bytes, settings.attribute_limit, delivery.truncated.inc)
        advice_for = None if settings.advice == NONE else reports.advice_for
        reports = replace(reports, advice_for=advice_for, detail=settings.advice)
        self._encoder = RecordEncoder(budget, reports)
        # One of its own: the sender's thread reads while others write.
        stored = StoredRecords(RecordEncoder(budget, reports), read_message, on_drop=self._count_dropped)
        self._spool: Spool[Records] = Spool(
            queue,
            load=stored.read,
            on_drop=self._count_dropped,
            memory=MemoryLimit(records=destination.batching.memory_records),
        )
        self._refused = RefusedBatches(queue.directory / DIRECTORY_NAME if queue.directory else None)
        self._ahead = Ahead(
            self._spool,
            lambda alert, observed_ns: self._encoder.encode(alert, observed_ns=observed_ns),
            chunk_records=destination.batching.records,
            # Grouped alerts are one record, which says more than any message.
            is_durable=queue.directory is not None and self._grouper is None,
        )
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sender: Sender | None = None
        self._group_thread: threading.Thread | None = None

    def start(self) -> None:
        """Take up what an earlier process left, and begin to send."""
        self._spool.open()
        self._show_metrics()
        self._sender = Sender(
            self._spool,
            to_client(self._endpoint),
            Envelope(to_resource(self._settings.service_name, self._labels)),
            refused=self._refused,
            metrics=self._metrics,
            pace=Pace(self.pauses, self._batching),
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
        self._check_sender()
        with self._lock:
            self._write_kept()
            self._join(alerts)

    @property
    def stores(self) -> bool:
        """Whether the queue is to be on disk."""
        return self._queue.directory is not None

    @property
    def takes_messages(self) -> bool:
        """Whether a record is of one message."""
        return self._grouper is None

    def keep(self, alerts: Sequence[Alert]) -> bool:
        """Put the batch on disk, where the queue has one, as it came; False where it has to be written as records."""
        self._check_sender()
        with self._lock:
            is_kept = self._ahead.keep(alerts, time.time_ns())
        # A group is one record, which says more than any message.
        return is_kept and (self._grouper is None or self._queue.directory is None)

    def keep_messages(self, arrivals: Sequence[Arrival]) -> bool:
        """Put messages on disk as they came; False where they have to be written as records."""
        self._check_sender()
        with self._lock:
            return self._ahead.keep_messages(arrivals, time.time_ns())

    def write_kept(self) -> None:
        """Make records of what was kept."""
        with self._lock:
            self._write_kept()

    def _write_kept(self) -> None:
        if others := self._ahead.complete():
            self._join(others)

    def _join(self, alerts: Sequence[Alert]) -> None:
        self._append(((alert, None) for alert in alerts) if self._grouper is None else self._grouper.take(alerts))

    def _check_sender(self) -> None:
        if self._sender is not None and self._sender.error is not None:
            raise RuntimeError("the sender of log records has ended") from self._sender.error

    def write_encoded(self, records: Sequence[bytes]) -> None:
        """Queue records that are made already: they are no alert's."""
        made = Records()
        for record in records:
            made.add(Encoded(record, b""), time.time_ns(), b"")
        with self._lock:
            if made.count:
                self._spool.append(made, made.count)

    def close(self, deadline_seconds: float) -> None:
        """Deliver until the deadline; a queue on disk keeps the rest. Twice is safe."""
        self._closing.set()
        if self._group_thread is not None:
            self._group_thread.join()
        with self._lock:
            self._write_kept()
            if self._grouper is not None:
                self._append(self._grouper.flush())
        if self._sender is not None:
            self._drain(self._sender, deadline_seconds)
        self._spool.close()

    def _drain(self, sender: Sender, deadline_seconds: float) -> None:
        """Deliver until the deadline, and say what becomes of the rest."""
        if waiting := self._spool.records:
            logger.info(
                "delivering the %d log records that are still queued, for at most %.0f s", waiting, deadline_seconds
            )
        sender.close(deadline_seconds)
        left = self._spool.records
        if left and self._spool.durable:
            logger.info("%d log records stay in the queue on disk for the next start", left)
        elif left:
            logger.warning("%d log records in memory are lost; set queue.directory to keep them", left)
        elif waiting:
            logger.info("every log record was delivered")

    def status(self) -> DeliveryStatus:
        """Say how delivery is doing."""
        sender = self._sender
        return DeliveryStatus(
            endpoint=self._endpoint.shown,
            queued_records=self._spool.records,
            queued_bytes=self._spool.size_bytes,
            durable=self._spool.durable,
            failing_since=sender.failing_since if sender else None,
            last_error=sender.last_error if sender else "",
            has_delivered=sender.has_delivered if sender else False,
        )

    @property
    def delivery_failing_since(self) -> float | None:
        """Since when nothing could be delivered, seconds since 1970; None while delivery works."""
        return self.status().failing_since

    def unready_reason(self) -> str:
        """Say why no alert can be kept, or, where a setting asks for it, since when none was delivered; else empty."""
        if self._sender is not None and self._sender.error is not None:
            return f"log records are no longer sent: {self._sender.last_error}"
        if self._spool.unusable:
            return f"{self._spool.unusable}; log records wait in memory only"
        status = self.status()
        failing_seconds = 0.0 if status.failing_since is None else time.time() - status.failing_since
        if not 0 < self._queue.unready_after_seconds <= failing_seconds:
            return ""
        return (
            f"log records cannot be delivered to {status.endpoint} since {failing_seconds:.0f} s "
            f"({status.last_error}); {status.queued_records} wait"
        )

    def _append(self, joined: Iterable[Joined]) -> None:
        records = Records()
        observed_ns = time.time_ns()
        stored = self._queue.directory is not None
        encode = self._encoder.encode
        for alert, group in joined:
            # A joined record says more than its last alert's message; in memory nothing is encoded twice.
            message = alert.received if stored and group is None else b""
            records.add(encode(alert, group, observed_ns=observed_ns), observed_ns, message)
            if group is not None:
                self._metrics.grouped.inc(group.count)
            if records.count >= self._batching.records or len(records) > CHUNK_BYTES:
                self._spool.append(records, records.count)
                records = Records()
        if records.count:
            self._spool.append(records, records.count)

    def _count_dropped(self, reason: str, records: int) -> None:
        self._metrics.dropped(reason).inc(records)

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
        metrics.failing_timestamp.set_function(lambda: self.delivery_failing_since or 0.0)
        for reason in (*DROP_REASONS, UNSENDABLE):
            metrics.dropped(reason)
        for reason in failure_reasons(self._endpoint.protocol):
            metrics.failed(reason)
        for reason in retry_reasons(self._endpoint.protocol):
            metrics.retries(reason)
