"""The receiver for Falco's http_output, over real connections."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import FalcoHttp, TlsServer
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.sources.falco_http import FalcoHttpSource
from tests.integration.certificates import Authority

CAPTURES = Path(__file__).parents[1] / "captures"
FALCO_HEADERS = {"User-Agent": "falcosecurity/falco", "Content-Type": "application/json"}
ALERT = {
    "time": "2026-01-31T12:00:00.000000001Z", "rule": "R", "priority": "Notice", "source": "syscall",
    "hostname": "h", "output": "12:00:00.000000001: Notice something", "output_fields": {"proc.pid": 5}, "tags": ["a"],
}  # fmt: skip


class Kept:
    """A hand-over that keeps what it is given while it has room."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.room = 1_000

    def wait_for_room(self, timeout_seconds: float) -> int:
        return self.room

    def deliver(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts


class Receiver:
    """A running source."""

    def __init__(self, source: FalcoHttpSource, kept: Kept, registry: CollectorRegistry) -> None:
        self.source, self.kept, self.registry = source, kept, registry

    @property
    def port(self) -> int:
        return self.source.port

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        if context is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=10, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def post(self, body: bytes | str, **headers: str) -> tuple[int, str, dict[str, str]]:
        connection = self.connect()
        try:
            connection.request("POST", "/", body, FALCO_HEADERS | headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def errors(self, reason: str) -> float | None:
        labels = {"target": self.source.name, "reason": reason}
        return self.registry.get_sample_value("falco_exporter_decode_errors_total", labels)

    def rejected(self, reason: str) -> float | None:
        labels = {"listener": "http", "reason": reason}
        return self.registry.get_sample_value("falco_exporter_http_rejected_total", labels)


@contextmanager
def receiving(settings: FalcoHttp) -> Iterator[Receiver]:
    registry, kept, stop = CollectorRegistry(), Kept(), threading.Event()
    source = FalcoHttpSource(settings, SelfMetrics(registry))
    thread = threading.Thread(target=source.run, args=(kept, stop))
    thread.start()
    assert source.listening.wait(10)
    try:
        yield Receiver(source, kept, registry)
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(FalcoHttp(address="127.0.0.1:0", body_limit_bytes=100_000)) as found:
        yield found


def test_real_bodies_are_taken_on_one_connection(receiver: Receiver) -> None:
    """Every alert that Falco 0.43.1 posted gives 200 and arrives."""
    bodies = (CAPTURES / "alerts.jsonl").read_bytes().splitlines()
    connection = receiver.connect()
    for body in bodies:
        connection.request("POST", "/", body, FALCO_HEADERS)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()
    assert [alert.rule for alert in receiver.kept.alerts] == [json.loads(body)["rule"] for body in bodies]


def test_falcosidekicks_form_is_the_same_alert(receiver: Receiver) -> None:
    """A uuid and ``syscalls`` as source change nothing."""
    assert receiver.post(json.dumps(ALERT))[0] == 200
    assert receiver.post(json.dumps(ALERT | {"uuid": "6f1e", "source": "syscalls"}))[0] == 200
    first, second = receiver.kept.alerts
    assert first == second


def test_a_text_body_names_the_setting_to_change(receiver: Receiver) -> None:
    """With json_output off Falco posts text: 400, saying which Falco setting to change."""
    status, text, _ = receiver.post("12:00:00.0: Notice x", **{"Content-Type": "text/plain"})
    assert status == 400
    assert "json_output: true" in text
    assert receiver.errors("text") == 1
    assert receiver.kept.alerts == []


@pytest.mark.parametrize(
    ("change", "field"), [({"rule": None}, "rule"), ({"time": "x"}, "time"), ({"tags": 5}, "tags")]
)
def test_a_wrong_member_is_named(receiver: Receiver, change: dict[str, object], field: str) -> None:
    """400 names the JSON member that is wrong."""
    status, text, _ = receiver.post(json.dumps(ALERT | change))
    assert status == 400
    assert field in text


def test_a_large_body_is_refused_unread(receiver: Receiver) -> None:
    """413 for a body above the limit, counted as too long; the next alert is taken."""
    status, _, _ = receiver.post(b"{" + b" " * 200_000)
    assert status == 413
    assert receiver.errors("too_long") == 1
    assert receiver.post(json.dumps(ALERT))[0] == 200


def test_a_full_pipeline_asks_to_come_again(receiver: Receiver) -> None:
    """503 with Retry-After while there is no room; nothing is taken."""
    receiver.kept.room = 0
    status, _, headers = receiver.post(json.dumps(ALERT))
    assert (status, headers["Retry-After"]) == (503, "1")
    assert receiver.kept.alerts == []
    assert receiver.rejected("backpressure") == 1


def test_other_methods_and_paths_are_refused(receiver: Receiver) -> None:
    """405 and 404, not an alert."""
    for method, path, status in (("GET", "/", 405), ("POST", "/other", 404)):
        connection = receiver.connect()
        connection.request(method, path)
        assert connection.getresponse().status == status
        connection.close()


def test_the_answer_takes_less_than_a_millisecond(receiver: Receiver) -> None:
    """Falco waits for each answer: the median on one connection stays below 1 ms."""
    connection, body, seconds = receiver.connect(), json.dumps(ALERT), []
    for _ in range(500):
        begun = time.perf_counter()
        connection.request("POST", "/", body, FALCO_HEADERS)
        connection.getresponse().read()
        seconds.append(time.perf_counter() - begun)
    connection.close()
    print(f"median answer {statistics.median(seconds) * 1e6:.0f} µs")
    assert statistics.median(seconds) < 0.001


def _read_to_the_end(connection: socket.socket) -> bytes:
    read = b""
    try:
        while piece := connection.recv(1000):
            read += piece
    except ConnectionResetError:
        pass
    return read


def _answer_of(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/", json.dumps(ALERT), FALCO_HEADERS)
    return connection.getresponse().status


def test_a_slow_sender_is_cut(tmp_path: Path) -> None:
    """A header that does not come to its end within the time-out ends the connection, counted."""
    with receiving(FalcoHttp(address="127.0.0.1:0", read_timeout_seconds=0.2)) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as slow:
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
            assert _read_to_the_end(slow) == b""
        assert receiver.rejected("request_timeout") == 1


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
            _answer_of(bare)
        bare.close()
        context.load_cert_chain(client.cert_file, client.key_file)
        connection = receiver.connect(context)
        assert _answer_of(connection) == 200
        connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda directory: FalcoHttp(address="nonsense"),
        lambda directory: FalcoHttp(address=":0", bearer_token_file=directory / "missing"),
        lambda directory: FalcoHttp(
            address=":0", tls=TlsServer(cert_file=directory / "missing", key_file=directory / "missing")
        ),
    ],
)
def test_wrong_settings_are_said_before_anything_listens(tmp_path: Path, spoil: Callable[[Path], FalcoHttp]) -> None:
    """A wrong address, a missing secret and a missing certificate are ConfigErrors that name the setting."""
    with pytest.raises(ConfigError, match=r"http\."):
        FalcoHttpSource(spoil(tmp_path), SelfMetrics(CollectorRegistry()))
