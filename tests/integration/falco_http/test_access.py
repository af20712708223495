"""Who may post: paths, credentials, certificates and web pages."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import FalcoHttp, TlsServer
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.sources.falco_http import FalcoHttpSource
from tests.integration.certificates import Authority
from tests.integration.falco_http.receiver import (
    ALERT,
    FALCO_HEADERS,
    Receiver,
    open_socket,
    read_to_the_end,
    receiving,
    request,
    statuses,
)
from tests.integration.handshakes import begun_handshake


def answer_of(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/", json.dumps(ALERT), FALCO_HEADERS)
    return connection.getresponse().status


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_credentials_are_asked_for(tmp_path: Path, scheme: str) -> None:
    """401 without or with a wrong secret, 200 with the right one, a changed file counts at once; no secret is said."""
    secret = tmp_path / "secret"
    secret.write_text("geheim\n", encoding="utf-8")
    how = (
        {"bearer_token_file": secret}
        if scheme == "Bearer"
        else {"basic_auth_user": "falco", "basic_auth_password_file": secret}
    )

    def header(password: str) -> dict[str, str]:
        value = password if scheme == "Bearer" else base64.b64encode(f"falco:{password}".encode()).decode()
        return {"Authorization": f"{scheme} {value}"}

    with receiving(FalcoHttp(address="127.0.0.1:0", **how)) as receiver:  # type: ignore[arg-type]
        body = json.dumps(ALERT)
        status, text, headers = receiver.post(body)
        assert status == 401
        assert "WWW-Authenticate" in headers
        assert "geheim" not in text
        assert receiver.post(body, **header("falsch"))[0] == 401
        assert receiver.post(body, **header("geheim"))[0] == 200
        secret.write_text("neuer", encoding="utf-8")
        assert receiver.post(body, **header("geheim"))[0] == 401
        assert receiver.post(body, **header("neuer"))[0] == 200
        assert receiver.rejected("unauthorized") == 3


def test_mutual_tls(tmp_path: Path) -> None:
    """A client with a certificate of the authority is answered, one without is not."""
    authority = Authority(tmp_path)
    server, client = authority.make_server(), authority.make_client()
    tls = TlsServer(server.cert_file, server.key_file, authority.cert_file)
    with receiving(FalcoHttp(address="127.0.0.1:0", tls=tls)) as receiver:
        context = ssl.create_default_context(cafile=str(authority.cert_file))
        bare = receiver.connect(context)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            answer_of(bare)
        bare.close()
        context.load_cert_chain(client.cert_file, client.key_file)
        connection = receiver.connect(context)
        assert answer_of(connection) == 200
        connection.close()


@contextlib.contextmanager
def changing_authorities(directory: Path) -> Iterator[tuple[Receiver, ssl.SSLContext, Callable[[], object]]]:
    """A receiver, a client of its authority, and what puts another authority in that one's place."""
    (directory / "other").mkdir()
    authority, other = Authority(directory), Authority(directory / "other")
    server, client = authority.make_server(), authority.make_client()
    clients = directory / "clients.pem"
    clients.write_bytes(authority.cert_file.read_bytes())
    context = ssl.create_default_context(cafile=str(authority.cert_file))
    context.load_cert_chain(client.cert_file, client.key_file)
    tls = TlsServer(server.cert_file, server.key_file, clients)
    with receiving(FalcoHttp(address="127.0.0.1:0", tls=tls, read_timeout_seconds=600)) as receiver:
        yield receiver, context, lambda: clients.write_bytes(other.cert_file.read_bytes())


def test_a_connection_let_in_by_a_former_authority_ends(tmp_path: Path) -> None:
    """Once another authority signs the clients, those of the former one are out, on open connections too."""
    with changing_authorities(tmp_path) as (receiver, context, change_authority):
        connection = receiver.connect(context)
        assert answer_of(connection) == 200
        change_authority()
        assert connection.sock is not None
        connection.sock.settimeout(10)
        assert connection.sock.recv(1) == b""
        connection.close()
        refused = receiver.connect(context)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            answer_of(refused)
        refused.close()


def test_a_handshake_that_began_under_a_former_authority_lets_nobody_stay(tmp_path: Path) -> None:
    """The authority changes while the handshake is under way: it ends well, as it began, and the connection ends.

    It goes on only after the change was acted upon, so that one look at each change is not enough.
    """
    with changing_authorities(tmp_path) as (receiver, context, change_authority):
        earlier = receiver.connect(context)
        assert answer_of(earlier) == 200
        with begun_handshake(context, receiver.port) as handshake:
            change_authority()
            assert earlier.sock is not None
            assert earlier.sock.recv(1) == b""
            earlier.close()
            handshake.finish()
            assert handshake.read_to_the_end() == b""
        assert receiver.rejected("tls_handshake") in {None, 0}
        assert len(receiver.kept.alerts) == 1


