"""Who may post alerts: credentials and TLS files, read again when they change.

Owns the comparison in constant time and the listener's TLS context. Secrets
come from files and appear in no message.
"""

from __future__ import annotations

import base64
import hmac
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from exporter.config.model import FalcoHttp, TlsServer
from exporter.errors import ConfigError
from exporter.listener.tls import accept_plain_certificates

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
Stamp = tuple[tuple[int, int, int], ...]


class Reloaded(Generic[_T]):
    """A value made from files, made again when one of them changes.

    Raises ConfigError where it cannot be made at the start; later the former
    value stays in force, and that is logged once a change.
    """

    def __init__(self, files: tuple[Path, ...], make: Callable[[], _T]) -> None:
        self._files = files
        self._make = make
        self._stamp = self._look()
        self._value = make()

    def current(self) -> _T:
        """Return the value of the moment."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._value = self._make()
                logger.info("read again: %s", ", ".join(map(str, self._files)))
            except ConfigError as exc:
                logger.error("the changed files are not used, the former stay in force: %s", exc)  # noqa: TRY400
        return self._value

    def _look(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_ino, status.st_size)


def expected_authorization(settings: FalcoHttp) -> Callable[[], bytes | None]:
    """Return a reader of the ``Authorization`` header that is expected; None of it where everybody may post.

    Raises ConfigError where a file cannot be read or is empty.
    """
    token_file, password_file = settings.bearer_token_file, settings.basic_auth_password_file
    if token_file is not None:
        return Reloaded((token_file,), lambda: b"Bearer " + _secret(token_file, "http.bearer_token_file")).current
    if password_file is not None:

        def basic() -> bytes:
            password = _secret(password_file, "http.basic_auth_password_file")
            return b"Basic " + base64.b64encode(settings.basic_auth_user.encode() + b":" + password)

        return Reloaded((password_file,), basic).current
    return lambda: None


def authorizes(expected: bytes | None, given: str) -> bool:
    """Whether the header given is the one expected; takes as long whatever differs (RFC 6750, RFC 7617)."""
    if expected is None:
        return True
    scheme, _, credentials = given.partition(" ")
    normalised = f"{scheme.capitalize()} {credentials.strip()}".encode("utf-8", "surrogateescape")
    return hmac.compare_digest(normalised, expected)


def _secret(file: Path, setting: str) -> bytes:
    try:
        secret = file.read_bytes().strip()
    except OSError as exc:
        raise ConfigError(f"{setting}: {file}: {exc.strerror}; expected a readable file with the secret") from exc
    if not secret:
        raise ConfigError(f"{setting}: {file}: the file is empty; expected the secret")
    return secret


def tls_context(tls: TlsServer) -> Callable[[], ssl.SSLContext | None]:
    """Return a reader of the TLS context for the next connection; None of it for plain text.

    Raises ConfigError where the files are no certificate and key that belong together.
    """
    if tls.cert_file is None or tls.key_file is None:
        return lambda: None
    files = tuple(file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file is not None)
    return Reloaded(files, lambda: _context(tls)).current


def _context(tls: TlsServer) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    accept_plain_certificates(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(str(tls.cert_file), str(tls.key_file))
        if tls.client_ca_file is not None:
            context.load_verify_locations(str(tls.client_ca_file))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"http.tls: {tls.cert_file}, {tls.key_file}, {tls.client_ca_file or 'no client_ca_file'}: {exc}; "
            "expected PEM files, the key belonging to the certificate"
        ) from exc
    return context
