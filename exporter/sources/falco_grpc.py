"""Alerts from Falco's gRPC server, for ever.

Owns the loop of one Falco target: connect, ask, decode, hand over, and again
after whatever goes wrong. Asks only while the sinks have room, so that what
waits, waits in Falco. Refuses to know how a call is made (see
``falco_grpc_channel.py``) and what a failure means (``falco_grpc_errors.py``).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterable

import grpc

from exporter.alert import Alert
from exporter.config.model import FalcoGrpc, FalcoTarget
from exporter.errors import DecodeError, RetryableError
from exporter.pipeline import Handover
from exporter.selfmetrics import SelfMetrics
from exporter.sources import decode
from exporter.sources.falco_grpc_channel import (
    UNSTORED_WINDOW_BYTES,
    WINDOW_BYTES,
    Poller,
    ask_version,
    find_single_threaded_option,
    make_poller,
    open_channel,
)
from exporter.sources.falco_grpc_errors import explain, find_socket_error, takes_connections
from exporter.sources.intake import ROOM_WAIT_SECONDS, Intake, hand_over

logger = logging.getLogger(__name__)

BATCH_ALERTS = 32
"""Alerts handed over together where they are put on disk: what a kill -9 loses here, against what writing costs."""
UNSTORED_BATCH_ALERTS = 256
"""The same where nothing is put on disk, so that a kill -9 loses what was handed over as well."""
BATCH_BYTES = 1024 * 1024
"""Messages of so many bytes are read without waiting for more."""
BUSY_ALERTS = 32
"""A poll that brought as many is followed by the next at once; a smaller one by the shortest pause,
because a call costs as much CPU as some twenty alerts."""
PAUSE_FLOOR_SECONDS = 0.005
BACKOFF_FLOOR_SECONDS = 0.25
SOCKET_WATCH_SECONDS = 0.25
PORT_WATCH_SECONDS = 1.0
SILENCE_SECONDS = 30.0
STOP_GRACE_SECONDS = 5.0


class FalcoGrpcSource:
    """One Falco target as a ``pipeline.Source``.

    ``silence_seconds`` is how long a call may bring nothing and not end; an idle Falco ends it within milliseconds.
    """

    def __init__(
        self,
        target: FalcoTarget,
        settings: FalcoGrpc,
        metrics: SelfMetrics,
        *,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._target = target
        self._settings = settings
        self._metrics = metrics
        self._silence_seconds = silence_seconds
        self._state = "connecting"
        self.falco_version = ""
        """What the target said it is at the last connect, e.g. ``0.43.1``; empty before the first."""
        self._was_up = False
        self._backoff_seconds = BACKOFF_FLOOR_SECONDS
        self._intake = Intake(target.label, metrics)
        self._reconnects = metrics.source_reconnects.labels(target.label)
        self._poller: Poller | None = None
        self._progress_at = time.monotonic()
        self._silent = False

    @property
    def name(self) -> str:
        """The target's name."""
        return self._target.label

    @property
    def state(self) -> str:
        """``connecting``, ``up``, or ``down: `` and what to do about it."""
        return self._state

    def run(self, handover: Handover, stop: threading.Event) -> None:
        """Deliver alerts until ``stop``; then read the call under way to its end, deliver and return."""
        if self._settings.method == "get" and find_single_threaded_option() is None:
            logger.warning("this grpcio has no single-threaded unary stream; alerts will cost more CPU")
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(stop, done), name="falco-watch", daemon=True)
        watcher.start()
        try:
            while not stop.is_set():
                self._connect_once(handover, stop)
        finally:
            self._intake.up.set(0)
            done.set()
            watcher.join()

    def _connect_once(self, handover: Handover, stop: threading.Event) -> None:
        """Connect and stream until that fails or ``stop``; a failure is shown and followed by a pause."""
        socket_error = find_socket_error(self._target)
        if socket_error is not None:
            self._set_down(socket_error)
            self._await_socket(stop)
            return
        self._progress_at, self._silent = time.monotonic(), False
        channel: grpc.Channel | None = None
        try:
            chosen = WINDOW_BYTES if handover.stores else UNSTORED_WINDOW_BYTES
            channel = open_channel(self._target, window_bytes=self._settings.window_bytes or chosen)
            self._set_up(channel)
            self._poller = make_poller(self._settings.method, channel)
            self._stream(self._poller, handover, stop)
        except (grpc.RpcError, RetryableError) as exc:
            self._set_down(explain(self._target, exc, silent=self._silent))
            self._back_off(stop)
        finally:
            poller, self._poller = self._poller, None
            if poller is not None:
                poller.cancel()
            if channel is not None:
                channel.close()

    def _stream(self, poller: Poller, handover: Handover, stop: threading.Event) -> None:
        """Poll until ``stop``, then take what is still under way."""
        pause_seconds = PAUSE_FLOOR_SECONDS
        while not stop.is_set():
            self._progress_at = time.monotonic()
            if handover.wait_for_room(ROOM_WAIT_SECONDS) <= 0:
                continue
            count = self._take(poller.poll(), handover, stop)
            self._backoff_seconds = BACKOFF_FLOOR_SECONDS
            if count >= BUSY_ALERTS:
                continue
            pause_seconds = PAUSE_FLOOR_SECONDS if count else pause_seconds * 2
            pause_seconds = min(pause_seconds, self._settings.poll_ceiling_seconds)
            stop.wait(pause_seconds)
        self._take(poller.finish(), handover, stop)

    def _take(self, messages: Iterable[bytes], handover: Handover, stop: threading.Event) -> int:
        """Decode and deliver in batches; return how many came. What came before an error is delivered too.

        Receiving a message and reading it in turn costs twice as much as each for many at once: either drives the
        other's code and memory out of the processor's caches.
        """
        count = size_bytes = 0
        batch: list[bytes] = []
        batch_alerts = BATCH_ALERTS if handover.stores else UNSTORED_BATCH_ALERTS
        try:
            for raw in messages:
                batch.append(raw)
                size_bytes += len(raw)
                if len(batch) >= batch_alerts or size_bytes >= BATCH_BYTES:
                    full, batch = batch, []
                    count += len(full)
                    size_bytes = 0
                    self._hand_over(full, handover, stop)
        finally:
            count += len(batch)
            self._intake.received.inc(count)
            self._hand_over(batch, handover, stop)
        return count

    def _hand_over(self, batch: list[bytes], handover: Handover, stop: threading.Event) -> None:
        alerts: list[Alert] = []
        from_grpc = decode.from_grpc
        for raw in batch:
            try:
                alerts.append(from_grpc(raw))
            except DecodeError as exc:
                self._intake.reject(exc)
        hand_over(alerts, handover, stop, waiting=self._note_progress)

    def _note_progress(self) -> None:
        """Waiting for the sinks is our doing, not Falco's silence."""
        self._progress_at = time.monotonic()

    def _set_up(self, channel: grpc.Channel) -> None:
        """Ask for Falco's version and show the target as connected."""
        version = ask_version(channel)
        self.falco_version = version.version
        self._metrics.set_falco_version(self.name, version.version, version.engine_version)
        if self._was_up:
            self._reconnects.inc()
        self._was_up = True
        self._state = "up"
        self._intake.up.set(1)
        logger.info(
            "%s: connected to Falco %s (engine %s), fetching alerts with %s",
            self.name,
            version.version,
            version.engine_version,
            self._settings.method,
        )

    def _set_down(self, message: str) -> None:
        """Show the target as down; log only what is new."""
        self._intake.up.set(0)
        state = f"down: {message}"
        if state != self._state:
            self._state = state
            logger.warning("%s: %s (retrying until it works)", self.name, message)

    def _await_socket(self, stop: threading.Event) -> None:
        """Wait until the unix socket takes connections; a look costs microseconds, so it needs no back-off."""
        while not stop.wait(SOCKET_WATCH_SECONDS):
            error = find_socket_error(self._target)
            if error is None:
                return
            self._set_down(error)

    def _back_off(self, stop: threading.Event) -> None:
        """Wait between half and the whole of a pause that doubles up to its ceiling, or until a Falco is back."""
        ceiling = self._settings.reconnect_ceiling_seconds
        until = time.monotonic() + random.SystemRandom().uniform(0.5, 1.0) * min(self._backoff_seconds, ceiling)
        self._backoff_seconds = min(self._backoff_seconds * 2, ceiling)
        was_open = takes_connections(self._target)
        while (left := until - time.monotonic()) > 0 and not stop.wait(min(left, PORT_WATCH_SECONDS)):
            is_open = takes_connections(self._target)
            if is_open and not was_open:
                return
            was_open = is_open

    def _watch(self, stop: threading.Event, done: threading.Event) -> None:
        """Cancel a call that is silent for too long, or that outlasts ``stop``; reading has no time-out of its own."""
        while not stop.wait(min(1.0, self._silence_seconds / 2)):
            if done.is_set():
                return
            self._cancel_when_silent(self._silence_seconds)
        while not done.wait(0.1):
            self._cancel_when_silent(min(STOP_GRACE_SECONDS, self._silence_seconds))

    def _cancel_when_silent(self, limit_seconds: float) -> None:
        poller = self._poller
        if poller is not None and time.monotonic() - self._progress_at > limit_seconds:
            self._silent = True
            poller.cancel()
