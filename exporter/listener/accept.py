"""The accept loop.

Owns binding, the number of connections and TLS whose files may change: every
connection is accepted here, so that each gets the TLS context of the moment.
Refuses to know what is spoken on a connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from exporter.listener.address import Address, bind
from exporter.listener.connection import Reject
from exporter.listener.handshake import explain
from exporter.listener.peer import to_peer
from exporter.log_limit import LogLimit

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
LAST_HANDSHAKES_SECONDS = 0.5
"""How long connections may take at the end that were accepted and are not served yet."""
ACCEPT_PAUSE_SECONDS = 0.1


class Host(Protocol):
    """Who serves the connections that are accepted."""

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""

    def has_room(self, handshakes: int) -> bool:
        """Whether one more connection may come besides those in their handshake; may close one to make room."""


class Acceptor:
    """Accepts connections on one address.

    ``tls`` returns the context for the next connection, or None for plain
    text; it is called once per connection and may raise OSError to refuse it.
    """

    def __init__(
        self, address: Address, host: Host, *, tls: Callable[[], ssl.SSLContext | None], reject: Reject
    ) -> None:
        self.address = address
        """Where it listens; with the real port once started."""
        self._host = host
        self._tls = tls
        self._reject = reject
        self._log_limit = LogLimit()
        self._sockets: list[socket.socket] = []
        self._handshakes: dict[asyncio.Task[None], str] = {}
        """Under way, the oldest first, by the peer."""

    def bind(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, or take the sockets of ``address.bind``. Raises ConfigError where it cannot be had."""
        self._sockets = bind(self.address) if sockets is None else sockets
        if not self.address.path:
            self.address = replace(self.address, port=self._sockets[0].getsockname()[1])

    def duplicates(self) -> list[socket.socket]:
        """Return second handles of what it listens on: the port stays open when the first ones are closed."""
        return [listening.dup() for listening in self._sockets]

    def start(self) -> None:
        """Accept from now on."""
        for listening in self._sockets:
            self._watch(listening)

    def _watch(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    async def close(self) -> None:
        """Accept no more; let the connections that are being taken over have a moment, then end them. Twice is safe."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening)
            listening.close()
        if self.address.path and self._sockets:
            Path(self.address.path).unlink(missing_ok=True)
        self._sockets = []
        if tasks := set(self._handshakes):
            _, late = await asyncio.wait(tasks, timeout=LAST_HANDSHAKES_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        """Accept one connection: in one go, so that none is lost between the system and us when accepting ends."""
        try:
            accepted, name = listening.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:  # out of file descriptors, or the peer was gone before we looked
            self._reject("accept")
            logger.debug("%s: a connection could not be accepted: %s", self.address, error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(ACCEPT_PAUSE_SECONDS, self._watch, listening)
            return
        accepted.setblocking(False)
        try:
            self._admit(accepted, to_peer(name))
        except Exception:  # noqa: BLE001 - whatever it is, the next connection has to be accepted
            self._fail()
            accepted.close()

    def _fail(self) -> None:
        """Count and log a mistake of ours; called while its exception is handled."""
        self._reject("internal")
        if self._log_limit.permits("internal"):
            logger.exception("%s: a connection could not be served", self.address)

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        if not self._host.has_room(len(self._handshakes)) and not self._drop_handshake():
            self._reject("connection_limit")
            accepted.close()
            return
        try:
            context = self._tls()
        except OSError as error:
            self._reject("tls_handshake")
            logger.debug("%s: a connection was refused because TLS cannot be used: %s", self.address, error)
            accepted.close()
            return

        def done(task: asyncio.Task[None]) -> None:
            self._forget(task)
            if task.cancelled():
                accepted.close()

        task = asyncio.get_running_loop().create_task(self._serve(accepted, context, peer))
        self._handshakes[task] = peer
        task.add_done_callback(done)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        """Count a handshake no more."""
        self._handshakes.pop(task, None)

    def _drop_handshake(self) -> bool:
        """Make room by ending a handshake: the oldest of the peer who has most of them under way."""
        if not self._handshakes:
            return False
        (greediest, _), *_ = Counter(self._handshakes.values()).most_common(1)
        task = next(task for task, peer in self._handshakes.items() if peer == greediest)
        del self._handshakes[task]
        task.cancel()
        self._reject("connection_limit")
        return True

    async def _serve(self, accepted: socket.socket, context: ssl.SSLContext | None, peer: str) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def make_protocol() -> asyncio.Protocol:
            if context is None:
                # Just before the host hears of it, which counts it from then on: nobody is counted twice.
                loop.call_soon(self._forget, task)
            return self._host.make_protocol()

        try:
            await loop.connect_accepted_socket(
                make_protocol,
                accepted,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
            )
        except OSError as error:  # ssl.SSLError is one
            self._reject("tls_handshake")
            kind, why = explain(error)
            level = logging.WARNING if kind != "aborted" and self._log_limit.permits(kind) else logging.DEBUG
            logger.log(level, "%s: a connection from %s was refused: %s", self.address, peer or "a local process", why)
        except Exception:  # noqa: BLE001 - the listener goes on
            self._fail()
            accepted.close()
