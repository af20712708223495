"""The yardstick: the shortest program that takes Falco's posts, in the same run on the same machine.

httptools and orjson on uvloop: parses each request and its body, answers, and
does nothing else. No limits, no deadlines, no metrics. Says its port in a JSON
line and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httptools
import orjson
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Bare(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        orjson.loads(self.body)
        self.body = b""
        self.transport.write(ANSWER)


async def serve() -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", 0, backlog=1_024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve())
