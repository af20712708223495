"""Who may see what: authentication, the report pages' conditions, response headers.

Owns what stands in front of every route. Report pages hold command lines
and user names: they are served where only this machine can connect, or where
nobody gets in without a password or a certificate.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.config.model import Web
from exporter.listener.address import Address
from exporter.listener.connection import Reject
from exporter.listener.passwords import PasswordCheck, TooManyChecksError
from exporter.listener.peer import peer_of
from exporter.listener.tls import accepted_from, has_client_certificate
from exporter.web.content import AUTHENTICATED
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


@dataclass(frozen=True, slots=True)
class _Admission:
    """What let a request in."""

    user: str = ""
    """Empty where no password was asked for."""
    hashed: bytes = b""
    """The user's hash at that moment."""


_OPEN = _Admission()
_ADMISSION = web.RequestKey("admission", _Admission)


def may_show_reports(settings: Web) -> bool:
    """Tell whether any request can ever be shown a report page; where none can, no report needs to be kept."""
    address = Address.from_text(settings.reports_address or settings.listen_address, "web.listen_address")
    return settings.config_file is not None or address.is_loopback


class Access:
    """Decides for one listener, by the web configuration file at the moment of the request and by its connection."""

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
        return self._why_foreign(request)

    def _why_foreign(self, request: web.Request) -> str:
        """Return why nothing is served under the request's host name; empty where it is."""
        if not self._is_loopback or self._config_file.current().authenticates or self._is_local_name(request.host):
            return ""
        return (
            f"Not served under the name {request.host!r}: without a password, a loopback listener accepts only "
            "localhost and the host of web.external_url (protection from DNS rebinding)."
        )

    def _is_local_name(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:  # e.g. "["
            return False
        if name in {"localhost", self._external_host} - {""} or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    async def add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Add the response headers; a signal, since errors and streams have to have them too."""
        response.headers.update({**_HEADERS, **self._config_file.current().headers})

    def authentication(self, reject: Reject) -> Middleware:
        """Return the middleware that asks for a password; ``reject`` is told each refusal's reason."""

        @web.middleware
        async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_probe = request.path in PROBE_PATHS
            try:
                admission = await self._admit(request)
            except TooManyChecksError:
                if not is_probe:
                    reject("too_many_passwords")
                    return _later()
                admission = None
            if admission is None and not is_probe:
                reject("unauthorized")
                return self._unauthorized(request)
            if not is_probe and (why := self._why_foreign(request)):
                reject("foreign_name")
                return web.Response(status=403, text=f"{why}\n")
            request[AUTHENTICATED] = admission is not None
            if admission is not None:
                request[_ADMISSION] = admission
            return await handler(request)

        return authenticate

    async def _admit(self, request: web.Request) -> _Admission | None:
        """Return what lets this request in; None for a stranger. Raises TooManyChecksError."""
        config = self._config_file.current()
        if not config.authenticates:
            return _OPEN
        if config.requires_certificate and not self._shows_certificate(request):
            return None
        if not config.users:
            return _OPEN
        header = request.headers.get("Authorization", "")
        user = await self._passwords.admits(header, config.users, peer_of(request.transport))
        return None if user is None else _Admission(user, config.users[user])

    def still_admits(self, request: web.Request) -> bool:
        """Tell whether a request that was let in would be now; for streams, which outlive a change."""
        config, admission = self._config_file.current(), request.get(_ADMISSION)
        if admission is None or (config.requires_certificate and not self._shows_certificate(request)):
            return False
        is_known = not config.users or config.users.get(admission.user) == admission.hashed
        return is_known and not self.why_no_reports(request)

    def _shows_certificate(self, request: web.Request) -> bool:
        """Tell whether the connection was accepted with a certificate that would be accepted now too.

        The connection is asked, not the file: one that was opened before the file asked for certificates has none.
        """
        transport, context = request.transport, self._config_file.context()
        return (
            transport is not None
            and context is not None
            and has_client_certificate(transport)
            and accepted_from(transport) == context.clients
        )

    def _unauthorized(self, request: web.Request) -> web.Response:
        config = self._config_file.current()
        if config.requires_certificate and not self._shows_certificate(request):
            text = "Unauthorized: the client certificate of this connection is no longer accepted; connect again.\n"
            response = web.Response(status=401, text=text)
            response.force_close()
            return response
        return web.Response(
            status=401,
            text="Unauthorized: this listener asks for a user name and a password.\n",
            headers={"WWW-Authenticate": 'Basic realm="falco-report-exporter", charset="UTF-8"'},
        )


def _later() -> web.Response:
    return web.Response(
        status=429, text="Too many password checks are waiting; try again.\n", headers={"Retry-After": "1"}
    )
