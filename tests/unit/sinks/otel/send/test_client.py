"""One request out, one answer in: what a client sends, and what it makes of every end of a call."""

from __future__ import annotations

import base64
import gzip
import ssl
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import urllib3.exceptions
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from exporter.sinks.otel.send import client as module
from exporter.sinks.otel.send.answer import Answer, Verdict
from exporter.sinks.otel.send.client import GrpcClient, HttpClient, to_client
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.send.envelope import Envelope, to_resource
from tests.integration.otlp.receiver import Receiver, Reply, free_port, grpc_receiver, http_receiver
from tests.unit.sinks.otel.send.sending import numbered
from tests.waiting import wait_until

REQUEST = Envelope(to_resource()).request(numbered(0, 3))
CLOSED = Answer(Verdict.RETRY, "closed", "the exporter is shutting down")
PARTIAL = ExportLogsServiceResponse(partial_success={"rejected_log_records": 2, "error_message": "two"})
METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def over_grpc(receiver: Receiver, **more: Any) -> GrpcClient:
    client = to_client(Endpoint("grpc", receiver.endpoint, **more))
    assert isinstance(client, GrpcClient)
    return client


def over_http(url: str, **more: Any) -> HttpClient:
    client = to_client(Endpoint("http/protobuf", url, **more))
    assert isinstance(client, HttpClient)
    return client


def test_grpc_sends_the_request_and_reads_the_answer() -> None:
    """The bytes as they are, our headers and name; every answer is told as what it means."""
    with grpc_receiver() as receiver:
        receiver.script.extend(
            [Reply(), Reply(body=PARTIAL.SerializeToString()), Reply(grpc.StatusCode.UNAVAILABLE, details="busy")]
        )
        client = over_grpc(receiver, headers={"x-tenant": "blue"})
        assert client.send(REQUEST) == Answer(Verdict.ACCEPTED)
        assert receiver.requests == [ExportLogsServiceRequest.FromString(REQUEST)]
        assert receiver.headers[0]["x-tenant"] == "blue"
        assert receiver.headers[0]["user-agent"].startswith("falco-report-exporter/")
        partial = client.send(REQUEST)
        assert (partial.verdict, partial.rejected, partial.message) == (Verdict.ACCEPTED, 2, "two")
        busy = client.send(REQUEST)
        assert (busy.verdict, busy.reason, busy.message) == (Verdict.RETRY, "unavailable", "busy")
        client.close()
        assert client.send(REQUEST) == CLOSED


def test_a_grpc_call_ends_in_time() -> None:
    """A receiver that says nothing is given up."""
    with grpc_receiver() as receiver:
        receiver.script.append(Reply(delay_seconds=1.0))
        client = over_grpc(receiver, timeout_seconds=0.1)
        assert client.send(REQUEST).reason == "deadline_exceeded"
        client.close()


def test_closing_ends_a_grpc_call_that_is_under_way() -> None:
    """It is told as the exporter's own end, and not as the receiver's failure."""
    with grpc_receiver() as receiver:
        receiver.script.append(Reply(delay_seconds=1.0))
        client = over_grpc(receiver, timeout_seconds=30)
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(client.send(REQUEST)))
        thread.start()
        wait_until(lambda: receiver.requests, "the call is under way")
        client.close()
        thread.join(30)
        assert answers == [CLOSED]


def test_a_value_error_that_is_no_closed_channel_is_a_mistake() -> None:
    """It is not taken for the end."""
    client = to_client(Endpoint("grpc", "http://127.0.0.1:1"))
    assert isinstance(client, GrpcClient)
    client._channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        client.send(REQUEST)


