"""Why a TLS handshake with a client failed, said for the operator of this listener.

Owns the translation of OpenSSL's reasons. The same failure seen from the other
side, as a client of Falco, is ``sources.falco_grpc_tls``.
"""

from __future__ import annotations

import ssl

_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "the client showed no certificate, and this listener asks for one; "
        "Falco's http_output needs `mtls: true`, `client_cert` and `client_key` in falco.yaml"
    ),
    "HTTP_REQUEST": "the client speaks plain HTTP, and this listener speaks TLS; give the client an https:// address",
    "WRONG_VERSION_NUMBER": "the client does not speak TLS, this listener does; give the client an https:// address",
    "UNSUPPORTED_PROTOCOL": "the client offers only TLS versions that this listener does not accept",
    "NO_SHARED_CIPHER": "the client offers no cipher suite that this listener accepts",
}
_OURS_REFUSED = (
    "the client does not trust this listener's certificate; give it the authority that signed the certificate "
    "(`ca_cert` of Falco's http_output), and connect by a name that is in the certificate"
)
_ALERTS_ON_OURS = ("UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE")
"""What a client's TLS alert is called that refuses a certificate (RFC 8446, section 6)."""


def explain(error: BaseException) -> tuple[str, str]:
    """Return a short word for the kind of failure, of a closed set, and a sentence saying what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "client_certificate", (
            f"the client's certificate was refused ({error.verify_message}); "
            "it must be valid now and signed by this listener's client_ca_file"
        )
    reason = getattr(error, "reason", None) or ""
    if reason in _REASONS:
        return reason.lower(), _REASONS[reason]
    if reason.endswith("CERTIFICATE_EXPIRED"):
        return "our_certificate", "this listener's certificate has expired, says the client; renew its cert_file"
    if any(reason.endswith(alert) for alert in _ALERTS_ON_OURS):
        return "our_certificate", _OURS_REFUSED
    if isinstance(error, ssl.SSLError):
        return "tls", f"the TLS handshake failed ({reason or error})"
    return "aborted", f"the client went away during the TLS handshake ({error or type(error).__name__})"
