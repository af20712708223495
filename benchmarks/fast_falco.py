"""A simulated Falco that sends as fast as the real one, for benchmarks.

grpcio's server spends about 80 µs of Python on each message. This one writes
whole runs of messages at once, by an HTTP/2 of its own on plain sockets. It
speaks the same three methods with the same queue, on a unix socket. Refuses
TLS, limits and a graceful stop; see ``server.py`` for a faithful Falco.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from benchmarks import http2
from exporter.simulator.server import FALCO_0_43_1

_RUN_MESSAGES = 64


class FastFalco:
    """One queue served on ``unix:///PATH``: as ``FalcoSimulator``, with ``emit_raw`` alone."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._path = Path(address.removeprefix("unix:").removeprefix("//"))
        self._queue: deque[bytes] = deque()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def queued(self) -> int:
        """How many alerts wait for a client."""
        return len(self._queue)

    def emit_raw(self, messages: Iterable[bytes]) -> None:
        """Queue serialised messages."""
        self._queue.extend(map(http2.to_grpc, messages))

    def start(self) -> Self:
        """Serve, each connection in a thread of its own."""
        self._path.unlink(missing_ok=True)
        self._listener.bind(str(self._path))
        self._listener.listen()
        threading.Thread(target=self._accept, name="fast-falco", daemon=True).start()
        return self

    def stop(self) -> bool:
        """Take no more connections and remove the socket; open connections end with their clients."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            serve = _Connection(connection, self._queue).serve
            threading.Thread(target=serve, name="fast-falco-connection", daemon=True).start()


class _Connection:
    """One client's connection, read and written by one thread."""

    def __init__(self, connection: socket.socket, messages: deque[bytes]) -> None:
        self._socket = connection
        self._messages = messages
        self._received = bytearray()
        self._window = http2.DEFAULT_WINDOW
        self._initial_window = http2.DEFAULT_WINDOW
        self._streams: dict[int, _Stream] = {}

    def serve(self) -> None:
        """Answer until the client goes."""
        with self._socket, contextlib.suppress(ConnectionError):
            self._socket.sendall(http2.to_frame(http2.SETTINGS, 0, 0, http2.SERVER_SETTINGS))
            self._socket.sendall(http2.to_frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 24)))
            while self._receive():
                while self._send_some():
                    if select.select([self._socket], [], [], 0)[0] and not self._receive():
                        return

    def _receive(self) -> bool:
        """Read what has come and act on it; False once the client is gone."""
        received = self._socket.recv(65_536)
        self._received += received
        if self._received.startswith(http2.PREFACE):
            del self._received[: len(http2.PREFACE)]
        while len(self._received) >= 9:
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", self._received)
            end = 9 + (high << 16 | low)
            if len(self._received) < end or self._received.startswith(http2.PREFACE[:9]):
                break
            payload = bytes(self._received[9:end])
            del self._received[:end]
            self._act(kind, flags, stream, payload)
        return bool(received)

    def _act(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if kind == http2.HEADERS:
            self._open(number, flags, payload)
        elif kind == http2.DATA and stream is not None:
            stream.take_requests(payload)
        elif kind == http2.WINDOW_UPDATE:
            (increment,) = struct.unpack(">I", payload)
            if number == 0:
                self._window += increment
            elif stream is not None:
                stream.window += increment
        elif kind == http2.RST_STREAM:
            self._streams.pop(number, None)
        elif kind == http2.SETTINGS and not flags & http2.ACK:
            self._apply_settings(payload)
        elif kind == http2.PING and not flags & http2.ACK:
            self._socket.sendall(http2.to_frame(http2.PING, http2.ACK, 0, payload))

    def _apply_settings(self, payload: bytes) -> None:
        for position in range(0, len(payload), 6):
            identifier, value = struct.unpack_from(">HI", payload, position)
            if identifier == http2.INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._initial_window
                self._initial_window = value
        self._socket.sendall(http2.to_frame(http2.SETTINGS, http2.ACK, 0, b""))

    def _open(self, number: int, flags: int, block: bytes) -> None:
        """Begin a call. Requests' header blocks are small: CONTINUATION frames do not come."""
        if flags & http2.PADDED:
            block = block[1 : len(block) - block[0]]
        if flags & http2.PRIORITY:
            block = block[5:]
        kind = http2.read_path(block).rpartition("/")[2]
        headers = http2.to_frame(http2.HEADERS, http2.END_HEADERS, number, http2.RESPONSE_HEADERS)
        self._socket.sendall(headers)
        if kind not in {"get", "sub", "version"}:
            self._end(number, http2.UNIMPLEMENTED_TRAILERS)
            return
        self._streams[number] = _Stream(kind, self._initial_window)

    def _end(self, number: int, trailers: bytes) -> None:
        flags = http2.END_HEADERS | http2.END_STREAM
        self._socket.sendall(http2.to_frame(http2.HEADERS, flags, number, trailers))
        self._streams.pop(number, None)

    def _send_some(self) -> bool:
        """Write as much as windows allow, once for each stream; False when there is nothing to do but read."""
        busy = False
        for number, stream in list(self._streams.items()):
            if not stream.asked:
                continue
            if not stream.pending:
                self._refill(stream)
            if not stream.pending:
                stream.asked = False
                if stream.kind != "sub":
                    self._end(number, http2.OK_TRAILERS)
                continue
            busy = self._write(number, stream) or busy
        return busy

    def _refill(self, stream: _Stream) -> None:
        """Take the next run of messages; ``version`` has one answer."""
        if stream.kind == "version":
            if not stream.answered:
                stream.pending = memoryview(http2.to_grpc(FALCO_0_43_1.SerializeToString()))
            stream.answered = True
            return
        run: list[bytes] = []
        with contextlib.suppress(IndexError):
            for _ in range(_RUN_MESSAGES):
                run.append(self._messages.popleft())  # noqa: PERF401 - a comprehension would lose what it had popped
        stream.pending = memoryview(b"".join(run))

    def _write(self, number: int, stream: _Stream) -> bool:
        allowed = min(self._window, stream.window, len(stream.pending))
        if allowed <= 0:
            return False
        frames = []
        for start in range(0, allowed, http2.FRAME_LIMIT):
            part = stream.pending[start : min(start + http2.FRAME_LIMIT, allowed)]
            frames.append(http2.to_frame(http2.DATA, 0, number, bytes(part)))
        stream.pending = stream.pending[allowed:]
        stream.window -= allowed
        self._window -= allowed
        self._socket.sendall(b"".join(frames))
        return True


class _Stream:
    """One call."""

    def __init__(self, kind: str, window: int) -> None:
        self.kind = kind
        self.window = window
        self.pending = memoryview(b"")
        self.asked = False
        self.answered = False
        self._received = b""

    def take_requests(self, payload: bytes) -> None:
        """Note that a request has come whole; Falco's requests are empty messages."""
        self._received += payload
        while len(self._received) >= 5:
            end = 5 + int.from_bytes(self._received[1:5], "big")
            if len(self._received) < end:
                return
            self._received = self._received[end:]
            self.asked = True
