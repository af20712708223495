"""Falco's gRPC API for those who still need it, whatever way alerts reach us.

Owns ``falco.outputs.service`` and ``falco.version.service`` as Falco ≤ 0.43
offered them. Better than Falco: each ``sub`` stream gets every alert, and gets
it when it comes. Callers of ``get`` share one queue, as they did with Falco.
A subscriber that does not keep up is cut off and counted; memory is bounded.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from prometheus_client import Counter, Gauge

from exporter import __version__
from exporter._proto import falco_outputs_pb2, falco_version_pb2
from exporter.alert import Alert, Priority
from exporter.config.model import ServeGrpc
from exporter.errors import ConfigError
from exporter.listener.pem import PemFile, check_files
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.serve_grpc_backlog import Backlog, Subscriber

logger = logging.getLogger(__name__)

STREAM_LIMIT = 32
"""Streams at once; each has a thread."""
GET_LIMIT = 4
"""Calls of ``get`` at once; a client has one after another."""
GET_LAPSE_SECONDS = 60.0
"""The queue behind ``get`` is given up when nobody asks for as long."""
_LOOK_SECONDS = 0.5
_VERSION = falco_version_pb2.response(
    version=f"0.43.0+falco-report-exporter.{__version__}", minor=43, build=f"falco-report-exporter.{__version__}"
)


class ServeGrpcSink:
    """Falco's gRPC server as a ``pipeline.Sink``.

    Raises ConfigError for TLS files that cannot be used, and from ``start`` where it cannot listen.
    """

    name = "serve_grpc"

    def __init__(self, settings: ServeGrpc, metrics: SelfMetrics) -> None:
        check_files(
            PemFile("serve_grpc.tls.client_ca_file", settings.tls.client_ca_file),
            PemFile("serve_grpc.tls.cert_file", settings.tls.cert_file),
            PemFile("serve_grpc.tls.key_file", settings.tls.key_file),
        )
        self._settings = settings
        self._lock = threading.Lock()
        self._subscribers: set[Subscriber] = set()
        self._gotten: Backlog | None = None
        self._gets_open = 0
        self._asked_at = 0.0
        self._stopping = threading.Event()
        self._server: grpc.Server | None = None
        self.address = settings.address
        self._shown = Gauge(
            "falco_exporter_grpc_subscribers", "Open sub streams of our own gRPC server.", registry=metrics.registry
        )
        self._cut_off = Counter(
            "falco_exporter_grpc_subscribers_cut_off",
            "Subscribers of our own gRPC server that were cut off because they did not keep up.",
            registry=metrics.registry,
        )
        self._dropped = Counter(
            "falco_exporter_grpc_alerts_dropped",
            "Alerts that callers of get on our own gRPC server never fetched.",
            registry=metrics.registry,
        )

    def start(self) -> None:
        """Listen."""
        server = grpc.server(
            ThreadPoolExecutor(STREAM_LIMIT + 8, thread_name_prefix="serve-grpc"),
            options=[("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=STREAM_LIMIT + 8,
        )
        server.add_generic_rpc_handlers((self._make_handlers(), self._make_version_handlers()))
        port = self._bind(server)
        server.start()
        self._server = server
        if not self.address.startswith("unix:"):
            self.address = f"{self.address.rpartition(':')[0]}:{port}"
        logger.info("offering Falco's gRPC API on %s", self.address)

    def room(self) -> int:
        """A slow subscriber is cut off rather than waited for."""
        return 1_000_000

    def write(self, alerts: Sequence[Alert]) -> None:
        """Give the batch to every subscriber."""
        with self._lock:
            lapsed = time.monotonic() - self._asked_at > GET_LAPSE_SECONDS
            if self._gotten is not None and lapsed:
                self._dropped.inc(len(self._gotten))
                self._gotten = None
            if not self._subscribers and self._gotten is None:
                return
            messages = [to_message(alert) for alert in alerts]
            for subscriber in self._subscribers:
                subscriber.put(messages)
            if self._gotten is not None:
                self._gotten.extend(messages)
                self._dropped.inc(self._gotten.drop_oldest())

    def is_asked(self) -> bool:
        """Whether anybody reads: a stream is open, or somebody has called ``get`` lately."""
        with self._lock:
            return bool(self._subscribers) or self._gotten is not None

    def close(self, deadline_seconds: float) -> None:
        """End every stream once it has been given what waits for it."""
        self._stopping.set()
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.end()
        server, self._server = self._server, None
        if server is not None:
            server.stop(deadline_seconds).wait()

    def _bind(self, server: grpc.Server) -> int:
        address, tls = self._settings.address, self._settings.tls
        try:
            if address.startswith("unix:"):
                # Only this process's user may connect, from the moment the socket exists.
                before = os.umask(0o177)
                try:
                    return server.add_insecure_port(address)
                finally:
                    os.umask(before)
            if tls.cert_file is None or tls.key_file is None or tls.client_ca_file is None:
                raise ConfigError("serve_grpc.tls: cert_file, key_file and client_ca_file are needed on TCP")
            pair = (_read(tls.key_file), _read(tls.cert_file))
            credentials = grpc.ssl_server_credentials([pair], _read(tls.client_ca_file), require_client_auth=True)
            return server.add_secure_port(address, credentials)
        except RuntimeError as exc:
            raise ConfigError(
                f"serve_grpc.address: cannot listen on {address}: {exc}; does another program already listen there?"
            ) from exc

    def _make_handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "falco.outputs.service",
            {
                "sub": grpc.stream_stream_rpc_method_handler(self._sub),
                "get": grpc.unary_stream_rpc_method_handler(self._get),
            },
        )

    def _make_version_handlers(self) -> grpc.GenericRpcHandler:
        def version(_request: bytes, _context: grpc.ServicerContext) -> bytes:
            return _VERSION.SerializeToString()

        return grpc.method_handlers_generic_handler(
            "falco.version.service", {"version": grpc.unary_unary_rpc_method_handler(version)}
        )

    def _get(self, _request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Give what came since the last ``get`` of anybody; the first one opens the queue."""
        with self._lock:
            if self._gets_open >= GET_LIMIT:
                # Each holds what it took until it is read.
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"there are already {GET_LIMIT} calls of get")
            self._gets_open += 1
            self._asked_at = time.monotonic()
            gotten, self._gotten = self._gotten, self._backlog()
        try:
            yield from gotten.take() if gotten is not None else ()
        finally:
            with self._lock:
                self._gets_open -= 1

    def _backlog(self) -> Backlog:
        return Backlog(self._settings.subscriber_limit_alerts, self._settings.subscriber_limit_bytes)

    def _sub(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Give every alert from the stream's opening to its end."""

        def cut_off() -> None:
            # Its thread hangs in flow control: only ending the call from outside frees it.
            self._cut_off.inc()
            context.cancel()

        subscriber = Subscriber(self._backlog(), cut_off)
        with self._lock:
            if len(self._subscribers) >= STREAM_LIMIT:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"there are {STREAM_LIMIT} streams already")
            self._subscribers.add(subscriber)
            self._shown.set(len(self._subscribers))
        context.add_callback(subscriber.end)
        threading.Thread(target=_await_half_close, args=(requests, subscriber), daemon=True).start()
        try:
            while context.is_active() and not subscriber.overrun:
                taken = subscriber.take(_LOOK_SECONDS)
                yield from taken
                if not taken and (subscriber.ended or self._stopping.is_set()):
                    return
        finally:
            with self._lock:
                self._subscribers.discard(subscriber)
                self._shown.set(len(self._subscribers))


def _await_half_close(requests: Iterator[bytes], subscriber: Subscriber) -> None:
    """Requests ask for nothing that is not given anyway; their end is the stream's."""
    with contextlib.suppress(grpc.RpcError):
        for _request in requests:
            pass
    subscriber.end()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"serve_grpc.tls: {path}: {exc.strerror}") from exc


def to_message(alert: Alert) -> bytes:
    """Write an alert as Falco's ``falco.outputs.response``, wire format."""
    seconds, nanos = divmod(alert.time_ns, 1_000_000_000)
    message = falco_outputs_pb2.response(
        rule=alert.rule,
        output=alert.raw_output,
        output_fields=alert.all_fields(),
        hostname=alert.hostname,
        tags=alert.tags,
        source=alert.source,
    )
    message.time.seconds, message.time.nanos = seconds, nanos
    if alert.priority is not Priority.UNKNOWN:
        message.priority = int(alert.priority)  # type: ignore[assignment]
    return message.SerializeToString()
