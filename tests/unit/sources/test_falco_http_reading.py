"""What a receiver's connection reads, refuses and answers; without a network."""

from __future__ import annotations

import pytest

from exporter.sources import falco_http_connection as module
from exporter.sources.falco_http_answers import CONTINUE
from exporter.sources.falco_http_connection import HEAD_LIMIT_BYTES, TLS_HINT, Connection
from tests.http_requests import BODIES
from tests.unit.sources.falco_http_bench import Bench, NotingWire, in_a_loop, request

BODY = BODIES[0]
CLOSES = b"Connection: close\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD_TOO_LARGE = f"The head of a request may have at most {HEAD_LIMIT_BYTES} bytes.\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def test_a_request_byte_by_byte() -> None:
    """Method, target and body may come in any pieces."""

    async def test() -> None:
        for stream in (request(BODY, first=b"POST /secret HTTP/1.1"), request(BODY, first=b"POST /secre HTTP/1.1")):
            bench = Bench(path=b"/secret")
            wire = bench.ask(*[stream[place : place + 1] for place in range(len(stream))])
            assert wire.answers == [200 if b"secret" in stream else 404]
            assert len(bench.rules) == (b"secret" in stream)
            assert (bench.shared.parts_bytes, wire.done) == (0, [])

    in_a_loop(test)


def test_requests_behind_each_other() -> None:
    """Each is answered, in one go; one that asks for the end is the last."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(request(BODY) * 2 + request(BODY, CLOSES[:-2]) + request(BODY))
        assert connection.is_busy
        bench.inbox.flush()
        assert wire.answers == [200] * 3
        assert wire.written.count(CLOSES) == 1
        assert wire.written.rindex(b"HTTP/1.1 ") < wire.written.index(CLOSES)
        assert wire.done == ["close"]
        assert not connection.is_busy
        assert len(bench.rules) == 3

    in_a_loop(test)


@pytest.mark.parametrize(
    ("first", "header", "closes"),
    [
        (b"POST / HTTP/1.1", b"Connection: keep-alive", False),
        (b"POST / HTTP/1.0", b"A: b", True),
        (b"POST / HTTP/1.0", b"Connection: keep-alive", True),
        (b"POST / HTTP/1.0", b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c", True),
        (b"POST / HTTP/1.1", b"Connection: Upgrade, close\r\nUpgrade: h2c", True),
        (b"POST / HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM", False),
    ],
)
def test_which_request_is_the_last(first: bytes, header: bytes, closes: bool) -> None:
    """Any of HTTP/1.0, and one that says so; not one that would go on in another protocol."""

    async def test() -> None:
        bench = Bench()
        wire = bench.ask(request(BODY, header, first=first))
        assert wire.answers == [200]
        assert len(bench.rules) == 1
        assert (CLOSES in wire.written, wire.is_closed) == (closes, closes)

    in_a_loop(test)


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM"


@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
def test_a_wish_for_another_protocol_is_passed_over(piece_bytes: int) -> None:
    """As `curl --http2` sends it: the body is read by its length or by chunks, and the next request after it."""

    async def test() -> None:
        chunked = CHUNKED.replace(b"Host: x", UPGRADE) + chunk(BODY[:9]) + chunk(BODY[9:]) + chunk(b"")
        probe = request(b"", UPGRADE, first=b"GET /healthz HTTP/1.1").replace(b"Content-Length: 0\r\n", b"")
        empty = request(b"", UPGRADE)
        stream = request(BODY, UPGRADE) * 40 + chunked + probe + empty + probe + request(BODY)
        bench = Bench()
        wire = bench.ask(*[stream[place : place + piece_bytes] for place in range(0, len(stream), piece_bytes)])
        assert wire.answers == [200] * 42 + [400, 200, 200]
        assert len(bench.rules) == 42
        assert (CLOSES in wire.written, wire.is_closed) == (False, False)
        assert bench.shared.parts_bytes == 0

    in_a_loop(test)


def test_a_wish_for_another_protocol_opens_no_way_around() -> None:
    """Limits and secrets hold as for any request, before the body and after it; a tunnel is refused."""

    async def test() -> None:
        bench = Bench(path=b"/secret")
        bench.shared.body_limit_bytes = len(BODY)
        right = request(BODY, UPGRADE, first=b"POST /secret HTTP/1.1")
        wire = bench.ask(right + request(BODY, UPGRADE) + request(BODY + b" ", UPGRADE, first=b"POST /secret HTTP/1.1"))
        assert (wire.answers, len(bench.rules)) == ([200, 404, 413], 1)
        wire = bench.ask(request(BODY, UPGRADE + b"\r\nOrigin: null") + right)
        assert (wire.answers, len(bench.rules)) == ([403, 200], 2)
        wire = bench.ask(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n" + right, right)
        assert (wire.answers, len(bench.rules)) == ([405], 2)
        wire = bench.ask(request(BODY, UPGRADE + b"\r\nA: " + b"x" * HEAD_LIMIT_BYTES))
        assert (wire.answers, wire.is_closed, len(bench.rules)) == ([431], True, 2)

    in_a_loop(test)


@pytest.mark.parametrize(
    ("data", "reasons"),
    [(b"nonsense\r\n\r\n", ["bad_request"]), (b"\x16\x03\x01", ["tls_on_plain_port", "bad_request"])],
)
def test_what_is_no_http(data: bytes, reasons: list[str]) -> None:
    """400 and the end; for TLS what to set is said."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(data, data)
        bench.inbox.flush()
        connection.data_received(request(BODY))
        bench.inbox.flush()
        assert (wire.answers, wire.text) == ([400], "This is not a valid HTTP/1.1 request.\n")
        assert (CLOSES in wire.written, wire.done, bench.reasons) == (True, ["close"], reasons)
        assert list(bench.shared.refusals.warnings().values()) == (
            [f"alerts are refused and lost; {TLS_HINT}"] if len(reasons) > 1 else []
        )

    in_a_loop(test)