def test_a_former_connection_that_never_rests_ends_with_its_request(tmp_path: Path) -> None:
    """Whoever always has the next request begun is out all the same; the one under way is answered."""
    stream = request(json.dumps(ALERT).encode())
    with changing_authorities(tmp_path) as (receiver, context, change_authority):
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", receiver.port), timeout=30), server_hostname="localhost"
        ) as connection:
            connection.sendall(stream[:-1])
            change_authority()
            answers = []
            with contextlib.suppress(OSError):  # closed while we write, where the next request was not seen yet
                while not answers or (b"Connection: close" not in answers[-1] and len(answers) < 1_000):
                    connection.sendall(stream[-1:] + stream[:-1])
                    answers.append(connection.recv(1000))
                    time.sleep(0.01)
                assert read_to_the_end(connection) == b""
        assert len(receiver.kept.alerts) == len([answer for answer in answers if answer]) < 999


@pytest.mark.parametrize("how", ["path", "path_file"])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_test_alert_needs_the_path_too(tmp_path: Path, how: str, allowed: bool) -> None:
    """``/test`` is no way around the path that is asked for, neither for alerts nor for tests; below it, it is one."""
    file = tmp_path / "path"
    file.write_text("/geheim\n", encoding="utf-8")
    settings = {"path": "/geheim"} if how == "path" else {"path_file": file}
    with receiving(FalcoHttp(address="127.0.0.1:0", test_alerts=allowed, **settings)) as receiver:  # type: ignore[arg-type]
        assert receiver.post(json.dumps(ALERT), "/test")[0] == 404
        assert receiver.post(b"", "/test")[0] == 404
        assert receiver.kept.alerts == []
        assert receiver.rejected("wrong_path") == 2
        assert receiver.post(b"", "/geheim/test")[0] == (200 if allowed else 403)
        assert len(receiver.kept.alerts) == allowed


def spoilt(name: str, **more: str) -> Callable[[Path], FalcoHttp]:
    return lambda directory: FalcoHttp(address=":0", **{name: directory / "file"}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [None, " \n"])
@pytest.mark.parametrize(
    "spoil",
    [
        spoilt("bearer_token_file"),
        spoilt("basic_auth_password_file", basic_auth_user="u"),
        spoilt("path_file"),
    ],
)
def test_a_secret_that_is_not_there_is_said_before_anything_listens(
    tmp_path: Path, spoil: Callable[[Path], FalcoHttp], content: str | None
) -> None:
    """A missing and an empty file are ConfigErrors that name the setting and the file."""
    if content is not None:
        (tmp_path / "file").write_text(content, encoding="utf-8")
    settings = spoil(tmp_path)
    setting = next(f"http.{name}" for name in vars(settings) if vars(settings)[name] == tmp_path / "file")
    with pytest.raises(ConfigError) as caught:
        FalcoHttpSource(settings, SelfMetrics(CollectorRegistry()))
    assert str(caught.value).startswith(f"{setting}: {tmp_path / 'file'}: ")


