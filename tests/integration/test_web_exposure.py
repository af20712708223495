"""Who gets in, and what a listener bears: TLS, passwords, limits, over real connections."""

from __future__ import annotations

import base64
import contextlib
import http.client
import logging
import os
import socket
import ssl
from pathlib import Path

import bcrypt
import pytest

from tests.integration.certificates import Authority, Pair
from tests.site import Site, make_alert, running_site
from tests.waiting import wait_until

HASH = bcrypt.hashpw(b"topsecret", bcrypt.gensalt(4)).decode()


def header(password: str, user: str = "alice") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def get(
    site: Site,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> http.client.HTTPResponse:
    where = ("localhost", port or site.server.port)
    connection = (
        http.client.HTTPSConnection(*where, timeout=10, context=tls)
        if tls
        else http.client.HTTPConnection(*where, timeout=60)
    )
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def write_config(directory: Path, text: str) -> Path:
    file = directory / "web.yml"
    file.write_text(text, encoding="utf-8")
    return file


def client_context(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.cert_file))
    if pair:
        context.load_cert_chain(pair.cert_file, pair.key_file)
    return context


def test_a_password_opens_everything_and_nothing_opens_without_it(tmp_path: Path) -> None:
    """Every route but the probes asks; the probes tell a stranger no reason."""
    file = write_config(tmp_path, f"basic_auth_users: {{alice: {HASH}}}")
    with running_site(listen_address=":0", probe_address="127.0.0.1:0", config_file=file) as site:
        alert = make_alert()
        site.write(alert)
        for path in ("/", "/metrics", "/reports", f"/reports/{alert.uid}", "/reports/live", "/static/app.css", "/x"):
            response = get(site, path)
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
            assert get(site, path, header("wrong")).status == 401
        assert site.rejected("unauthorized") == 14
        for path in ("/", "/metrics", "/reports", f"/reports/{alert.uid}"):
            assert get(site, path, header("topsecret")).status == 200
        site.not_ready["Falco"] = "unix:///run/secret.sock is missing"
        for port in (site.server.port, site.server.probe_port):
            assert get(site, "/readyz", port=port).status == 503
            assert get(site, "/readyz", port=port).headers["Content-Length"] == str(len("not ready\n"))


def test_report_pages_are_off_where_strangers_could_read_them() -> None:
    """On every interface and without authentication: no list, no report, no stream; and it is said why."""
    with running_site(listen_address=":0") as site:
        alert = make_alert()
        site.write(alert)
        for path in ("/reports", "/api/reports", f"/reports/{alert.uid}", f"/reports/{alert.uid}.md", "/reports/live"):
            assert get(site, path).status == 403
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
        connection.request("GET", "/")
        page = connection.getresponse().read().decode()
        connection.close()
        assert "Report pages are off here" in page
        assert "--web.config.file" in page
        assert 'href="reports"' not in page
        assert get(site, "/metrics").status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9376", 200),
        ("127.0.0.1", 200),
        ("[::1]:9376", 200),
        ("falco.localhost", 200),
        ("falco.example", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_a_foreign_name_of_loopback_gets_no_reports(host: str, status: int) -> None:
    """DNS rebinding: a web page could otherwise read reports through a name that points to 127.0.0.1."""
    with running_site(external_url="https://falco.example/") as site:
        assert get(site, "/reports", {"Host": host}).status == status


def test_tls_with_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    """The next connection gets the new certificate; those that are open go on."""
    authority = Authority(tmp_path)
    first, second = authority.make_server("one"), authority.make_server("two")
    file = write_config(tmp_path, "tls_server_config: {cert_file: one.pem, key_file: one.key}")
    context = client_context(authority)
    with running_site(config_file=file) as site:

        def serial() -> str:
            with (
                socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as wrapped,
            ):
                certificate = wrapped.getpeercert()
                assert certificate
                return str(certificate["serialNumber"])

        kept = http.client.HTTPSConnection("localhost", site.server.port, timeout=10, context=context)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b"ok\n"
        before = serial()
        os.replace(second.cert_file, first.cert_file)  # noqa: PTH105
        os.replace(second.key_file, first.key_file)  # noqa: PTH105
        assert serial() != before
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b"ok\n"
        kept.close()
        with pytest.raises((http.client.BadStatusLine, ConnectionError)):
            get(site, "/healthz")
        wait_until(lambda: site.rejected("tls_handshake") == 1, "the plain request is counted")


def test_mutual_tls_lets_in_who_has_the_certificate(tmp_path: Path) -> None:
    """No certificate and one of a stranger fail; with the right one report pages are served on every interface."""
    authority, stranger = Authority(tmp_path, "ca"), Authority(tmp_path, "stranger")
    authority.make_server("server")
    file = write_config(
        tmp_path,
        "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, "
        "client_auth_type: RequireAndVerifyClientCert}",
    )
    with running_site(listen_address=":0", config_file=file) as site:
        assert get(site, "/reports", tls=client_context(authority, authority.make_client("good"))).status == 200
        for pair in (None, stranger.make_client("bad"), authority.make_client("old", days=-1)):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.BadStatusLine)):
                get(site, "/reports", tls=client_context(authority, pair))


