"""Whether a listener's certificate is valid today, found out as a client does: by a handshake with ourselves.

Owns the trial, in memory. Refuses to judge the issuer or the name: those are between a client and its authorities.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from exporter.listener.tls import accept_plain_certificates

_DATES = {9: "is not valid yet", 10: "has expired"}
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""


def date_problem(cert_file: Path, key_file: Path) -> str:
    """Return ``has expired``, ``is not valid yet``, or nothing where the certificate's dates are right.

    Raises OSError, of which ssl.SSLError is one, where the files cannot be used at all.
    """
    listener = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listener.load_cert_chain(cert_file, key_file, password="")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # The certificate itself is what is trusted, so that only its dates can be wrong.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    accept_plain_certificates(client)
    client.load_verify_locations(cafile=cert_file)
    to_listener, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = listener.wrap_bio(to_listener, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_listener)
    try:
        for side in (theirs, ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as exc:
        return _DATES.get(exc.verify_code, "")
    return ""
