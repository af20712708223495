"""Which requests the receiver takes, judged by their head, before a byte of the body is kept.

Owns the answer to everything that is no alert: probes, wrong methods, paths and
credentials, and web pages. What Falco is refused is said in the log, once a
minute, with the setting in falco.yaml to change: Falco looks at no answer.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal

import httptools

from exporter.config.model import FalcoHttp
from exporter.listener.connection import Reason
from exporter.log_limit import LogLimit
from exporter.sources.falco_http_access import authorizes
from exporter.sources.falco_http_answers import make_answer

logger = logging.getLogger(__name__)

ReceiverReason = Literal[Reason, "cross_site", "memory", "method", "shutdown", "tls_on_plain_port", "wrong_path"]
"""Why the receiver refuses or cuts: the closed set behind a metric's label."""
WARN_SECONDS = 600.0
"""How long a refusal that points to a wrong setting stays visible on the landing page and in /readyz."""
PROBES = frozenset({b"/healthz", b"/ping"})
TEST_PATH = b"/test"

_PROBE_HEADERS = ("Cache-Control: no-store", "Server: falco-report-exporter")
_REALM = 'WWW-Authenticate: Basic realm="falco-report-exporter", charset="UTF-8"'
_ANSWERS: Mapping[ReceiverReason, tuple[int, str, tuple[str, ...]]] = {
    "method": (405, "Alerts are posted here; GET /healthz says whether the receiver answers.\n", ("Allow: POST",)),
    "cross_site": (403, "Requests that a web page made (Origin, Sec-Fetch-Site) are refused.\n", ()),
    "wrong_path": (404, "Not found: alerts are taken on another path, see http.path.\n", ()),
    "unauthorized": (401, "Unauthorized: see http.bearer_token_file or http.basic_auth_user.\n", (_REALM,)),
}


class Refusals:
    """Counts refusals by reason, logs each once a minute and remembers those that point to a wrong setting."""

    def __init__(
        self, name: str, reject: Callable[[ReceiverReason], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._reject = reject
        self._clock = clock
        self._limit = LogLimit(clock=clock)
        self._noticed: dict[ReceiverReason, tuple[float, str]] = {}

    def refuse(self, reason: ReceiverReason, what_to_do: str = "") -> None:
        """Count; with ``what_to_do`` also log and remember."""
        self._reject(reason)
        if not what_to_do:
            return
        self._noticed[reason] = (self._clock(), what_to_do)
        if self._limit.permits(reason):
            logger.warning("%s: an alert was refused and is lost (%s): %s", self._name, reason, what_to_do)

    def warnings(self) -> Mapping[str, str]:
        """Return the reasons of refusals of late, each with what to do about it."""
        newest = self._clock() - WARN_SECONDS
        noticed = list(self._noticed.items())  # another thread asks
        return {reason: f"alerts are refused and lost; {text}" for reason, (when, text) in noticed if when > newest}


class Admission:
    """Judges heads of requests. ``authorization`` and ``path`` read what is expected at the moment, or None."""

    def __init__(
        self,
        settings: FalcoHttp,
        authorization: Callable[[], bytes | None],
        path: Callable[[], bytes | None],
        refusals: Refusals,
    ) -> None:
        self._settings = settings
        self._authorization = authorization
        self._path = path
        self._refusals = refusals

    @property
    def asks_for_nothing(self) -> bool:
        """Whether a head that was admitted once is admitted always: no secret is asked for, which could change."""
        return self._authorization() is None and self._path() is None

    def judge(self, method: bytes, url: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
        """Return the answer to a request whose body is not wanted; None for one that may hold alerts."""
        path = to_path(url)
        if method in {b"GET", b"HEAD"} and path in PROBES:
            return make_answer(200, "ok\n" if method == b"GET" else "", *_PROBE_HEADERS)
        if method != b"POST":
            return self._refuse("method")
        if b"origin" in headers or b"sec-fetch-site" in headers:
            return self._refuse("cross_site")
        secret = self._authorization()
        if secret is not None and not authorizes(secret, headers.get(b"authorization", b"").decode("latin-1")):
            return self._refuse("unauthorized", self._credentials_to_set())
        expected = self._path()
        if expected is not None and not hmac.compare_digest(path, expected) and not self.asks_for_test(url):
            return self._refuse(
                "wrong_path", "set the path of http_output.url in falco.yaml to the one of http.path or http.path_file"
            )
        return None

    def asks_for_test(self, url: bytes) -> bool:
        """Whether a request without a body asks for a test alert: below the path that is expected, where one is."""
        expected = (self._path() or b"").rstrip(b"/")
        return hmac.compare_digest(to_path(url), expected + TEST_PATH)

    def _refuse(self, reason: ReceiverReason, what_to_do: str = "") -> bytes:
        self._refusals.refuse(reason, what_to_do)
        status, text, headers = _ANSWERS[reason]
        return make_answer(status, text, *headers)

    def _credentials_to_set(self) -> str:
        if self._settings.bearer_token_file is not None:
            return (
                "http.bearer_token_file is set, and Falco cannot send a token; "
                "use http.path_file or mutual TLS (http.tls.client_ca_file) instead"
            )
        return (
            "set http_output.url in falco.yaml to http://USER:PASSWORD@HOST:PORT/ with the user of http.basic_auth_user"
        )


def to_path(url: bytes) -> bytes:
    """Return the path of a request's target, without its query; empty where it has none."""
    if url.startswith(b"/"):
        return url.partition(b"?")[0]
    try:
        return httptools.parse_url(url).path or b""
    except httptools.HttpParserInvalidURLError:
        return b""
