"""OTLP over gRPC and HTTP through opentelemetry's own exporters.

Owns the seam: the exporters configure themselves (endpoint, headers, TLS,
compression, time-out, from ``OTEL_*`` and from our settings) and send; we
give them a request that is already encoded, and look at the answer, which
they reduce to success or failure. Refuses to wait between tries: the queue's
sender does that, because it also has to survive the process.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import grpc
import requests
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from exporter.sinks.otel.send.answer import Answer, Verdict, from_http, from_response, from_rpc_error

_log = logging.getLogger(__name__)

_SERVICE = logs_service_pb2.DESCRIPTOR.services_by_name["LogsService"].full_name
# A code that no failing call has: one try a call, because the sender does the retrying.
_NEVER_RETRIED = frozenset({grpc.StatusCode.OK})
_CLOSED = Answer(Verdict.RETRY, "closed", "the exporter is shutting down")


class OtlpClient(Protocol):
    """Sends one request and says what became of it."""

    def send(self, request: bytes, records: int) -> Answer:
        """Send a serialised ExportLogsServiceRequest that holds so many records. Never raises for a peer's doing."""

    def close(self) -> None:
        """End a call that is under way where that can be done, and let go of the connection."""


def quiet_sdk_loggers() -> None:
    """Keep the SDK's exporters from logging each try: the sender logs each change of state."""
    logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)


class GrpcClient(GrpcLogExporter):
    """opentelemetry's gRPC exporter, fed with bytes."""

    def __init__(self, endpoint: str) -> None:
        self._answer = _CLOSED
        super().__init__(endpoint=endpoint or None, retryable_error_codes=_NEVER_RETRIED)

    def send(self, request: bytes, records: int) -> Answer:
        """Send one request; see ``OtlpClient``."""
        self._answer = _CLOSED
        try:
            self._export(_Encoded(request, records))
        except (ValueError, TypeError):
            # A channel that was closed in mid-call answers so, and not with an RpcError.
            if not self._shutdown:
                raise
        return self._answer

    def close(self) -> None:
        """End the call that is under way and the channel."""
        if not self._shutdown:
            self.shutdown()

    def call(self, request: bytes, metadata: Any, timeout_seconds: float) -> ExportLogsServiceResponse:
        """Make the call that the exporter's stub would make, without serialising again, and keep the answer."""
        channel: Any = self._channel
        export = channel.unary_unary(
            f"/{_SERVICE}/Export",
            request_serializer=None,
            response_deserializer=ExportLogsServiceResponse.FromString,
        )
        try:
            response: ExportLogsServiceResponse = export(request, metadata=metadata, timeout=timeout_seconds)
        except grpc.RpcError as error:
            self._answer = from_rpc_error(error)
            raise
        self._answer = from_response(response)
        return response

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]
        self._client: Any = _Stub(self)

    def _translate_data(self, data: Any) -> Any:
        return data.request


class _Stub:
    """Stands where the exporter expects its generated stub."""

    def __init__(self, client: GrpcClient) -> None:
        self._client = client

    def Export(self, request: bytes, metadata: Any, timeout: float) -> ExportLogsServiceResponse:  # noqa: N802
        return self._client.call(request, metadata, timeout)


class _Encoded(Sequence[Any]):
    """An encoded request that the exporter can count."""

    def __init__(self, request: bytes, records: int) -> None:
        self.request = request
        self._records = records

    def __len__(self) -> int:
        return self._records

    def __getitem__(self, _index: Any) -> Any:
        raise IndexError("the records are encoded")


class _Session(requests.Session):
    """A session whose own authority goes before REQUESTS_CA_BUNDLE, which requests would prefer."""

    def merge_environment_settings(self, *arguments: Any, **options: Any) -> Any:
        settings = super().merge_environment_settings(*arguments, **options)
        if self.verify is not True:
            settings["verify"] = self.verify
        return settings


class HttpClient(HttpLogExporter):
    """opentelemetry's HTTP exporter, fed with bytes."""

    def __init__(self, endpoint: str) -> None:
        self._responses: list[requests.Response] = []
        session = _Session()
        session.hooks["response"].append(self._see)
        super().__init__(endpoint=endpoint or None, session=session)
        # One try a call, because the sender does the retrying: the exporter's own loop, for which
        # there is no setting, ends after the first try once it is told to shut down.
        self._client._shutdown_event.set()

    def send(self, request: bytes, records: int) -> Answer:
        """Send one request; see ``OtlpClient``."""
        if self._shutdown:
            return _CLOSED
        self._responses.clear()
        with self._metrics.export_operation(records) as operation:
            result = self._client.export(request)
            operation.error = result.error
        if result.status_code is None or not self._responses:
            return Answer(Verdict.RETRY, "unreachable", str(result.error or result.reason or "no answer")[:300])
        response = self._responses[-1]
        return from_http(response.status_code, response.headers, response.content)

    def close(self) -> None:
        """End the wait between two tries and let go of the connection."""
        if not self._shutdown:
            self.shutdown()  # type: ignore[no-untyped-call]

    def _see(self, response: requests.Response, **_options: object) -> None:
        self._responses.append(response)
