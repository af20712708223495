"""The files that a gRPC server's or an OTLP client's TLS is made of: whether they can be used, before a socket opens.

Owns what is wrong with each and what to do about it. Refuses to judge dates and issuers: those are between the two
ends of a connection.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

from exporter.errors import ConfigError, reason_of

_PEM_START, _PEM_BYTES = b"-----BEGIN ", 1_048_576


class PemFile(NamedTuple):
    """A file, and the setting that names it."""

    setting: str
    path: Path | None
    """None where it is not set."""


def check_files(authority: PemFile, certificate: PemFile, key: PemFile) -> None:
    """Raise ConfigError where one of the files is not PEM, or certificate and key do not belong together."""
    for file in (authority, certificate, key):
        if file.path is not None:
            _check_pem(file.setting, file.path)
    if (certificate.path is None) != (key.path is None):
        raise ConfigError(f"{certificate.setting} and {key.setting} go together; only one is set")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority.path is not None:
        try:
            context.load_verify_locations(cafile=authority.path)
        except OSError as exc:  # ssl.SSLError is one
            raise ConfigError(
                f"{authority.setting}: expected certificates in a PEM file, and none can be read from "
                f"{str(authority.path)!r} ({reason_of(exc)}); name the authority that signed the other side's "
                "certificate"
            ) from exc
    if certificate.path is not None and key.path is not None:
        try:
            context.load_cert_chain(certificate.path, key.path, password="")
        except OSError as exc:
            raise ConfigError(
                f"{certificate.setting} and {key.setting}: expected a certificate and its own private key without a "
                f"passphrase, found {str(certificate.path)!r} and {str(key.path)!r} ({reason_of(exc)})"
            ) from exc


def _check_pem(setting: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            is_pem = _PEM_START in file.read(_PEM_BYTES)
    except (OSError, ValueError) as exc:  # ValueError: a path with a NUL
        raise ConfigError(
            f"{setting}: expected a readable PEM file, found {str(path)!r} ({reason_of(exc)}); "
            "correct the path or unset it"
        ) from exc
    if not is_pem:
        raise ConfigError(
            f"{setting}: expected a PEM file, and {str(path)!r} holds no line -----BEGIN …; convert it "
            "(openssl x509 -inform der), correct the path or unset it"
        )