class Grpc:
    """Stands in for grpcio's ways to open a channel; has what they were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.channels: list[tuple[Any, ...]] = []
        self.calls: list[tuple[Any, ...]] = []
        monkeypatch.setattr(grpc, "insecure_channel", lambda *given: self.open("plain", *given))
        monkeypatch.setattr(grpc, "secure_channel", lambda *given: self.open("tls", *given))
        monkeypatch.setattr(grpc, "ssl_channel_credentials", lambda *given: given)

    def open(self, *given: Any) -> Grpc:
        self.channels.append(given)
        return self

    def unary_unary(self, *given: Any, **more: Any) -> None:
        self.calls.append((*given, more))


NO_COMPRESSION, GZIP = grpc.Compression.NoCompression, grpc.Compression.Gzip


@pytest.mark.parametrize(
    ("url", "options", "channel"),
    [
        ("http://collector:4317", {}, ("plain", "collector:4317", NO_COMPRESSION)),
        ("https://collector:4317", {"compression": "gzip"}, ("tls", "collector:4317", GZIP)),
        ("http://collector:4317", {"compression": "gzip"}, ("plain", "collector:4317", GZIP)),
        ("http://c:1", {"compression": "deflate"}, ("plain", "c:1", grpc.Compression.Deflate)),
        ("dns:///collector:4317", {}, ("tls", "dns:///collector:4317", NO_COMPRESSION)),
        ("collector:4317", {"insecure": True}, ("plain", "collector:4317", NO_COMPRESSION)),
    ],
)
def test_which_grpc_channel_is_opened(
    url: str, options: dict[str, Any], channel: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS or without, where to, and how messages are compressed."""
    opened = Grpc(monkeypatch)
    to_client(Endpoint("grpc", url, **options))
    [given] = opened.channels
    credentials = [(None, None, None)] if channel[0] == "tls" else []
    assert given == (channel[0], channel[1], *credentials, module._CHANNEL_OPTIONS, channel[2])
    assert opened.calls == [
        (METHOD, {"request_serializer": None, "response_deserializer": ExportLogsServiceResponse.FromString})
    ]


def test_each_certificate_has_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authority, key and certificate, as grpcio takes them, and as requests does."""
    files = {name: tmp_path / name for name in ("ca_file", "key_file", "cert_file")}
    for name, file in files.items():
        file.write_text(name)
    opened = Grpc(monkeypatch)
    to_client(Endpoint("grpc", "https://c:1", **files))
    assert opened.channels[0][2] == (b"ca_file", b"key_file", b"cert_file")
    given: list[dict[str, Any]] = []

    def post(_url: str, **options: Any) -> None:
        given.append(options)
        raise requests.ConnectionError

    for client in (over_http("https://c:1/v1/logs", **files), over_http("https://c:1/v1/logs")):
        monkeypatch.setattr(client._session, "post", post)
        client.send(REQUEST)
    certificates = (str(files["cert_file"]), str(files["key_file"]))
    assert [(options["verify"], options["cert"]) for options in given] == [
        (str(files["ca_file"]), certificates),
        (True, None),
    ]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_kind_of_client_is_the_protocols(protocol: str) -> None:
    """One for each."""
    client = to_client(Endpoint(protocol, "http://127.0.0.1:1"))
    assert isinstance(client, GrpcClient) == (protocol == "grpc")
    client.close()


@pytest.mark.parametrize(
    ("compression", "read"), [("gzip", gzip.decompress), ("deflate", zlib.decompress), ("none", bytes)]
)
def test_what_http_sends(compression: str, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compressed request with what the session says of it, once; a redirection is not followed."""
    client = over_http("http://c:1/v1/logs", compression=compression, headers={"x-tenant": "blue"}, timeout_seconds=7.0)
    given: list[tuple[str, dict[str, Any]]] = []

    def post(url: str, **options: Any) -> None:
        given.append((url, options))
        raise requests.ConnectionError("away")

    monkeypatch.setattr(client._session, "post", post)
    assert client.send(REQUEST) == Answer(Verdict.RETRY, "unreachable", "away")
    [(url, options)] = given
    assert url == "http://c:1/v1/logs"
    assert read(options.pop("data")) == REQUEST
    assert options == {"timeout": 7.0, "verify": True, "cert": None, "allow_redirects": False, "stream": True}
    headers = {key: value for key, value in client._session.headers.items() if key not in {"Accept", "Accept-Encoding"}}
    expected = {"user-agent": module._USER_AGENT, "x-tenant": "blue", "content-type": "application/x-protobuf"}
    if compression != "none":
        expected["content-encoding"] = compression
    assert {key.lower(): value for key, value in headers.items() if key != "Connection"} == expected


