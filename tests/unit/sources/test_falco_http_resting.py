"""When a receiver's connection rests, how long it has, and how it ends; without a network."""

from __future__ import annotations

import ssl

import pytest

from exporter.listener.tls import ServerContext
from exporter.sources.falco_http_connection import Connection, cut_overdue
from tests.http_requests import BODIES
from tests.unit.sources.falco_http_bench import Bench, NotingWire, in_a_loop, request

BODY = BODIES[0]
CLOSES = b"Connection: close\r\n"
STREAM = request(BODY)


def test_before_and_after_it_is_made() -> None:
    """Ten seconds for its first request; whom it comes from, and by which authorities it was let in."""

    async def test() -> None:
        bench = Bench()
        connection = Connection(bench.shared)
        assert (connection.peer, connection.clients, connection.deadline) == ("", None, 1_010.0)
        assert (connection.is_resting, connection.is_busy, len(bench.shared.connections)) == (False, False, 0)
        connection.pause_writing()
        connection.resume_writing()
        connection.close()

        class Secured:
            context = ServerContext(ssl.PROTOCOL_TLS_SERVER)

        Secured.context.clients = b"authorities"
        connection = Connection(bench.shared)
        connection.connection_made(NotingWire(Secured()))  # type: ignore[arg-type]
        assert (connection.peer, connection.clients) == ("192.0.2.1", b"authorities")
        assert list(bench.shared.connections) == [connection]
        assert bench.shared.connections.find(connection) is connection
        assert connection.is_resting is False

    in_a_loop(test)


def test_it_rests_once_it_is_answered() -> None:
    """For 90 seconds, as the newest; the next request has ten from its first byte on."""

    async def test() -> None:
        bench = Bench()
        connection, _ = bench.open(STREAM)
        other, _ = bench.open()
        assert (connection.is_busy, connection.is_resting, connection.deadline) == (True, False, 1_010.0)
        bench.now = 1_005.0
        bench.inbox.flush()
        assert (connection.is_busy, connection.is_resting, connection.deadline) == (False, True, 1_095.0)
        assert list(bench.shared.connections) == [other, connection]
        bench.now = 1_050.0
        connection.data_received(STREAM[:1])
        assert (connection.is_resting, connection.deadline) == (False, 1_060.0)
        bench.now = 1_055.0
        connection.data_received(STREAM[1:])
        assert connection.deadline == 1_060.0
        bench.inbox.flush()
        assert connection.deadline == 1_145.0

    in_a_loop(test)


def test_a_request_that_began_behind_another_has_its_own_time() -> None:
    """From the answer on where its head is not there yet; where it is, the time runs on."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(STREAM + STREAM[:9])
        bench.now = 1_005.0
        bench.inbox.flush()
        assert (connection.is_resting, connection.deadline) == (False, 1_015.0)
        connection.data_received(STREAM[9:] + STREAM[:-9])
        bench.now = 1_008.0
        bench.inbox.flush()
        assert (wire.answers, connection.is_resting, connection.deadline) == ([200, 200], False, 1_015.0)
        connection.data_received(STREAM[-9:])
        bench.inbox.flush()
        assert (len(wire.answers), connection.is_resting, connection.deadline) == (3, True, 1_098.0)

    in_a_loop(test)


def test_a_refused_request_rests_after_its_body() -> None:
    """Not before, though it was answered; and not before its answer where that is still due."""

    async def test() -> None:
        bench = Bench(path=b"/secret")
        connection, _ = bench.open(STREAM[:-9])
        bench.inbox.flush()
        assert (connection.is_busy, connection.is_resting) == (False, False)
        connection.data_received(STREAM[-9:])
        assert (connection.is_busy, connection.is_resting) == (False, True)
        connection.data_received(STREAM)
        assert (connection.is_busy, connection.is_resting) == (True, False)
        bench.inbox.flush()
        assert (connection.is_busy, connection.is_resting) == (False, True)

    in_a_loop(test)


@pytest.mark.parametrize(
    ("stream", "reasons"),
    [
        (STREAM[:-9], ["aborted"]),
        (STREAM[: -len(BODY)], []),
        (STREAM[:9], []),
        (STREAM, []),
        (STREAM + STREAM[:-9], ["aborted"]),
        (STREAM + STREAM[:9], []),
        (request(BODY, CLOSES[:-2]), []),
    ],
)
def test_a_body_that_breaks_off_is_counted(stream: bytes, reasons: list[str]) -> None:
    """What came whole is not lost; nobody is answered any more."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(stream)
        connection.connection_lost(None)
        assert (bench.reasons, len(bench.shared.connections)) == (reasons, 0)
        bench.inbox.flush()
        assert (wire.written, bench.shared.parts_bytes) == (b"", 0)
        connection.pause_writing()
        connection.close()
        assert wire.done == []

    in_a_loop(test)


