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
from exporter.sources import falco_http_inbox
from exporter.sources.falco_http import FalcoHttpSource
from tests.http_requests import Delivered
from tests.integration.certificates import Authority
from tests.waiting import wait_until

CAPTURES = Path(__file__).parents[1] / "captures"
FALCO_HEADERS = {"User-Agent": "falcosecurity/falco", "Content-Type": "application/json"}
ALERT = {
    "time": "2026-01-31T12:00:00.000000001Z", "rule": "R", "priority": "Notice", "source": "syscall",
    "hostname": "h", "output": "12:00:00.000000001: Notice something", "output_fields": {"proc.pid": 5}, "tags": ["a"],
}  # fmt: skip


class Receiver:
    """A running source."""

    def __init__(self, source: FalcoHttpSource, kept: Delivered, registry: CollectorRegistry) -> None:
        self.source, self.kept, self.registry = source, kept, registry

    @property
    def port(self) -> int:
        return self.source.port

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        if context is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=10, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def post(self, body: bytes | str, path: str = "/", **headers: str) -> tuple[int, str, dict[str, str]]:
        return self.ask("POST", path, body, **headers)

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        connection = self.connect()
        try:
            connection.request(method, path, body, FALCO_HEADERS | headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def errors(self, reason: str) -> float | None:
        labels = {"target": self.source.name, "reason": reason}
        return self.registry.get_sample_value("falco_exporter_decode_errors_total", labels)

    def received(self) -> float | None:
        return self.registry.get_sample_value("falco_exporter_alerts_received_total", {"target": self.source.name})

    def rejected(self, reason: str) -> float | None:
        labels = {"listener": "http", "reason": reason}
        return self.registry.get_sample_value("falco_exporter_http_rejected_total", labels)


@contextmanager
def receiving(settings: FalcoHttp) -> Iterator[Receiver]:
    registry, kept, stop = CollectorRegistry(), Delivered(), threading.Event()
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


def test_an_alert_is_taken_though_a_sink_has_no_room(receiver: Receiver) -> None:
    """Falco sends nothing twice: metrics and pages get every alert, and a full queue drops and counts its own."""
    receiver.kept.room = 0
    assert receiver.post(json.dumps(ALERT))[0] == 200
    assert len(receiver.kept.alerts) == 1


def test_any_path_is_taken(receiver: Receiver) -> None:
    """Whatever path Falco's url has, its alerts arrive."""
    for path in ("/", "/falco", "/a/b?c=d", "//x", "/%00", "http://other/falco"):
        assert receiver.post(json.dumps(ALERT), path)[0] == 200
    assert len(receiver.kept.alerts) == 6


def test_other_methods_are_refused(receiver: Receiver) -> None:
    """405 with the method to use, not an alert."""
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        status, _, headers = receiver.ask(method, "/", json.dumps(ALERT))
        assert (status, headers["Allow"]) == (405, "POST")
    assert receiver.rejected("method") == 4
    assert receiver.kept.alerts == []


@pytest.mark.parametrize("path", ["/healthz", "/ping", "/healthz?x=1"])
def test_probes_are_answered_on_the_receivers_port(receiver: Receiver, path: str) -> None:
    """As falcosidekick does, for probes of Kubernetes and load balancers."""
    assert receiver.ask("GET", path)[:2] == (200, "ok\n")
    assert receiver.ask("HEAD", path)[:2] == (200, "")


def test_no_timer_stands_before_the_answer(receiver: Receiver) -> None:
    """Falco waits for each answer: none waits for a timer, as Nagle's with delayed acknowledgements (40 ms) would be.

    How long an answer takes is `make bench`'s to say: here the machine may be busy, so the quickest tenth is looked at.
    """
    connection, body, seconds = receiver.connect(), json.dumps(ALERT), []
    for _ in range(500):
        begun = time.perf_counter()
        connection.request("POST", "/", body, FALCO_HEADERS)
        connection.getresponse().read()
        seconds.append(time.perf_counter() - begun)
    connection.close()
    assert statistics.quantiles(seconds, n=10)[0] < 0.01


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


def test_a_connection_let_in_by_a_former_authority_ends(tmp_path: Path) -> None:
    """Once another authority signs the clients, those of the former one are out, on open connections too."""
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    server, client = authority.make_server(), authority.make_client()
    clients = tmp_path / "clients.pem"
    clients.write_bytes(authority.cert_file.read_bytes())
    tls = TlsServer(server.cert_file, server.key_file, clients)
    with receiving(FalcoHttp(address="127.0.0.1:0", tls=tls)) as receiver:
        context = ssl.create_default_context(cafile=str(authority.cert_file))
        context.load_cert_chain(client.cert_file, client.key_file)
        connection = receiver.connect(context)
        assert _answer_of(connection) == 200
        clients.write_bytes(other.cert_file.read_bytes())
        assert connection.sock is not None
        connection.sock.settimeout(10)
        assert connection.sock.recv(1) == b""
        connection.close()
        refused = receiver.connect(context)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _answer_of(refused)
        refused.close()


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


@contextmanager
def open_socket(receiver: Receiver) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        yield connection


def request(body: bytes, *, path: str = "/", headers: Sequence[str] = (), length: bool = True) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Read so many answers, one after another."""
    file = connection.makefile("rb")
    found = []
    for _ in range(count):
        head = iter(file.readline, b"\r\n")
        found.append(int(next(head).split()[1]))
        length = next(
            (int(line.split(b":")[1]) for line in list(head) if line.lower().startswith(b"content-length")), 0
        )
        file.read(length)
    return found


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (b"\n".join([json.dumps(ALERT).encode()] * 3), 3),
        (b"\r\n\r\n".join([json.dumps(ALERT).encode()] * 3) + b"\r\n", 3),
        (json.dumps([ALERT, ALERT]).encode(), 2),
        (b"  " + json.dumps([ALERT, ALERT], indent=2).encode(), 2),
        (json.dumps(ALERT, indent=2).encode(), 1),
        (b"\xef\xbb\xbf" + json.dumps(ALERT).encode(), 1),
        (b"\xef\xbb\xbf" + json.dumps([ALERT]).encode(), 1),
    ],
)
def test_a_body_may_hold_several_alerts(receiver: Receiver, body: bytes, taken: int) -> None:
    """A line each, an array, or one document over several lines; each alert keeps its own message."""
    assert receiver.post(body)[0] == 200
    assert len(receiver.kept.alerts) == taken
    assert len({alert.uid for alert in receiver.kept.alerts}) == 1
    assert all(json.loads(alert.received) == ALERT for alert in receiver.kept.alerts)
    assert receiver.received() == taken


def test_of_several_alerts_the_bad_ones_are_said(receiver: Receiver) -> None:
    """The good ones are taken, each bad one counts by its reason, and the answer says both."""
    good = json.dumps(ALERT)
    status, text, _ = receiver.post("\n".join([good, '{"rule": 5}', "12:00:00.1: Notice x", good]))
    assert status == 400
    assert "2 of 4 alerts were taken" in text
    assert len(receiver.kept.alerts) == 2
    assert (receiver.errors("bad_rule"), receiver.errors("text"), receiver.received()) == (1, 1, 4)


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (b"", "empty", "empty"),
        (b"\n \r\n", "empty", "empty"),
        (b"\xff\xfe{\x00", "malformed", "byte order mark"),
        (b'{"rule": ' + b"[" * 500_000, "nested", "64"),
        (b"[]", "malformed", "expected one JSON object"),
    ],
)
def test_a_body_that_holds_no_alert_is_named(receiver: Receiver, body: bytes, reason: str, words: str) -> None:
    """400 says what was found; the next alert on the connection is taken."""
    status, text, _ = receiver.post(body) if len(body) < 100_000 else receiver.post(body[:90_000])
    assert status == 400
    assert words in text
    assert receiver.errors(reason) == 1
    assert receiver.post(json.dumps(ALERT))[0] == 200


def test_a_text_body_is_said_in_the_log(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Falco looks at no answer, so the log names the setting in falco.yaml; once, whatever the number of alerts."""
    for _ in range(3):
        receiver.post("12:00:00.000000001: Notice x", **{"Content-Type": "text/plain"})
    lines = [record.getMessage() for record in caplog.records if "json_output: true" in record.getMessage()]
    assert len(lines) == 1
    assert "falco.yaml" in lines[0]


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


@pytest.mark.parametrize("allowed", [False, True])
def test_a_test_alert_is_made_where_it_is_allowed(allowed: bool) -> None:
    """POST /test without a body, as with falcosidekick; with a body it is an alert like any other."""
    with receiving(FalcoHttp(address="127.0.0.1:0", test_alerts=allowed)) as receiver:
        status, text, _ = receiver.post(b"", "/test")
        assert status == (200 if allowed else 403)
        assert "http.test_alerts" in text or receiver.kept.alerts[0].uid in text
        assert receiver.post(json.dumps(ALERT), "/test")[0] == 200
        assert [alert.rule for alert in receiver.kept.alerts] == (
            ["Test alert of falco-report-exporter"] if allowed else []
        ) + ["R"]


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


def test_a_head_that_is_known_is_framed_as_the_first_time(receiver: Receiver) -> None:
    """The same head with more, less or other bytes after it means what the parser would say."""
    body = json.dumps(ALERT).encode()
    other = json.dumps(ALERT | {"rule": "S"}).encode()
    head = request(body).removesuffix(body)
    with open_socket(receiver) as connection:
        for _ in range(3):
            connection.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") + body)
            assert statuses(connection, 2) == [100, 200]
        for _ in range(3):
            connection.sendall(head + body)
            assert statuses(connection, 1) == [200]
        connection.sendall(head + other)
        assert statuses(connection, 1) == [200]
        connection.sendall(head + body + head + other + head)
        assert statuses(connection, 2) == [200, 200]
        connection.sendall(body[:10])
        connection.sendall(body[10:])
        assert statuses(connection, 1) == [200]
        connection.sendall(head + b"x" * len(body))
        assert statuses(connection, 1) == [400]
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nOrigin: y\r\nContent-Length: 2\r\n\r\n{}" * 2)
        assert statuses(connection, 2) == [403, 403]
    assert [alert.rule for alert in receiver.kept.alerts] == ["R"] * 6 + ["S", "R", "S", "R"]


def test_pipelined_and_split_requests_are_answered_in_order(receiver: Receiver) -> None:
    """However the bytes are cut, each request has its answer, in turn."""
    body = json.dumps(ALERT).encode()
    chunked = request(
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), headers=["Transfer-Encoding: chunked"], length=False
    )
    stream = request(body) + request(b"x") + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" + chunked + request(body)
    with open_socket(receiver) as connection:
        connection.sendall(stream)
        assert statuses(connection, 5) == [200, 400, 200, 200, 200]
        for place in range(0, len(stream), 7):
            connection.sendall(stream[place : place + 7])
        assert statuses(connection, 5) == [200, 400, 200, 200, 200]
    assert len(receiver.kept.alerts) == 6


