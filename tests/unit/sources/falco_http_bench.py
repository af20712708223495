"""A receiver's connections on a wire that notes what is done to it, with a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from exporter.config.model import FalcoHttp
from exporter.sources.falco_http_admission import Admission, ReceiverReason, Refusals
from exporter.sources.falco_http_connection import Connection
from tests.http_requests import Line, Wire


class NotingWire(Wire):
    """Notes what is done to it."""

    def __init__(self, ssl_object: object = None) -> None:
        super().__init__()
        self.done: list[str] = []
        self._ssl_object = ssl_object

    def close(self) -> None:
        self.done.append("close")
        self.is_closed = True

    def abort(self) -> None:
        self.done.append("abort")
        self.is_closed = True

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def get_extra_info(self, name: str) -> Any:
        return self._ssl_object if name == "ssl_object" else super().get_extra_info(name)

    @property
    def text(self) -> str:
        """The text of the last answer."""
        return self.written.rpartition(b"\r\n\r\n")[2].decode()


class Bench:
    """A receiver's connections, what they refused, and a clock; for use inside an event loop."""

    def __init__(self, *, path: bytes | None = None, secret: bytes | None = None) -> None:
        self.line = Line()
        self.shared = self.line.shared
        self.inbox = self.line.inbox
        self.reasons: list[ReceiverReason] = []
        self.too_large: list[int] = []
        self.now = 1_000.0
        self.shared.refusals = Refusals("x", self.reasons.append)
        self.shared.admission = Admission(FalcoHttp(address=":0"), lambda: secret, lambda: path, self.shared.refusals)
        self.shared.too_large = lambda: self.too_large.append(1)
        self.shared.now = lambda: self.now

    def open(self, *pieces: bytes) -> tuple[Connection, NotingWire]:
        """Open a connection and give it pieces; nothing is answered before ``flush``."""
        connection, wire = Connection(self.shared), NotingWire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        for piece in pieces:
            connection.data_received(piece)
        return connection, wire

    def ask(self, *pieces: bytes) -> NotingWire:
        """Give a new connection the pieces, with an answer after each where one is due."""
        connection, wire = self.open()
        for piece in pieces:
            connection.data_received(piece)
            self.inbox.flush()
        return wire

    @property
    def rules(self) -> list[str]:
        """The rules of the alerts that came."""
        return [alert.rule for alert in self.line.delivered.alerts]


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's body in an event loop."""

    async def play() -> None:
        await test()

    asyncio.run(play())


def request(
    body: bytes = b"", *headers: bytes, first: bytes = b"POST / HTTP/1.1", length: bytes | None = None
) -> bytes:
    """Return a request; ``length`` is what it says of its body, the true one by default."""
    said = b"Content-Length: " + (b"%d" % len(body) if length is None else length)
    return b"\r\n".join([first, b"Host: x", *headers, said, b"", body])
