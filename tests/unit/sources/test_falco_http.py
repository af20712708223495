"""The receiver's life: what it is made of, what it says, what ends connections; mostly without a network."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import FalcoHttp, TlsServer
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.scenarios import flood
from exporter.sources import falco_http as module
from exporter.sources.falco_http import FalcoHttpSource, _Host
from exporter.sources.falco_http_connection import HEAD_LIMIT_BYTES, REFUSED_BYTES, Connection, Shared
from exporter.sources.falco_http_inbox import Inbox
from tests.http_requests import Delivered, Line, fail
from tests.integration.certificates import Authority
from tests.waiting import wait_until

BODY = next(flood(1, 10**18)).to_json().encode()


class Bench:
    """A source with its counters."""

    def __init__(self, address: str = "127.0.0.1:0", **settings: Any) -> None:
        self.registry = CollectorRegistry()
        self.source = FalcoHttpSource(FalcoHttp(address=address, **settings), SelfMetrics(self.registry))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def rejected(self, reason: str) -> float | None:
        return self.value("falco_exporter_http_rejected_total", listener="http", reason=reason)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        await test()

    asyncio.run(play())


def test_before_it_runs(bench: Bench) -> None:
    """Connecting, not up, every reason at 0."""
    source = bench.source
    assert (source.name, source.address, source.state) == ("http 127.0.0.1:0", "127.0.0.1:0", "connecting")
    assert not source.listening.is_set()
    assert bench.value("falco_exporter_source_up", target=source.name) == 0
    for reason in ("wrong_path", "memory", "shutdown", "unauthorized", "tls_on_plain_port"):
        assert bench.rejected(reason) == 0
    assert source.duplicates() == []
    assert source.warnings() == {}


def test_an_address_that_is_none() -> None:
    """The setting is named."""
    with pytest.raises(ConfigError, match=r"^http\.address: "):
        Bench("nonsense")


def test_refusals_are_counted_and_shown(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Under the source's name."""
    bench.source._refusals.refuse("wrong_path", "do it")
    assert bench.rejected("wrong_path") == 1
    assert list(bench.source.warnings()) == ["wrong_path"]
    assert caplog.messages[0].startswith("http 127.0.0.1:0: ")


def test_the_port_is_opened_once_and_given_up(bench: Bench) -> None:
    """An address in use is said before anything runs."""
    source = bench.source
    source.close()
    source.open()
    [opened] = source._sockets or ()
    port = opened.getsockname()[1]
    source.open()
    assert source._sockets == [opened]
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
        Bench(f"127.0.0.1:{port}").source.open()
    source.close()
    assert opened.fileno() == -1
    assert source._sockets is None
    source.adopt([opened])
    assert source._sockets == [opened]
    source.adopt([])
    assert source._sockets is None


def test_connections_share_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits, secrets and counters."""
    named: list[str] = []

    def fitting(connections: int, setting: str) -> int:
        named.append(setting)
        return connections

    monkeypatch.setattr(module, "fitting_connections", fitting)

    async def test() -> None:
        bench = Bench(
            connection_limit=7, read_timeout_seconds=3.5, body_limit_bytes=1_000, path="/secret", test_alerts=True
        )
        source = bench.source
        inbox = Inbox(source._intake, kept := Delivered(), fail)
        shared = source._shared(inbox)
        shared.take_test(Peer())  # type: ignore[arg-type]
        shared.too_large()
        inbox.flush()
        assert len(kept.alerts) == 1
        assert bench.value("falco_exporter_alerts_received_total", target=source.name) == 2
        assert named == ["http.connection_limit"]
        assert shared.limits.connections == 7
        assert shared.limits.request_seconds == 3.5
        assert shared.limits.request_bytes == 1_000 + REFUSED_BYTES + HEAD_LIMIT_BYTES
        assert shared.connections._limit == 7
        assert shared.body_limit_bytes == 1_000
        assert shared.inbox is inbox
        assert shared.refusals is source._refusals
        assert shared.admission._settings is source._settings
        assert shared.admission._refusals is source._refusals
        assert shared.admission._path() == b"/secret"
        assert shared.admission._authorization() is None
        assert shared.now == asyncio.get_running_loop().time
        made = _Host(shared).make_protocol()
        assert isinstance(made, Connection)
        assert made._shared is shared

    in_a_loop(test)


def test_there_is_room_for_so_many_connections() -> None:
    """Those in their handshake count."""

    async def test() -> None:
        line = Line()
        host = _Host(line.shared)
        assert host.has_room(9)
        assert not host.has_room(10)

    in_a_loop(test)


class Peer:
    """Has its answers."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def write_answer(self, answer: bytes) -> None:
        self.answers.append(answer)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_test_alert_is_made_where_it_is_allowed(allowed: bool) -> None:
    """Its uid is told."""

    async def test() -> None:
        source = Bench(test_alerts=allowed).source
        kept, peer = Delivered(), Peer()
        inbox = Inbox(source._intake, kept, fail)
        source._test_taker(inbox)(peer)  # type: ignore[arg-type]
        inbox.flush()
        [answer] = peer.answers
        status, text = answer.split()[1], answer.partition(b"\r\n\r\n")[2].decode()
        if allowed:
            [alert] = kept.alerts
            assert (status, text) == (b"200", f"Test alert {alert.uid} was taken.\n")
        else:
            assert kept.alerts == []
            assert (status, text) == (b"403", "Test alerts are off; http.test_alerts: true allows them.\n")
        inbox.finish()

    in_a_loop(test)


