"""Bodies become alerts, and requests are answered once these are kept.

Owns the batch: the alerts of all requests that one turn of the event loop
brought are kept together, in the loop's own thread, and then all of these
requests are answered. One write to the disk serves them all, and no request
waits for another thread. What sinks do besides waits behind the answers, for
so many alerts or so short a time, and is done in the same thread: many alerts
in one go cost half of what each costs by itself. Of a sender whose posts have
been alerts, reading them waits there too: a processor that wakes for a single
post takes almost twice as long. Refuses to know HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVarTuple

import msgspec

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.pipeline import Handover
from exporter.sources import decode
from exporter.sources.falco_http_answers import make_answer
from exporter.sources.intake import Intake

BATCH_ALERTS = 512
"""Kept and answered before the turn ends where it brings more."""
BEHIND_ALERTS, BEHIND_BYTES = 64, 256 * 1024
"""Alerts, and bytes of their bodies, that wait behind their answers at most."""
BEHIND_SECONDS = 0.01
"""How long they wait at most."""
ALONE_REQUESTS = 8
"""After so many requests of one peer, with none of another between them, its next ones do not wait for the others."""
TRUSTED_ALERTS = 8
"""After so many posts in a row that were one alert each, a peer's next ones are answered before they are read."""
_SHOWN_ERRORS = 3
Given = TypeVarTuple("Given")
_to_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Peer(Protocol):
    """Who is answered."""

    alerts_in_a_row: int
    """How many of its latest posts were one alert each, counted up to ``TRUSTED_ALERTS``."""

    def write_answer(self, answer: bytes) -> None:
        """Send one answer."""


class Post:
    """One post that is answered before it is read (``pipeline.Arrival``)."""

    __slots__ = ("_alert", "_intake", "_is_read", "_peer", "message")

    def __init__(self, message: bytes, peer: Peer, intake: Intake) -> None:
        self.message = message
        self._peer = peer
        self._intake = intake
        self._is_read = False
        self._alert: Alert | None = None

    def read(self) -> Alert | None:
        """Return the alert; a peer that sent something else has its next posts read before they are answered."""
        if not self._is_read:
            self._is_read = True
            self._intake.received.inc()
            self._alert = self._intake.decode(self.message, decode.from_json)
            if self._alert is None:
                self._peer.alerts_in_a_row = 0
        return self._alert