def test_what_came_before_it_is_answered_first() -> None:
    """The connection ends after the last of its answers."""

    async def test() -> None:
        bench = Bench()
        _, wire = bench.open(request(BODY) * 2 + b"nonsense\r\n\r\n")
        bench.inbox.flush()
        assert (wire.answers, wire.done) == ([200, 200, 400], ["close"])
        _, wire = bench.open(request(BODY) + request(b"", CLOSES[:-2], first=b"POST /test HTTP/1.1"))
        bench.inbox.flush()
        assert (wire.answers, wire.done) == ([200, 403], ["close"])

    in_a_loop(test)


def test_a_secret_is_judged() -> None:
    """However its header is written."""

    async def test() -> None:
        bench = Bench(secret=b"Bearer word")
        for header, status in (
            (b"aUTHORIZATION: Bearer word", 200),
            (b"Authorization: Bearer other", 401),
            (b"A: b", 401),
        ):
            assert bench.ask(request(BODY, header)).answers == [status]
        assert dict(bench.shared.heads) == {}

    in_a_loop(test)


@pytest.mark.parametrize("more", [0, 1])
def test_a_head_has_a_limit(more: int) -> None:
    """Each header counts 64 bytes besides its text; the target counts too."""

    async def test() -> None:
        target = b"/" + b"t" * 99
        known = len(target) + len(b"Hostx") + 64 + len(b"Content-Length0") + 64 + 64
        filler = b"A: " + b"v" * (HEAD_LIMIT_BYTES - known - 1 + more)
        bench = Bench()
        wire = bench.ask(request(b"", filler, first=b"POST " + target + b" HTTP/1.1"))
        assert wire.answers == [431 if more else 400]
        if more:
            assert (wire.text, wire.done, bench.reasons) == (HEAD_TOO_LARGE, ["close"], ["bad_request"])
        else:
            assert (wire.done, bench.reasons) == ([], [])

    in_a_loop(test)


@pytest.mark.parametrize("more", [0, 1])
def test_a_head_that_does_not_end_has_a_limit(more: int) -> None:
    """Whatever is read of it counts, also over several pieces, and anew for each request."""

    async def test() -> None:
        bench = Bench()
        begun = b"POST / HTTP/1.1\r\nA: "
        wire = bench.ask(request(BODY), begun, b"x" * (HEAD_LIMIT_BYTES - len(begun) + more))
        assert wire.answers == [200, 431] if more else [200]
        assert bench.reasons == ["bad_request"] * more
        if more:
            assert (wire.text, wire.done) == (HEAD_TOO_LARGE, ["close"])

    in_a_loop(test)


def large(limit: int) -> str:
    return f"A body may have at most {limit} bytes (http.body_limit_bytes).\n"


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"100000", 400), (b"100001", 413), (b"000000000100000", 400), (b"0000000000000005", 413), (b"9" * 15, 413)],
)
def test_a_body_has_a_limit(length: bytes, status: int) -> None:
    """413 by its length, before it comes; it is counted, and the next request is taken."""

    async def test() -> None:
        bench = Bench()
        size = int(length) if int(length) < 200_000 else 0
        connection, wire = bench.open(request(length=length))
        bench.inbox.flush()
        assert wire.answers == [413] * (status == 413)
        assert len(bench.too_large) == (status == 413)
        if size:
            connection.data_received(b"x" * size + request(BODY))
            bench.inbox.flush()
            assert wire.answers == [status, 200]
            assert len(bench.rules) == 1
        if status == 413:
            assert large(100_000).encode() in wire.written
        assert (wire.done, bench.reasons, bench.shared.parts_bytes) == ([], [], 0)

    in_a_loop(test)


