"""Alerts that Falco posts: the receiver for its ``http_output``.

Owns the receiver's life: its event loop, what it listens on and how it ends.
Falco waits for each answer with all its outputs, looks at no status and sends
nothing twice, so an alert is answered as soon as it is kept (on disk where log
records have a queue there), in the thread that read it; judging, counting and
encoding come behind the answers. No sink's lack of room ever refuses one: what
a queue cannot take it drops and counts itself, and metrics and pages have it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, get_args

from exporter.config.model import FalcoHttp
from exporter.errors import DecodeError
from exporter.listener.accept import Acceptor
from exporter.listener.address import Address, bind
from exporter.listener.connection import Connections, Limits
from exporter.listener.descriptors import fitting_connections
from exporter.listener.tls import ServerContext
from exporter.pipeline import Handover
from exporter.selfmetrics import SelfMetrics
from exporter.sources.falco_http_access import expected_authorization, expected_path, tls_context
from exporter.sources.falco_http_admission import Admission, ReceiverReason, Refusals
from exporter.sources.falco_http_answers import make_answer
from exporter.sources.falco_http_connection import (
    HEAD_LIMIT_BYTES,
    REFUSED_BYTES,
    Connection,
    Shared,
    cut_overdue,
)
from exporter.sources.falco_http_inbox import Inbox
from exporter.sources.intake import Intake
from exporter.sources.testing import make_test_alert

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""How often overdue connections and the end are looked for."""
LAST_ANSWERS_SECONDS = 1.0
"""How long requests under way may take at the end."""
_OPEN_TO_ALL = (
    "%s: takes alerts from anyone who can reach it, and reports carry commands that people run; "
    "ask for client certificates (http.tls.client_ca_file), set http.path_file, listen on 127.0.0.1, "
    "or let only Falco through (a firewall, a NetworkPolicy)"
)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop, or asyncio's where uvloop cannot be had."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class FalcoHttpSource:
    """The receiver as a ``pipeline.Source``.

    Raises ConfigError where the address, a secret's file or a certificate is wrong.
    """

    def __init__(self, settings: FalcoHttp, metrics: SelfMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._address = Address.from_text(settings.address, "http.address")
        self._authorization = expected_authorization(settings)
        self._path = expected_path(settings)
        self._tls = tls_context(settings.tls)
        self._intake = Intake(self.name, metrics)
        self._refusals = Refusals(self.name, self._reject)
        for reason in get_args(ReceiverReason):
            metrics.http_rejected.labels("http", reason)
        self._acceptor: Acceptor | None = None
        self._sockets: list[socket.socket] | None = None
        self._failure: BaseException | None = None
        self.listening = threading.Event()
        """Set once the port is open."""
        self.state = "connecting"
        """``connecting``, ``up``, or ``ended``."""

    @property
    def name(self) -> str:
        """``http`` and where it listens."""
        return f"http {self._settings.address}"

    @property
    def port(self) -> int:
        """The port in use, once listening."""
        assert self._acceptor is not None
        return self._acceptor.address.port

    def warnings(self) -> Mapping[str, str]:
        """Return why posts were refused lately that point to a wrong setting, and which one to change."""
        return self._refusals.warnings()

    @property
    def address(self) -> str:
        """Where it listens, as set."""
        return self._settings.address

    def duplicates(self) -> list[socket.socket]:
        """Return second handles of the open port, which keep it open when this source ends; none of a path."""
        return [] if self._address.path or self._acceptor is None else self._acceptor.duplicates()

    def adopt(self, sockets: list[socket.socket]) -> None:
        """Take a port that is open already."""
        self._sockets = sockets or None

    def open(self) -> None:
        """Open the port, so that an address in use is said before anything runs. Raises ConfigError."""
        if self._sockets is None:
            self._sockets = bind(self._address)

    def close(self) -> None:
        """Give up a port that was opened and is not served."""
        for opened in self._sockets or ():
            opened.close()
        self._sockets = None

    def run(self, handover: Handover, stop: threading.Event) -> None:
        """Answer requests until ``stop``; the ones under way are answered first."""
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve(handover, stop))
        finally:
            self._intake.up.set(0)
            self.state = "ended"
        if self._failure is not None:
            raise self._failure

    async def _serve(self, handover: Handover, stop: threading.Event) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_error)
        inbox = Inbox(self._intake, handover, self._fail)
        shared = self._shared(inbox)
        self._acceptor = Acceptor(self._address, _Host(shared), tls=self._tls, reject=self._reject)
        self._acceptor.bind(self._sockets)
        self._acceptor.start()
        self._say_listening()
        former = _Former(self._tls, shared)
        try:
            while not stop.is_set() and self._failure is None:
                await asyncio.sleep(LOOK_SECONDS)
                inbox.renew_date()
                cut_overdue(shared)
                former.end()
        finally:
            await self._acceptor.close()
            await _close(shared, inbox)

    def _shared(self, inbox: Inbox) -> Shared:
        settings = self._settings
        limits = Limits(
            fitting_connections(settings.connection_limit, "http.connection_limit"),
            settings.read_timeout_seconds,
            settings.body_limit_bytes + REFUSED_BYTES + HEAD_LIMIT_BYTES,
        )
        return Shared(
            limits,
            Connections(limits.connections),
            settings.body_limit_bytes,
            inbox,
            Admission(settings, self._authorization, self._path, self._refusals),
            self._refusals,
            self._test_taker(inbox),
            self._count_too_large,
            asyncio.get_running_loop().time,
        )

    def _say_listening(self) -> None:
        assert self._acceptor is not None
        self._intake.up.set(1)
        self.state = "up"
        where = "a secret path" if self._path() is not None else "any path"
        logger.info("listening for Falco's http_output on %s, %s", self._acceptor.address, where)
        settings = self._settings
        guarded = settings.tls.client_ca_file or self._path() is not None or self._authorization() is not None
        if not guarded and not self._address.is_loopback:
            logger.warning(_OPEN_TO_ALL, self.name)
        self.listening.set()

    def _reject(self, reason: ReceiverReason) -> None:
        self._metrics.http_rejected.labels("http", reason).inc()

    def _fail(self, failure: BaseException) -> None:
        self._failure = self._failure or failure

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A connection's error is its peer's affair; any other is a mistake in this program."""
        error = context.get("exception")
        if error is None or isinstance(error, OSError):
            logger.debug("%s: %s: %s", self.name, context.get("message"), error)
        else:
            self._fail(error)

    def _count_too_large(self) -> None:
        self._intake.received.inc()
        limit = self._settings.body_limit_bytes
        message = f"a body is larger than http.body_limit_bytes ({limit}); it was refused"
        self._intake.reject(DecodeError("too_long", message))

    def _test_taker(self, inbox: Inbox) -> Callable[[Connection], None]:
        def take(connection: Connection) -> None:
            if not self._settings.test_alerts:
                inbox.answer(connection, make_answer(403, "Test alerts are off; http.test_alerts: true allows them.\n"))
                return
            alert = make_test_alert()
            inbox.take_alert(connection, alert, make_answer(200, f"Test alert {alert.uid} was taken.\n"))

        return take


class _Host:
    """Who serves the connections that are accepted."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return Connection(self._shared)

    def has_room(self, handshakes: int) -> bool:
        """Whether one more may come; may cut one to make room."""
        return self._shared.connections.has_room(handshakes)


class _Former:
    """Connections that were let in by other authorities than those of the moment: each ends with its request.

    A handshake takes its time: one that began before a change is found here too.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext | None], shared: Shared) -> None:
        self._tls = tls
        self._shared = shared

    def end(self) -> None:
        """End them; those that rest, at once."""
        try:
            context = self._tls()
        except OSError:  # counted and said where a connection is refused for it
            return
        if not isinstance(context, ServerContext):
            return
        for connection in self._shared.connections:
            if connection.clients != context.clients:
                connection.retire()


async def _close(shared: Shared, inbox: Inbox) -> None:
    """Answer what has arrived whole; give the rest a moment to arrive, then cut it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LAST_ANSWERS_SECONDS
    while len(shared.connections) and loop.time() < until:
        inbox.flush()
        for connection in shared.connections:
            if connection.is_resting:
                connection.close()
        await asyncio.sleep(0.01)
    for connection in shared.connections:
        connection.cut("shutdown")
    inbox.flush()
    inbox.finish()
