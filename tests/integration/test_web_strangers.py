"""What strangers can learn, hold up and write into the log, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from aiohttp import web

from exporter.listener.address import Address
from exporter.listener.connection import Limits
from exporter.listener.server import Listener
from tests.integration.certificates import Authority
from tests.integration.handshakes import begun_handshake
from tests.integration.test_web_exposure import client_context, get, header, write_config
from tests.site import Site, make_alert, running_site
from tests.waiting import wait_until

MUTUAL = (
    "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, "
    "client_auth_type: RequireAndVerifyClientCert}"
)


@contextlib.contextmanager
def connected(site: Site, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


@pytest.mark.parametrize("before", ["{}", "tls_server_config: {cert_file: server.pem, key_file: server.key}"])
def test_a_connection_from_before_mutual_tls_reads_nothing(tmp_path: Path, before: str) -> None:
    """Who is let in is asked of the connection: one that showed no certificate is told to connect again."""
    authority = Authority(tmp_path)
    authority.make_server()
    file = write_config(tmp_path, before)
    with running_site(config_file=file) as site:
        alert = make_alert()
        site.write(alert)
        tls = client_context(authority) if "tls" in before else None
        connection = (
            http.client.HTTPSConnection("localhost", site.server.port, timeout=10, context=tls)
            if tls
            else http.client.HTTPConnection("localhost", site.server.port, timeout=60)
        )
        connection.request("GET", "/reports")
        assert connection.getresponse().read()
        write_config(tmp_path, MUTUAL + " # changed")
        connection.request("GET", f"/reports/{alert.uid}")
        response = connection.getresponse()
        assert (response.status, "Clear Log" in response.read().decode()) == (401, False)
        assert response.headers["Connection"] == "close"
        connection.close()
        good = client_context(authority, authority.make_client())
        assert get(site, "/reports", tls=good).status == 200


def test_a_certificate_of_a_former_authority_reads_nothing_more(tmp_path: Path) -> None:
    """A connection whose certificate would not be accepted now is refused; a renewed server certificate is fine."""
    authority, other = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
    authority.make_server()
    file = write_config(tmp_path, MUTUAL)
    with running_site(config_file=file) as site:
        context = client_context(authority, authority.make_client())
        connection = http.client.HTTPSConnection("localhost", site.server.port, timeout=10, context=context)

        def status() -> int:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            response.read()
            return response.status

        assert status() == 200
        authority.make_server()
        assert status() == 200
        (tmp_path / "ca.pem").write_bytes(other.cert_file.read_bytes())
        assert status() == 401
        connection.close()


def test_a_handshake_that_began_under_a_former_authority_reads_nothing(tmp_path: Path) -> None:
    """The authority changes while the handshake is under way: it ends well, as it began, and is answered 401."""
    authority, other = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
    authority.make_server()
    file = write_config(tmp_path, MUTUAL)
    with running_site(config_file=file) as site:
        context = client_context(authority, authority.make_client())
        with begun_handshake(context, site.server.port) as handshake:
            (tmp_path / "ca.pem").write_bytes(other.cert_file.read_bytes())
            handshake.finish()
            handshake.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert handshake.read_to_the_end().startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("after", ["bob: {0}", "alice: {1}"])
def test_the_live_stream_of_a_removed_user_ends(tmp_path: Path, after: str) -> None:
    """A user who is removed, or whose password changes, reads no further alert."""
    hashes = [bcrypt.hashpw(word, bcrypt.gensalt(4)).decode() for word in (b"topsecret", b"new")]
    file = write_config(tmp_path, f"basic_auth_users: {{alice: {hashes[0]}}}")
    with running_site(config_file=file) as site, connected(site, "/reports/live", **header("topsecret")) as stream:
        assert stream.status == 200
        write_config(tmp_path, f"basic_auth_users: {{{after.format(*hashes)}}} # changed")
        rest = stream.read()  # returns only when the server ends the stream
        assert b"event: report" not in rest


def test_probes_tell_strangers_no_reason_where_certificates_are_required(tmp_path: Path) -> None:
    """The plain probe address is open to a kubelet, which learns yes or no."""
    authority = Authority(tmp_path)
    authority.make_server()
    file = write_config(tmp_path, MUTUAL)
    with running_site(config_file=file, probe_address="127.0.0.1:0") as site:
        site.not_ready["Falco"] = "unix:///run/secret.sock is missing"
        response = get(site, "/readyz", port=site.server.probe_port)
        assert (response.status, response.headers["Content-Length"]) == (503, str(len("not ready\n")))
        inside = client_context(authority, authority.make_client())
        assert int(get(site, "/readyz", tls=inside).headers["Content-Length"]) > len("not ready\n")


def test_a_unix_socket_is_private_from_its_first_moment(tmp_path: Path) -> None:
    """Whatever the umask says: who may connect sees reports."""
    before = os.umask(0)
    try:
        with running_site(listen_address=f"unix://{tmp_path}/web.sock"):
            assert stat.S_IMODE((tmp_path / "web.sock").stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("path", ["/", "/metrics", "/reports", "/api/reports", "/static/app.css"])
def test_a_foreign_name_of_loopback_gets_nothing_but_probes(path: str) -> None:
    """DNS rebinding: rule and host names are no business of a web page either."""
    with running_site() as site:
        assert get(site, path, {"Host": "evil.example"}).status == 403
        assert get(site, path, {"Host": "localhost"}).status == 200
        assert get(site, "/healthz", {"Host": "10.0.0.7:9376"}).status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/metrics", {"Accept": "text/plain;version=a"}),
        ("/metrics", {"Accept": "application/openmetrics-text;version==,*/*"}),
        ("/api/reports?limit=" + "9" * 5_001, {}),
        ("/api/reports?limit=0", {}),
        ("/api/reports?limit=%D9%A3", {}),
        ("/metrics", {"Host": "["}),
        ("/reports", {"Host": "[::1"}),
        ("/reports/live?after=x-" + "9" * 5_001, {}),
    ],
)
def test_no_header_and_no_parameter_is_an_error_of_ours(
    path: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read is the client's fault: 4xx, and no line in the log; a cursor is only begun afresh."""
    with running_site() as site, connected(site, path, **headers) as response:
        assert response.status in ({200} if "live" in path else {400, 403})
        assert site.rejected("internal") == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_half_sent_requests_do_not_keep_others_out() -> None:
    """400 connections that send half a request from one address: probes and scrapes are answered all the same."""
    with running_site() as site, contextlib.ExitStack() as opened:
        for _ in range(4):
            for _ in range(100):
                half = opened.enter_context(socket.create_connection(("127.0.0.1", site.server.port), timeout=10))
                half.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
            for path in ("/healthz", "/metrics", "/readyz"):
                assert get(site, path).status == 200
        assert site.rejected("connection_limit") >= 400 - 256


