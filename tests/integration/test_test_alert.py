"""``test-alert``: what it posts arrives, and what does not is said with what to do."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import pytest

from exporter.app import App
from exporter.cli import main
from exporter.commands.local_http import Credentials
from exporter.commands.send_test import send_test_alert
from exporter.config.model import Config, FalcoHttp, TlsServer, Web
from exporter.errors import ConfigError
from exporter.sources.falco_http import FalcoHttpSource
from tests.integration.certificates import Authority
from tests.running_app import running_app

WEB = Web(listen_address="127.0.0.1:0")


@contextmanager
def receiving(settings: FalcoHttp, web: Web = WEB) -> Iterator[Config]:
    """A running exporter; yields the settings with the ports that it got."""
    with running_app(Config(http=settings, web=web)) as app:
        yield at_ports(app, settings, web)


def at_ports(app: App, settings: FalcoHttp, web: Web) -> Config:
    (source,) = app.sources
    assert isinstance(source, FalcoHttpSource)
    assert source.listening.wait(30)
    port = source.port
    return Config(
        http=replace(settings, address=f"127.0.0.1:{port}"),
        web=replace(web, listen_address=urlsplit(app.web.url).netloc),
    )


def test_a_test_alert_arrives_and_its_report_says_test(capsys: pytest.CaptureFixture[str]) -> None:
    """Taken, counted, its page named, verdict `test`; each one counts anew."""
    with receiving(FalcoHttp(address="127.0.0.1:0")) as config:
        for number in (1, 2):
            assert send_test_alert(config, Credentials()) == 0
            said = capsys.readouterr().out.splitlines()
            assert [line[:4] for line in said] == ["ok  "] * 3
            assert said[0] == f"ok   receiver http://{config.http.address}: took the test alert (answer 200)"
            assert said[1].endswith(f"is {number}")
            assert f"http://{config.web.listen_address}/reports/" in said[2]
            assert said[2].endswith("(verdict: test)")


def test_a_path_a_password_and_mutual_tls_come_from_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What Falco must give is read where the exporter reads it; Falco's own certificate is given by hand."""
    authority = Authority(tmp_path)
    server, client = authority.make_server(), authority.make_client()
    path, password = tmp_path / "path", tmp_path / "password"
    path.write_text("/5f1c\n")
    password.write_text("secret\n")
    settings = FalcoHttp(
        address="127.0.0.1:0",
        path_file=path,
        basic_auth_user="falco",
        basic_auth_password_file=password,
        tls=TlsServer(server.cert_file, server.key_file, authority.cert_file),
    )
    with receiving(settings) as config:
        assert send_test_alert(config, Credentials(client.cert_file, client.key_file)) == 0
        said = capsys.readouterr().out
        assert "https://" in said
        assert "5f1c" not in said
        with pytest.raises(ConfigError, match="--client-cert"):
            send_test_alert(config, Credentials())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"path": "/other"}, "it takes alerts on another path (http.path)"),
        ({"basic_auth_user": "stranger"}, "expects another password or token"),
    ],
)
def test_other_settings_than_the_running_exporters_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], expected: str
) -> None:
    """A refusal says which setting differs, and exits 1."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    settings = FalcoHttp(
        address="127.0.0.1:0", path="/right", basic_auth_user="falco", basic_auth_password_file=password
    )
    with receiving(settings) as config:
        other = replace(config, http=replace(config.http, **changes))
        assert send_test_alert(other, Credentials()) == 1
    said = capsys.readouterr().out
    assert said.startswith("FAIL receiver")
    assert expected in said
    assert "secret" not in said


def test_tls_on_one_side_only_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain text to a TLS port, TLS to a plain one, and another certificate."""
    server = Authority(tmp_path).make_server()
    other = Authority(tmp_path, "other").make_server("other")
    tls = TlsServer(server.cert_file, server.key_file)
    with receiving(FalcoHttp(address="127.0.0.1:0", tls=tls)) as config:
        assert send_test_alert(replace(config, http=replace(config.http, tls=TlsServer())), Credentials()) == 1
        assert "does the exporter there use TLS" in capsys.readouterr().out
        wrong = TlsServer(other.cert_file, other.key_file)
        assert send_test_alert(replace(config, http=replace(config.http, tls=wrong)), Credentials()) == 1
        assert "another certificate answers" in capsys.readouterr().out
    with receiving(FalcoHttp(address="127.0.0.1:0")) as config:
        assert send_test_alert(replace(config, http=replace(config.http, tls=tls)), Credentials()) == 1
        assert "it speaks plain text" in capsys.readouterr().out


def test_without_a_running_exporter_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens: exit 1; no receiver in the settings: exit 2, with another way."""
    with receiving(FalcoHttp(address="127.0.0.1:0")) as config:
        gone = config
    assert send_test_alert(gone, Credentials()) == 1
    assert "nothing listens there; start the exporter" in capsys.readouterr().out
    assert main(["test-alert"]) == 2
    assert "http.address is not set" in capsys.readouterr().err


class Stranger(http.server.BaseHTTPRequestHandler):
    """Takes whatever is posted, as another program on the port would."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_another_programs_acceptance_is_no_arrival(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What answers 200 and is not the exporter: not counted, exit 1."""
    monkeypatch.setattr("exporter.commands.send_test.WAIT_SECONDS", 0.3)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with receiving(FalcoHttp(address="127.0.0.1:0")) as config:
            elsewhere = replace(config, http=FalcoHttp(address=f"127.0.0.1:{server.server_port}"))
            assert send_test_alert(elsewhere, Credentials()) == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "FAIL metrics" in capsys.readouterr().out


def test_pages_that_ask_for_a_password_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The alert was taken; what cannot be seen from here is said."""
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{me: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}}}\n")
    with receiving(FalcoHttp(address="127.0.0.1:0"), replace(WEB, config_file=web)) as config:
        assert send_test_alert(config, Credentials()) == 0
    said = capsys.readouterr().out
    assert "note metrics" in said
    assert "asks for a password" in said


def test_a_unix_socket_is_a_receiver_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address may be a socket's path."""
    settings = FalcoHttp(address=f"unix://{tmp_path}/falco.sock")
    with running_app(Config(http=settings, web=WEB)) as app:
        config = Config(http=settings, web=replace(WEB, listen_address=urlsplit(app.web.url).netloc))
        assert send_test_alert(config, Credentials()) == 0
    assert "(verdict: test)" in capsys.readouterr().out


def test_pages_that_are_off_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to set, and no markup of the page that refuses."""
    with receiving(FalcoHttp(address="127.0.0.1:0"), Web(listen_address=":0")) as config:
        port = config.web.listen_address.rpartition(":")[2]
        everywhere = replace(config, web=replace(config.web, listen_address=f":{port}"))
        assert send_test_alert(everywhere, Credentials()) == 0
    said = capsys.readouterr().out
    assert "off  report: report pages are off there: set " in said
    assert "<" not in said
