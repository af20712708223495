"""A client whose TLS handshake stops in the middle, for what changes meanwhile."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator


class Handshake:
    """A handshake of which the server has seen the beginning, and answered it."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            self._client.do_handshake()
        self._exchange()

    def _exchange(self) -> bool:
        """Send what is to be sent and take an answer; False at the connection's end."""
        self._plain.sendall(self._outgoing.read())
        answer = self._plain.recv(65_536)
        self._incoming.write(answer)
        return bool(answer)

    def finish(self) -> None:
        """Do the rest."""
        while True:
            try:
                self._client.do_handshake()
            except ssl.SSLWantReadError:
                assert self._exchange()
            else:
                break
        self._plain.sendall(self._outgoing.read())

    def send(self, data: bytes) -> None:
        """Send data, encrypted."""
        self._client.write(data)
        self._plain.sendall(self._outgoing.read())

    def read_to_the_end(self) -> bytes:
        """Return all that comes until the server ends the connection."""
        read = b""
        with contextlib.suppress(ConnectionResetError, ssl.SSLZeroReturnError):
            while self._exchange():
                with contextlib.suppress(ssl.SSLWantReadError):
                    while piece := self._client.read(65_536):
                        read += piece
                    return read  # TLS's own end
        return read


@contextlib.contextmanager
def begun_handshake(context: ssl.SSLContext, port: int) -> Iterator[Handshake]:
    """A handshake under way with a server on this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        yield Handshake(plain, context)