@pytest.mark.parametrize("more", [0, 1])
def test_a_body_in_chunks_has_the_same_limit(more: int) -> None:
    """It is answered once, and forgotten; more of it is read on, but not without an end."""

    async def test() -> None:
        bench = Bench()
        pieces = [chunk(b"x" * 50_000), chunk(b"x" * 49_999), chunk(b"x" * (1 + more))]
        connection, wire = bench.open(CHUNKED, *pieces)
        assert len(connection._body) == (0 if more else 100_000)
        for piece in (chunk(b"x"), b"0\r\nOrigin: x\r\n\r\n") if more else (b"0\r\nOrigin: x\r\n\r\n",):
            connection.data_received(piece)
        bench.inbox.flush()
        assert wire.answers == [413 if more else 400]
        assert len(bench.too_large) == more
        connection.data_received(CHUNKED + chunk(BODY) + b"0\r\n\r\n")
        bench.inbox.flush()
        assert wire.answers[1:] == [200]

    in_a_loop(test)


@pytest.mark.parametrize("more", [0, 1])
def test_a_sender_that_does_not_hear_is_cut(more: int) -> None:
    """Above what is read of one request, after its 413."""

    async def test() -> None:
        bench = Bench()
        head = request(length=b"300000")
        wire = bench.ask(request(BODY), head, b"x" * (200_000 - len(head) + more))
        assert wire.answers == [200, 413]
        assert (wire.done, bench.reasons) == ((["abort"], ["request_too_large"]) if more else ([], []))
        assert len(bench.shared.connections) == 1 - more

    in_a_loop(test)


