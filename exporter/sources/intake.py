"""What every source does with what it reads: decode, count, hand over.

Owns the counting of received and undecodable messages (logged once per reason
and minute) and handing over only as fast as the sinks take.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.log_limit import LogLimit
from exporter.pipeline import Handover
from exporter.selfmetrics import SelfMetrics
from exporter.sources import decode

logger = logging.getLogger(__name__)

ROOM_WAIT_SECONDS = 0.5
REASONS = (*decode.REASONS, "too_long")


class Intake:
    """The counters of one source, by its name."""

    def __init__(self, name: str, metrics: SelfMetrics) -> None:
        self.name = name
        self.up = metrics.source_up.labels(name)
        self.up.set(0)
        self.received = metrics.alerts_received.labels(name)
        self._errors = {reason: metrics.decode_errors.labels(name, reason) for reason in REASONS}
        self._log_limit = LogLimit()

    def decode(self, message: bytes, reader: Callable[[bytes], Alert]) -> Alert | None:
        """Return the alert; None, counted, where the message is none."""
        try:
            return reader(message)
        except DecodeError as exc:
            self.reject(exc)
            return None

    def reject(self, error: DecodeError) -> None:
        """Count by reason; log once per reason and minute."""
        self._errors[error.reason].inc()
        if self._log_limit.permits(error.reason):
            logger.warning("%s: an alert could not be read (%s): %s", self.name, error.reason, error)


def hand_over(
    alerts: Sequence[Alert], handover: Handover, stop: threading.Event, *, waiting: Callable[[], None] | None = None
) -> None:
    """Deliver as the sinks have room; on ``stop`` at once, for there is nowhere left to wait.

    ``waiting`` is called after each wait, for those who watch for silence.
    """
    while alerts:
        room = handover.wait_for_room(ROOM_WAIT_SECONDS)
        if waiting is not None:
            waiting()
        if room <= 0:
            if not stop.is_set():
                continue
            room = len(alerts)
        handover.deliver(alerts[:room])
        alerts = alerts[room:]
