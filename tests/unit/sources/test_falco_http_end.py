"""How the receiver ends connections: those of former authorities, and all of them at the end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from exporter.listener.tls import ServerContext
from exporter.sources import falco_http as module
from exporter.sources.falco_http import _close, _Former


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        await test()

    asyncio.run(play())


class Open:
    """A connection, as far as ending it is concerned."""

    def __init__(self, clients: bytes | None = None, *, is_resting: bool = False) -> None:
        self.clients, self.is_resting = clients, is_resting
        self.ends: list[str] = []

    def retire(self) -> None:
        self.ends.append("retired")

    def close(self) -> None:
        self.ends.append("closed")

    def cut(self, reason: str) -> None:
        self.ends.append(reason)


class Several(list[Open]):
    """Open connections."""


class Few:
    """What connections share, as far as ending them is concerned."""

    def __init__(self, *connections: Open) -> None:
        self.connections = Several(connections)


def former(context: ssl.SSLContext | OSError | None, *connections: Open) -> list[list[str]]:
    def tls() -> ssl.SSLContext | None:
        if isinstance(context, OSError):
            raise context
        return context

    _Former(tls, Few(*connections)).end()  # type: ignore[arg-type]
    return [connection.ends for connection in connections]


def test_connections_of_former_authorities_end() -> None:
    """Those of the moment stay; without TLS, or with files that cannot be read just now, all do."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.clients = b"now"
    assert former(context, Open(b"now"), Open(b"before"), Open(None)) == [[], ["retired"], ["retired"]]
    assert former(None, Open(None)) == [[]]
    assert former(OSError("away"), Open(b"before")) == [[]]


class Flushed:
    """An inbox, as far as the end is concerned."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.said: list[str] = []
        self._act = act

    def flush(self) -> None:
        self.said.append("flush")
        self._act()

    def finish(self) -> None:
        self.said.append("finish")


def test_the_end_waits_for_what_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resting connections are closed at once; the others have a moment, then they are cut."""

    async def test() -> None:
        resting, busy = Open(is_resting=True), Open()
        few = Few(resting, busy)

        def leave() -> None:
            if resting.ends and resting in few.connections:
                few.connections.remove(resting)

        inbox = Flushed(leave)
        monkeypatch.setattr(module, "LAST_ANSWERS_SECONDS", 0.1)
        begun = asyncio.get_running_loop().time()
        await _close(few, inbox)  # type: ignore[arg-type]
        assert asyncio.get_running_loop().time() - begun >= 0.1
        assert (resting.ends, busy.ends) == (["closed"], ["shutdown"])
        assert inbox.said[-3:] == ["flush", "flush", "finish"]
        nobody = Flushed()
        await _close(Few(), nobody)  # type: ignore[arg-type]
        assert nobody.said == ["flush", "finish"]

    in_a_loop(test)


def test_the_last_request_ends_the_waiting() -> None:
    """The moment is not used up."""

    async def test() -> None:
        few = Few(Open())
        inbox = Flushed()
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, few.connections.clear)
        await _close(few, inbox)  # type: ignore[arg-type]
        assert inbox.said[-2:] == ["flush", "finish"]
        assert len(inbox.said) > 2

    in_a_loop(test)
