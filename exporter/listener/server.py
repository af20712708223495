"""The accept loop.

Owns the connection cap and TLS whose files may change: every connection is
accepted here, so that each gets the TLS context of the moment. Refuses to
know any route.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.listener.address import Address, bind
from exporter.listener.connection import IDLE_SECONDS, Connection, Limits, Reject
from exporter.listener.request_log import RequestLog

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
ACCEPT_PAUSE_SECONDS = 0.1


class Listener:
    """Serves one aiohttp application on one address.

    ``tls`` returns the context for the next connection, or None for plain
    text; it is called once a connection and may raise OSError to refuse it.
    """

    def __init__(
        self,
        app: web.Application,
        address: Address,
        *,
        limits: Limits,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        reject: Reject = lambda reason: None,
    ) -> None:
        self.address = address
        """Where it listens; with the real port once started."""
        self._limits = limits
        self._tls = tls
        self._reject = reject
        app.middlewares.insert(0, self._arrival())
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            keepalive_timeout=IDLE_SECONDS,
            logger=RequestLog(logger, reject),
        )
        self._sockets: list[socket.socket] = []
        self._accepting: set[asyncio.Task[None]] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._connections: dict[object, Connection] = {}
        """By aiohttp's protocol object; the one that has rested longest first."""

    async def start(self) -> None:
        """Bind and serve. Raises ConfigError where the address cannot be had."""
        self._sockets = bind(self.address)
        if not self.address.path:
            self.address = Address(self.address.host, self._sockets[0].getsockname()[1])
        await self._runner.setup()
        for listening in self._sockets:
            _spawn(self._accept(listening), self._accepting)

    async def close(self) -> None:
        """Stop accepting, end the requests under way, close. Twice is safe."""
        tasks = self._accepting | self._handshakes
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._sockets:
            listening.close()
        if self.address.path and self._sockets:
            Path(self.address.path).unlink(missing_ok=True)
        self._sockets = []
        await self._runner.cleanup()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:  # out of file descriptors, or the peer was gone before we looked
                self._reject("accept")
                logger.debug("%s: a connection could not be accepted: %s", self.address, error)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            self._admit(accepted)

    def _admit(self, accepted: socket.socket) -> None:
        if len(self._handshakes) + len(self._connections) >= self._limits.connections and not self._make_room():
            self._reject("connection_limit")
            accepted.close()
            return
        try:
            context = self._tls()
        except OSError as error:
            self._reject("tls_handshake")
            logger.debug("%s: a connection was refused, TLS is not usable: %s", self.address, error)
            accepted.close()
            return
        _spawn(self._serve(accepted, context), self._handshakes)

    def _make_room(self) -> bool:
        resting = next((connection for connection in self._connections.values() if connection.is_resting), None)
        if resting is None:
            return False
        resting.cut("idle")
        return True

    async def _serve(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
            )
        except OSError as error:  # ssl.SSLError is one
            self._reject("tls_handshake")
            logger.debug("%s: a connection failed before its first request: %s", self.address, error)

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner.server is not None
        inner = self._runner.server()
        return Connection(inner, self._connections, self._limits, self._reject)

    def _arrival(self) -> Middleware:
        @web.middleware
        async def arrival(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Tell the connection when its request has arrived whole, and when it was answered."""
            if request.can_read_body:
                await request.read()
            connection = self._connections.get(request.protocol)
            if connection is None:
                raise ConnectionResetError("the connection was closed")
            connection.request_arrived()
            try:
                return await handler(request)
            finally:
                connection.request_answered()

        return arrival


def _spawn(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
