"""OTLP over gRPC and HTTP: one request out, one answer in.

Owns connections, TLS, headers, compression, proxies (the standard variables,
which gRPC and requests read themselves) and the time-out of a request. Takes a
request that is already encoded. Refuses to wait between tries: the queue's
sender does that, because it also has to survive the process.
"""

from __future__ import annotations

import gzip
import re
import ssl
import time
import zlib
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import grpc
import requests
import requests.adapters
import urllib3
import urllib3.util
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from exporter import __version__
from exporter.listener.tls import accept_plain_certificates
from exporter.sinks.otel.send.answer import Answer, Verdict, from_http, from_response, from_rpc_error
from exporter.sinks.otel.send.endpoint import DEFLATE, GRPC, GZIP, Endpoint, without_user_information

_USER_AGENT = f"falco-report-exporter/{__version__}"
_METHOD = f"/{logs_service_pb2.DESCRIPTOR.services_by_name['LogsService'].full_name}/Export"
_CLOSED = Answer(Verdict.RETRY, "closed", "the exporter is shutting down")
_MESSAGE_CHARACTERS = 300
ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
"""More of an answer is not read (OTLP specification, "OTLP/HTTP Response")."""
_CHANNEL_OPTIONS = (
    ("grpc.primary_user_agent", _USER_AGENT),
    # The sender has its own pauses; the channel's, up to two minutes, would come on top.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_GRPC_COMPRESSION = {GZIP: grpc.Compression.Gzip, DEFLATE: grpc.Compression.Deflate}


class OtlpClient(Protocol):
    """Sends one request and says what became of it."""

    def send(self, request: bytes) -> Answer:
        """Send a serialised ExportLogsServiceRequest. Never raises for a peer's doing."""

    def close(self) -> None:
        """End a call that is under way where that can be done, and let go of the connection."""


def to_client(endpoint: Endpoint) -> OtlpClient:
    """Make the client for an endpoint; nothing is connected yet."""
    return GrpcClient(endpoint) if endpoint.protocol == GRPC else HttpClient(endpoint)


class GrpcClient:
    """OTLP/gRPC. The request's bytes go out as they are, not parsed and serialised again."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._timeout_seconds = endpoint.timeout_seconds
        self._metadata = tuple(endpoint.headers.items())
        self._closed = False
        parts = urlsplit(endpoint.url)
        target = parts.netloc if parts.scheme in {"http", "https"} else endpoint.url
        compression = _GRPC_COMPRESSION.get(endpoint.compression, grpc.Compression.NoCompression)
        if endpoint.has_tls:
            credentials = grpc.ssl_channel_credentials(
                _content(endpoint.ca_file), _content(endpoint.key_file), _content(endpoint.cert_file)
            )
            self._channel = grpc.secure_channel(target, credentials, _CHANNEL_OPTIONS, compression)
        else:
            self._channel = grpc.insecure_channel(target, _CHANNEL_OPTIONS, compression)
        self._export: Any = self._channel.unary_unary(
            _METHOD, request_serializer=None, response_deserializer=ExportLogsServiceResponse.FromString
        )

    def send(self, request: bytes) -> Answer:
        """Send one request; see ``OtlpClient``."""
        try:
            response = self._export(request, metadata=self._metadata, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            return _CLOSED if self._closed else from_rpc_error(error)
        except ValueError:
            # A channel that was closed in mid-call answers so, and not with an RpcError.
            if not self._closed:
                raise
            return _CLOSED
        return from_response(response)

    def close(self) -> None:
        """End the call that is under way and the channel."""
        self._closed = True
        self._channel.close()


class _PlainCertificates(requests.adapters.HTTPAdapter):
    """Takes the certificates that gRPC takes (``accept_plain_certificates``): the transport makes no difference."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_context(), **options)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=_context(), **options)


def _context() -> ssl.SSLContext:
    context = urllib3.util.create_urllib3_context()
    accept_plain_certificates(context)
    return context


class HttpClient:
    """OTLP/HTTP with protobuf. Redirections are not followed: they are answers."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._url, auth = _without_credentials(endpoint.url)
        self._timeout_seconds = endpoint.timeout_seconds
        self._compression = endpoint.compression
        self._closed = False
        self._session = requests.Session()
        self._session.mount("https://", _PlainCertificates())
        # Set even without credentials: requests would take some of ~/.netrc, over our own headers.
        self._session.auth = auth or _keep
        self._session.headers.update({"user-agent": _USER_AGENT, **endpoint.headers})
        self._session.headers["content-type"] = "application/x-protobuf"
        if endpoint.compression in {GZIP, DEFLATE}:
            self._session.headers["content-encoding"] = endpoint.compression
        # Given with each request: REQUESTS_CA_BUNDLE would go before the session's own.
        self._verify = str(endpoint.ca_file) if endpoint.ca_file else True
        self._cert = (str(endpoint.cert_file), str(endpoint.key_file)) if endpoint.cert_file else None

    def send(self, request: bytes) -> Answer:
        """Send one request; see ``OtlpClient``."""
        if self._closed:
            return _CLOSED
        started = time.monotonic()
        try:
            with self._session.post(
                self._url,
                data=self._compressed(request),
                timeout=self._timeout_seconds,
                verify=self._verify,
                cert=self._cert,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response, started)
                return from_http(response.status_code, response.headers, body)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            return Answer(Verdict.RETRY, "timeout", _shown(error))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return Answer(Verdict.RETRY, "unreachable", _shown(error))

    def close(self) -> None:
        """Let go of the connection; a call that is under way ends by itself."""
        self._closed = True
        self._session.close()

    def _compressed(self, request: bytes) -> bytes:
        if self._compression == GZIP:
            return gzip.compress(request)
        return zlib.compress(request) if self._compression == DEFLATE else request

    def _read(self, response: requests.Response, started: float) -> bytes:
        """Read the answer's body up to its limit; a receiver that drips it byte by byte is cut off in time."""
        body = bytearray()
        while len(body) < ANSWER_LIMIT_BYTES:
            piece = response.raw.read1(65_536, decode_content=True)
            if not piece:
                break
            body += piece
            if self._timeout_seconds is not None and time.monotonic() - started > self._timeout_seconds:
                raise requests.Timeout("the complete answer did not arrive in time")
        return bytes(body)


def _keep(request: Any) -> Any:
    """Authenticate a request by what it has."""
    return request


def _without_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the address without user name and password, and these; None where there are none."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    credentials = None
    if parts.username is not None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=netloc)), credentials


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file else None


def _shown(error: Exception) -> str:
    """Return what an error says, without the layers of libraries around it."""
    text = without_user_information(str(error))
    cause = re.search(r"\(Caused by \w+\((.*)\)\)\Z", text, re.DOTALL)
    shown = re.sub(r"<urllib3\.[^<>]*>: ", "", cause[1].strip("\"'")) if cause else text
    return shown[:_MESSAGE_CHARACTERS]
