"""Falco's gRPC server as Falco 0.43.1 behaves, on a unix socket or over mutual TLS.

Owns the one unbounded queue that all clients share and the calls that drain
it. What real Falco does badly is done here too: requests on an empty queue are
forgotten, a half-closed ``sub`` never ends, an open silent one keeps Falco from
stopping, and a call above the limit waits without a word.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from exporter._proto import falco_version_pb2
from exporter.simulator.alerts import SimulatedAlert

FALCO_0_43_1 = falco_version_pb2.response(version="0.43.1", minor=43, patch=1, engine_minor=58, engine_version="0.58.0")
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class ServerTls:
    """The server's side of mutual TLS, PEM files."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path


class FalcoSimulator:
    """One simulated Falco. ``start`` serves, ``stop`` is SIGTERM, ``kill`` is SIGKILL.

    ``address`` is ``unix:///PATH`` or ``HOST:PORT``; with port 0 a free one is
    taken, and ``address`` names it after ``start``. ``threadiness`` bounds the
    concurrent calls of each kind to ten times as many.
    """

    def __init__(
        self, address: str, *, tls: ServerTls | None = None, json_output: bool = False, threadiness: int = 2
    ) -> None:
        self.address = address
        self.asked: Counter[str] = Counter()
        """How many requests came, by ``get``, ``sub`` and ``version``."""
        self._tls = tls
        self._json_output = json_output
        self._queue: deque[bytes] = deque()
        self._limit = threadiness * 10
        self._slots = {kind: threading.BoundedSemaphore(self._limit) for kind in ("get", "sub")}
        self._stopping = threading.Event()
        self._server: grpc.Server | None = None

    @property
    def queued(self) -> int:
        """How many alerts wait for a client."""
        return len(self._queue)

    def emit(self, *alerts: SimulatedAlert) -> None:
        """Queue alerts, written with or without json_output as this Falco is set."""
        self.emit_raw(alert.to_message(json_output=self._json_output) for alert in alerts)

    def emit_raw(self, messages: Iterable[bytes]) -> None:
        """Queue messages that are serialised already, or broken on purpose."""
        self._queue.extend(messages)

    def start(self) -> Self:
        """Serve; raises OSError where the address cannot be bound."""
        # Calls above the limit wait in a thread of their own, as they wait in Falco.
        server = grpc.server(ThreadPoolExecutor(4 * self._limit + 4), options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self._make_output_handlers(), self._make_version_handlers()))
        self._stopping.clear()
        self._bind(server)
        server.start()
        if (path := self._find_socket_path()) is not None:
            path.chmod(0o755)
        self._server = server
        return self

    def stop(self, grace_seconds: float = 5.0) -> bool:
        """Stop as on SIGTERM: refuse new calls, wait for open ones, remove the socket.

        Returns False where a call was still open after the grace, which real
        Falco would have waited for without end. What is queued is lost.
        """
        server, self._server = self._server, None
        if server is None:
            return True
        self._stopping.set()
        begun = time.monotonic()
        server.stop(grace_seconds).wait()
        clean = time.monotonic() - begun < grace_seconds or grace_seconds == 0
        self._queue.clear()
        if (path := self._find_socket_path()) is not None:
            path.unlink(missing_ok=True)
        return clean

    def kill(self) -> None:
        """End as on SIGKILL: connections break, the queue is lost, the socket file stays behind."""
        self.stop(grace_seconds=0)
        if (path := self._find_socket_path()) is not None:
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as stale:
                stale.bind(str(path))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop(grace_seconds=0)

    def _find_socket_path(self) -> Path | None:
        if not self.address.startswith("unix:"):
            return None
        return Path(self.address.removeprefix("unix:").removeprefix("//"))

    def _bind(self, server: grpc.Server) -> None:
        try:
            if self._tls is None:
                port = server.add_insecure_port(self.address)
            else:
                port = server.add_secure_port(self.address, _read_credentials(self._tls))
        except RuntimeError as exc:
            raise OSError(f"cannot serve on {self.address}: {exc}") from exc
        if not self.address.startswith("unix:"):
            self.address = f"{self.address.rpartition(':')[0]}:{port}"

    def _make_output_handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "falco.outputs.service",
            {
                "get": grpc.unary_stream_rpc_method_handler(self._get),
                "sub": grpc.stream_stream_rpc_method_handler(self._sub),
            },
        )

    def _make_version_handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "falco.version.service", {"version": grpc.unary_unary_rpc_method_handler(self._version)}
        )

    def _version(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self.asked["version"] += 1
        return FALCO_0_43_1.SerializeToString()

    def _get(self, _request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Drain the queue once and end."""
        if not self._take_slot("get", context):
            return
        self.asked["get"] += 1
        yield from self._drain()

    def _sub(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Drain the queue once for each request; end only while stopping, and only on a request."""
        if not self._take_slot("sub", context):
            return
        for _request in requests:
            self.asked["sub"] += 1
            if self._stopping.is_set():
                return
            yield from self._drain()
        while context.is_active():
            time.sleep(_LOOK_SECONDS)

    def _drain(self) -> Iterator[bytes]:
        pop = self._queue.popleft
        try:
            while True:
                yield pop()
        except IndexError:
            return

    def _take_slot(self, kind: str, context: grpc.ServicerContext) -> bool:
        """Wait until fewer calls of this kind than the limit are open; False where the call ended meanwhile."""
        slots = self._slots[kind]
        while not slots.acquire(timeout=_LOOK_SECONDS):
            if not context.is_active():
                return False
        if not context.add_callback(slots.release):
            slots.release()
            return False
        return True


def _read_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key_file.read_bytes(), tls.cert_file.read_bytes())],
        root_certificates=tls.client_ca_file.read_bytes(),
        require_client_auth=True,
    )
