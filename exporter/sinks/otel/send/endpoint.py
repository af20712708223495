"""One OTLP endpoint with everything that a call to it needs.

Owns what an endpoint is and how it is shown. Refuses to read settings (see
``environment.py``) and to call (see ``client.py``). Secrets never show: not in
``repr``, not in ``shown``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

GRPC, HTTP = "grpc", "http/protobuf"
NO_COMPRESSION, GZIP, DEFLATE = "none", "gzip", "deflate"

_USER_INFORMATION = re.compile(r"(?P<start>^|//|\s)[^/?#@\s]*@")


def without_user_information(text: str) -> str:
    """Return text in which no address carries a user name or a password."""
    return _USER_INFORMATION.sub(r"\g<start>", text)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where log records go, over which transport, and how."""

    protocol: str
    """``grpc`` or ``http/protobuf``."""
    url: str = field(repr=False)
    """As it is called; over HTTP it may carry a user name and a password. Over gRPC also a target such as
    ``dns:///collector:4317``."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with each request; names in lower case."""
    timeout_seconds: float | None = 10.0
    """Maximum time for one request; None for no limit."""
    compression: str = NO_COMPRESSION
    """``none``, ``gzip`` or ``deflate``."""
    insecure: bool = False
    """gRPC without TLS, where the URL has no scheme that says so."""
    ca_file: Path | None = None
    """Authority that signed the receiver's certificate (PEM); None for the system's own."""
    cert_file: Path | None = None
    """Our certificate (PEM); None for none."""
    key_file: Path | None = None
    """The private key of our certificate (PEM)."""

    @property
    def shown(self) -> str:
        """The address as people may see it."""
        return without_user_information(self.url)

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        scheme = urlsplit(self.url).scheme
        return scheme == "https" or (self.protocol == GRPC and scheme != "http" and not self.insecure)
