"""Real OTLP receivers on port 0, over gRPC and HTTP, that answer as a test tells them to."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
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
        headers = {item.key: str(item.value) for item in context.invocation_metadata()}
        reply = self._receiver.receive(request, headers)
        if reply is None or reply.status is None:
            return ExportLogsServiceResponse.FromString(reply.body if reply else b"")
        context.set_trailing_metadata(tuple(reply.headers.items()))
        context.abort(reply.status, "as told")
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
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {key.lower(): value for key, value in self.headers.items()} | {":path": self.path}
        reply = self.server.receiver.receive(ExportLogsServiceRequest.FromString(body), headers) or Reply(200)
        self.send_response(reply.status or 200)
        for key, value in {"content-type": "application/x-protobuf", **reply.headers}.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

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


def free_port() -> int:
    """A port where nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def eventually(condition: Callable[[], object], *, timeout_seconds: float = 20.0) -> None:
    """Poll until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.01)