def test_http_sends_the_request_and_reads_the_answer() -> None:
    """Success, partial success, a failure and a redirection are told as what they mean; closed is the end."""
    with http_receiver() as receiver:
        receiver.script.extend(
            [
                Reply(200),
                Reply(200, body=PARTIAL.SerializeToString()),
                Reply(503, {"retry-after": "3", "content-type": "text/plain"}, b"busy"),
                Reply(307, {"location": receiver.endpoint}),
            ]
        )
        client = over_http(receiver.endpoint + "/v1/logs", compression="gzip", headers={"user-agent": "mine"})
        assert client.send(REQUEST) == Answer(Verdict.ACCEPTED)
        assert receiver.requests == [ExportLogsServiceRequest.FromString(REQUEST)]
        assert (receiver.headers[0]["user-agent"], receiver.headers[0][":path"]) == ("mine", "/v1/logs")
        assert "authorization" not in receiver.headers[0]
        partial = client.send(REQUEST)
        assert (partial.verdict, partial.rejected, partial.message) == (Verdict.ACCEPTED, 2, "two")
        assert client.send(REQUEST) == Answer(Verdict.RETRY, "http_503", "busy", retry_after_seconds=3.0)
        assert client.send(REQUEST).reason == "http_3xx"
        assert len(receiver.requests) == 4
        client.close()
        assert client.send(REQUEST) == CLOSED
        assert len(receiver.requests) == 4


@pytest.mark.parametrize(
    ("user", "expected"), [("", None), ("u@", "u:"), ("u%40x:p%2Fw@", "u@x:p/w"), ("u:p@w@", "u:p@w")]
)
def test_user_and_password_of_the_address_are_sent_and_not_called(user: str, expected: str | None) -> None:
    """As Basic authentication; the address is called without them."""
    with http_receiver() as receiver:
        client = over_http(receiver.endpoint.replace("://", f"://{user}") + "/v1/logs?a=b")
        assert client._url == receiver.endpoint + "/v1/logs?a=b"
        assert client.send(REQUEST).verdict is Verdict.ACCEPTED
        client.close()
    basic = None if expected is None else "Basic " + base64.b64encode(expected.encode()).decode()
    assert receiver.headers[0].get("authorization") == basic


def test_a_netrc_file_adds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would take one for the host from there."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with http_receiver() as receiver:
        client = over_http(receiver.endpoint)
        client.send(REQUEST)
        client.close()
    assert "authorization" not in receiver.headers[0]


def test_an_http_call_ends_in_time() -> None:
    """Whether nothing comes, or a byte now and then; without a limit it takes as long as it takes."""
    drip = Reply(200, body=PARTIAL.SerializeToString(), drip_seconds=0.04)
    with http_receiver() as receiver:
        receiver.script.extend([Reply(200, delay_seconds=0.5), drip, drip])
        client = over_http(receiver.endpoint, timeout_seconds=0.15)
        nothing = client.send(REQUEST)
        assert (nothing.verdict, nothing.reason) == (Verdict.RETRY, "timeout")
        assert "Read timed out" in nothing.message
        late = client.send(REQUEST)
        assert late == Answer(Verdict.RETRY, "timeout", "the complete answer did not arrive in time")
        client.close()
        patient = over_http(receiver.endpoint, timeout_seconds=None)
        assert patient.send(REQUEST).rejected == 2
        patient.close()


