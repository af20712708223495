"""How a receiver is reached: certificates, proxies, compression, passwords."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from exporter.config.model import Otlp
from exporter.sinks.otel.send.environment import to_endpoint
from exporter.sinks.otel.send.probe import check_endpoint
from tests.integration.certificates import Authority
from tests.integration.otlp.receiver import Receiver, forward_proxy
from tests.integration.otlp.sinks import RECEIVERS, busy, delivering
from tests.otel_records import many
from tests.waiting import wait_until


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_the_standard_variables_configure_the_client(receiver: Receiver, protocol: str, compression: str) -> None:
    """Endpoint, headers and compression from OTEL_* alone reach the receiver."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue,authorization=Bearer%20t%2Ct",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
    }
    with delivering("", protocol, environ=environ) as (sink, _):
        sink.write(many(3))
        wait_until(lambda: len(receiver.accepted) == 3)
    headers = receiver.headers[0]
    assert (headers["x-tenant"], headers["authorization"]) == ("blue", "Bearer t,t")
    assert headers["user-agent"].startswith("falco-report-exporter/")
    if protocol != "grpc":
        assert headers[":path"] == "/v1/logs"
        assert headers.get("content-encoding", "none") == compression


def test_mutual_tls_from_the_standard_variables(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authority, certificate and key of OTEL_*; without them the check says which variable to set."""
    authority = Authority(tmp_path)
    client = authority.make_client()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path, "other").cert_file))
    with RECEIVERS[protocol](tls=(authority.make_server(), authority.cert_file)) as receiver:
        settings = Otlp(endpoint=receiver.endpoint, protocol=protocol)
        environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2000"}
        outcome = check_endpoint(to_endpoint(settings, environ))
        assert not outcome.works
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in outcome.message
        environ["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(authority.cert_file)
        assert not check_endpoint(to_endpoint(settings, environ)).works
        environ["OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE"] = str(client.cert_file)
        environ["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(client.key_file)
        assert check_endpoint(to_endpoint(settings, environ)).works
        with delivering(receiver.endpoint, protocol, environ=environ) as (sink, _):
            sink.write(many(2))
            wait_until(lambda: len(receiver.accepted) == 2)


def test_certificates_without_the_newer_extensions_are_taken(protocol: str, tmp_path: Path) -> None:
    """Python 3.13 would refuse over HTTP what gRPC takes: an authority without key usage."""
    authority = Authority(tmp_path, is_plain=True)
    client = authority.make_client()
    with RECEIVERS[protocol](tls=(authority.make_server(), authority.cert_file)) as receiver:
        environ = {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.cert_file),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(client.cert_file),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(client.key_file),
        }
        outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), environ))
        assert outcome.works, outcome.message


@pytest.mark.parametrize("protocol", ["grpc"])
def test_insecure_counts_where_the_address_has_no_scheme(receiver: Receiver, protocol: str) -> None:
    """HOST:PORT is TLS unless INSECURE says otherwise; http:// is plain whatever INSECURE says."""
    host_port = receiver.endpoint.removeprefix("http://")
    for variable in ("OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_LOGS_INSECURE"):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": host_port, "OTEL_EXPORTER_OTLP_TIMEOUT": "2000"}
        assert not check_endpoint(to_endpoint(Otlp(protocol=protocol), environ)).works
        assert check_endpoint(to_endpoint(Otlp(protocol=protocol), environ | {variable: "true"})).works
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint
        assert check_endpoint(to_endpoint(Otlp(protocol=protocol), environ | {variable: "false"})).works


def test_a_proxy_is_used_where_the_standard_variables_name_one(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """http_proxy names a real proxy that sees the call; no_proxy goes around it."""
    port = int(receiver.endpoint.rpartition(":")[2])
    with forward_proxy(port) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        endpoint = f"http://collector.invalid:{port}"
        with delivering(endpoint, protocol) as (sink, metric):
            sink.write(many(2))
            wait_until(lambda: metric("log_records_exported_total") == 2)
        assert any("collector.invalid" in line for line in proxy.request_lines)
        seen = len(proxy.request_lines)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with delivering(receiver.endpoint, protocol) as (sink, metric):
            sink.write(many(2))
            wait_until(lambda: metric("log_records_exported_total") == 2)
        assert len(proxy.request_lines) == seen


@pytest.mark.parametrize("protocol", ["grpc"])
@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_grpc_messages_are_compressed_on_the_wire(
    receiver: Receiver, protocol: str, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of the record shows in the bytes that pass a proxy only without compression."""
    with forward_proxy(int(receiver.endpoint.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        environ = {"OTEL_EXPORTER_OTLP_COMPRESSION": compression}
        with delivering("http://collector.invalid:4317", protocol, environ=environ) as (sink, metric):
            sink.write(many(2))
            wait_until(lambda: metric("log_records_exported_total") == 2)
        assert (b"Consider chattr" in proxy.sent) == (compression == "none")


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_password_in_the_address_is_sent_and_never_shown(
    receiver: Receiver, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It becomes Basic authentication; status, check and log have the address without it."""
    receiver.script.extend([busy(protocol)] * 2)
    endpoint = receiver.endpoint.replace("http://", "http://user:hunter%402@")
    with delivering(endpoint, protocol, queue={"unready_after_seconds": 1e-9}) as (sink, metric):
        sink.write(many(1))
        wait_until(lambda: metric("log_records_exported_total") == 1)
        shown = [
            str(sink.status()),
            sink.unready_reason(),
            str(check_endpoint(to_endpoint(Otlp(endpoint=endpoint, protocol=protocol), {}))),
        ]
    shown.append(caplog.text)
    assert "hunter" not in "".join(shown)
    assert receiver.headers[0]["authorization"] == "Basic " + base64.b64encode(b"user:hunter@2").decode()


@pytest.mark.parametrize("protocol", ["http/protobuf"])
def test_a_netrc_does_not_go_before_the_headers(
    receiver: Receiver, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that a file of this user names for the host is not sent to a collector."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20token"}
    assert check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), environ)).works
    assert receiver.headers[0]["authorization"] == "Bearer token"
