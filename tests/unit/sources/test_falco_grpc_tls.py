"""Why a handshake fails: from the error and the files alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.config.model import FalcoTarget, TlsClient
from exporter.sources import falco_grpc_tls as module
from exporter.sources.falco_grpc_tls import find_certificate_end, find_tcp_error
from tests.integration.certificates import Authority

TARGET = FalcoTarget("falco.example:5060", "mine")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def failure(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "as told")
    error.reason = reason
    return error


def unverified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "as told")
    error.verify_code, error.verify_message = code, "because"
    return error


def test_a_unix_socket_has_no_tls() -> None:
    """It is looked at elsewhere."""
    assert find_tcp_error(FalcoTarget("unix:///nowhere")) is None


@pytest.mark.parametrize("address", ["falco", "falco:", ":5060", "falco:port"])
def test_an_address_that_is_none(address: str) -> None:
    """Both forms are said."""
    said = find_tcp_error(FalcoTarget(address))
    assert said == f"cannot read the address {address!r}: expected unix:///PATH or HOST:PORT"


def test_a_port_where_nobody_listens() -> None:
    """Address, setting and the versions without gRPC are said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = find_tcp_error(FalcoTarget(f"127.0.0.1:{port}"))
    assert said is not None
    assert said.startswith(f"cannot connect to 127.0.0.1:{port}: ")
    assert "Connection refused" in said
    assert f"bind_address: '0.0.0.0:{port}'" in said
    assert "0.44 and later" in said


def test_where_it_connects_and_how_long_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds."""
    asked: list[object] = []

    def refuse(*given: object) -> None:
        asked.append(given)
        raise OverflowError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert find_tcp_error(TARGET) is not None
    assert asked == [(("falco.example", 5060), 5.0)]


@pytest.mark.parametrize(
    "reason", ["WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"]
)
def test_no_tls(reason: str) -> None:
    """Whatever OpenSSL calls it."""
    said = module._explain_handshake(TARGET, failure(reason))
    assert said == f"falco.example:5060 does not speak TLS ({reason}): is this Falco's gRPC port?"


def test_silence_and_other_failures() -> None:
    """A time-out; the peer's own reason; the system's words."""
    assert "takes connections but does not answer" in module._explain_handshake(TARGET, TimeoutError())
    assert "refuses us (TLSV13_ALERT), since" in module._explain_handshake(TARGET, failure("TLSV13_ALERT"))
    assert "refuses us (reset), since" in module._explain_handshake(TARGET, ConnectionResetError("reset"))


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (10, ", or the authority that signed it, has expired: renew Falco's `grpc.cert_chain`"),
        (9, " is not valid yet: check the clocks"),
        (62, " is for another name (because)"),
        (64, " is for another name (because)"),
        (19, " is not signed by the system's authorities (because)"),
    ],
)
def test_each_fault_of_the_servers_certificate(code: int, part: str) -> None:
    """By OpenSSL's number."""
    said = module._explain_handshake(TARGET, unverified(code))
    assert said.startswith(f"the server certificate of falco.example:5060{part}"), said


def test_whose_signature_was_expected() -> None:
    """The target's own authority is named."""
    target = FalcoTarget("a:1", tls=TlsClient(ca_file=Path("/ca.pem")))
    assert module._explain_handshake(target, unverified(19)).endswith(
        "is not signed by /ca.pem (because): "
        "set the target's ca_file to the authority that signed Falco's `grpc.cert_chain`"
    )


def test_why_our_certificate_is_refused(authority: Authority) -> None:
    """None is set, it expired, or it is another's."""
    assert module._explain_refusal(TARGET, "closed").endswith(
        "asks for a client certificate and none is set: "
        "set the target's cert_file and key_file to a pair signed by Falco's `grpc.root_certs`"
    )
    good, old = authority.make_client("good"), authority.make_client("old", days=-1)
    for pair, part in ((good, "(closed): it must be signed by Falco's `grpc.root_certs`"), (old, "expired at 20")):
        target = FalcoTarget("a:1", tls=TlsClient(None, pair.cert_file, pair.key_file))
        said = module._explain_refusal(target, "closed")
        assert said.startswith("a:1 refuses ")
        assert str(pair.cert_file) in said
        assert "(closed)" in said
        assert part in said
    end = find_certificate_end(old.cert_file)
    assert end is not None
    assert f"expired at {end:%Y-%m-%d %H:%M} UTC; renew it" in said


