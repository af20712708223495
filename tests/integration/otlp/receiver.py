"""Real OTLP receivers on port 0, over gRPC and HTTP, that answer as a test tells them to."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.integration.certificates import Pair
from tests.otel_records import attributes_of


@dataclass
class Reply:
    """One answer. Over gRPC ``status`` is a code and ``headers`` are trailing metadata."""

    status: Any = None
    headers: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    accepts: bool = False
    """Whether the records count as received all the same."""
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    """HTTP: the pause before each byte of the body."""
    details: str = "as told"
    """gRPC: the text of a failure."""


class Receiver:
    """What came in, and what to answer next; without instructions everything is accepted."""

    def __init__(self) -> None:
        self.requests: list[ExportLogsServiceRequest] = []
        self.accepted: list[LogRecord] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.script: deque[Reply] = deque()
        self.refuse: Callable[[ExportLogsServiceRequest], Reply | None] = lambda _request: None
        self.endpoint = ""
        self._lock = threading.Lock()

    @property
    def uids(self) -> list[str]:
        """The uids of the accepted records."""
        with self._lock:
            return [attributes_of(record)["log.record.uid"] for record in self.accepted]

    def receive(self, request: ExportLogsServiceRequest, headers: dict[str, str]) -> Reply | None:
        """Take one request in and say what to answer; None is a plain success."""
        with self._lock:
            self.times.append(time.monotonic())
            self.requests.append(request)
            self.headers.append(headers)
            reply = self.script.popleft() if self.script else self.refuse(request)
            if reply is None or reply.accepts:
                self.accepted += records_of(request)
        if reply is not None and reply.delay_seconds:
            time.sleep(reply.delay_seconds)
        return reply


def records_of(request: ExportLogsServiceRequest) -> list[LogRecord]:
    """The records of one request."""
    return [
        record
        for resource_logs in request.resource_logs
        for scope_logs in resource_logs.scope_logs
        for record in scope_logs.log_records
    ]


class _Service(LogsServiceServicer):  # type: ignore[misc]
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: ExportLogsServiceRequest, context: grpc.ServicerContext) -> ExportLogsServiceResponse:
        headers = {key: str(value) for key, value in context.invocation_metadata()}
        reply = self._receiver.receive(request, headers)
        if reply is None or reply.status is None:
            return ExportLogsServiceResponse.FromString(reply.body if reply else b"")
        context.set_trailing_metadata(tuple(reply.headers.items()))
        context.abort(reply.status, reply.details)
        raise AssertionError


@contextmanager
def grpc_receiver(
    receiver: Receiver | None = None, *, port: int = 0, tls: tuple[Pair, Path] | None = None
) -> Iterator[Receiver]:
    """An OTLP receiver over gRPC; with a certificate and the authority of its clients over mutual TLS."""
    receiver = receiver or Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    add_LogsServiceServicer_to_server(_Service(receiver), server)
    if tls is None:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    else:
        pair, client_ca = tls
        credentials = grpc.ssl_server_credentials(
            [(pair.key_file.read_bytes(), pair.cert_file.read_bytes())], client_ca.read_bytes(), True
        )
        port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    receiver.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(0).wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """A client that goes away in mid-answer is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        encoding = self.headers.get("content-encoding")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        headers = {key.lower(): value for key, value in self.headers.items()} | {":path": self.path}
        reply = self.server.receiver.receive(ExportLogsServiceRequest.FromString(body), headers) or Reply(200)
        self.send_response(reply.status or 200)
        for key, value in {"content-type": "application/x-protobuf", **reply.headers}.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        if not reply.drip_seconds:
            self.wfile.write(reply.body)
            return
        for byte in reply.body:
            time.sleep(reply.drip_seconds)
            self.wfile.write(bytes([byte]))

    def log_message(self, *_arguments: Any) -> None:
        """Keep the tests' output to themselves."""


@contextmanager
def http_receiver(
    receiver: Receiver | None = None, *, port: int = 0, tls: tuple[Pair, Path] | None = None
) -> Iterator[Receiver]:
    """An OTLP receiver over HTTP; with a certificate and the authority of its clients over mutual TLS."""
    receiver = receiver or Receiver()
    server = _Server(("127.0.0.1", port), _Handler)
    server.receiver = receiver
    if tls is not None:
        pair, client_ca = tls
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as collectors, which are written in Go
        context.load_cert_chain(pair.cert_file, pair.key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Proxy:
    """A real forward proxy that sends every call, whatever host it names, to one port of this machine."""

    def __init__(self, target_port: int) -> None:
        self.request_lines: list[str] = []
        self.sent = bytearray()
        """What clients sent after the request line."""
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target_port)) as target:
            head = b""
            while b"\r\n\r\n" not in head and (piece := client.recv(65_536)):
                head += piece
            line, _, rest = head.partition(b"\r\n")
            self.request_lines.append(line.decode())
            if line.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                method, address, version = line.split(b" ")
                path = b"/" + address.partition(b"://")[2].partition(b"/")[2]
                target.sendall(b" ".join((method, path, version)) + b"\r\n" + rest)
            back = threading.Thread(target=_pump, args=(target, client), daemon=True)
            back.start()
            _pump(client, target, self.sent)
            back.join()

    def close(self) -> None:
        """Take no more calls."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _pump(source: socket.socket, sink: socket.socket, seen: bytearray | None = None) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            if seen is not None:
                seen += piece
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def forward_proxy(target_port: int) -> Iterator[Proxy]:
    """A running ``Proxy``."""
    proxy = Proxy(target_port)
    try:
        yield proxy
    finally:
        proxy.close()


def free_port() -> int:
    """A port where nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
