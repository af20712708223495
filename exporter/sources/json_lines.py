"""Alerts as JSON lines, from standard input or a file that Falco goes on writing.

Owns the splitting into lines and the loop around it; a line that is no alert is
counted and skipped. Refuses to know how a file is followed (``followed_file.py``),
what a log puts around a line (``log_lines.py``) and what a line means (``decode.py``).
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
from collections.abc import Iterator
from typing import Protocol

from exporter.alert import Alert
from exporter.config.model import JsonLines
from exporter.errors import DecodeError
from exporter.pipeline import Handover
from exporter.selfmetrics import SelfMetrics
from exporter.sources import decode
from exporter.sources.followed_file import FollowedFile
from exporter.sources.intake import ROOM_WAIT_SECONDS, Intake, hand_over
from exporter.sources.log_lines import Pieces, is_falcos_log, is_falcos_text, unwrapped, without_prefix

logger = logging.getLogger(__name__)

BATCH_ALERTS = 512
LINE_LIMIT_BYTES = 4 * 1024 * 1024
READ_BYTES = 256 * 1024
PAUSE_SECONDS = 0.05
_ALERT_STARTS = (b'{"hostname"', b'{"output"', b'{"time"', b'{"uuid"')
"""How nearly every line of Falco's own files begins: nothing stands around such an alert."""


class ByteSource(Protocol):
    """Where bytes come from, a piece at a time."""

    @property
    def name(self) -> str:
        """A short word for logs and labels."""

    @property
    def state(self) -> str:
        """``up``, or why nothing can be read and what to do."""

    def read(self, wait_seconds: float) -> bytes | None:
        """Return what is there, ``b""`` when nothing came within the wait, None at the end for good."""

    def delivered(self, held: int) -> None:
        """Take note that every sink has taken what was read, all but the last ``held`` bytes."""

    def close(self) -> None:
        """Let go; remembers how far it was read."""


class StandardInput:
    """Standard input: Falco's ``program_output``, or a pipe."""

    name = "stdin"
    state = "up"

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._selector: selectors.BaseSelector | None = selectors.DefaultSelector()
        try:
            self._selector.register(descriptor, selectors.EVENT_READ)
        except PermissionError:
            # A plain file (`< alerts.jsonl`) is always ready, and epoll refuses it.
            self._selector.close()
            self._selector = None

    def read(self, wait_seconds: float) -> bytes | None:
        """Return what is there; None once the writer has closed its end."""
        if self._selector is not None and not self._selector.select(wait_seconds):
            return b""
        return os.read(self._descriptor, READ_BYTES) or None

    def delivered(self, held: int) -> None:
        """A pipe cannot be read twice: nothing to remember."""

    def close(self) -> None:
        """Stop watching; the descriptor is the process's own."""
        if self._selector is not None:
            self._selector.close()


class LineSplitter:
    """Lines out of pieces. A line above the limit is given as None, once, and skipped to its end."""

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._rest = b""
        self._skipping = False

    def feed(self, piece: bytes) -> Iterator[bytes | None]:
        """Yield each line that the piece completes, without its line feed."""
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                yield line if len(line) <= self._limit else None
        if len(self._rest) > self._limit:
            if not self._skipping:
                yield None
            self._skipping, self._rest = True, b""

    @property
    def held(self) -> int:
        """Bytes of the line that is not complete yet."""
        return len(self._rest)

    def finish(self) -> Iterator[bytes | None]:
        """Yield the last line where the input ends without a line feed."""
        if self._rest and not self._skipping:
            yield self._rest
        self._rest = b""


class JsonLinesSource:
    """Alerts as JSON lines, as a ``pipeline.Source``."""

    def __init__(self, settings: JsonLines, metrics: SelfMetrics, *, source: ByteSource | None = None) -> None:
        if source is None:
            is_pipe = settings.stdin or settings.file is None
            gaps = metrics.file_gaps.labels(str(settings.file))
            source = StandardInput() if is_pipe else FollowedFile(settings, gaps.inc)
        self._bytes = source
        self._intake = Intake(self.name, metrics)
        self._pieces = Pieces(LINE_LIMIT_BYTES)
        self._no_alert = metrics.lines_without_alert.labels(self.name)
        self._without_alert = 0
        self._ended = False

    @property
    def state(self) -> str:
        """``up``, ``ended``, ``connecting`` before it runs, or why nothing can be read and what to do."""
        return "ended" if self._ended else self._bytes.state

    @property
    def name(self) -> str:
        """``stdin`` or the file's path."""
        return self._bytes.name

    def run(self, handover: Handover, stop: threading.Event) -> None:
        """Deliver until ``stop`` or the end of the input."""
        splitter = LineSplitter()
        try:
            while not stop.is_set():
                if handover.wait_for_room(ROOM_WAIT_SECONDS) <= 0:
                    continue
                piece = self._bytes.read(PAUSE_SECONDS)
                self._intake.up.set(self._bytes.state == "up")
                if piece is None:
                    self._deliver(splitter.finish(), handover, stop)
                    hand_over(
                        [alert for rest in self._pieces.finish() if (alert := self._alert_in(rest))], handover, stop
                    )
                    logger.info("%s: the input has ended", self.name)
                    return
                if piece:
                    self._deliver(splitter.feed(piece), handover, stop)
                    self._bytes.delivered(splitter.held + self._pieces.held)
        finally:
            self._ended = True
            self._intake.up.set(0)
            if self._without_alert:
                logger.info("%s: %d lines of a log held no alert", self.name, self._without_alert)
            self._bytes.close()

    def _deliver(self, lines: Iterator[bytes | None], handover: Handover, stop: threading.Event) -> None:
        batch: list[Alert] = []
        for line in lines:
            alert = self._decode(line)
            if alert is not None:
                batch.append(alert)
            if len(batch) >= BATCH_ALERTS:
                hand_over(batch, handover, stop)
                batch = []
        hand_over(batch, handover, stop)

    def _decode(self, line: bytes | None) -> Alert | None:
        if line is None:
            self._intake.received.inc()
            self._pieces.passed(LINE_LIMIT_BYTES + 1)
            message = f"a line is longer than {LINE_LIMIT_BYTES} bytes; it was skipped"
            self._intake.reject(DecodeError("too_long", message))
            return None
        size = len(line) + 1
        if line.startswith(_ALERT_STARTS) or (piece := unwrapped(line)) is None:
            self._pieces.passed(size)
            return self._alert_in(line)
        whole = self._pieces.take(piece, size)
        return None if whole is None else self._alert_in(whole, in_log=True)

    def _alert_in(self, line: bytes, *, in_log: bool = False) -> Alert | None:
        """Return the alert in a line out of which a runtime's or driver's own words were taken already."""
        if not line.strip():
            return None
        text = without_prefix(line)
        if is_falcos_log(line) or (in_log and b"{" not in line and not is_falcos_text(line)):
            self._without_alert += 1
            self._no_alert.inc()
            return None
        self._intake.received.inc()
        return self._intake.decode(text, decode.from_json)
