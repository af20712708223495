"""Requests as bytes, good and bad, and a connection that is given them without a network."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import FalcoHttp
from exporter.listener.connection import Connections, Limits
from exporter.pipeline import Arrival
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.scenarios import flood
from exporter.sources.falco_http_admission import Admission, Refusals
from exporter.sources.falco_http_connection import Connection, Shared
from exporter.sources.falco_http_inbox import Inbox
from exporter.sources.intake import Intake

BODIES = [alert.to_json().encode() for alert in flood(5, 1_760_000_000_000_000_000)]
WORDS = [
    *(b"POST", b"GET", b"/", b"/ping", b"/test", b" ", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b":", b"HTTP/1.1"),
    *(b"HTTP/1.0", b"HTTP/2.0", b"Content-Length: ", b"Transfer-Encoding: chunked", b"Connection: close", b"+5"),
    *(b"Connection: keep-alive", b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: upgrade", b"Host: x", b"5"),
    *(b"Origin: null", b"0\r\n\r\n", b"ffffffffffffffff", b"-1", b"\x00", b"\xff", b"\x16\x03\x01", b"{}", b"["),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"{", b'"', b"http://x/", b"*", b"?", b"#", b"%00", b" \t", b"a" * 300),
    *(b"Authorization: ", b"X: y\r\n" * 50, b"\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"),
]  # fmt: skip


class Wire:
    """What the connection writes, in place of a transport."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 5) if name == "peername" else None

    @property
    def answers(self) -> list[int]:
        """The status of each answer."""
        return [int(status) for status in re.findall(rb"(?:^|\n)HTTP/1\.1 (\d+) ", self.written)]


class Delivered:
    """A hand-over that keeps what it is given while it has room; messages are read at once, by then answered or not."""

    reads_behind = True
    stores = False

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.room = 1_000

    def wait_for_room(self, timeout_seconds: float) -> int:
        return self.room

    def deliver(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    def keep(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    def keep_messages(self, arrivals: Sequence[Arrival]) -> None:
        found = [arrival.read() for arrival in arrivals]
        self.alerts += [alert for alert in found if alert is not None]

    def finish(self) -> None:
        pass


def fail(error: BaseException) -> None:
    raise AssertionError("a mistake in the program") from error


class Line:
    """A receiver's connections without a network; for use inside an event loop."""

    def __init__(self) -> None:
        settings = FalcoHttp(address=":0")
        metrics = SelfMetrics(CollectorRegistry())
        self.delivered = Delivered()
        self.inbox = Inbox(Intake("x", metrics), self.delivered, fail)
        refusals = Refusals("x", lambda reason: None)
        self.shared = Shared(
            Limits(10, 10, 200_000),
            Connections(10),
            100_000,
            self.inbox,
            Admission(settings, lambda: None, lambda: None, refusals),
            refusals,
            lambda connection: self.inbox.answer(connection, b"HTTP/1.1 403 x\r\n\r\n"),
            lambda: None,
            asyncio.get_running_loop().time,
        )

    def give(self, pieces: Sequence[bytes]) -> tuple[list[int], list[str], bool]:
        """Give a new connection the pieces; return statuses, rules of the alerts, and whether it was closed."""
        self.delivered.alerts.clear()
        connection, wire = Connection(self.shared), Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]
        for piece in pieces:
            if not wire.is_closed:
                connection.data_received(piece)
                self.inbox.flush()
        connection.connection_lost(None)
        return wire.answers, [alert.rule for alert in self.delivered.alerts], wire.is_closed


def good(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def streams(chance: random.Random, count: int) -> Iterator[bytes]:
    """Yield good requests with pieces of others put in, cut out or doubled, and heaps of words."""
    for number in range(count):
        stream = b"".join(good(chance.choice(BODIES)) for _ in range(chance.randrange(1, 4)))
        for _ in range(chance.randrange(3)):
            place, length = chance.randrange(len(stream)), chance.choice((0, 0, 1, 7, 200))
            stream = stream[:place] + chance.choice(WORDS) + stream[place + length :]
        if number % 5 == 0:
            stream = b"".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 30)))
        yield stream


def cut(stream: bytes, chance: random.Random) -> list[bytes]:
    """Cut a stream into pieces at random places."""
    places = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(6)))
    return [
        stream[first:last] for first, last in zip([0, *places], [*places, len(stream)], strict=True) if first < last
    ]
