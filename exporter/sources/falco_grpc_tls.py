"""Why a mutual-TLS connection to Falco fails.

gRPC says "Socket closed" to most of it. Owns a handshake of our own, made only
to find the reason, with the same files as the channel's. Refuses to carry calls.
"""

from __future__ import annotations

import re
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

from exporter.config.model import FalcoTarget, TlsClient
from exporter.errors import ConfigError
from exporter.listener.address import Address
from exporter.listener.tls import accept_plain_certificates

TIMEOUT_SECONDS = 5.0
NO_GRPC_SINCE = (
    "Falco 0.44 and later has no gRPC server at all: there, set http.address (--http.address 127.0.0.1:2801) "
    "and point Falco's http_output to it"
)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_EXPIRED, _NOT_YET_VALID, _HOSTNAME_MISMATCH, _IP_MISMATCH = 10, 9, 62, 64
_VALIDITY = re.compile(rb"(?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)")
"""X.509's Validity in DER: two times in a row (RFC 5280, 4.1.2.5); the second is the end."""


def find_tcp_error(target: FalcoTarget) -> str | None:
    """Say why no mutual-TLS connection to HOST:PORT comes about; None where it does, or for a unix socket."""
    if target.address.startswith("unix:"):
        return None
    try:
        address = Address.from_text(target.address, target.label)
    except ConfigError:
        address = None
    if address is None or not address.host:
        return f"cannot read the address {target.address!r}: expected unix:///PATH or HOST:PORT"
    try:
        context = _make_context(target.tls)
    except (OSError, ValueError) as exc:
        return _explain_files(target.tls, exc)
    try:
        connection = socket.create_connection((address.host, address.port), TIMEOUT_SECONDS)
    except (OSError, OverflowError) as exc:
        return (
            f"cannot connect to {target.address}: {exc}; check the address, the network between, and that falco.yaml "
            f"has `grpc: {{enabled: true, bind_address: '0.0.0.0:{address.port}'}}`. {NO_GRPC_SINCE}"
        )
    with connection:
        return _shake_hands(target, context, connection, address.host)


def _make_context(tls: TlsClient) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    accept_plain_certificates(context)
    # Certificates as Falco's documentation makes them have no subjectAltName; gRPC takes them too.
    context.hostname_checks_common_name = True
    context.set_alpn_protocols(["h2"])
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _explain_files(tls: TlsClient, error: Exception) -> str:
    files = ", ".join(str(path) for path in (tls.ca_file, tls.cert_file, tls.key_file) if path is not None)
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"the private key {tls.key_file} does not belong to the certificate {tls.cert_file}: give a matching pair"
        )
    return f"cannot read the TLS files ({files}): {error}; expected PEM files that the exporter's user can read"


def _shake_hands(target: FalcoTarget, context: ssl.SSLContext, connection: socket.socket, host: str) -> str | None:
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            # In TLS 1.3 the server judges our certificate after our side of the handshake is done:
            # a server that accepts it speaks first (HTTP/2 SETTINGS).
            accepted = bool(secured.recv(1))
    except OSError as exc:
        return _explain_handshake(target, exc)
    return None if accepted else _explain_refusal(target, "it closed the connection")


def _explain_handshake(target: FalcoTarget, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_server_certificate(target, error)
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return f"{target.address} does not speak TLS ({error.reason}): is this Falco's gRPC port?"
    if isinstance(error, TimeoutError):
        return f"{target.address} takes connections but does not answer: Falco hangs, or another program listens there"
    return _explain_refusal(target, getattr(error, "reason", None) or str(error))


def _explain_server_certificate(target: FalcoTarget, error: ssl.SSLCertVerificationError) -> str:
    where = f"the server certificate of {target.address}"
    if error.verify_code == _EXPIRED:
        return f"{where}, or the authority that signed it, has expired: renew Falco's `grpc.cert_chain` and restart it"
    if error.verify_code == _NOT_YET_VALID:
        return f"{where} is not valid yet: check the clocks of both machines"
    if error.verify_code in {_HOSTNAME_MISMATCH, _IP_MISMATCH}:
        return f"{where} is for another name ({error.verify_message}): use that name in the target's address"
    authority = target.tls.ca_file or "the system's authorities"
    return (
        f"{where} is not signed by {authority} ({error.verify_message}): "
        "set the target's ca_file to the authority that signed Falco's `grpc.cert_chain`"
    )


def _explain_refusal(target: FalcoTarget, reason: str) -> str:
    """Say why the server does not take our client certificate."""
    tls = target.tls
    if tls.cert_file is None:
        return (
            f"{target.address} refuses us ({reason}), since Falco asks for a client certificate and none is set: "
            "set the target's cert_file and key_file to a pair signed by Falco's `grpc.root_certs`"
        )
    end = find_certificate_end(tls.cert_file)
    if end is not None and end < datetime.now(UTC):
        return (
            f"{target.address} refuses us ({reason}): our client certificate {tls.cert_file} "
            f"expired at {end:%Y-%m-%d %H:%M} UTC; renew it"
        )
    return (
        f"{target.address} refuses our client certificate {tls.cert_file} ({reason}): "
        "it must be signed by Falco's `grpc.root_certs` and be valid now"
    )


def find_certificate_end(path: Path) -> datetime | None:
    """Return when the first certificate of a PEM file expires; None where that cannot be read."""
    try:
        pem = path.read_text("ascii", "replace")  # a comment may be in any encoding
        start = pem.index(ssl.PEM_HEADER)
        der = ssl.PEM_cert_to_DER_cert(pem[start : pem.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)])
    except (OSError, ValueError):
        return None
    match = _VALIDITY.search(der)
    if match is None:
        return None
    short, long = match.groups()
    if long is None:
        # RFC 5280: a two-digit year from 50 on is of the 20th century.
        long = (b"19" if short[:2] >= b"50" else b"20") + short
    return datetime.strptime(long.decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
