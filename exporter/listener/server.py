"""An aiohttp application behind the accept loop.

Owns the connection cap and the moment at which a request has arrived whole.
Refuses to know any route.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.listener.accept import Acceptor
from exporter.listener.address import Address
from exporter.listener.connection import IDLE_SECONDS, Connection, Connections, Limits, Reject
from exporter.listener.request_log import RequestLog

logger = logging.getLogger(__name__)


class Listener:
    """Serves one aiohttp application on one address.

    ``tls`` returns the context for the next connection, or None for plain
    text; it is called once per connection and may raise OSError to refuse it.
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
        self._limits = limits
        self._reject = reject
        self._acceptor = Acceptor(address, self, tls=tls, reject=reject)
        app.middlewares.insert(0, self._arrival())
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            keepalive_timeout=IDLE_SECONDS,
            logger=RequestLog(logger, reject),
        )
        self._connections: Connections[Connection] = Connections(limits.connections)

    @property
    def address(self) -> Address:
        """Where it listens; with the real port once started."""
        return self._acceptor.address

    async def start(self) -> None:
        """Bind and serve. Raises ConfigError where the address cannot be had."""
        self._acceptor.bind()
        await self._runner.setup()
        self._acceptor.start()

    async def close(self) -> None:
        """Stop accepting, end the requests under way, close. Twice is safe."""
        await self._acceptor.close()
        await self._runner.cleanup()

    def has_room(self, handshakes: int) -> bool:
        """Whether one more connection may come; may cut one to make room."""
        return self._connections.has_room(handshakes)

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        assert self._runner.server is not None
        inner = self._runner.server()
        return Connection(inner, self._connections, self._limits, self._reject)

    def _arrival(self) -> Middleware:
        @web.middleware
        async def arrival(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Tell the connection when its request has arrived whole, and when it was answered."""
            if request.can_read_body:
                await request.read()
            connection = self._connections.find(request.protocol)
            if connection is None:
                raise ConnectionResetError("the connection was closed")
            connection.request_arrived()
            try:
                return await handler(request)
            finally:
                connection.request_answered()

        return arrival
