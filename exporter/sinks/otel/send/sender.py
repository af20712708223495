"""Delivery: from the queue to the collector, until the collector has it.

Owns the one thread that sends, the pauses between tries, and what becomes of
each answer. A batch leaves the queue when it was accepted, or refused for
good, in which case it is set aside and counted. A batch in which one record
may be at fault is halved until that record stands alone.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from exporter.selfmetrics import DeliveryMetrics
from exporter.sinks.otel.queue.records import Records, join
from exporter.sinks.otel.queue.refused import RefusedBatches
from exporter.sinks.otel.queue.spool import Spool
from exporter.sinks.otel.send.answer import REJECTED, UNSENDABLE, Answer, Verdict
from exporter.sinks.otel.send.client import OtlpClient
from exporter.sinks.otel.send.envelope import Envelope
from exporter.sinks.otel.send.environment import Batching

_log = logging.getLogger(__name__)

BATCH_BYTES = 3 * 1024 * 1024
"""A gRPC server takes 4 MiB by default, and most collectors leave it so."""
SMALLEST_BATCH_BYTES = 64 * 1024
IDLE_SECONDS = 1.0
_LARGER_AGAIN_SECONDS = 600.0
"""How long after a batch was too large a larger one is tried again."""
_HALVINGS_IN_VAIN = 16
"""Refusals without anything accepted in between, after which batches are no longer halved."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses between two tries: doubled each time up to the ceiling, each a fifth longer or shorter by chance."""

    first_seconds: float = 0.5
    ceiling_seconds: float = 10.0
    asked_ceiling_seconds: float = 600.0
    """Maximum pause that a receiver can ask for."""

    def after(self, failures: int, asked_seconds: float | None) -> float:
        """Return the pause after so many failures in a row, at least what the receiver asked for."""
        pause: float = min(self.first_seconds * 2.0 ** min(failures - 1, 16), self.ceiling_seconds)
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 (spreads load, hides nothing)
        return max(pause, min(asked_seconds or 0.0, self.asked_ceiling_seconds))


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at a time, and how fast."""

    pauses: Pauses = field(default_factory=Pauses)
    batching: Batching = field(default_factory=Batching)


class Sender:
    """Send what the spool holds. ``start`` once, ``close`` at the end."""

    def __init__(
        self,
        spool: Spool[Records],
        client: OtlpClient,
        envelope: Envelope,
        *,
        refused: RefusedBatches,
        metrics: DeliveryMetrics,
        pace: Pace,
    ) -> None:
        self._spool = spool
        self._client = client
        self._envelope = envelope
        self._refused = refused
        self._metrics = metrics
        self._pauses = pace.pauses
        self._batching = pace.batching
        self._limit_bytes = BATCH_BYTES
        self._larger_again_at = 0.0
        self._failures = self._refusals = 0
        self._state = ""
        self._failing_since: float | None = None
        self._last_error = ""
        self.has_delivered = False
        """Whether the receiver has taken any record."""
        self._closing = threading.Event()
        self._aborted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-sender", daemon=True)
        self.error: BaseException | None = None
        """What ended the thread, where that was no orderly end."""

    @property
    def failing_since(self) -> float | None:
        """Since when nothing could be delivered, seconds since 1970; None while delivery works."""
        return self._failing_since

    @property
    def last_error(self) -> str:
        """What the latest failure said; empty while delivery works."""
        return self._last_error

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self, deadline_seconds: float) -> None:
        """Send what is left until the deadline, then stop. Twice is safe."""
        self._closing.set()
        self._spool.wake()
        if self._thread.is_alive():
            self._thread.join(deadline_seconds)
        self._aborted.set()
        self._client.close()
        if self._thread.is_alive():
            # A call that cannot be ended from outside (HTTP) goes on in its own time; what it
            # delivers is delivered again after the next start, with the same log.record.uid.
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while not self._aborted.is_set():
                if not self._spool.wait(IDLE_SECONDS):
                    self._spool.tidy()
                    continue
                self._spool.wait(self._batching.linger_seconds, records=self._batching.records)
                if not self._send_next():
                    return
        except BaseException as exc:
            self.error = exc
            self._failing_since = self._failing_since or time.time()
            self._last_error = f"the sender has ended: {exc!r}"
            raise

    def _send_next(self) -> bool:
        """Send one batch; False where nothing more shall be sent."""
        try:
            batch = self._spool.take(self._batching.records, self._batch_bytes())
        except Exception:  # noqa: BLE001 (whatever a queued record does, it must not end delivery for good)
            self._lose_batch()
            return True
        if batch is None:
            if self._closing.is_set():
                return False
            # What waits is on a disk that cannot be read just now.
            self._aborted.wait(IDLE_SECONDS)
            self._spool.tidy()
            return True
        try:
            delivered = self._deliver(join(batch))
        except Exception:  # noqa: BLE001 (as above)
            self._lose_batch()
            return True
        if delivered:
            self._spool.release()
        else:
            self._spool.put_back()
        return delivered

    def _lose_batch(self) -> None:
        """Drop and count what is in flight: it would fail again."""
        records = self._spool.in_flight_records
        _log.exception("%d log records are lost: they cannot be sent (a programming error)", records)
        self._metrics.dropped(UNSENDABLE).inc(records)
        self._spool.release()

    def _batch_bytes(self) -> int:
        if self._limit_bytes < BATCH_BYTES and time.monotonic() > self._larger_again_at:
            self._limit_bytes = min(2 * self._limit_bytes, BATCH_BYTES)
            self._larger_again_at = time.monotonic() + _LARGER_AGAIN_SECONDS
        return self._limit_bytes

    def _deliver(self, batch: Records) -> bool:
        """Send the batch, in smaller pieces where it must be; False where closing ended the tries."""
        pieces = deque([batch] if batch.count else [])
        while pieces:
            piece = pieces[0]
            request = self._envelope.request(piece)
            answer = self._client.send(request)
            if answer.verdict is Verdict.RETRY:
                if not self._pause(answer):
                    return False
                continue
            pieces.popleft()
            if answer.verdict is Verdict.ACCEPTED:
                self._refusals = 0
                self._accept(answer, piece.count)
                continue
            self._refusals += 1
            if answer.verdict is not Verdict.REFUSED and piece.count > 1 and self._refusals <= _HALVINGS_IN_VAIN:
                pieces.extendleft(reversed([*piece.halves()]))
                self._note_halving(answer, len(request))
            else:
                self._refuse(answer, piece.count, request)
        return True

    def _note_halving(self, answer: Answer, request_bytes: int) -> None:
        if answer.verdict is Verdict.TOO_LARGE:
            self._limit_bytes = max(request_bytes // 2, SMALLEST_BATCH_BYTES)
            self._larger_again_at = time.monotonic() + _LARGER_AGAIN_SECONDS
            self._change_state("too large", f"batches of at most {self._limit_bytes} bytes from now on", answer)

    def _accept(self, answer: Answer, records: int) -> None:
        rejected = min(answer.rejected, records)
        self._metrics.exported.inc(records - rejected)
        if rejected:
            self._metrics.failed(REJECTED).inc(rejected)
            self._change_state(REJECTED, f"the receiver took a batch but for {rejected} of {records} records", answer)
        elif self._state:
            _log.info("log records are delivered again")
            self._state = ""
        self._failures = 0
        self.has_delivered = True
        self._failing_since = None
        self._last_error = ""

    def _refuse(self, answer: Answer, records: int, request: bytes) -> None:
        """Set records aside; go slower the more are refused in a row, so that little of the queue is used up."""
        self._metrics.failed(answer.reason).inc(records)
        path = self._refused.keep(request)
        self._fail(f"{records} log records were refused for good", answer, kept=str(path or "not kept"))
        if self._failures > 1:
            self._aborted.wait(self._pauses.after(self._failures - 1, None))

    def _pause(self, answer: Answer) -> bool:
        """Wait for the next try; False where there shall be none."""
        self._metrics.retries(answer.reason).inc()
        self._fail(f"{self._spool.records} log records wait for delivery; retrying", answer)
        if self._closing.is_set() and self._spool.durable:
            # The disk keeps them for the next start: no need to use up the time to stop.
            return False
        pause = self._pauses.after(self._failures, answer.retry_after_seconds)
        return not self._aborted.wait(pause)

    def _fail(self, what: str, answer: Answer, *, kept: str = "") -> None:
        self._failures += 1
        self._failing_since = self._failing_since or time.time()
        self._last_error = f"{answer.reason}: {answer.message}"
        self._change_state(answer.reason, what + (f" (set aside: {kept})" if kept else ""), answer)

    def _change_state(self, state: str, what: str, answer: Answer) -> None:
        """Log the first of a kind; metrics have the rest."""
        if state != self._state:
            self._state = state
            _log.warning("%s: the OTLP receiver answered %s %r", what, answer.reason, answer.message)