def test_a_body_that_is_too_large_is_an_alert_that_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Counted as one that came and could not be read."""
    bench = Bench(body_limit_bytes=77)
    bench.source._count_too_large()
    target = {"target": bench.source.name}
    assert bench.value("falco_exporter_alerts_received_total", **target) == 1
    assert bench.value("falco_exporter_decode_errors_total", **target, reason="too_long") == 1
    assert caplog.messages[0].endswith("a body is larger than http.body_limit_bytes (77); it was refused")


def test_a_connections_error_is_its_peers_affair(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Any other is a mistake in this program, of which the first is raised."""
    caplog.set_level("DEBUG", "exporter.sources.falco_http")
    source, loop = bench.source, asyncio.new_event_loop()
    for context in ({"message": "odd"}, {"message": "gone", "exception": ConnectionResetError("reset")}):
        source._on_error(loop, context)
    assert source._failure is None
    assert caplog.messages == ["http 127.0.0.1:0: odd: None", "http 127.0.0.1:0: gone: reset"]
    first, second = ZeroDivisionError("a"), ZeroDivisionError("b")
    for error in (first, second):
        source._on_error(loop, {"message": "mistake", "exception": error})
    assert source._failure is first
    loop.close()


class Acceptor:
    """Stands where it listens."""

    address = "127.0.0.1:2801"


