"""What every TLS context of this program has in common.

Owns the departures from Python's defaults and the reasons for them.
"""

from __future__ import annotations

import ssl


def accept_plain_certificates(context: ssl.SSLContext) -> None:
    """Accept certificates that lack what RFC 5280 asks of them but that every other TLS library takes.

    From Python 3.13 on, ``ssl.create_default_context`` sets ``VERIFY_X509_STRICT``: an authority without a
    key usage, or a certificate without an authority key identifier, is refused. The ``openssl`` commands in
    Falco's documentation make such certificates; Falco, curl and gRPC accept them. Signatures, validity and
    names are verified as before.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
