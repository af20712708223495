"""HTTP as clients speak it, however the bytes are cut."""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import FalcoHttp
from exporter.selfmetrics import SelfMetrics
from exporter.sources.falco_http import FalcoHttpSource
from tests.http_requests import Delivered
from tests.integration.falco_http.receiver import (
    ALERT,
    FALCO_HEADERS,
    Receiver,
    open_socket,
    read_to_the_end,
    request,
    statuses,
)


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


def test_a_wish_for_http_2_is_passed_over(receiver: Receiver) -> None:
    """`curl --http2` asks for it in its first post: the alert is taken, and the next one on the same connection."""
    wish = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    connection = receiver.connect()
    for headers in (wish, wish, {}):
        connection.request("POST", "/", json.dumps(ALERT), FALCO_HEADERS | headers)
        with connection.getresponse() as answer:
            assert (answer.status, answer.getheader("Connection")) == (200, None)
    connection.close()
    assert len(receiver.kept.alerts) == 3
    assert receiver.ask("CONNECT", "x:80")[0] == 405


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


def test_a_peer_that_has_been_alone_for_a_while_is_answered_as_before(receiver: Receiver) -> None:
    """The short way for the only sender refuses what the long way refuses, with the same words, and counts it."""
    body = json.dumps(ALERT).encode()
    with open_socket(receiver) as connection:
        for _ in range(20):
            connection.sendall(request(body))
            assert statuses(connection, 1) == [200]
        connection.sendall(request(b"{}".ljust(len(body))))
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b"member `rule`: expected the rule's name, found nothing\n")
        connection.sendall(request(body))
        assert statuses(connection, 1) == [200]
    assert receiver.errors("bad_rule") == 1
    assert receiver.received() == 22
    assert len(receiver.kept.alerts) == 21


def test_a_refused_request_that_is_the_last_ends_the_connection(receiver: Receiver) -> None:
    """The answer comes before the body; once the body is there, so is the end."""
    with open_socket(receiver) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nOrigin: y\r\nConnection: close\r\nContent-Length: 5\r\n\r\n")
        assert statuses(connection, 1) == [403]
        connection.sendall(b"hello")
        assert read_to_the_end(connection) == b""


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
        answer = read_to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in answer
    assert answer.endswith(
        b"\r\n\r\nThis is not a valid HTTP/1.1 request.\n"
        if status == 400
        else b"\r\n\r\nThe head of a request may have at most 16384 bytes.\n"
    )
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
        assert b"HTTP/1.1 413" in read_to_the_end(connection)


def test_an_older_client_gets_one_answer_and_the_end(receiver: Receiver) -> None:
    """HTTP/1.0, and ``Connection: close``."""
    body = json.dumps(ALERT).encode()
    for head in (b"POST / HTTP/1.0\r\n", b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n",
                 b"POST / HTTP/1.1\r\nConnection: close\r\n"):  # fmt: skip
        with open_socket(receiver) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert read_to_the_end(connection).startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")


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
        assert read_to_the_end(connection) == b""
    thread.join(10)
    assert len(ended) == 1
    assert source.state == "ended"
