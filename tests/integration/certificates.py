"""Certificates for tests: an authority, a server and clients, good and bad ones."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as PEM files."""

    cert_file: Path
    key_file: Path


class Authority:
    """A certificate authority that writes what it signs into a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {name}")])
        builder = _begin(self._name, self._key.public_key(), days=10).issuer_name(self._name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._cert = builder.sign(self._key, hashes.SHA256())
        self.cert_file = directory / f"{name}.pem"
        self.cert_file.write_bytes(self._cert.public_bytes(serialization.Encoding.PEM))

    def make_server(self, name: str = "server", *, host: str = "localhost", days: int = 1) -> Pair:
        """Sign a server certificate for ``host`` and 127.0.0.1; with negative days it has expired."""
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host), *([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if host == "localhost" else [])]
        )
        return self._make(name, ExtendedKeyUsageOID.SERVER_AUTH, names, days)

    def make_client(self, name: str = "client", *, days: int = 1) -> Pair:
        """Sign a client certificate; with negative days it has expired."""
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        return self._make(name, ExtendedKeyUsageOID.CLIENT_AUTH, names, days)

    def _make(self, name: str, usage: x509.ObjectIdentifier, names: x509.SubjectAlternativeName, days: int) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _begin(subject, key.public_key(), days=days).issuer_name(self._name)
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair


def _begin(subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 100 * DAY)
        .not_valid_after(now + days * DAY)
    )
