"""One connection, and how long it may take.

Owns the deadlines for a request to arrive whole and for an answer to be read;
refuses to understand HTTP, which aiohttp's own protocol behind it does.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, get_args

from exporter.listener.peer import peer_of

UNSENT_LIMIT_BYTES = 64 * 1024 * 1024
"""Maximum bytes of answers that wait for peers who do not read them, over all connections of a listener."""
IDLE_SECONDS = 90.0
"""How long a connection may rest between two requests, or take to read an answer."""

Reason = Literal[
    "aborted",
    "accept",
    "bad_request",
    "connection_limit",
    "foreign_name",
    "idle",
    "internal",
    "request_timeout",
    "request_too_large",
    "tls_handshake",
    "too_many_passwords",
    "unauthorized",
    "unread",
]
"""Why a connection is refused or cut, or a request refused: the closed set behind a metric's label."""
REASONS: tuple[Reason, ...] = get_args(Reason)
Reject = Callable[[Reason], None]
"""Told the reason each time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener bears. The size of a body is the application's (``client_max_size``)."""

    connections: int = 256
    """Maximum number at once; when reached, one makes room (``Connections.has_room``), else the new one is closed."""
    request_seconds: float = 10.0
    """Maximum time for a request to arrive whole, header and body."""
    request_bytes: int = 2 * 1024 * 1024
    """Maximum bytes of one request that are read; above the application's own limit, so that its answer can be read."""


class Held(Protocol):
    """A connection, as far as the limit of their number is concerned."""

    @property
    def peer(self) -> str:
        """Whom it comes from (``to_peer``)."""

    @property
    def is_busy(self) -> bool:
        """Whether its request is being answered."""

    @property
    def is_resting(self) -> bool:
        """Whether it is between two requests."""

    def cut(self, reason: Reason) -> None:
        """Close at once."""


H = TypeVar("H", bound=Held)


class Connections(Generic[H]):
    """The open connections of one listener, and which of them makes room for a new one.

    Strangers who open many connections and send half a request on each must not keep others out: above the limit
    the longest resting connection goes, else one whose request has not arrived, the oldest of the peer who has
    most of those. A connection whose request is being answered never goes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[object, H] = OrderedDict()
        """By a key of the caller's; the one that has rested longest first."""

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[H]:
        return iter(list(self._open.values()))

    def find(self, key: object) -> H | None:
        """Return the connection of a key; None when it is closed."""
        return self._open.get(key)

    def add(self, key: object, connection: H) -> None:
        """Count one more, as the newest."""
        self._open[key] = connection

    def remove(self, key: object) -> bool:
        """Count one less; False where it was counted no more."""
        return self._open.pop(key, None) is not None

    def renew(self, key: object) -> bool:
        """Make it the newest, which it is after each answer; False where it is closed."""
        if key not in self._open:
            return False
        self._open.move_to_end(key)
        return True

    def has_room(self, handshakes: int) -> bool:
        """Whether one more may come besides those in their handshake; cuts one where that makes room."""
        if handshakes + len(self._open) < self._limit:
            return True
        resting = next((connection for connection in self._open.values() if connection.is_resting), None)
        if resting is not None:
            resting.cut("idle")
            return True
        slow = [connection for connection in self._open.values() if not connection.is_busy]
        if not slow:
            return False
        (greediest, _), *_ = Counter(connection.peer for connection in slow).most_common(1)
        next(connection for connection in slow if connection.peer == greediest).cut("connection_limit")
        return True


class Connection(asyncio.Protocol):
    """Stands before aiohttp's protocol and cuts a connection that is too slow."""

    def __init__(
        self, inner: asyncio.Protocol, connections: Connections[Connection], limits: Limits, reject: Reject
    ) -> None:
        self._inner = inner
        self._connections = connections
        self._limits = limits
        self._reject = reject
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.peer = ""
        """Whom it comes from (``to_peer``)."""
        self.is_busy = False
        """Whether its request is being answered."""
        self._reading = False
        self._read_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = peer_of(transport)
        self._connections.add(self._inner, self)
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
        self._connections.remove(self._inner)
        self._inner.connection_lost(exc)

    @property
    def is_resting(self) -> bool:
        """Whether it is between two requests."""
        return not self.is_busy and not self._reading

    def request_arrived(self) -> None:
        """A request is there whole: answering it takes as long as it takes."""
        self._relieve()
        self._disarm()
        self.is_busy, self._reading = True, False

    def request_answered(self) -> None:
        """From here on the peer has to read the answer, or to rest, within the idle time."""
        self.is_busy = False
        if self._connections.renew(self._inner):
            self._arm(IDLE_SECONDS, "idle")

    @property
    def unsent_bytes(self) -> int:
        """How much of its answers the peer has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _relieve(self) -> None:
        """Cut those who have not read for longest, until what waits for all of them is within the limit."""
        waiting = [(connection, size) for connection in self._connections if (size := connection.unsent_bytes)]
        total = sum(size for _, size in waiting)
        for connection, size in waiting:
            if total <= UNSENT_LIMIT_BYTES:
                return
            if connection is not self:
                connection.cut("unread")
                total -= size

    def cut(self, reason: Reason) -> None:
        """Close at once."""
        self._connections.remove(self._inner)
        self._reject(reason)
        if self._transport is not None:
            self._transport.abort()

    def _await_request(self) -> None:
        self._reading = True
        self._read_bytes = 0
        self._arm(self._limits.request_seconds, "request_timeout")

    def _arm(self, seconds: float, reason: Reason) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cut, reason)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