def test_a_cut_is_at_once() -> None:
    """Counted by its reason only; what comes afterwards is not read."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(STREAM[:-9])
        other, _ = bench.open()
        connection.cut("shutdown")
        assert (wire.done, bench.reasons, list(bench.shared.connections)) == (["abort"], ["shutdown"], [other])
        connection.data_received(STREAM[-9:])
        connection.connection_lost(None)
        connection.cut("shutdown")
        bench.inbox.flush()
        assert (wire.done, bench.reasons, bench.rules) == (["abort"], ["shutdown"] * 2, [])

    in_a_loop(test)


def test_closing_answers_what_has_arrived() -> None:
    """At once where nothing has; what comes afterwards is not read."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(STREAM)
        connection.close()
        assert wire.done == []
        connection.data_received(STREAM)
        bench.inbox.flush()
        assert (wire.answers, CLOSES in wire.written, wire.done) == ([200], True, ["close"])
        connection, wire = bench.open(STREAM)
        bench.inbox.flush()
        connection.close()
        connection.data_received(STREAM + b"x")
        bench.inbox.flush()
        assert (wire.answers, wire.done) == ([200], ["close"])
        connection, wire = bench.open(STREAM[:-9])
        connection.close()
        connection.connection_lost(None)
        assert (wire.done, bench.reasons) == (["close"], [])

    in_a_loop(test)


def test_retiring_ends_with_the_request_under_way() -> None:
    """Or at once between two."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open()
        connection.retire()
        assert wire.done == ["close"]
        connection, wire = bench.open(STREAM[:-9])
        connection.retire()
        assert wire.done == []
        connection.data_received(STREAM[-9:] + STREAM)
        bench.inbox.flush()
        assert (wire.answers, CLOSES in wire.written, wire.done) == ([200], True, ["close"])

    in_a_loop(test)


def test_who_is_overdue_is_cut() -> None:
    """By its deadline, and by what it was at."""

    async def test() -> None:
        bench = Bench()
        slow, _ = bench.open(STREAM[:-9])
        resting, _ = bench.open(STREAM)
        bench.inbox.flush()
        bench.now = slow.deadline
        cut_overdue(bench.shared)
        assert bench.reasons == []
        bench.now += 0.1
        cut_overdue(bench.shared)
        assert (bench.reasons, list(bench.shared.connections)) == (["request_timeout"], [resting])
        bench.now = resting.deadline + 0.1
        cut_overdue(bench.shared)
        assert bench.reasons == ["request_timeout", "idle"]
        assert len(bench.shared.connections) == 0

    in_a_loop(test)


def test_who_reads_no_answers_is_not_read() -> None:
    """Until it reads them."""

    async def test() -> None:
        connection, wire = Bench().open()
        connection.pause_writing()
        assert wire.done == ["pause"]
        connection.resume_writing()
        assert wire.done == ["pause", "resume"]

    in_a_loop(test)