def test_a_turn_that_brings_many_alerts_hands_them_over_in_parts(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the end of a turn is bounded; every request has its answer all the same, in turn."""
    batches: list[int] = []
    keep = receiver.kept.keep

    def noting(alerts: Sequence[Alert]) -> None:
        batches.append(len(alerts))
        keep(alerts)

    monkeypatch.setattr(receiver.kept, "keep", noting)
    monkeypatch.setattr(falco_http_inbox, "BATCH_ALERTS", 4)
    body = json.dumps(ALERT).encode()
    with open_socket(receiver) as connection:
        connection.sendall(request(body) * 5 + request(b"x") + request(body) * 5)
        assert statuses(connection, 11) == [200] * 5 + [400] + [200] * 5
    assert max(batches) <= 4
    assert sum(batches) == len(receiver.kept.alerts) == 10


@pytest.mark.parametrize(
    ("bytes_sent", "status", "reason"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100, 400, "tls_on_plain_port"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", 400, "bad_request"),
        (b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431, "bad_request"),
        (b"POST / HTTP/1.1\r\nX: " + b"a" * 20_000, 431, "bad_request"),
        (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n", 431, "bad_request"),
    ],
)
def test_what_is_no_request_ends_the_connection(
    receiver: Receiver, bytes_sent: bytes, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted, answered, closed; no line in the log that a stranger could fill it with."""
    with open_socket(receiver) as connection:
        connection.sendall(bytes_sent)
        answer = _read_to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in answer
    assert receiver.rejected(reason) == 1
    assert ("TLS" in caplog.text) == (reason == "tls_on_plain_port")


def test_expect_continue_is_understood(receiver: Receiver) -> None:
    """curl asks before it sends a large body; it is told to go on, or refused at once."""
    body = json.dumps(ALERT).encode()
    with open_socket(receiver) as connection:
        connection.sendall(request(body, headers=["Expect: 100-continue"]).removesuffix(body))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(body)
        assert statuses(connection, 1) == [200]
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 500000\r\n\r\n")
        assert b"HTTP/1.1 413" in _read_to_the_end(connection)


def test_an_older_client_gets_one_answer_and_the_end(receiver: Receiver) -> None:
    """HTTP/1.0, and ``Connection: close``."""
    body = json.dumps(ALERT).encode()
    for head in (b"POST / HTTP/1.0\r\n", b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n",
                 b"POST / HTTP/1.1\r\nConnection: close\r\n"):  # fmt: skip
        with open_socket(receiver) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert _read_to_the_end(connection).startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")


def test_a_body_that_is_too_large_comes_to_an_end(receiver: Receiver) -> None:
    """Without a length, too, the 413 comes as soon as it is too much, and an endless sender is cut."""
    with open_socket(receiver) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 100_000_000:
                connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                sent += 65_536
        except OSError:
            pass
        assert b" 413 " in _read_to_the_end(connection) or sent < 20_000_000
    assert sent < 20_000_000
    assert receiver.rejected("request_too_large") == 1
    assert receiver.errors("too_long") == 1


def test_at_the_limit_the_longest_resting_connection_makes_room() -> None:
    """New senders are served; a connection in the middle of a request is not cut for them."""
    with receiving(FalcoHttp(address="127.0.0.1:0", connection_limit=3)) as receiver:
        body = json.dumps(ALERT).encode()
        connections = []
        for _ in range(3):
            connections.append(socket.create_connection(("127.0.0.1", receiver.port), timeout=10))
            connections[-1].sendall(request(body))
            assert statuses(connections[-1], 1) == [200]
        connections[2].sendall(request(body)[:50])
        for connection in (connections[1], connections[0]):
            connection.sendall(request(body))
            assert statuses(connection, 1) == [200]
        with open_socket(receiver) as newcomer:
            newcomer.sendall(request(body))
            assert statuses(newcomer, 1) == [200]
            assert _read_to_the_end(connections[1]) == b""
            connections[0].sendall(request(body))
            assert statuses(connections[0], 1) == [200]
            connections[2].sendall(request(body)[50:])
            assert statuses(connections[2], 1) == [200]
        assert receiver.rejected("idle") == 1
        for connection in connections:
            connection.close()


def test_bodies_that_arrive_in_part_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones are refused once the parts are too many bytes; small alerts go on, and what is closed is freed."""
    monkeypatch.setattr("exporter.sources.falco_http_connection.PARTS_LIMIT_BYTES", 500_000)
    with receiving(FalcoHttp(address="127.0.0.1:0")) as receiver:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n"
        first, second = (socket.create_connection(("127.0.0.1", receiver.port), timeout=10) for _ in range(2))
        for connection in (first, second):
            connection.sendall(head + b" " * 300_000)
        wait_until(lambda: receiver.rejected("memory") == 1)
        assert receiver.post(json.dumps(ALERT))[0] == 200
        first.close()
        second.close()
        with open_socket(receiver) as third:
            wait_until(lambda: receiver.rejected("aborted") == 1)
            third.sendall(head + json.dumps(ALERT).encode().ljust(400_000))
            assert statuses(third, 1) == [200]


def test_a_sinks_mistake_ends_the_source() -> None:
    """A programming error is not answered and not passed over: it leaves ``run``."""

    class Broken(Delivered):
        def keep(self, alerts: Sequence[Alert]) -> None:
            raise ZeroDivisionError

    source = FalcoHttpSource(FalcoHttp(address="127.0.0.1:0"), SelfMetrics(CollectorRegistry()))
    ended: list[BaseException] = []

    def run() -> None:
        try:
            source.run(Broken(), threading.Event())
        except ZeroDivisionError as exc:
            ended.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    assert source.listening.wait(10)
    with socket.create_connection(("127.0.0.1", source.port), timeout=10) as connection:
        connection.sendall(request(json.dumps(ALERT).encode()))
        assert _read_to_the_end(connection) == b""
    thread.join(10)
    assert len(ended) == 1
    assert source.state == "ended"


@pytest.mark.parametrize(("address", "warns"), [("127.0.0.1:0", False), (":0", True)])
def test_a_listener_open_to_all_is_said(address: str, warns: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Alerts from anyone end up in reports with commands: one warning at the start, with what to do."""
    with receiving(FalcoHttp(address=address)):
        pass
    assert ("http.tls.client_ca_file" in caplog.text) == warns


def test_2000_senders_fit() -> None:
    """Each connection of 2,000 stays open and is served, with the default limits."""
    with receiving(FalcoHttp(address="127.0.0.1:0")) as receiver:
        body = request(json.dumps(ALERT).encode())
        connections = []
        try:
            for _ in range(2_000):
                connections.append(socket.create_connection(("127.0.0.1", receiver.port), timeout=10))
                connections[-1].sendall(body)
            assert all(statuses(connection, 1) == [200] for connection in connections)
            for connection in connections[::100]:
                connection.sendall(body)
                assert statuses(connection, 1) == [200]
        finally:
            for connection in connections:
                connection.close()
        assert receiver.rejected("idle") == 0
        assert receiver.rejected("connection_limit") == 0
