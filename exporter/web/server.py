"""The HTTP server's thread.

Owns which routes stand on which listener, and their start and end. Serves
from an event loop of its own, so that no request ever waits for an alert nor
an alert for a request.
"""

from __future__ import annotations

import asyncio
import threading

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.config.model import Web
from exporter.listener.address import Address
from exporter.listener.connection import REASONS, Limits, Reason, Reject
from exporter.listener.server import Listener
from exporter.web.access import Access
from exporter.web.api import add_api
from exporter.web.content import SITE, Content, Site
from exporter.web.digest import add_digest
from exporter.web.errors import error_pages
from exporter.web.incidents import add_incidents
from exporter.web.landing import add_landing
from exporter.web.listing import Listing
from exporter.web.live import add_live
from exporter.web.metrics import add_metrics
from exporter.web.missing import add_missing
from exporter.web.probes import add_probes
from exporter.web.reloading import WebConfigFile
from exporter.web.reports import add_reports
from exporter.web.static import add_static

BODY_LIMIT_BYTES = 1_024
"""No route takes a body."""
CLOSE_SECONDS = 5.0
_ABOUT_ALERTS = ("/api/", "/digest", "/incidents", "/reports")
"""How paths begin that show alerts; /metrics settles by itself."""


@web.middleware
async def settled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a page show what came before it was asked for; probes wait for nothing."""
    if request.path.startswith(_ABOUT_ALERTS):
        await asyncio.get_running_loop().run_in_executor(None, request.app[SITE].content.settle)
    return await handler(request)


class WebServer:
    """Serves metrics, probes and pages on one to three listeners.

    Raises ConfigError where an address or the web configuration file is wrong.
    """

    def __init__(self, settings: Web, content: Content) -> None:
        self._settings = settings
        self._content = content
        self._listing = Listing(content.reports, content.gist_for)
        self._config_file = WebConfigFile(settings.config_file)
        self._addresses = {
            name: Address.from_text(text, f"web.{name}_address")
            for name, text in (
                ("listen", settings.listen_address),
                ("reports", settings.reports_address),
                ("probe", settings.probe_address),
            )
            if text
        }
        self._listeners: dict[str, Listener] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._closing = threading.Event()
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Serve from now on. Raises ConfigError where an address cannot be had."""
        content = self._content
        content.metrics.web_config_current.set_function(lambda: float(self._config_file.is_current))
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def close(self) -> None:
        """Stop serving. Twice is safe."""
        self._closing.set()
        if self._thread is None or not self._thread.is_alive():
            return
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CLOSE_SECONDS)

    @property
    def is_alive(self) -> bool:
        """Whether the thread that serves still runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the landing page."""
        address = self._listeners["listen"].address
        if address.path:
            return str(address)
        host = f"[{address.host}]" if ":" in address.host else address.host
        scheme = "https" if self._config_file.context() else "http"
        return f"{scheme}://{'127.0.0.1' if host in {'', '[::]', '0.0.0.0'} else host}:{address.port}"  # noqa: S104

    @property
    def port(self) -> int:
        """The main listener's port."""
        return self._listeners["listen"].address.port

    @property
    def reports_port(self) -> int:
        """The port of the listener that has the report pages."""
        return self._listeners.get("reports", self._listeners["listen"]).address.port

    @property
    def probe_port(self) -> int:
        """The port of the probes' own listener; KeyError when there is none."""
        return self._listeners["probe"].address.port

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 - raised again by start()
            self._failure = exc
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            for name, address in self._addresses.items():
                self._listeners[name] = self._listener(name, address)
                await self._listeners[name].start()
            self._started.set()
            await self._stop.wait()
        finally:
            for listener in self._listeners.values():
                await listener.close()

    def _listener(self, name: str, address: Address) -> Listener:
        rejected = self._content.metrics.http_rejected

        for known in REASONS:
            rejected.labels(name, known)

        def reject(reason: Reason) -> None:
            rejected.labels(name, reason).inc()

        return Listener(
            self._app(name, address, reject),
            address,
            limits=Limits(self._settings.connection_limit, self._settings.request_timeout_seconds),
            tls=(lambda: None) if name == "probe" else self._config_file.context,
            reject=reject,
        )

    def _app(self, name: str, address: Address, reject: Reject) -> web.Application:
        access = Access(self._config_file, is_loopback=address.is_loopback, external_url=self._settings.external_url)
        app = web.Application(
            middlewares=[access.authentication(reject), settled, error_pages], client_max_size=BODY_LIMIT_BYTES
        )
        app.on_response_prepare.append(access.add_headers)
        app[SITE] = Site(
            self._settings,
            self._content,
            shows_reports=access.why_no_reports,
            listing=self._listing,
            still_admits=access.still_admits,
            has_metrics=name == "listen",
            has_reports=name == "reports" or "reports" not in self._addresses,
            closing=self._closing.is_set,
        )
        add_probes(app)
        if name == "probe":
            return app
        add_landing(app)
        add_static(app)
        if app[SITE].has_metrics:
            add_metrics(app)
        if app[SITE].has_reports:
            add_reports(app)
            add_live(app)
            add_api(app)
            add_digest(app)
            add_incidents(app)
            add_missing(app)
        return app
