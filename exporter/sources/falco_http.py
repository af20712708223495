"""Alerts that Falco posts: the receiver for its ``http_output``.

Owns the answers: 200 only once every sink has the alert, 4xx naming what is
wrong, 503 while the sinks have no room. Falco waits for each answer with all
its outputs, looks at no status and sends nothing twice, so an answer
comes at once and an alert is refused only when it cannot be kept.
"""

from __future__ import annotations

import asyncio
import logging
import threading

from aiohttp import web

from exporter.config.model import FalcoHttp
from exporter.errors import DecodeError
from exporter.listener.address import Address
from exporter.listener.connection import Limits
from exporter.listener.server import Listener
from exporter.pipeline import Handover
from exporter.selfmetrics import SelfMetrics
from exporter.sources import decode
from exporter.sources.falco_http_access import authorizes, expected_authorization, tls_context
from exporter.sources.intake import Intake

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1
REFUSED_BYTES = 1024 * 1024
"""How much more of a body that is too large is read, so that its sender sees the 413."""
STOP_LOOK_SECONDS = 0.1
_HEADER_LIMIT_BYTES = 16_384
_TEXT_BODY = (
    "This is Falco's alert as text; JSON is needed. Set `json_output: true` in /etc/falco/falco.yaml "
    "(and leave `json_include_output_property` on), then restart Falco.\n"
)


class FalcoHttpSource:
    """The receiver as a ``pipeline.Source``.

    Raises ConfigError where the address, a secret's file or a certificate is wrong.
    """

    def __init__(self, settings: FalcoHttp, metrics: SelfMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._address = Address.from_text(settings.address, "http.address")
        self._expected = expected_authorization(settings)
        self._tls = tls_context(settings.tls)
        self._intake = Intake(self.name, metrics)
        self._stop = threading.Event()
        self._handover: Handover | None = None
        self._listener: Listener | None = None
        self.listening = threading.Event()
        """Set once the port is open."""
        self.state = "connecting"
        """``connecting``, ``up``, or ``ended``."""

    @property
    def name(self) -> str:
        """``http`` and where it listens."""
        return f"http {self._settings.address}"

    @property
    def port(self) -> int:
        """The port in use, once listening."""
        assert self._listener is not None
        return self._listener.address.port

    def run(self, handover: Handover, stop: threading.Event) -> None:
        """Answer requests until ``stop``; the ones under way are answered first."""
        self._handover, self._stop = handover, stop
        try:
            asyncio.run(self._serve(stop))
        finally:
            self._intake.up.set(0)
            self.state = "ended"

    async def _serve(self, stop: threading.Event) -> None:
        self._listener = Listener(
            self._app(),
            self._address,
            limits=Limits(
                self._settings.connection_limit,
                self._settings.read_timeout_seconds,
                self._settings.body_limit_bytes + REFUSED_BYTES,
            ),
            tls=self._tls,
            reject=self._reject,
        )
        await self._listener.start()
        self._intake.up.set(1)
        self.state = "up"
        logger.info("listening for Falco's http_output on %s%s", self._listener.address, self._settings.path)
        self.listening.set()
        try:
            while not stop.is_set():
                await asyncio.sleep(STOP_LOOK_SECONDS)
        finally:
            await self._listener.close()

    def _app(self) -> web.Application:
        app = web.Application(
            client_max_size=self._settings.body_limit_bytes,
            handler_args={"max_field_size": _HEADER_LIMIT_BYTES, "max_line_size": _HEADER_LIMIT_BYTES},
        )
        app.router.add_post(self._settings.path, self._post)
        app.on_response_prepare.append(self._count_too_large)
        return app

    def _reject(self, reason: str) -> None:
        self._metrics.http_rejected.labels("http", reason).inc()

    async def _count_too_large(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Such a body is refused while it is read, before any handler."""
        if response.status == 413:
            self._intake.received.inc()
            limit = self._settings.body_limit_bytes
            message = f"a body is larger than http.body_limit_bytes ({limit}); it was refused"
            self._intake.reject(DecodeError("too_long", message))

    async def _post(self, request: web.Request) -> web.Response:
        if not authorizes(self._expected(), request.headers.get("Authorization", "")):
            self._reject("unauthorized")
            return _answer(401, "Unauthorized: see http.bearer_token_file or http.basic_auth_user.\n", realm=True)
        assert self._handover is not None
        if self._handover.wait_for_room(0) <= 0:
            self._reject("backpressure")
            response = _answer(503, "The collector does not keep up and the queue is full; send again later.\n")
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return response
        return self._take(await request.read(), self._handover)

    def _take(self, body: bytes, handover: Handover) -> web.Response:
        self._intake.received.inc()
        try:
            alert = decode.from_json(body)
        except DecodeError as exc:
            self._intake.reject(exc)
            is_text = body.lstrip()[:1] not in {b"{", b"[", b'"'}
            return _answer(400, _TEXT_BODY if is_text else f"{exc}\n")
        handover.deliver([alert])
        return web.Response()


def _answer(status: int, text: str, *, realm: bool = False) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="falco-report-exporter", charset="UTF-8"'} if realm else None
    return web.Response(status=status, text=text, headers=headers)