def test_half_made_handshakes_do_not_keep_others_out(tmp_path: Path) -> None:
    """The same before TLS is spoken."""
    authority = Authority(tmp_path)
    authority.make_server()
    file = write_config(tmp_path, "tls_server_config: {cert_file: server.pem, key_file: server.key}")
    with running_site(config_file=file, connection_limit=64) as site, contextlib.ExitStack() as opened:
        for _ in range(100):
            opened.enter_context(socket.create_connection(("127.0.0.1", site.server.port), timeout=10))
        assert get(site, "/healthz", tls=client_context(authority)).status == 200
        assert site.rejected("connection_limit") >= 100 - 64


def test_wrong_passwords_do_not_starve_scrapes(tmp_path: Path) -> None:
    """240 clients who guess get 401 or 429; the scraper whose password is known is answered at once."""
    hashed = bcrypt.hashpw(b"topsecret", bcrypt.gensalt(10)).decode()
    file = write_config(tmp_path, f"basic_auth_users: {{alice: {hashed}}}")
    with running_site(config_file=file, connection_limit=500) as site:
        begun = time.monotonic()
        assert get(site, "/metrics", header("topsecret")).status == 200
        one_check_seconds = time.monotonic() - begun
        answers: list[int] = []

        def guess(number: int) -> None:
            with contextlib.suppress(OSError):  # a busy machine's time-out
                answers.extend(get(site, "/metrics", header(f"wrong {number} {again}")).status for again in range(2))

        guessing = [threading.Thread(target=guess, args=(number,)) for number in range(240)]
        for thread in guessing:
            thread.start()
        slowest = 0.0
        for _ in range(10):
            begun = time.monotonic()
            assert get(site, "/metrics", header("topsecret")).status == 200
            slowest = max(slowest, time.monotonic() - begun)
        for thread in guessing:
            thread.join()
        assert set(answers) == {401, 429}
        assert slowest < 240 * one_check_seconds / 2, "a scrape waited for those who guess"
        assert site.rejected("too_many_passwords") >= answers.count(429)


def test_a_path_with_a_nul_does_not_end_the_listener(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate's path with a NUL, written into the file while running: logged, and connections are served on."""
    file = write_config(tmp_path, "{}")
    with running_site(config_file=file) as site:
        write_config(tmp_path, 'tls_server_config: {cert_file: "a\\0b", key_file: k}')
        for _ in range(2):
            assert get(site, "/healthz").status == 200
    assert "cannot be used" in caplog.text
    assert "ended" not in caplog.text


def test_an_aborted_post_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A peer that goes away in the middle of a body is not an error of ours."""
    caplog.set_level(logging.INFO)
    with running_site() as site:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as rude:
                rude.sendall(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nabc")
        assert get(site, "/healthz").status == 200
        wait_until(lambda: site.rejected("aborted") == 3, "they are counted")
        assert site.rejected("internal") == 0
    assert not caplog.records


def test_every_reason_is_there_from_the_start() -> None:
    """A counter that begins with its first event hides that event from ``increase()``."""
    with running_site() as site, connected(site, "/metrics") as response:
        text = response.read().decode()
    for reason in ("unauthorized", "connection_limit", "too_many_passwords", "internal"):
        assert f'falco_exporter_http_rejected_total{{listener="listen",reason="{reason}"}} 0.0' in text


def test_answers_that_nobody_reads_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for large answers on many connections and reads none of them loses the oldest; others are served."""
    monkeypatch.setattr("exporter.listener.connection.UNSENT_LIMIT_BYTES", 16 * 2**20)
    app = web.Application()

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 8 * 2**20)

    app.router.add_get("/", large)
    rejected: list[str] = []

    async def run() -> int:
        listener = Listener(app, Address("127.0.0.1", 0), limits=Limits(), reject=rejected.append)
        await listener.start()
        opened = []
        loop = asyncio.get_running_loop()
        for _ in range(12):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setblocking(False)
            await loop.sock_connect(peer, ("127.0.0.1", listener.address.port))
            await loop.sock_sendall(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await loop.sock_recv(peer, 12)).startswith(b"HTTP/1.1 200")
            opened.append(peer)
        unsent = sum(connection.unsent_bytes for connection in listener._connections)
        for peer in opened:
            peer.close()
        await listener.close()
        return unsent

    assert asyncio.run(run()) <= (16 + 8) * 2**20
    assert rejected.count("unread") >= 4