def test_large_bodies_in_part_have_a_common_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 for the one that goes above it; a small one is taken all the same, and what ends makes room."""
    monkeypatch.setattr(module, "PARTS_LIMIT_BYTES", 140_000)

    async def test() -> None:
        bench = Bench()
        head = request(length=b"90000")
        first, first_wire = bench.open(head, b"x" * 40_000, b"x" * 30_000)
        second, second_wire = bench.open(head, b"x" * 70_000)
        assert bench.shared.parts_bytes == 140_000
        small, small_wire = bench.open(head, b"x" * 65_536)
        assert (bench.shared.parts_bytes, bench.reasons) == (205_536, [])
        small.data_received(b"x")
        assert (bench.shared.parts_bytes, bench.reasons) == (140_000, ["memory"])
        small.data_received(b"x")
        bench.inbox.flush()
        assert (small_wire.answers, small_wire.done) == ([503], ["close"])
        assert small_wire.text == "Too many large requests are incomplete; try again later.\n"
        small.connection_lost(None)
        second.connection_lost(None)
        assert (bench.shared.parts_bytes, bench.reasons) == (70_000, ["memory", "aborted"])
        first.data_received(b"x" * 20_000)
        bench.inbox.flush()
        assert (first_wire.answers, bench.shared.parts_bytes, second_wire.answers) == ([400], 0, [])

    in_a_loop(test)


def test_who_waits_is_told_to_go_on() -> None:
    """Before the body; one that is refused ends with its answer, since its body may come or not."""

    async def test() -> None:
        bench = Bench()
        stream = request(BODY, b"Expect: 100-continue")
        head = stream[: -len(BODY)]
        connection, wire = bench.open(head)
        assert wire.written == CONTINUE
        connection.data_received(BODY)
        bench.inbox.flush()
        assert (wire.answers, wire.done) == ([100, 200], [])
        refused = bench.ask(head.replace(b"POST", b"PUT"), BODY)
        assert (refused.answers, CLOSES in refused.written, refused.done) == ([405], True, ["close"])
        assert len(bench.rules) == 1

    in_a_loop(test)


def test_a_refused_request_is_read_to_its_end() -> None:
    """Answered before its body comes, which is forgotten; the next one is taken, or the connection ends."""

    async def test() -> None:
        bench = Bench(path=b"/secret")
        stream = request(BODY)
        wire = bench.ask(stream[:-5], stream[-5:] + request(BODY, first=b"POST /secret HTTP/1.1"))
        assert (wire.answers, wire.done, len(bench.rules)) == ([404, 200], [], 1)
        stream = request(BODY, CLOSES[:-2])
        connection, wire = bench.open(stream[:-5])
        bench.inbox.flush()
        assert (wire.answers, wire.done) == ([404], [])
        connection.data_received(stream[-5:])
        assert wire.done == ["close"]
        connection, wire = bench.open(stream)
        assert wire.done == []
        bench.inbox.flush()
        assert (wire.answers, CLOSES in wire.written, wire.done) == ([404], True, ["close"])
        bench.ask(request(BODY, b"Origin: x", first=b"POST /secret HTTP/1.1"))
        assert bench.reasons == ["wrong_path"] * 3 + ["cross_site"]

    in_a_loop(test)


def test_a_test_alert_is_asked_for_without_a_body() -> None:
    """With one it is an alert; without one elsewhere it is no alert."""

    async def test() -> None:
        bench = Bench()
        asked: list[Connection] = []
        take_test = bench.shared.take_test

        def take(connection: Connection) -> None:
            asked.append(connection)
            take_test(connection)

        bench.shared.take_test = take
        connection, wire = bench.open(request(first=b"POST /test HTTP/1.1"))
        assert connection.is_busy
        bench.inbox.flush()
        assert (asked, wire.answers, connection.is_busy) == ([connection], [403], False)
        assert bench.ask(request(BODY, first=b"POST /test HTTP/1.1")).answers == [200]
        assert bench.ask(request()).answers == [400]
        assert len(asked) == 1

    in_a_loop(test)


def test_a_mistake_of_ours_is_told() -> None:
    """Whatever a callback raises."""

    async def test() -> None:
        bench = Bench()
        failures: list[BaseException] = []
        bench.inbox.fail = failures.append

        def take(connection: Connection) -> None:
            raise ZeroDivisionError

        bench.shared.take_test = take
        bench.open(request(first=b"POST /test HTTP/1.1"))
        [failure] = failures
        assert isinstance(failure, Exception)

    in_a_loop(test)


def head_of(stream: bytes) -> bytes:
    return stream.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "path", "is_known"),
    [
        ([request(BODY)], None, True),
        ([request(b"{no json\r\n\r\n")], None, True),
        ([request(BODY, b"X: " + b"x" * (1_024 - len(head_of(request(BODY))) - 5))], None, True),
        ([request(BODY, b"X: " + b"x" * (1_024 - len(head_of(request(BODY))) - 4))], None, False),
        ([request(BODY, first=b"POST /s HTTP/1.1")], b"/s", False),
        ([request(BODY, b"Connection: close")], None, False),
        ([request(BODY, b"Origin: x")], None, False),
        ([request(BODY, b"Expect: 100-continue")], None, False),
        ([request(BODY, b"Authorization: Basic x")], None, False),
        ([request(BODY, first=b"PUT / HTTP/1.1")], None, False),
        ([request(BODY) * 2], None, False),
        ([request(BODY) + b"P"], None, False),
        ([request(BODY)[:-5], request(BODY)[-5:]], None, False),
        ([request(BODY)[:-5], request(BODY)[-5:] + request(BODY)], None, False),
        ([request(b"x" * 100_001)], None, False),
        ([request()], None, False),
        ([CHUNKED + chunk(BODY) + b"0\r\n\r\n"], None, False),
    ],
)
def test_which_heads_are_known_afterwards(pieces: list[bytes], path: bytes | None, is_known: bool) -> None:
    """Of a request that came by itself and in one piece, with a length and nothing that is judged."""

    async def test() -> None:
        bench = Bench(path=path)
        bench.ask(*pieces)
        [stream, *_] = pieces
        head = head_of(stream)
        assert dict(bench.shared.heads) == ({head: len(stream) - len(head)} if is_known else {})

    in_a_loop(test)


def answers_after(bench: Bench, wire: NotingWire, connection: Connection, *data: bytes) -> list[int]:
    """The statuses that the data brings; it has to be busy in between."""
    before = len(wire.answers)
    for piece in data:
        connection.data_received(piece)
    assert connection.is_busy
    assert not connection.is_resting
    bench.inbox.flush()
    assert not connection.is_busy
    assert connection.is_resting
    return wire.answers[before:]


def test_a_request_with_a_known_head() -> None:
    """Taken without the parser where its body is as long, and as any other where it is not."""

    async def test() -> None:
        bench = Bench()
        connection, wire = bench.open(request(BODY))
        bench.inbox.flush()
        bench.shared.heads.keep(request(b"x" * 7)[:-7], 7)
        bench.shared.heads.keep(b"", len(request(BODY)) - 3)
        assert answers_after(bench, wire, connection, request(BODY)) == [200]
        assert len(bench.rules) == 2
        assert connection._requests == 1
        assert answers_after(bench, wire, connection, request(b"{" + b"x" * 6)) == [400]
        assert connection._requests == 1
        assert answers_after(bench, wire, connection, request(BODY)[:-5], request(BODY)[-5:]) == [200]
        assert connection._requests == 2
        assert answers_after(bench, wire, connection, request(BODY) + request(BODY)) == [200, 200]
        assert connection._requests == 4
        assert answers_after(bench, wire, connection, request(b"\r\n\r\n" + BODY)) == [200]
        assert answers_after(bench, wire, connection, request(b"\r\n\r\n" + BODY)) == [200]
        assert connection._requests == 5

    in_a_loop(test)
