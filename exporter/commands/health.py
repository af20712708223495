"""``health``: is the exporter of these settings well? For a container's HEALTHCHECK."""

from __future__ import annotations

import http.client
import ssl
import sys

from exporter.config.model import Config
from exporter.errors import reason_of
from exporter.listener.address import Address

TIMEOUT_SECONDS = 3.0


def health(config: Config) -> int:
    """Ask /healthz on this host; 0 where it answers 200, else 1 with the reason on standard error.

    Uses the probe listener where there is one: it has neither TLS nor
    authentication. Otherwise a 401 shows as well that the exporter answers.
    """
    address = Address.from_text(config.web.probe_address or config.web.listen_address, "web.listen_address")
    host = address.host if address.host not in {"", "0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104 - compared
    path = "/liveness" if config.web.probe_address else "/healthz"
    problem = ""
    for secure in (False, True) if config.web.config_file else (False,):
        problem = _ask(host, address.port, path, secure=secure)
        if not problem:
            return 0
    print(f"http://{host}:{address.port}{path}: {problem}", file=sys.stderr)
    return 1


def _ask(host: str, port: int, path: str, *, secure: bool) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    if secure:
        # This machine asks itself whether something answers; the certificate names another host.
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as exc:
        return f"no answer: {reason_of(exc)}; is the exporter running, with these settings?"
    finally:
        connection.close()
    return "" if answer.status in {200, 401} else f"answered {answer.status}"
