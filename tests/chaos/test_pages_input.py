"""Random requests to the pages and random web configuration files: 4xx or a clear error, nothing of ours."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from exporter.errors import ConfigError
from exporter.web.web_config import read_web_config
from tests.integration.certificates import Authority
from tests.site import make_alert, running_site

REQUESTS = 5_000
CONFIGURATIONS = 10_000
LIVE_STREAMS_ARE_FULL = 503

PATHS = (
    "/",
    "/metrics",
    "/reports",
    "/api/reports",
    "/readyz",
    "/static/app.css",
    "/reports/live",
    f"/reports/{'a' * 32}",
)
PARAMETERS = ("limit", "after", "priority", "rule", "text", "host", "namespace")
HEADERS = (
    "Accept", "Accept-Encoding", "Authorization", "Last-Event-ID", "If-None-Match", "Range", "Connection",
    "Content-Length", "Transfer-Encoding", "Content-Type", "Cookie", "If-Modified-Since", "Upgrade", "Expect", "X",
)  # fmt: skip
WORDS = (
    *("text/plain", "application/openmetrics-text", "version=", "1.0.0", ";", ",", "q=", "=", "charset", "escaping="),
    *("allow-utf-8", "dots", "values", "*", "/", "gzip", "identity", '"', "(", "9" * 5_000, "-1", "%00", "%ff", "%"),
    *("é", "[", "]", "::1", "localhost", ":", "9376", "Basic", "YTpi", "x-", "-", "0", "Warning", "&", "?", "#", "\t"),
    *(" ", "\\", "..", "//", ".md", "0" * 32, "+", "1e9", "\x7f", "nan", "٣"),
)


def test_random_requests_are_never_an_error_of_ours(
    say: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Paths, parameters and headers made of what parsers stumble over: no 500, no line in the log."""
    chance = random.Random(7)
    caplog.set_level(logging.INFO)
    answers: Counter[int] = Counter()

    def text() -> str:
        return "".join(chance.choice(WORDS) for _ in range(chance.randrange(6)))

    def request() -> bytes:
        path = chance.choice(PATHS) if chance.random() < 0.8 else f"/{text()}"
        query = f"?{chance.choice(PARAMETERS)}={text()}" if chance.random() < 0.7 else ""
        lines = [f"{chance.choice(('GET', 'GET', 'HEAD', 'POST', 'X'))} {path}{query} HTTP/1.{chance.choice('01')}"]
        lines.append(f"Host: {'localhost' if chance.random() < 0.8 else text()}")
        lines += [f"{chance.choice(HEADERS)}: {text()}" for _ in range(chance.randrange(4))]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    with running_site() as site:
        site.write(*map(make_alert, range(50)))
        for _ in range(REQUESTS):
            sent = request()
            with socket.create_connection(("127.0.0.1", site.server.port), timeout=0.5) as connection:
                connection.sendall(sent)
                with contextlib.suppress(OSError):
                    status = connection.recv(64).split(b" ")[1:2]
                    answers[int(status[0]) if status else 0] += 1
            assert site.rejected("internal") == 0, sent[:500]
        assert {status for status in answers if status >= 500} <= {LIVE_STREAMS_ARE_FULL}
    assert not caplog.records
    say(f"{sum(answers.values())} answers: {dict(answers)}")


def write(directory: Path, text: str) -> Path:
    file = directory / "web.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_random_web_configurations_are_refused_clearly(tmp_path: Path, say: Callable[[str], None]) -> None:
    """A valid file with words changed, cut or doubled is read or refused by a ConfigError, never by another."""
    chance = random.Random(11)
    authority = Authority(tmp_path)
    authority.make_server()
    hashed = bcrypt.hashpw(b"p", bcrypt.gensalt(4)).decode()
    valid = (
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: ca.pem\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  min_version: TLS12\n"
        "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"
        f"basic_auth_users: {{alice: {hashed}}}\nhttp_server_config: {{headers: {{X-Frame-Options: DENY}}}}\n"
    )
    words = [*"{}[]:,&*!|>'\"%@`#-\n\t\0", "server.pem", "TLS13", "TLS10", "null", "~", "<<: ", "[" * 500, "a\\0b"]
    words += ["é", "2020-01-01", "0x1f"]
    assert read_web_config(write(tmp_path, valid)).authenticates
    refused = 0
    for _ in range(CONFIGURATIONS):
        place, length = chance.randrange(len(valid)), chance.choice((0, 1, 20))
        text = valid[:place] + chance.choice(words) + valid[place + length :]
        file = write(tmp_path, text)
        said = ""
        try:
            config = read_web_config(file)
            if config.tls is not None:
                config.tls.context("tls_server_config")
        except ConfigError as exc:
            said = str(exc)
        refused += bool(said)
        assert len(said.splitlines()) <= 1
        assert hashed not in said
    say(f"{refused} of {CONFIGURATIONS} refused")
