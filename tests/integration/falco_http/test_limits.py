"""Senders that send too much, too slowly or too many: bounded, counted, and the others are served."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.alert import Alert
from exporter.config.model import FalcoHttp
from exporter.sources import falco_http_inbox
from tests.integration.falco_http.receiver import (
    ALERT,
    Receiver,
    open_socket,
    read_to_the_end,
    receiving,
    request,
    statuses,
)
from tests.waiting import wait_until


def test_a_large_body_is_refused_unread(receiver: Receiver) -> None:
    """413 for a body above the limit, counted as too long; the next alert is taken."""
    status, text, _ = receiver.post(b"{" + b" " * 200_000)
    assert (status, text) == (413, "A body may have at most 100000 bytes (http.body_limit_bytes).\n")
    assert receiver.errors("too_long") == 1
    assert receiver.post(json.dumps(ALERT))[0] == 200


def test_an_alert_is_taken_though_a_sink_has_no_room(receiver: Receiver) -> None:
    """Falco sends nothing twice: metrics and pages get every alert, and a full queue drops and counts its own."""
    receiver.kept.room = 0
    assert receiver.post(json.dumps(ALERT))[0] == 200
    assert len(receiver.kept.alerts) == 1


def test_a_slow_sender_is_cut(tmp_path: Path) -> None:
    """A header that does not come to its end within the time-out ends the connection, counted."""
    with receiving(FalcoHttp(address="127.0.0.1:0", read_timeout_seconds=0.2)) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as slow:
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
            assert read_to_the_end(slow) == b""
        assert receiver.rejected("request_timeout") == 1


def test_a_connection_that_rests_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as idle, and not as a request that did not arrive."""
    monkeypatch.setattr("exporter.sources.falco_http_connection.IDLE_SECONDS", 0.2)
    with receiving(FalcoHttp(address="127.0.0.1:0")) as receiver, open_socket(receiver) as connection:
        connection.sendall(request(json.dumps(ALERT).encode()))
        assert statuses(connection, 1) == [200]
        assert read_to_the_end(connection) == b""
        assert receiver.rejected("idle") == 1
        assert receiver.rejected("request_timeout") == 0


def test_who_does_not_read_the_answers_is_not_read(receiver: Receiver) -> None:
    """Requests that are sent one behind another wait with their sender; once it reads, each has its answer."""
    requests = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000
    size, sent = len(requests) // 1_000, 0
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        greedy.connect(("127.0.0.1", receiver.port))
        greedy.settimeout(2)
        try:
            while sent < 60_000_000:
                sent += greedy.send(requests[sent % len(requests) :])
        except TimeoutError:
            pass
        assert sent < 60_000_000
        greedy.settimeout(30)
        left = sent // size
        while left:
            left -= greedy.recv(1_000_000).count(b"ok\n")


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
        assert b" 413 " in read_to_the_end(connection) or sent < 20_000_000
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
            assert read_to_the_end(connections[1]) == b""
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