def test_when_a_certificate_ends(authority: Authority, tmp_path: Path) -> None:
    """The first one of the file; nothing where there is none."""
    good = authority.make_client("ends", days=3)
    end = find_certificate_end(good.cert_file)
    assert end is not None
    assert abs(end - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=5)
    chain = tmp_path / "chain.pem"
    chain.write_text("a comment of Bäcker's\n" + good.cert_file.read_text() + authority.cert_file.read_text())
    assert find_certificate_end(chain) == end
    for text in (
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ):
        chain.write_text(text)
        assert find_certificate_end(chain) is None
    assert find_certificate_end(tmp_path / "missing") is None
    chain.write_bytes(b"\xff")
    assert find_certificate_end(chain) is None


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (b"\x17\x0d490101000000Z", datetime(2049, 1, 1, tzinfo=UTC)),
        (b"\x17\x0d500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (b"\x18\x0f20510203040506Z", datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)),
    ],
)
def test_both_forms_of_a_time(tmp_path: Path, end: bytes, expected: datetime) -> None:
    """RFC 5280: two digits of a year, or four."""
    file = tmp_path / "cert.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(b"before\x17\x0d200101000000Z" + end + b"after"))
    assert find_certificate_end(file) == expected


def test_our_files(authority: Authority, tmp_path: Path) -> None:
    """A pair that does not belong together, and files that cannot be read, are named."""
    one, other = authority.make_client("one"), authority.make_client("other")
    mixed = TlsClient(authority.cert_file, one.cert_file, other.key_file)
    said = find_tcp_error(FalcoTarget("127.0.0.1:1", tls=mixed))
    assert said == (
        f"the private key {other.key_file} does not belong to the certificate {one.cert_file}: give a matching pair"
    )
    missing = TlsClient(tmp_path / "ca.pem", one.cert_file, None)
    said = find_tcp_error(FalcoTarget("127.0.0.1:1", tls=missing))
    assert said is not None
    assert said.startswith(f"cannot read the TLS files ({tmp_path / 'ca.pem'}, {one.cert_file}): ")
    assert "No such file" in said
    (tmp_path / "ca.pem").write_text("none")
    said = find_tcp_error(FalcoTarget("127.0.0.1:1", tls=TlsClient(tmp_path / "ca.pem", None, tmp_path / "key")))
    assert said is not None
    assert said.startswith(f"cannot read the TLS files ({tmp_path / 'ca.pem'}, {tmp_path / 'key'}): ")


def test_the_context(authority: Authority) -> None:
    """As gRPC's own: plain certificates, names without an alternative name, our authority only."""
    context = module._make_context(TlsClient(authority.cert_file))
    assert context.hostname_checks_common_name
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


@contextlib.contextmanager
def a_server(serve: Callable[[socket.socket], None]) -> Iterator[FalcoTarget]:
    """A port where one connection is served."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            connection.settimeout(30)
            with connection, contextlib.suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield FalcoTarget(f"127.0.0.1:{server.getsockname()[1]}", "mine")
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("speaks", [True, False])
def test_a_handshake(authority: Authority, speaks: bool) -> None:
    """A server that accepts us speaks first; one that closes the connection refuses us."""
    pair, client = authority.make_server(), authority.make_client("shaking")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    context.set_alpn_protocols(["h2"])
    spoken: list[str | None] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            spoken.append(secured.selected_alpn_protocol())
            if speaks:
                secured.sendall(b"x")
            secured.unwrap()

    with a_server(serve) as target:
        ours = TlsClient(authority.cert_file, client.cert_file, client.key_file)
        said = find_tcp_error(FalcoTarget(target.address, "mine", ours))
    assert spoken == ["h2"]
    if speaks:
        assert said is None
    else:
        assert said is not None
        assert said.startswith(f"{target.address} refuses our client certificate {client.cert_file} ")
        assert "(it closed the connection)" in said


def test_a_handshake_that_fails() -> None:
    """With a server without TLS."""
    with a_server(lambda connection: connection.sendall(b"HTTP/1.1 400 x\r\n\r\n")) as target:
        said = find_tcp_error(target)
    assert said is not None
    assert said.startswith(f"{target.address} does not speak TLS (")