def test_the_configuration_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new password counts at once; a broken file changes nothing, shows in a metric, and leaks nothing."""
    file = write_config(tmp_path, f"basic_auth_users: {{alice: {HASH}}}")
    with running_site(config_file=file) as site:
        assert get(site, "/metrics", header("topsecret")).status == 200
        new = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
        write_config(tmp_path, f"basic_auth_users: {{alice: {new}}} # changed")
        assert get(site, "/metrics", header("topsecret")).status == 401
        assert get(site, "/metrics", header("other")).status == 200
        write_config(tmp_path, "basic_auth_users: {alice: plaintext-by-mistake}")
        assert get(site, "/metrics", header("other")).status == 200
        assert site.metrics.registry.get_sample_value("falco_exporter_web_config_current") == 0
        assert "cannot be used" in caplog.text
        assert "plaintext-by-mistake" not in caplog.text


def test_headers_of_the_configuration_are_sent(tmp_path: Path) -> None:
    """``http_server_config.headers`` adds to ours and replaces them."""
    file = write_config(
        tmp_path, "http_server_config: {headers: {Strict-Transport-Security: max-age=60, X-Frame-Options: SAMEORIGIN}}"
    )
    with running_site(config_file=file) as site:
        headers = get(site, "/").headers
        assert headers["Strict-Transport-Security"] == "max-age=60"
        assert headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    ],
)
def test_a_request_that_does_not_arrive_whole_is_cut(sent: bytes) -> None:
    """Slow-loris: nothing, a bit of a header or a bit of a body holds a connection for the time-out alone."""
    with (
        running_site(request_timeout_seconds=0.2) as site,
        socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as slow,
    ):
        slow.sendall(sent)
        with contextlib.suppress(ConnectionError):
            assert slow.recv(1) == b""
        assert site.rejected("request_timeout") == 1


def test_a_slow_second_request_is_cut_as_well() -> None:
    """A connection that has behaved once gets no more time for its next request."""
    with (
        running_site(request_timeout_seconds=0.3) as site,
        socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as slow,
    ):
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /healthz HT")
        wait_until(lambda: site.rejected("request_timeout") == 1, "the connection is cut")


def test_a_resting_connection_makes_room_and_a_busy_one_does_not() -> None:
    """At the cap the longest resting connection goes; where none rests, the new one is refused."""
    with running_site(connection_limit=2) as site:
        streams = []
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            streams.append(connection)
        assert get(site, "/healthz").status == 200
        assert site.rejected("idle") == 1
        for connection in streams:
            connection.close()
        streams = []
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
            connection.request("GET", "/reports/live")
            connection.getresponse().readline()
            streams.append(connection)
        with pytest.raises((http.client.BadStatusLine, ConnectionError)):
            get(site, "/healthz")
        assert site.rejected("connection_limit") >= 1
        for connection in streams:
            connection.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", b"400"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n" + b"a" * 5_000, b"413"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_requests_that_are_too_large_or_none_are_refused(
    request_bytes: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Each gets its status and no line in the log above debug; the server goes on."""
    caplog.set_level(logging.INFO)
    with running_site() as site:
        with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as rude:
            rude.sendall(request_bytes)
            assert rude.recv(64).split(b" ")[1] == status
        assert get(site, "/healthz").status == 200
    assert not caplog.records


def test_secrets_are_in_no_answer_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither hashes, keys nor what a client sends as password."""
    caplog.set_level(logging.DEBUG)
    file = write_config(tmp_path, f"basic_auth_users: {{alice: {HASH}}}")
    with running_site(config_file=file) as site:
        get(site, "/metrics", header("my-typed-password"))
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
        connection.request("GET", "/metrics", headers=header("topsecret"))
        text = connection.getresponse().read().decode()
        connection.close()
    for secret in (HASH, "topsecret", "my-typed-password", header("my-typed-password")["Authorization"]):
        assert secret not in caplog.text
        assert secret not in text


def test_a_unix_socket_serves_and_is_removed(tmp_path: Path) -> None:
    """A stale socket is replaced, a live one is not, and none stays."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running_site(listen_address=f"unix://{path}"), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).endswith(b"ok\n")
    assert not path.exists()