@pytest.mark.parametrize(
    ("address", "settings", "is_open"),
    [
        (":0", {}, True),
        ("127.0.0.1:0", {}, False),
        (":0", {"path": "/secret"}, False),
        (":0", {"basic_auth_user": "u", "basic_auth_password_file": "file"}, False),
        (":0", {"tls": "mutual"}, False),
        (":0", {"tls": "server"}, True),
    ],
)
def test_what_it_says_once_it_listens(
    address: str, settings: dict[str, Any], is_open: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where, on which path, and whether anyone who reaches it can post."""
    caplog.set_level("INFO", "exporter.sources.falco_http")
    (tmp_path / "file").write_text("word")
    if "basic_auth_password_file" in settings:
        settings = settings | {"basic_auth_password_file": tmp_path / "file"}
    if "tls" in settings:
        authority = Authority(tmp_path)
        pair = authority.make_server()
        clients = authority.cert_file if settings["tls"] == "mutual" else None
        settings = {"tls": TlsServer(pair.cert_file, pair.key_file, clients)}
    bench = Bench(address, **settings)
    bench.source._acceptor = Acceptor()  # type: ignore[assignment]
    bench.source._say_listening()
    where = "a secret path" if "path" in settings else "any path"
    assert caplog.messages[0] == f"listening for Falco's http_output on 127.0.0.1:2801, {where}"
    assert caplog.messages[1:] == ([module._OPEN_TO_ALL % bench.source.name] if is_open else [])
    assert (bench.source.state, bench.source.listening.is_set()) == ("up", True)
    assert bench.value("falco_exporter_source_up", target=bench.source.name) == 1


@pytest.fixture
def running(bench: Bench) -> Iterator[tuple[Bench, Delivered, threading.Event, threading.Thread]]:
    kept, stop = Delivered(), threading.Event()
    thread = threading.Thread(target=bench.source.run, args=(kept, stop))
    thread.start()
    assert bench.source.listening.wait(30)
    yield bench, kept, stop, thread
    stop.set()
    thread.join(30)


def post(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/", BODY)
        return connection.getresponse().status
    finally:
        connection.close()


def test_from_the_open_port_to_the_end(running: tuple[Bench, Delivered, threading.Event, threading.Thread]) -> None:
    """Posts are answered until the stop; then it is ended and not up, and its port can go on elsewhere."""
    bench, kept, stop, thread = running
    source = bench.source
    assert post(source.port) == 200
    assert len(kept.alerts) == 1
    [second] = source.duplicates()
    stop.set()
    thread.join(30)
    assert source.state == "ended"
    assert bench.value("falco_exporter_source_up", target=source.name) == 0
    heir = Bench()
    heir.source.adopt([second])
    taken, end = Delivered(), threading.Event()
    other = threading.Thread(target=heir.source.run, args=(taken, end))
    other.start()
    assert heir.source.listening.wait(30)
    assert heir.source.port == source.port
    assert post(source.port) == 200
    end.set()
    other.join(30)
    assert len(taken.alerts) == 1


def run_to_the_mistake(
    bench: Bench,
    kept: Delivered,
    make: Callable[[int, asyncio.AbstractEventLoop], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run the receiver until a mistake ends it, which is made once it listens."""
    loops: list[asyncio.AbstractEventLoop] = []
    new = module.new_event_loop

    def note() -> asyncio.AbstractEventLoop:
        loops.append(new())
        return loops[-1]

    monkeypatch.setattr(module, "new_event_loop", note)
    raised: list[BaseException] = []
    stop = threading.Event()

    def run() -> None:
        try:
            bench.source.run(kept, stop)
        except ZeroDivisionError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert bench.source.listening.wait(30)
    make(bench.source.port, loops[0])
    thread.join(30)
    stop.set()
    assert not thread.is_alive()
    assert len(raised) == 1
    assert bench.source.state == "ended"


class Failing(Delivered):
    """A hand-over with a mistake in it."""

    def keep(self, alerts: Sequence[Alert]) -> None:
        raise ZeroDivisionError


def divide() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("where", ["itself", "a sink", "the event loop"])
def test_a_mistake_ends_it(where: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is raised to the application, wherever it is."""

    def make(port: int, loop: asyncio.AbstractEventLoop) -> None:
        if where == "itself":
            bench.source._fail(ZeroDivisionError("a mistake"))
        elif where == "the event loop":
            loop.call_soon_threadsafe(divide)
        else:
            with contextlib.suppress(OSError, http.client.HTTPException):
                post(port)

    run_to_the_mistake(bench, Failing() if where == "a sink" else Delivered(), make, monkeypatch)


def test_a_unix_socket_has_no_second_handles(tmp_path: Path) -> None:
    """Its path belongs to one process."""
    bench = Bench(f"unix://{tmp_path}/s")
    stop = threading.Event()
    thread = threading.Thread(target=bench.source.run, args=(Delivered(), stop))
    thread.start()
    assert bench.source.listening.wait(30)
    assert bench.source.duplicates() == []
    stop.set()
    thread.join(30)


def test_who_speaks_no_tls_is_counted(tmp_path: Path) -> None:
    """And what the receiver's certificate is for, is spoken."""
    authority = Authority(tmp_path)
    pair = authority.make_server()
    bench = Bench(tls=TlsServer(pair.cert_file, pair.key_file))
    stop = threading.Event()
    thread = threading.Thread(target=bench.source.run, args=(Delivered(), stop))
    thread.start()
    assert bench.source.listening.wait(30)
    with pytest.raises((OSError, http.client.HTTPException)):
        post(bench.source.port)
    wait_until(lambda: bench.rejected("tls_handshake") == 1)
    stop.set()
    thread.join(30)


def test_overdue_connections_are_cut_and_the_date_renewed(
    running: tuple[Bench, Delivered, threading.Event, threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times a second."""
    seen: list[Shared] = []
    renewed: list[int] = []
    monkeypatch.setattr(module, "cut_overdue", seen.append)
    monkeypatch.setattr(Inbox, "renew_date", lambda _: renewed.append(1))
    wait_until(lambda: len(seen) >= 2 and len(renewed) >= 2)
    assert isinstance(seen[0], Shared)
