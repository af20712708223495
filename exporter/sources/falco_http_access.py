"""Who may post alerts: the settings of the receiver, read again when their files change.

Owns which setting asks for what; how it is asked is ``exporter.listener``.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

from exporter.config.model import FalcoHttp, TlsServer
from exporter.errors import ConfigError
from exporter.listener.credentials import authorizes, read_secret, to_basic, to_bearer
from exporter.listener.reloading import Reloaded
from exporter.listener.tls import ServerTls

__all__ = ["authorizes", "expected_authorization", "expected_path", "tls_context"]


def expected_authorization(settings: FalcoHttp) -> Callable[[], bytes | None]:
    """Return a reader of the ``Authorization`` header that is expected; None of it where everybody may post.

    Raises ConfigError where a file cannot be read or is empty.
    """
    token_file, password_file = settings.bearer_token_file, settings.basic_auth_password_file
    if token_file is not None:
        return Reloaded((token_file,), lambda: to_bearer(read_secret(token_file, "http.bearer_token_file"))).current
    if password_file is not None:

        def basic() -> bytes:
            return to_basic(settings.basic_auth_user, read_secret(password_file, "http.basic_auth_password_file"))

        return Reloaded((password_file,), basic).current
    return lambda: None


def expected_path(settings: FalcoHttp) -> Callable[[], bytes | None]:
    """Return a reader of the path that alerts are taken on; None of it where every path is.

    Raises ConfigError where the file cannot be read or holds no path.
    """
    file = settings.path_file
    if file is not None:
        return Reloaded((file,), lambda: _secret_path(file)).current
    path = None if settings.path in {"", "/"} else settings.path.encode()
    return lambda: path


def _secret_path(file: Path) -> bytes:
    path = read_secret(file, "http.path_file")
    if not re.fullmatch(rb"/[!-~]+", path) or b"?" in path:
        raise ConfigError(
            f"http.path_file: {file}: expected a path such as /5f1c…, that starts with / and has no space"
        )
    return path


def tls_context(tls: TlsServer) -> Callable[[], ssl.SSLContext | None]:
    """Return a reader of the TLS context for the next connection; None of it for plain text.

    Raises ConfigError where the files are not a certificate and a key that belong together.
    """
    if tls.cert_file is None or tls.key_file is None:
        return lambda: None
    client_auth = ssl.CERT_NONE if tls.client_ca_file is None else ssl.CERT_REQUIRED
    server = ServerTls(tls.cert_file, tls.key_file, client_auth, tls.client_ca_file)
    return Reloaded(server.files, lambda: server.context("http.tls")).current
