"""Certificates as Falco's documentation makes them connect everywhere, on every Python."""

from __future__ import annotations

import http.client
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.model import FalcoHttp, FalcoTarget, TlsClient, TlsServer
from exporter.simulator.scenarios import reference_alert
from exporter.simulator.server import FalcoSimulator, ServerTls
from exporter.sources.falco_grpc_errors import diagnose
from tests.integration.certificates import Authority, DocumentedCertificates, make_as_falco_documents
from tests.integration.falco import KeepingSink, running
from tests.integration.falco_http.receiver import FALCO_HEADERS, Receiver, receiving
from tests.integration.test_falco_grpc_errors import make_source
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> DocumentedCertificates:
    return make_as_falco_documents(tmp_path_factory.mktemp("documented"))


def http_settings(documented: DocumentedCertificates) -> FalcoHttp:
    server = documented.server
    return FalcoHttp(address="127.0.0.1:0", tls=TlsServer(server.cert_file, server.key_file, documented.ca_file))


def curl(ca_file: Path, *, check_name: bool = True) -> ssl.SSLContext:
    """Return a context that judges certificates as curl does, which posts for Falco."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    context.hostname_checks_common_name = True
    context.check_hostname = check_name
    return context


def test_grpc_with_documented_certificates(documented: DocumentedCertificates) -> None:
    """The diagnosis of ``check`` and the source agree: it works."""
    server, client = documented.server, documented.client
    tls = ServerTls(server.cert_file, server.key_file, documented.ca_file)
    with FalcoSimulator("localhost:0", tls=tls) as falco:
        port = falco.address.rpartition(":")[2]
        target = FalcoTarget(f"localhost:{port}", tls=TlsClient(documented.ca_file, client.cert_file, client.key_file))
        assert [finding.level for finding in diagnose(target)] == ["ok", "note", "note"]
        falco.emit(reference_alert())
        sink = KeepingSink()
        with running(make_source(target), sink):
            wait_until(lambda: len(sink.alerts) == 1)


def test_http_output_with_documented_certificates(documented: DocumentedCertificates) -> None:
    """A client with such a certificate posts its alert."""
    with receiving(http_settings(documented)) as receiver:
        context = curl(documented.ca_file)
        context.load_cert_chain(documented.client.cert_file, documented.client.key_file)
        body = b'{"rule": "R", "priority": "Notice", "time": "2026-01-31T12:00:00Z"}'
        connection = receiver.connect(context)
        connection.request("POST", "/", body, FALCO_HEADERS)
        assert connection.getresponse().status == 200
        connection.close()
    assert len(receiver.kept.alerts) == 1


def _without_certificate(documented: DocumentedCertificates, _: Path) -> ssl.SSLContext | None:
    return curl(documented.ca_file)


def _with_a_strangers_certificate(documented: DocumentedCertificates, directory: Path) -> ssl.SSLContext | None:
    context, pair = curl(documented.ca_file), Authority(directory, "stranger").make_client()
    context.load_cert_chain(pair.cert_file, pair.key_file)
    return context


def _without_trust(documented: DocumentedCertificates, directory: Path) -> ssl.SSLContext | None:
    return curl(Authority(directory, "stranger").cert_file)


def _without_tls(documented: DocumentedCertificates, directory: Path) -> ssl.SSLContext | None:
    return None


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (_without_certificate, "`client_cert` and `client_key`"),
        (_with_a_strangers_certificate, "signed by this listener's client_ca_file"),
        (_without_trust, "`ca_cert` of Falco's http_output"),
        (_without_tls, "speaks plain HTTP"),
    ],
)
def test_a_refused_handshake_is_logged_once_with_its_cause(
    documented: DocumentedCertificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    client: Callable[[DocumentedCertificates, Path], ssl.SSLContext | None],
    said: str,
) -> None:
    """The line names the peer, the cause and what to change; further ones of its kind within a minute are counted."""
    with receiving(http_settings(documented)) as receiver, caplog.at_level(logging.WARNING, "exporter.listener"):
        for _ in range(3):
            _fail(receiver, client(documented, tmp_path))
        wait_until(lambda: receiver.rejected("tls_handshake") == 3)
    (message,) = [record.getMessage() for record in caplog.records if record.name == "exporter.listener.accept"]
    assert "a connection from 127.0.0.1 was refused" in message
    assert said in message


def _fail(receiver: Receiver, context: ssl.SSLContext | None) -> None:
    connection = receiver.connect(context)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        _post(connection)
    connection.close()


def _post(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/", b"{}", FALCO_HEADERS)
    connection.getresponse().read()
