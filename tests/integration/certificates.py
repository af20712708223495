"""Certificates for tests: an authority, a server and clients, good and bad ones.

Those of ``Authority`` are as RFC 5280 asks, which Python's own clients insist on from 3.13 on; those of
``make_as_falco_documents`` are as people have them who followed Falco's documentation.
"""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
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

    def encrypt_key(self) -> None:
        """Give the key a passphrase."""
        key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        self.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"topsecret"),
            )
        )


class Authority:
    """A certificate authority that writes what it signs into a directory."""

    def __init__(self, directory: Path, name: str = "ca", *, is_plain: bool = False) -> None:
        """Make the authority; a plain one leaves out what RFC 5280 asks for, as many of people's own do."""
        self._is_plain = is_plain
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {name}")])
        builder = _begin(self._name, self._key.public_key(), days=10).issuer_name(self._name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if not is_plain:
            builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        self._key_identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = builder.add_extension(self._key_identifier, critical=False)
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
        if not self._is_plain:
            builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
            issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_identifier)
            builder = builder.add_extension(issuer, critical=False)
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


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


FALCO_DOCUMENTATION = """\
openssl genrsa -passout pass:1234 -des3 -out ca.key 4096
openssl req -passin pass:1234 -new -x509 -days 365 -key ca.key -out ca.crt -subj {subject}/OU=Test/CN=Root_CA
openssl genrsa -passout pass:1234 -des3 -out server.key 4096
openssl req -passin pass:1234 -new -key server.key -out server.csr -subj {subject}/OU=Server/CN=localhost
openssl x509 -req -passin pass:1234 -days 365 -in server.csr -CA ca.crt -CAkey ca.key -set_serial 01 -out server.crt
openssl rsa -passin pass:1234 -in server.key -out server.key
openssl genrsa -passout pass:1234 -des3 -out client.key 4096
openssl req -passin pass:1234 -new -key client.key -out client.csr -subj {subject}/OU=Client/CN=localhost
openssl x509 -passin pass:1234 -req -days 365 -in client.csr -CA ca.crt -CAkey ca.key -set_serial 01 -out client.crt
openssl rsa -passin pass:1234 -in client.key -out client.key
"""
"""The commands of https://falco.org/docs/developer-guide/grpc/grpc-config/#certificates."""


@dataclass(frozen=True)
class DocumentedCertificates:
    """What the commands of Falco's documentation leave in a directory."""

    ca_file: Path
    server: Pair
    client: Pair


def make_as_falco_documents(directory: Path) -> DocumentedCertificates:
    """Run the commands of Falco's documentation: no subject alternative name, no key usage."""
    for line in FALCO_DOCUMENTATION.splitlines():
        command = line.format(subject="/C=SP/ST=Italy/L=Ornavasso/O=Test").split()
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)
    return DocumentedCertificates(
        directory / "ca.crt",
        Pair(directory / "server.crt", directory / "server.key"),
        Pair(directory / "client.crt", directory / "client.key"),
    )
