"""Sources, sinks and the hand-over between them.

Owns the two protocols that every part on the left and on the right keeps,
and the fan-out that gives each alert to each sink. Refuses to hold alerts:
a source asks for room before it pulls, so what waits, waits where it came
from: in Falco's own queue, or in the sender's connection.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from exporter.alert import Alert
from exporter.escaping import visible
from exporter.times import span

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
"""How long a reader waits for a batch that is under way."""

Transform = Callable[[Alert], Alert | None]
"""Gives the alert as the sinks should see it; None drops it, which the transform has to count itself."""


class Arrival(Protocol):
    """A message whose sender is answered before its alert is read."""

    @property
    def message(self) -> bytes:
        """The message as it came, which becomes ``Alert.received``."""

    def read(self) -> Alert | None:
        """Return the alert, the same one each time; None, which is counted once, where the message is none."""


class Sink(Protocol):
    """Where alerts go. Called by one thread at a time."""

    @property
    def name(self) -> str:
        """A short word for logs and labels."""

    def start(self) -> None:
        """Open what is needed. Raises ConfigError where a setting makes that impossible."""

    def room(self) -> int:
        """How many alerts ``write`` can take now without loss; 0 asks sources to wait."""

    def write(self, alerts: Sequence[Alert]) -> None:
        """Take the whole batch. Counts what it has to drop; never raises for bad input."""

    def close(self, deadline_seconds: float) -> None:
        """Deliver what is held until the deadline, then let go. Twice is safe."""


@runtime_checkable
class KeepingSink(Sink, Protocol):
    """A sink with something to do before a sender is answered; the rest of the work can come later."""

    @property
    def stores(self) -> bool:
        """Whether ``keep`` puts anything on disk."""

    @property
    def takes_messages(self) -> bool:
        """Whether ``keep_messages`` can be used; asked only of one that ``stores``."""

    def keep(self, alerts: Sequence[Alert]) -> bool:
        """Take the batch; say whether it is as safe now as ``write`` would make it."""

    def keep_messages(self, arrivals: Sequence[Arrival]) -> bool:
        """Do what ``keep`` does with messages, whose alerts are read by the time of ``write_kept``."""

    def write_kept(self) -> None:
        """Do what ``write`` does besides, with every batch kept since the last time, in order."""


class Handover(Protocol):
    """What a source sees of the pipeline."""

    @property
    def reads_behind(self) -> bool:
        """Whether ``keep_messages`` can be used: nothing needs an alert before its sender is answered."""

    @property
    def stores(self) -> bool:
        """Whether keeping writes to a disk, so that many at once cost less."""

    def wait_for_room(self, timeout_seconds: float) -> int:
        """Return how many alerts may be delivered now; 0 when there was no room within the time-out."""

    def deliver(self, alerts: Sequence[Alert]) -> None:
        """Give the batch to every sink; returns once all have taken it. Safe from any thread."""

    def keep(self, alerts: Sequence[Alert]) -> None:
        """Take the batch, on disk where a sink has one; ``finish`` does the rest. Safe from any thread."""

    def keep_messages(self, arrivals: Sequence[Arrival]) -> None:
        """Do what ``keep`` does with messages, whose alerts ``finish`` reads. Safe from any thread."""

    def finish(self) -> None:
        """Give every sink what was kept. The caller of ``keep`` calls it soon, and at the end. Safe from any thread."""


class Source(Protocol):
    """Where alerts come from. ``run`` has a thread of its own."""

    @property
    def name(self) -> str:
        """A short word for logs and labels."""

    def run(self, handover: Handover, stop: threading.Event) -> None:
        """Deliver alerts until ``stop`` is set, then deliver what has already arrived and return.

        Input and peers never end it; only a programming error leaves it.
        """


class Pipeline:
    """Fan a batch out to every sink, one batch at a time."""

    ROOM_POLL_SECONDS = 0.01

    def __init__(self, sinks: Sequence[Sink], transform: Transform | None = None) -> None:
        self.sinks = tuple(sinks)
        self._transform = transform
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._has_delivered = False
        self._arrived = 0
        self._latest: tuple[float, Alert] | None = None
        """When the latest alert arrived, seconds since 1970, and that alert."""
        self._keeping = tuple([sink for sink in self.sinks if isinstance(sink, KeepingSink)])
        self._storing = tuple([sink for sink in self._keeping if sink.stores])
        self._kept: list[Alert] = []
        """What ``finish`` gives to the sinks."""
        self._unread: list[Arrival] = []
        """What came after that and is not read yet."""
        self._failure: BaseException | None = None
        """What went wrong in the thread of somebody who only looks."""

    @property
    def reads_behind(self) -> bool:
        """Whether messages can be kept before they are read; not where what is stored is another alert than came."""
        takes = self._transform is None and all(sink.takes_messages for sink in self._storing)
        return takes or not self._storing

    @property
    def stores(self) -> bool:
        """Whether keeping writes to a disk."""
        return bool(self._storing)

    def room(self) -> int:
        """The least room of any sink, in alerts."""
        return min((sink.room() for sink in self.sinks), default=1_000_000)

    def wait_for_room(self, timeout_seconds: float) -> int:
        """Return the room once there is some; 0 when there was none within the time-out, or on closing."""
        waited = 0.0
        while (room := self.room()) <= 0 and waited < timeout_seconds:
            if self._closing.wait(self.ROOM_POLL_SECONDS):
                break
            waited += self.ROOM_POLL_SECONDS
        return room

    def deliver(self, alerts: Sequence[Alert]) -> None:
        """Give the batch, transformed once, to every sink, after what was kept before."""
        alerts = self._transformed(alerts)
        if alerts:
            with self._lock:
                self._finish()
                self._note(alerts)
                for sink in self.sinks:
                    sink.write(alerts)

    def keep(self, alerts: Sequence[Alert]) -> None:
        """Take the batch, transformed once; all of the work is done at once where a sink cannot do it in two steps."""
        alerts = self._transformed(alerts)
        if alerts:
            with self._lock:
                self._read()
                self._note(alerts)
                self._kept += alerts
                kept = [sink.keep(alerts) for sink in self._keeping]
                if not all(kept):
                    self._finish()

    def keep_messages(self, arrivals: Sequence[Arrival]) -> None:
        """Take messages as they came; they are read at once where a sink cannot keep them so just now."""
        with self._lock:
            self._unread += arrivals
            is_kept = True
            for sink in self._storing:
                is_kept = sink.keep_messages(arrivals) and is_kept
            if not is_kept:
                self._finish()

    def finish(self) -> None:
        """Give every sink what was kept."""
        with self._lock:
            self._finish()

    def settle(self, timeout_seconds: float = SETTLE_SECONDS) -> None:
        """Let sinks have what was kept, so that who looks at them now sees it; leaves it where a sink is stuck.

        A sink's error is raised to the sources, not to who looks.
        """
        if not (self._kept or self._unread or self._lock.locked()) or not self._lock.acquire(timeout=timeout_seconds):
            return
        try:
            self._finish()
        except BaseException as exc:  # noqa: BLE001 - raised again by the next source that comes
            self._failure = exc
        finally:
            self._lock.release()

    def _finish(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._read()
        if not self._kept:
            return
        alerts, self._kept = self._kept, []
        for sink in self.sinks:
            if sink in self._keeping:
                sink.write_kept()
            else:
                sink.write(alerts)

    def _read(self) -> None:
        """Read the messages that were kept; sinks that have stored them know them already."""
        arrivals, self._unread = self._unread, []
        if not arrivals:
            return
        found = [arrival.read() for arrival in arrivals]
        alerts = self._transformed([alert for alert in found if alert is not None])
        if not alerts:
            return
        self._note(alerts)
        self._kept += alerts
        for sink in self._keeping:
            if sink not in self._storing:
                sink.keep(alerts)

    def _transformed(self, alerts: Sequence[Alert]) -> Sequence[Alert]:
        if self._transform is not None:
            changed = map(self._transform, alerts)
            alerts = [alert for alert in changed if alert is not None]
        if alerts and not self._has_delivered:
            self._has_delivered = True
            first = alerts[0]
            logger.info("the first alert has arrived: %s (%s)", visible(first.rule), first.priority.label)
        return alerts

    def _note(self, alerts: Sequence[Alert]) -> None:
        self._arrived += len(alerts)
        self._latest = (time.time(), alerts[-1])

    def arrivals(self) -> str:
        """Say how many alerts have arrived since the start, and which was the latest."""
        if self._latest is None:
            return "none has arrived since the start"
        moment, alert = self._latest
        seconds = time.time() - moment
        return f"{self._arrived:,} since the start, the latest {span(seconds)} ago: {visible(alert.rule)}"

    def responds(self, timeout_seconds: float) -> bool:
        """Whether the batch under way passes through every sink within the time-out."""
        if not self._lock.acquire(timeout=timeout_seconds):
            return False
        self._lock.release()
        return True

    def start(self) -> None:
        """Start every sink, in order."""
        for sink in self.sinks:
            sink.start()

    def close(self, deadline_seconds: float) -> None:
        """Close every sink within one deadline, in seconds. Raises the first sink's error once all were closed."""
        self._closing.set()
        deadline = time.monotonic() + deadline_seconds
        with contextlib.ExitStack() as stack:
            for sink in reversed(self.sinks):
                stack.callback(_close, sink, deadline)
            # A source that did not stop in time has not finished itself.
            if self._lock.acquire(timeout=max(0.0, deadline_seconds)):
                try:
                    self._finish()
                finally:
                    self._lock.release()


def _close(sink: Sink, deadline: float) -> None:
    """Close the sink within what is left until the deadline, a time of the monotonic clock in seconds."""
    sink.close(max(0.0, deadline - time.monotonic()))