def test_nobody_there_is_a_failure_that_is_said_shortly() -> None:
    """Without the layers of libraries around it."""
    client = over_http(f"http://127.0.0.1:{free_port()}/v1/logs")
    answer = client.send(REQUEST)
    client.close()
    assert (answer.verdict, answer.reason) == (Verdict.RETRY, "unreachable")
    assert "Connection refused" in answer.message
    assert not {"Max retries", "urllib3", "Caused"} & set(answer.message.split())


class Raw:
    """A response of urllib3's, of so many bytes, that notes how much is asked for."""

    def __init__(self, size: int) -> None:
        self._rest = size
        self.asked: list[tuple[int, bool]] = []
        self.raw = self

    def read1(self, amount: int, *, decode_content: bool) -> bytes:
        self.asked.append((amount, decode_content))
        given = min(amount, self._rest)
        self._rest -= given
        return b"x" * given


def test_an_answer_is_read_up_to_its_limit() -> None:
    """In pieces, decoded; what is beyond is left."""
    client, limit = over_http("http://c:1"), module.ANSWER_LIMIT_BYTES
    endless = Raw(10 * limit)
    read = client._read(endless, time.monotonic())  # type: ignore[arg-type]
    assert read == b"x" * limit
    assert endless.asked == [(65_536, True)] * (limit // 65_536)
    short = Raw(65_537)
    assert client._read(short, time.monotonic()) == b"x" * 65_537  # type: ignore[arg-type]
    with pytest.raises(requests.Timeout, match=r"^the complete answer did not arrive in time$"):
        client._read(Raw(1), time.monotonic() - 11)  # type: ignore[arg-type]


def test_an_answer_that_is_compressed_is_unpacked() -> None:
    """As its header says."""
    with http_receiver() as receiver:
        receiver.script.append(Reply(200, {"content-encoding": "gzip"}, gzip.compress(PARTIAL.SerializeToString())))
        client = over_http(receiver.endpoint)
        assert client.send(REQUEST).rejected == 2
        client.close()


@pytest.mark.parametrize("error", [urllib3.exceptions.ReadTimeoutError(None, "", "slow"), requests.Timeout("slow")])  # type: ignore[arg-type]
def test_a_timeout_of_any_library_is_one(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3's own comes through where the body is read."""
    client = over_http("http://c:1")

    def post(*_given: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(client._session, "post", post)
    answer = client.send(REQUEST)
    assert (answer.verdict, answer.reason) == (Verdict.RETRY, "timeout")
    assert "slow" in answer.message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("x" * 400, "x" * 300),
        ("for http://user:secret@host/", "for http://host/"),
        (
            "HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: / (Caused by NewConnectionError("
            "'<urllib3.connection.HTTPConnection object at 0x7f>: Failed to\n establish'))",
            "Failed to\n establish",
        ),
        ('Pool: x (Caused by SSLError("it\'s wrong"))', "it's wrong"),
        ("Pool: x (Caused by SSLError('above MAX'))", "above MAX"),
        ("(Caused by Early('a')) and more", "(Caused by Early('a')) and more"),
    ],
)
def test_how_errors_are_shown(text: str, shown: str) -> None:
    """The cause in its own words, without passwords, in a bounded length."""
    assert module._shown(Exception(text)) == shown


def test_plain_certificates_are_taken_directly_and_through_a_proxy() -> None:
    """As gRPC takes them; whatever else requests asks of its pools stays."""
    adapter = over_http("https://c:1")._session.get_adapter("https://c:1/v1/logs")
    assert isinstance(adapter, module._PlainCertificates)
    adapter.init_poolmanager(3, 4, timeout=5)
    through = adapter.proxy_manager_for("http://127.0.0.1:3128", timeout=5)
    assert (through.proxy.host, through.proxy.port) == ("127.0.0.1", 3128)
    for pools in (adapter.poolmanager, through):
        context = pools.connection_pool_kw["ssl_context"]
        assert isinstance(context, ssl.SSLContext)
        assert not context.verify_flags & ssl.VERIFY_X509_STRICT
        assert pools.connection_pool_kw["timeout"] == 5
    assert adapter.poolmanager.connection_pool_kw["maxsize"] == 4
