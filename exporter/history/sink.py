"""The sink of the history: alerts wait here until a thread of its own has written them.

Owns the queue and its bound, the thread, and what happens when writing fails:
the batch waits and is tried again, new alerts are dropped and counted once the
queue is full, and a damaged file is set aside. Never makes the pipeline wait.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.alert import Alert
from exporter.config.model import HistorySettings
from exporter.directories import what_helps
from exporter.errors import ConfigError, reason_of
from exporter.history.database import (
    DamagedError,
    HistoryError,
    Lock,
    drop_reason,
    is_damage,
    open_writer,
    set_aside,
    used_bytes,
)
from exporter.history.history import History
from exporter.history.stored import ReadMessage
from exporter.history.writer import INDEX_ALERTS, Bounds, Writer
from exporter.incidents.state import State
from exporter.log_limit import LogLimit
from exporter.private_files import make_private_directory
from exporter.selfmetrics import HistoryMetrics
from exporter.verdict.judgement import Judgement

logger = logging.getLogger(__name__)

QUEUE_ALERTS = 20_000
QUEUE_BYTES = 32 * 1024 * 1024
BATCH_ALERTS = 1_000
EARLY_ALERTS = 2_000
"""Alerts that are written at once rather than at the next look."""
LOOK_SECONDS = 0.2
"""How long an alert waits at most before it is written: what a kill can lose."""
SETTLED_ALERTS = 4_000
"""Alerts written or indexed before the file takes up the log beside it."""
TRIM_SECONDS = 5.0
RETRY_SECONDS = 1.0
DROP_REASONS = ("queue_full", "disk_full", "disk_error", "unusable", "unreadable")


class HistorySink:
    """Keeps every alert.

    ``judge`` gives verdicts; ``read_message`` gives the alert of a message as it came; ``losses`` gives how much of
    what the exporter has lost since its start.
    """

    name = "history"

    def __init__(
        self,
        settings: HistorySettings,
        *,
        judge: Callable[[Alert], Judgement],
        read_message: ReadMessage,
        metrics: HistoryMetrics,
        losses: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        if settings.directory is None:
            raise ConfigError("history.directory: expected a directory, found none")
        self._directory = settings.directory
        self._bounds = Bounds(settings.limit_bytes, settings.limit_age_seconds)
        self._judge = judge
        self._read_message = read_message
        self.metrics = metrics
        self._losses = losses
        self._noted: dict[str, int] = {}
        self.history = History(settings.directory, read_message, on_damage=self._note_damage)
        """What pages and commands read."""
        self.trouble = ""
        """Why no alert is kept just now; empty while alerts are."""
        self.set_aside = ""
        """Which damaged file was set aside since the start, and why; empty where none was."""
        self._failing = ""
        self._lock = threading.Lock()
        self._queue: deque[tuple[list[Alert], int]] = deque()
        self._states: dict[str, State] = {}
        """What is to be kept of incidents, by identifier."""
        self._queued = 0
        self._queued_bytes = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._damaged = threading.Event()
        self._file_lock = Lock(settings.directory)
        self._connection: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._next_trim = 0.0
        self._unsettled = 0
        self._log_limit = LogLimit()

    def start(self) -> None:
        """Open the file, and write from now on. Where it cannot be had, that is said, and tried again."""
        for reason in DROP_REASONS:
            self.metrics.dropped.labels(reason)
        self.metrics.limit_bytes.set(self._bounds.limit_bytes)
        self._open()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def room(self) -> int:
        """Always room: metrics never wait for the history."""
        return 1_000_000

    def write(self, alerts: Sequence[Alert]) -> None:
        """Take the batch for the thread; one that finds the queue full is dropped and counted."""
        if self._error is not None:
            raise RuntimeError("the history's writer has ended") from self._error
        size = sum([len(alert.received) or alert.size_bytes for alert in alerts])
        with self._lock:
            fits = self._queued + len(alerts) <= QUEUE_ALERTS and self._queued_bytes + size <= QUEUE_BYTES
            if fits or not self._queue:
                self._queue.append((list(alerts), size))
                self._queued += len(alerts)
                self._queued_bytes += size
                fits = True
            early = self._queued >= EARLY_ALERTS
        if not fits:
            self._drop(len(alerts))
        if early:
            self._wake.set()

    def note_incidents(self, states: Iterable[State]) -> None:
        """Keep what was told of incidents, behind the alerts that were written before."""
        with self._lock:
            self._states |= {state.id: state for state in states}

    def _drop(self, alerts: int) -> None:
        self.metrics.dropped.labels(self._failing or "queue_full").inc(alerts)

    def close(self, deadline_seconds: float) -> None:
        """Write what waits until the deadline, then let go. Twice is safe."""
        self._end_writing(deadline_seconds)
        self.history.close()

    def _end_writing(self, deadline_seconds: float) -> None:
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(deadline_seconds)
            if self._thread.is_alive():
                # It goes on while the process lives, as after SIGHUP, and lets go when it is done.
                if self._queued:
                    logger.warning("history: %d alerts were not written before the exporter ended", self._queued)
                return
        if self._queued:
            logger.warning("history: %d alerts could not be written before the exporter ended", self._queued)
            self._drop(self._queued)
            self._take(len(self._queue))

    def warnings(self) -> Mapping[str, str]:
        """Say what goes wrong: part and what it means."""
        found = {}
        if self.trouble:
            found["History"] = f"{self.trouble}; alerts are not kept"
        if self.set_aside:
            found["History (damaged)"] = f"an earlier file was damaged and is set aside: {self.set_aside}"
        return found

    def state(self) -> str:
        """Say how much is kept, and where."""
        try:
            return f"{len(self.history):,} alerts in {self._directory}"
        except HistoryError as exc:
            return str(exc)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._wake.wait(LOOK_SECONDS)
                self._wake.clear()
                if not self._work():
                    self._closing.wait(RETRY_SECONDS)
            self._next_trim = 0.0
            self._work()
        except BaseException as exc:
            self._error = exc
            raise
        finally:
            self._let_go()
            self._file_lock.release()

    def _work(self) -> bool:
        """Do what there is to do; False where it failed and is worth another try later."""
        if self._damaged.is_set() and not self._replace("reading met damage"):
            return False
        try:
            if self._writer is None and not self._open():
                return False
            assert self._writer is not None
            self._write(self._writer)
        except sqlite3.Error as exc:
            if is_damage(exc):
                return self._replace(exc)
            self._fail(f"cannot be written: {exc}", drop_reason(exc))
            return False
        self._recover()
        return True

    def _write(self, writer: Writer) -> None:
        while (found := self._batches())[0]:
            batches, alerts = found
            writer.append(alerts)
            self._take(batches)
            self._settle(writer, len(alerts))
        self._note_incidents(writer)
        while True:
            looked_at, unreadable = writer.index(INDEX_ALERTS)
            self._settle(writer, looked_at)
            if unreadable:
                self.metrics.dropped.labels("unreadable").inc(unreadable)
            # New messages first: what is not indexed is safe already.
            if not looked_at or self._queued >= EARLY_ALERTS:
                break
        if time.monotonic() >= self._next_trim:
            self._next_trim = time.monotonic() + TRIM_SECONDS
            self._settle(writer, SETTLED_ALERTS)
            self.metrics.expired.inc(writer.trim())
            self._note_losses(writer)
            self._show(writer)

    def _note_incidents(self, writer: Writer) -> None:
        with self._lock:
            states = dict(self._states)
        if states:
            writer.note_incidents(states.values())
            with self._lock:
                self._states = {name: each for name, each in self._states.items() if states.get(name) is not each}

    def _note_losses(self, writer: Writer) -> None:
        totals = {what: int(count) for what, count in self._losses().items()}
        if new := {what: count for what, total in totals.items() if (count := total - self._noted.get(what, 0)) > 0}:
            writer.note_losses(new)
            self._noted = totals

    def _settle(self, writer: Writer, alerts: int) -> None:
        self._unsettled += alerts
        if self._unsettled >= SETTLED_ALERTS:
            self._unsettled = 0
            writer.settle()

    def _show(self, writer: Writer) -> None:
        assert self._connection is not None
        self.metrics.bytes.set(used_bytes(self._connection))
        self.metrics.unindexed.set(writer.waiting)
        with contextlib.suppress(HistoryError):
            self.metrics.alerts.set(len(self.history))

    def _batches(self) -> tuple[int, list[Alert]]:
        """Return how many batches of the queue make about one of ours, and their alerts."""
        alerts: list[Alert] = []
        with self._lock:
            for taken, (batch, _) in enumerate(self._queue):
                if len(alerts) >= BATCH_ALERTS:
                    return taken, alerts
                alerts += batch
            return len(self._queue), alerts

    def _take(self, batches: int) -> None:
        with self._lock:
            for _ in range(batches):
                alerts, size = self._queue.popleft()
                self._queued -= len(alerts)
                self._queued_bytes -= size

    def _open(self) -> bool:
        try:
            make_private_directory(self._directory)
            self._file_lock.take()
            self._connection = open_writer(self._directory)
            self._writer = Writer(self._connection, self._bounds, judge=self._judge, read_message=self._read_message)
        except (sqlite3.Error, OSError, HistoryError) as exc:
            if isinstance(exc, DamagedError) or (isinstance(exc, sqlite3.Error) and is_damage(exc)):
                return self._replace(exc)
            self._let_go()
            helps = f"; {what_helps(exc, 'history.directory')}" if isinstance(exc, OSError) else ""
            self._fail(f"{self._directory} cannot be opened: {reason_of(exc)}{helps}", "unusable")
            return False
        return True

    def _replace(self, error: object) -> bool:
        """Set the damaged file aside and begin a new one; False where that failed."""
        self._let_go()
        try:
            where = set_aside(self._directory)
        except OSError as exc:
            self._fail(f"damaged ({error}), and cannot be set aside: {exc}", "unusable")
            return False
        self._damaged.clear()
        self.metrics.set_aside.inc()
        logger.error("history: the file was damaged (%s); it was moved to %s, and a new one was started", error, where)
        # Whoever began to read since has the old file open.
        self.history.renew()
        opened = self._open()
        self.set_aside = f"{where}: {error}"
        return opened

    def _let_go(self) -> None:
        self._writer = None
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self.history.renew()

    def _note_damage(self) -> None:
        self._damaged.set()
        self._wake.set()

    def _fail(self, text: str, reason: str) -> None:
        self.metrics.failing.set(1)
        self.trouble, self._failing = text, reason
        if self._log_limit.permits(reason):
            logger.error("history: %s; alerts wait in memory and are left out of the history once that is full", text)

    def _recover(self) -> None:
        if self.trouble:
            logger.info("history: alerts are written again")
            self.metrics.failing.set(0)
            self.trouble, self._failing = "", ""
