"""The accept loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import pytest
import uvloop

from exporter.listener.accept import Acceptor
from exporter.listener.address import Address


class Greeter(asyncio.Protocol):
    """Says one word and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writable = cast(asyncio.Transport, transport)  # uvloop's is none of its subclasses
        writable.write(b"hello")
        writable.close()


class Host:
    """Serves greeters; the first ones cannot be made."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures

    def make_protocol(self) -> asyncio.Protocol:
        if self.failures > 0:
            self.failures -= 1
            raise RuntimeError("no protocol")
        return Greeter()

    def has_room(self, handshakes: int) -> bool:
        return True


async def greetings(acceptor: Acceptor, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", acceptor.address.port)
        found.append(await reader.read())
        writer.close()
        await writer.wait_closed()
    return found


@pytest.mark.parametrize("where", ["tls", "protocol"])
def test_no_exception_ends_the_loop(where: str, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours costs one connection; it is counted each time and logged once."""
    rejected: list[str] = []
    left = [3]

    def tls() -> None:
        if where == "tls" and left[0] > 0:
            left[0] -= 1
            raise ValueError("embedded null byte")

    async def run() -> list[bytes]:
        host = Host(3 if where == "protocol" else 0)
        acceptor = Acceptor(Address("127.0.0.1", 0), host, tls=tls, reject=rejected.append)
        acceptor.bind()
        acceptor.start()
        try:
            return await greetings(acceptor, 5)
        finally:
            await acceptor.close()

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(run()) == [b"", b"", b"", b"hello", b"hello"]
    assert rejected == ["internal"] * 3
    assert len(caplog.records) == 1


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_connection_is_never_counted_twice(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Once its host hears of it, it is no handshake any more: at the limit, another one would be cut for it."""
    counted: list[int] = []

    class Counting(Greeter):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            counted.append(len(acceptor._handshakes))
            super().connection_made(transport)

    class CountingHost(Host):
        def make_protocol(self) -> asyncio.Protocol:
            return Counting()

    acceptor = Acceptor(Address("127.0.0.1", 0), CountingHost(), tls=lambda: None, reject=lambda _: None)

    async def run() -> None:
        acceptor.bind()
        acceptor.start()
        try:
            assert await greetings(acceptor, 5) == [b"hello"] * 5
        finally:
            await acceptor.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())
    assert counted == [0] * 5
