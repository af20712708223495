"""One connection, and how long it may take.

Owns the deadlines for a request to arrive whole and for an answer to be read;
refuses to understand HTTP, which aiohttp's own protocol behind it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

IDLE_SECONDS = 90.0
"""How long a connection may rest between two requests, or take to read an answer."""

Reject = Callable[[str], None]
"""Told the reason, of a closed set, each time that a connection is cut or refused."""

REASONS = ("accept", "bad_request", "connection_limit", "idle", "request_timeout", "tls_handshake")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener bears. The size of a body is the application's (``client_max_size``)."""

    connections: int = 256
    """Most connections at once; when reached, the longest resting one makes room, else the new one is closed."""
    request_seconds: float = 10.0
    """Longest time for a request to arrive whole, header and body."""
    request_bytes: int = 2 * 1024 * 1024
    """Most bytes of one request that are read; above the application's own limit, so that its answer can be read."""


class Connection(asyncio.Protocol):
    """Stands before aiohttp's protocol and cuts a connection that is too slow."""

    def __init__(
        self, inner: asyncio.Protocol, connections: dict[object, Connection], limits: Limits, reject: Reject
    ) -> None:
        self._inner = inner
        self._connections = connections
        self._limits = limits
        self._reject = reject
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._reading = False
        self._read_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections[self._inner] = self
        self._inner.connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Start the deadline of a further request with its first byte."""
        if self.is_resting:
            self._await_request()
        self._read_bytes += len(data)
        if self._reading and self._read_bytes > self._limits.request_bytes:
            # It was told that this is too much, and goes on sending.
            self.cut("request_too_large")
            return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        self._connections.pop(self._inner, None)
        self._inner.connection_lost(exc)

    @property
    def is_resting(self) -> bool:
        """Whether it is between two requests."""
        return not self._busy and not self._reading

    def request_arrived(self) -> None:
        """A request is there whole: answering it takes as long as it takes."""
        self._disarm()
        self._busy, self._reading = True, False

    def request_answered(self) -> None:
        """From here on the peer has to read the answer, or to rest, within the idle time."""
        self._busy = False
        if self._connections.pop(self._inner, None) is not None:
            self._connections[self._inner] = self
            self._arm(IDLE_SECONDS, "idle")

    def cut(self, reason: str) -> None:
        """Close at once."""
        self._connections.pop(self._inner, None)
        self._reject(reason)
        if self._transport is not None:
            self._transport.abort()

    def _await_request(self) -> None:
        self._reading = True
        self._read_bytes = 0
        self._arm(self._limits.request_seconds, "request_timeout")

    def _arm(self, seconds: float, reason: str) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cut, reason)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