class Inbox:
    """What has arrived and is not kept yet.

    ``fail`` is told of a sink's error, which is a mistake in this program: the source then ends.
    """

    def __init__(self, intake: Intake, handover: Handover, fail: Callable[[BaseException], None]) -> None:
        self._intake = intake
        self._handover = handover
        self._reads_behind, self._stores = handover.reads_behind, handover.stores
        self.fail = fail
        self._alerts: list[Alert] = []
        self._unread: list[Post] = []
        self._answers: list[tuple[Peer, bytes]] = []
        self._received = 0
        self._is_scheduled = False
        self._behind = self._behind_bytes = 0
        """What waits behind its answers."""
        self._timer: asyncio.TimerHandle | None = None
        self._last_peer: Peer | None = None
        self._streak = 0
        self._loop = asyncio.get_running_loop()
        self._taken = make_answer(200)

    def renew_date(self) -> None:
        """Renew the date in the answer to alerts."""
        self._taken = make_answer(200)

    def take(self, peer: Peer, body: bytes) -> None:
        """Read a body with one alert, with a line per alert, or with an array of them; the peer is answered later."""
        if _is_one(body):
            alert, answer = self._read(peer, body)
            if alert is not None:
                self._alerts.append(alert)
            self._received += 1
        else:
            peer.alerts_in_a_row = 0
            answer = self._take_several(body)
        self.answer(peer, answer)

    def take_alone(self, peer: Peer, body: bytes) -> None:
        """Take a request that came by itself.

        Its answer does not wait for the end of the turn where this peer has been the only one for a while, or where
        keeping costs nothing. It comes before the body is read where the peer's posts have been alerts.
        """
        is_one = _is_one(body)
        if is_one and self._reads_behind and peer.alerts_in_a_row == TRUSTED_ALERTS and body.endswith(b"}"):
            post = Post(body, peer, self._intake)
            if self._stores and not self._is_alone(peer):
                self._unread.append(post)
                self.answer(peer, self._taken)
            elif self._try(self._handover.keep_messages, (post,)):
                peer.write_answer(self._taken)
                self._finish_in_time(1, len(body))
        elif self._is_alone(peer) and is_one:
            self._take_now(peer, body)
        else:
            self.take(peer, body)

    def _is_alone(self, peer: Peer) -> bool:
        """Whether this peer has been the only one for a while, and nobody waits for an answer."""
        if peer is not self._last_peer:
            self._last_peer, self._streak = peer, 0
        elif self._streak < ALONE_REQUESTS:
            self._streak += 1
        else:
            return not self._answers
        return False

    def _take_now(self, peer: Peer, body: bytes) -> None:
        """Keep one alert and answer; nothing of others waits."""
        self._intake.received.inc()
        alert, answer = self._read(peer, body)
        if alert is None:
            peer.write_answer(answer)
        elif self._try(self._handover.keep, [alert]):
            peer.write_answer(answer)
            self._finish_in_time(1, len(body))

    def _read(self, peer: Peer, body: bytes) -> tuple[Alert | None, bytes]:
        """Return a body's one alert, None where it is none, and the answer; a reason of 400 is counted."""
        try:
            alert = decode.from_json(body)
        except DecodeError as exc:
            self._intake.reject(exc)
            peer.alerts_in_a_row = 0
            return None, make_answer(400, f"{exc}\n")
        peer.alerts_in_a_row = min(peer.alerts_in_a_row + 1, TRUSTED_ALERTS)
        return alert, self._taken

    def take_alert(self, peer: Peer, alert: Alert, answer: bytes) -> None:
        """Take an alert that is already one."""
        self._alerts.append(alert)
        self._received += 1
        self.answer(peer, answer)

    def answer(self, peer: Peer, answer: bytes) -> None:
        """Answer in turn, after what the peer asked before."""
        self._answers.append((peer, answer))
        if len(self._alerts) + len(self._unread) >= BATCH_ALERTS:
            self.flush()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Keep what has arrived, then answer."""
        self._is_scheduled = False
        alerts, unread, answers = self._alerts, self._unread, self._answers
        self._alerts, self._unread, self._answers = [], [], []
        if self._received:
            self._intake.received.inc(self._received)
            self._received = 0
        # A peer that waits for an answer sends nothing to be read behind it, so that these are the earlier ones.
        if unread and not self._try(self._handover.keep_messages, unread):
            return
        if alerts and not self._try(self._handover.keep, alerts):
            return
        for peer, answer in answers:
            peer.write_answer(answer)
        if alerts or unread:
            sizes = [len(alert.received) for alert in alerts] + [len(post.message) for post in unread]
            self._finish_in_time(len(sizes), sum(sizes))

    def _try(self, call: Callable[[*Given], None], *given: *Given) -> bool:
        """Call the hand-over; False where a sink failed."""
        try:
            call(*given)
        except BaseException as exc:  # noqa: BLE001 - raised again by the source's thread
            self.fail(exc)
            return False
        return True

    def _finish_in_time(self, alerts: int, size_bytes: int) -> None:
        """See to it that what waits behind its answers is done: now where it is much, else in a moment."""
        self._behind += alerts
        self._behind_bytes += size_bytes
        if self._behind >= BEHIND_ALERTS or self._behind_bytes > BEHIND_BYTES:
            self.finish()
        elif self._timer is None:
            self._timer = self._loop.call_later(BEHIND_SECONDS, self.finish)

    def finish(self) -> None:
        """Do what waits behind its answers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._behind = self._behind_bytes = 0
        self._try(self._handover.finish)

    def _take_several(self, body: bytes) -> bytes:
        errors: list[DecodeError] = []
        taken = 0
        for part in split(body):
            try:
                self._alerts.append(decode.from_json(part))
                taken += 1
            except DecodeError as exc:
                self._intake.reject(exc)
                errors.append(exc)
        self._received += taken + len(errors)
        if not errors:
            return self._taken
        lines = [f"{error}\n" for error in errors[:_SHOWN_ERRORS]]
        if taken:
            lines.insert(0, f"{taken} of {taken + len(errors)} alerts were taken, the others could not be read:\n")
        return make_answer(400, "".join(lines))


def _is_one(body: bytes) -> bool:
    """Whether a body has the look of one alert."""
    return body.startswith(b"{") and b"\n" not in body


def split(body: bytes) -> list[bytes]:
    """Return the alerts of one body, each as its own bytes: of an array, of lines, or the body itself.

    A document over several lines (pretty-printed) is one alert.
    """
    body = body.strip().removeprefix(b"\xef\xbb\xbf").lstrip()
    if body.startswith(b"["):
        try:
            return [bytes(element) for element in _to_elements(body)] or [body]
        except (ValueError, RecursionError):
            return [body]
    first, line_feed, _ = body.partition(b"\n")
    if line_feed and first.startswith(b"{") and first.rstrip().endswith(b"}"):
        return [line for line in body.split(b"\n") if line.strip()]
    return [body]