@pytest.mark.parametrize("path", ["geheim", "/geh eim", "/geheim?x", "/gehei\u00df", "/"])
def test_a_secret_path_is_one(tmp_path: Path, path: str) -> None:
    """What no request could have as its path would refuse every alert; the error does not tell the secret."""
    file = tmp_path / "file"
    file.write_text(path, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^http\.path_file: .*: expected a path such as") as caught:
        FalcoHttpSource(FalcoHttp(address=":0", path_file=file), SelfMetrics(CollectorRegistry()))
    assert "geh" not in str(caught.value).replace(str(file), "")


@pytest.mark.parametrize("path", ["", "/"])
def test_no_path_is_any_path(path: str) -> None:
    """``/`` is what Falco's url has where no path is wanted."""
    with receiving(FalcoHttp(address="127.0.0.1:0", path=path)) as receiver:
        assert receiver.post(json.dumps(ALERT), "/falco")[0] == 200


def test_tls_without_an_authority_asks_for_no_certificate(tmp_path: Path) -> None:
    """The receiver shows its own certificate, and every client may post."""
    authority = Authority(tmp_path)
    server = authority.make_server()
    tls = TlsServer(server.cert_file, server.key_file)
    with receiving(FalcoHttp(address="127.0.0.1:0", tls=tls)) as receiver:
        connection = receiver.connect(ssl.create_default_context(cafile=str(authority.cert_file)))
        assert answer_of(connection) == 200
        connection.close()


def test_wrong_addresses_and_certificates_are_said_before_anything_listens(tmp_path: Path) -> None:
    """ConfigErrors that name the setting."""
    missing = TlsServer(cert_file=tmp_path / "missing", key_file=tmp_path / "missing")
    for settings, setting in (
        (FalcoHttp(address="nonsense"), "http.address"),
        (FalcoHttp(address=":0", tls=missing), "http.tls"),
    ):
        with pytest.raises(ConfigError, match=f"^{setting}: "):
            FalcoHttpSource(settings, SelfMetrics(CollectorRegistry()))


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_web_page_cannot_post(receiver: Receiver, header: dict[str, str]) -> None:
    """A browser says who made the request: such alerts would be forged."""
    assert receiver.post(json.dumps(ALERT), **header)[0] == 403
    assert receiver.rejected("cross_site") == 1
    assert receiver.kept.alerts == []


@pytest.mark.parametrize("how", ["path", "path_file"])
def test_a_wrong_path_is_said_loudly(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """404, counted, in the log with the setting to change, and a warning; the path itself is said nowhere."""
    file = tmp_path / "path"
    file.write_text("/geheim\n", encoding="utf-8")
    settings = {"path": "/geheim"} if how == "path" else {"path_file": file}
    with receiving(FalcoHttp(address="127.0.0.1:0", **settings)) as receiver:  # type: ignore[arg-type]
        assert receiver.post(json.dumps(ALERT), "/geheim?x")[0] == 200
        assert receiver.source.warnings() == {}
        status, text, _ = receiver.post(json.dumps(ALERT), "/")
        assert status == 404
        assert receiver.post(json.dumps(ALERT), "/geheim/")[0] == 404
        assert receiver.rejected("wrong_path") == 2
        warning = receiver.source.warnings()["wrong_path"]
        assert "http_output.url" in warning
        assert len([record for record in caplog.records if "http_output.url" in record.getMessage()]) == 1
        assert "geheim" not in text + warning + caplog.text
        if how == "path_file":
            file.write_text("/anders", encoding="utf-8")
            assert receiver.post(json.dumps(ALERT), "/geheim")[0] == 404
            assert receiver.post(json.dumps(ALERT), "/anders")[0] == 200


def test_refused_credentials_are_said_with_falcos_setting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A token can never be met by Falco, and the log says so; a user's name and password can, in the url."""
    secret = tmp_path / "secret"
    secret.write_text("geheim", encoding="utf-8")
    with receiving(FalcoHttp(address="127.0.0.1:0", bearer_token_file=secret)) as receiver:
        assert receiver.post(json.dumps(ALERT))[0] == 401
        assert "Falco cannot send a token" in receiver.source.warnings()["unauthorized"]
    with receiving(FalcoHttp(address="127.0.0.1:0", basic_auth_user="u", basic_auth_password_file=secret)) as receiver:
        assert receiver.post(json.dumps(ALERT))[0] == 401
    assert "http_output.url" in caplog.text
    assert "geheim" not in caplog.text


def test_credentials_are_checked_before_the_body(tmp_path: Path) -> None:
    """The answer comes though the body does not, and what comes of the body is not kept."""
    secret = tmp_path / "secret"
    secret.write_text("geheim", encoding="utf-8")
    with (
        receiving(FalcoHttp(address="127.0.0.1:0", bearer_token_file=secret)) as receiver,
        open_socket(receiver) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert statuses(connection, 1) == [401]
        connection.sendall(b" " * 1000 + request(json.dumps(ALERT).encode(), headers=["Authorization: Bearer geheim"]))
        assert statuses(connection, 1) == [200]


@pytest.mark.parametrize("how", ["path_file", "bearer_token_file"])
def test_a_secret_that_changed_counts_on_an_open_connection(tmp_path: Path, how: str) -> None:
    """The same head that was taken before is refused once the secret is another."""
    file = tmp_path / "secret"
    file.write_text("/geheim", encoding="utf-8")
    with (
        receiving(FalcoHttp(address="127.0.0.1:0", **{how: file})) as receiver,  # type: ignore[arg-type]
        open_socket(receiver) as connection,
    ):
        headers = ["Authorization: Bearer /geheim"] if how == "bearer_token_file" else []
        stream = request(json.dumps(ALERT).encode(), path="/geheim", headers=headers)
        for _ in range(3):
            connection.sendall(stream)
            assert statuses(connection, 1) == [200]
        file.write_text("/anders", encoding="utf-8")
        connection.sendall(stream)
        assert statuses(connection, 1)[0] in {401, 404}


@pytest.mark.parametrize(("address", "warns"), [("127.0.0.1:0", False), (":0", True)])
def test_a_listener_open_to_all_is_said(address: str, warns: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Alerts from anyone end up in reports with commands: one warning at the start, with what to do."""
    with receiving(FalcoHttp(address=address)):
        pass
    assert ("http.tls.client_ca_file" in caplog.text) == warns
