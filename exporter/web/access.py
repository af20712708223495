"""Who may see what: authentication, the report pages' conditions, response headers.

Owns what stands in front of every route. Report pages hold command lines
and user names: they are served where only this machine can connect, or where
nobody gets in without a password or a certificate.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.config.model import Web
from exporter.listener import Address
from exporter.web.content import AUTHENTICATED
from exporter.web.passwords import PasswordCheck
from exporter.web.reloading import WebConfigFile

PROBE_PATHS = frozenset({"/healthz", "/readyz", "/liveness", "/readiness"})
"""Open without a password, since a kubelet has none; they tell a stranger no more than yes or no."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "falco-report-exporter",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def may_show_reports(settings: Web) -> bool:
    """Tell whether any request can ever be shown a report page; where none can, no report needs to be kept."""
    address = Address.from_text(settings.reports_address or settings.listen_address, "web.listen_address")
    return settings.config_file is not None or address.is_loopback


class Access:
    """Decides for one listener, by the web configuration file as it is at the moment of the request."""

    def __init__(self, config_file: WebConfigFile, *, is_loopback: bool, external_url: str) -> None:
        self._config_file = config_file
        self._is_loopback = is_loopback
        self._external_host = (urlsplit(external_url).hostname or "").lower()
        self._passwords = PasswordCheck()

    def why_no_reports(self, request: web.Request) -> str:
        """Return why this request gets no report pages; empty when it gets them."""
        if self._config_file.current().authenticates:
            return ""
        if not self._is_loopback:
            return (
                "Report pages hold command lines and user names. They are off because this listener can be reached "
                "from other machines and asks for neither a password nor a client certificate."
            )
        if not self._is_local_name(request.host):
            return (
                f"Report pages are off under the name {request.host}: without a password, a listener on this machine "
                "alone answers only to localhost and to the host of web.external_url, so that no web page can "
                "read it through a name of its own (DNS rebinding)."
            )
        return ""

    def _is_local_name(self, host: str) -> bool:
        name = (urlsplit(f"//{host}").hostname or "").lower()
        if name in {"localhost", self._external_host} - {""} or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    async def add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Add the response headers; a signal, since errors and streams have to have them too."""
        response.headers.update({**_HEADERS, **self._config_file.current().headers})

    def authentication(self, reject: Callable[[str], None]) -> Middleware:
        """Return the middleware that asks for a password; ``reject`` is told each refusal's reason."""

        @web.middleware
        async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
            users = self._config_file.current().users
            admitted = not users or await self._passwords.admits(request.headers.get("Authorization", ""), users)
            if not admitted and request.path not in PROBE_PATHS:
                reject("unauthorized")
                return web.Response(
                    status=401,
                    text="Unauthorized: this listener asks for a user name and a password.\n",
                    headers={"WWW-Authenticate": 'Basic realm="falco-report-exporter", charset="UTF-8"'},
                )
            request[AUTHENTICATED] = admitted
            return await handler(request)

        return authenticate
