"""TLS for everything that listens, and what every TLS context of this program has in common.

Owns the departures from Python's defaults and the reasons for them. Refuses to
print a key: messages name files.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.errors import ConfigError


def accept_plain_certificates(context: ssl.SSLContext) -> None:
    """Accept certificates that lack what RFC 5280 asks of them but that every other TLS library takes.

    From Python 3.13 on, ``ssl.create_default_context`` sets ``VERIFY_X509_STRICT``: an authority without a
    key usage, or a certificate without an authority key identifier, is refused. The ``openssl`` commands in
    Falco's documentation make such certificates; Falco, curl and gRPC accept them. Signatures, validity and
    names are verified as before.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT


class ServerContext(ssl.SSLContext):
    """A listener's context, which a connection keeps: it tells whom the connection was accepted from."""

    clients: bytes = b""
    """A digest of how clients are verified; two contexts that differ in it do not let in the same ones."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a TLS listener is made of."""

    cert_file: Path
    key_file: Path
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    """Whether clients show a certificate: need not, may, or must."""
    client_ca_file: Path | None = None
    """The authorities that sign clients' certificates."""
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = ""
    """OpenSSL's names, joined by colons; empty for OpenSSL's own choice."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the context is made of."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)

    def context(self, setting: str) -> ServerContext:
        """Return a fresh context. Raises ConfigError naming ``setting`` and the file that cannot be used."""
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = self.min_version, self.max_version
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        accept_plain_certificates(context)
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        authorities = self._load(context, setting)
        context.verify_mode = self.client_auth
        context.clients = hashlib.sha256(b"%d" % self.client_auth + authorities).digest()
        return context

    def _load(self, context: ssl.SSLContext, setting: str) -> bytes:
        file = self.cert_file
        authorities = b""
        try:
            context.load_cert_chain(self.cert_file, self.key_file, password=_no_password)
            if self.client_ca_file:
                file = self.client_ca_file
                authorities = file.read_bytes()
                context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError; ValueError: a path with a NUL
            files = f"{file} with {self.key_file}" if file is self.cert_file else f"{file}"
            raise ConfigError(
                f"{setting}: {files} cannot be used: {getattr(exc, 'strerror', None) or exc}; "
                "expected PEM files that belong together, the key without a passphrase, readable by this user"
            ) from exc
        return authorities


def _no_password() -> str:
    """Stand in for OpenSSL's question on the terminal."""
    return ""


def accepted_from(transport: Any) -> bytes | None:
    """Return whom a connection was accepted from (``ServerContext.clients``); None for one without TLS."""
    secured = transport.get_extra_info("ssl_object")
    context = None if secured is None else secured.context
    return context.clients if isinstance(context, ServerContext) else None


def has_client_certificate(transport: Any) -> bool:
    """Tell whether the peer showed a certificate, which OpenSSL verified during the handshake."""
    secured = transport.get_extra_info("ssl_object")
    return secured is not None and bool(secured.getpeercert())
