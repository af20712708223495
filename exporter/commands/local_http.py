"""HTTP to an exporter that runs on this host with known settings: posting as Falco does, and asking its pages.

Owns the connection: TCP or unix socket, TLS or not, and errors that say what
to do. Refuses to trust another certificate than the settings' own where an
alert or a password is sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.config.model import FalcoHttp
from exporter.errors import ConfigError
from exporter.listener.address import Address
from exporter.sources.falco_http_access import expected_authorization, expected_path

TIMEOUT_SECONDS = 5.0
LINE_CHARACTERS = 300
_LOCAL = "127.0.0.1"
_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - only compared


class NoAnswerError(Exception):
    """Nothing answered; the text says why and what to do."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes

    @property
    def line(self) -> str:
        """The body's first line, cut."""
        return self.body.decode("utf-8", "replace").strip().partition("\n")[0][:LINE_CHARACTERS]


@dataclass(frozen=True)
class Credentials:
    """What Falco has for mutual TLS (falco.yaml: ``http_output.client_cert``, ``client_key``)."""

    cert_file: Path | None = None
    key_file: Path | None = None


class _OverUnix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Receiver:
    """The receiver of posted alerts as its settings describe it."""

    address: Address
    path: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, settings: FalcoHttp, credentials: Credentials) -> Receiver:
        """Read where and how to post. Raises ConfigError where a file cannot be read."""
        path = (expected_path(settings)() or settings.path.encode() or b"/").decode()
        authorization = expected_authorization(settings)()
        headers = {"Content-Type": "application/json", "User-Agent": "falco-report-exporter test-alert"}
        if authorization:
            headers["Authorization"] = authorization.decode("latin-1")
        address = Address.from_text(settings.address, "http.address")
        return cls(address, path if path.startswith("/") else f"/{path}", headers, _own_tls(settings, credentials))

    @property
    def url(self) -> str:
        """Where it is, without a secret path."""
        return address_url(self.address, secure=self.tls is not None)

    def post(self, body: bytes) -> Answer:
        """Post one alert. Raises NoAnswerError."""
        try:
            return _ask(self.address, self.tls, ("POST", self.path, body, self.headers))
        except ssl.SSLError as exc:
            raise NoAnswerError(_tls_trouble(exc, is_mutual=self.tls is not None)) from exc
        except ConnectionRefusedError as exc:
            raise NoAnswerError(
                "nothing listens there; start the exporter with the same settings (falco-report-exporter run)"
            ) from exc
        except FileNotFoundError as exc:
            raise NoAnswerError("there is no such socket; start the exporter with the same settings") from exc
        except (OSError, http.client.HTTPException) as exc:
            hint = "" if self.tls else "; does the exporter there use TLS (http.tls.cert_file)?"
            raise NoAnswerError(f"no answer: {exc or type(exc).__name__}{hint}") from exc


def get_local(address: Address, path: str, *, secure: bool) -> Answer:
    """Ask a page. Raises NoAnswerError.

    With ``secure`` any certificate is taken: this host asks itself, the name in it is another, and nothing is sent.
    """
    context = ssl._create_unverified_context() if secure else None  # noqa: S323
    try:
        return _ask(address, context, ("GET", path, None, {}))
    except (OSError, http.client.HTTPException) as exc:
        raise NoAnswerError(f"no answer on {address_url(address, secure=secure)}: {exc or type(exc).__name__}") from exc


def address_url(address: Address, *, secure: bool) -> str:
    """Return the URL of an address as this host reaches it."""
    if address.path:
        return str(address)
    host = _host(address)
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{address.port}"


def _host(address: Address) -> str:
    return _LOCAL if address.host in _EVERYWHERE else address.host


def _ask(
    address: Address, tls: ssl.SSLContext | None, request: tuple[str, str, bytes | None, Mapping[str, str]]
) -> Answer:
    method, path, body, headers = request
    connection: http.client.HTTPConnection
    if address.path:
        connection = _OverUnix(address.path)
    elif tls is not None:
        connection = http.client.HTTPSConnection(_host(address), address.port, timeout=TIMEOUT_SECONDS, context=tls)
    else:
        connection = http.client.HTTPConnection(_host(address), address.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    finally:
        connection.close()


def _own_tls(settings: FalcoHttp, credentials: Credentials) -> ssl.SSLContext | None:
    """Return a context that trusts the receiver's own certificate and nothing else; None for plain text."""
    if settings.tls.cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # It is this very certificate, whichever name it has.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(settings.tls.cert_file)
        if credentials.cert_file is not None:
            context.load_cert_chain(credentials.cert_file, credentials.key_file)
    except (OSError, ssl.SSLError) as exc:
        named = exc.filename or credentials.cert_file or settings.tls.cert_file
        raise ConfigError(f"{named}: {exc.strerror or exc}; expected a certificate and its key (PEM)") from exc
    if settings.tls.client_ca_file is not None and credentials.cert_file is None:
        raise ConfigError(
            "the receiver asks for client certificates (http.tls.client_ca_file): give Falco's own, "
            "--client-cert and --client-key (falco.yaml: http_output.client_cert, client_key)"
        )
    return context


def _tls_trouble(error: ssl.SSLError, *, is_mutual: bool) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "another certificate answers than http.tls.cert_file; the exporter there was started with other settings, "
            "or a proxy is in between"
        )
    if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error):
        return "it speaks plain text, not TLS; the exporter there was started without http.tls.cert_file"
    hint = "; is the client certificate signed by http.tls.client_ca_file?" if is_mutual else ""
    return f"TLS failed: {error.reason or error}{hint}"
