"""One connection to Falco's gRPC server: the channel, ``version``, and the two ways to ask for alerts.

Owns channel options, credentials and the shape of each call. Messages leave
as raw bytes. Refuses to retry and to interpret failures: ``grpc.RpcError``
passes through to the source (see ``falco_grpc_errors.py`` for what they mean).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.experimental

from exporter._proto import falco_version_pb2
from exporter.config.model import FalcoTarget, TlsClient
from exporter.errors import RetryableError
from exporter.sources.falco_grpc_messages import read_messages

logger = logging.getLogger(__name__)

GET = "/falco.outputs.service/get"
SUB = "/falco.outputs.service/sub"
VERSION = "/falco.version.service/version"
VERSION_TIMEOUT_SECONDS = 5.0
MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024
WINDOW_BYTES = 16_384
"""What is read ahead where alerts are put on disk, so that a kill -9 loses little else: some ten alerts."""
UNSTORED_WINDOW_BYTES = 65_536
"""The same where nothing is put on disk, so that a kill -9 loses what was handed over as well; an alert costs less."""

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # What Falco has written into the HTTP/2 window is lost when we are killed, so the window does not grow;
    # its size is a setting (grpc.window_bytes).
    ("grpc.http2.bdp_probe", 0),
    # One subchannel a channel: a new channel starts without the last one's back-off.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    # Without a proxy: Falco's socket is a neighbour, and http_proxy would catch HOST:PORT.
    ("grpc.enable_http_proxy", 0),
)


class StreamEndedError(RetryableError):
    """Falco ended a ``sub`` stream with OK: it is about to stop."""


def open_channel(target: FalcoTarget, *, window_bytes: int = WINDOW_BYTES) -> grpc.Channel:
    """Return a channel to the target; nothing is sent before the first call.

    ``window_bytes`` of Falco's stream are read ahead: what of it is not handed over is lost at a kill -9.

    Raises RetryableError where a TLS file cannot be read: it may come later,
    and is read again at each connection so that renewed certificates take effect.
    """
    options: list[tuple[str, Any]] = [*_OPTIONS, ("grpc.http2.lookahead_bytes", window_bytes)]
    if (single_threaded := find_single_threaded_option()) is not None:
        options.append((single_threaded, 1))
    if target.address.startswith("unix:"):
        return grpc.insecure_channel(target.address, options)
    return grpc.secure_channel(target.address, read_credentials(target.tls), options)


def find_single_threaded_option() -> str | None:
    """Return the option that spares a thread per call (seven times less CPU per alert), None where grpcio lacks it."""
    options = getattr(grpc.experimental, "ChannelOptions", None)
    return getattr(options, "SingleThreadedUnaryStream", None)


def read_credentials(tls: TlsClient) -> grpc.ChannelCredentials:
    """Read the PEM files that are set; the system's authorities stand in for a missing ``ca_file``."""
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file), private_key=_read(tls.key_file), certificate_chain=_read(tls.cert_file)
    )


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as exc:
        raise RetryableError(f"cannot read the TLS file {path}: {exc.strerror}; check the path and its mode") from exc


def ask_version(channel: grpc.Channel) -> falco_version_pb2.response:
    """Ask which Falco answers; raises grpc.RpcError, with DEADLINE_EXCEEDED after five seconds."""
    call = channel.unary_unary(
        VERSION,
        request_serializer=falco_version_pb2.request.SerializeToString,
        response_deserializer=falco_version_pb2.response.FromString,
    )
    answer: falco_version_pb2.response = call(falco_version_pb2.request(), timeout=VERSION_TIMEOUT_SECONDS)
    return answer


class Poller(Protocol):
    """One way to ask Falco for what is queued."""

    def poll(self) -> Iterator[bytes]:
        """Ask once and yield the raw answers as they come; raises grpc.RpcError or StreamEndedError."""

    def finish(self) -> Iterator[bytes]:
        """Ask no more and yield what is still under way."""

    def cancel(self) -> None:
        """End what is under way at once, from any thread; ``poll`` then raises."""


class GetPoller:
    """Ask by ``get``: each call drains the queue and ends by itself, so nothing stays open between two."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._get: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            GET, request_serializer=None, response_deserializer=None
        )
        self._call: Any = None

    def poll(self) -> Iterator[bytes]:
        """Make one call; read the iterator to its end."""
        self._call = self._get(b"")
        return read_messages(self._call)

    def finish(self) -> Iterator[bytes]:
        """Nothing is ever under way between two calls."""
        return iter(())

    def cancel(self) -> None:
        """Cancel the call under way, if any."""
        if self._call is not None:
            self._call.cancel()


class SubPoller:
    """Ask by ``sub``: one stream stays open, each request on it drains the queue once.

    Falco never says that a drain is over, so it is over when nothing came for a
    moment; what comes later is found by the next poll. The stream is cancelled,
    never half-closed: Falco would not end it and hang on its own stop.
    """

    FIRST_SECONDS = 0.01
    NEXT_SECONDS = 0.003
    QUIET_SECONDS = 0.2
    SILENCE_SECONDS = 30.0
    BUFFER_MESSAGES = 512

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: queue.Queue[bytes | Exception] = queue.Queue(self.BUFFER_MESSAGES)
        self._cancelled = threading.Event()
        self._heard = time.monotonic()
        sub: grpc.StreamStreamMultiCallable[bytes | None, bytes] = channel.stream_stream(
            SUB, request_serializer=None, response_deserializer=None
        )
        self._call: Any = sub(iter(self._requests.get, None))
        threading.Thread(target=self._read, name="falco-sub-reader", daemon=True).start()

    def poll(self) -> Iterator[bytes]:
        """Send one request and yield answers until a moment passes without one."""
        self._requests.put(b"")
        yield from self._drain(self.FIRST_SECONDS, self.NEXT_SECONDS)
        if time.monotonic() - self._heard > self.SILENCE_SECONDS:
            # A dead peer and an idle Falco look the same on a silent stream; only a call tells.
            ask_version(self._channel)
            self._heard = time.monotonic()

    def finish(self) -> Iterator[bytes]:
        """Yield answers until it has been quiet for a fifth of a second, then cancel the stream."""
        try:
            yield from self._drain(self.QUIET_SECONDS, self.QUIET_SECONDS)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Cancel the stream and let its threads go."""
        self._cancelled.set()
        self._call.cancel()
        # Ends grpc's thread that waits for requests; after the cancel, so that it is no half-close.
        self._requests.put(None)

    def _drain(self, first_seconds: float, next_seconds: float) -> Iterator[bytes]:
        timeout = first_seconds
        while True:
            try:
                answer = self._answers.get(timeout=timeout)
            except queue.Empty:
                return
            if isinstance(answer, Exception):
                raise answer
            self._heard = time.monotonic()
            timeout = next_seconds
            yield answer

    def _read(self) -> None:
        """Move answers into the bounded buffer; a full one stops reading, and thereby Falco's writing."""
        end: Exception = StreamEndedError("Falco ended the stream: it is stopping")
        try:
            for raw in self._call:
                if not self._put(raw):
                    return
        except grpc.RpcError as exc:
            end = exc
        self._put(end)

    def _put(self, answer: bytes | Exception) -> bool:
        while not self._cancelled.is_set():
            try:
                self._answers.put(answer, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


def make_poller(method: str, channel: grpc.Channel) -> Poller:
    """Return the poller for the setting ``method``, ``get`` or ``sub``."""
    if method == "sub":
        return SubPoller(channel)
    return GetPoller(channel)
