"""Falco's gRPC API offered by us, asked by real gRPC clients."""

from __future__ import annotations

import stat
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from exporter._proto import falco_version_pb2
from exporter.alert import Alert, Priority
from exporter.config.model import FalcoGrpc, FalcoTarget, ServeGrpc, TlsClient, TlsServer
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.serve_grpc import GET_LIMIT, ServeGrpcSink
from exporter.sources.decode import from_grpc
from exporter.sources.falco_grpc import FalcoGrpcSource
from tests.integration.certificates import Authority
from tests.integration.falco import KeepingSink, running
from tests.waiting import wait_until


def alert(number: int) -> Alert:
    return Alert(
        1_700_000_000_000_000_000 + number, "R", Priority.NOTICE, "syscall", "h", f"n={number}",
        {"n": str(number), "odd": "a\n\u202e"}, ("a", "b"),
    )  # fmt: skip


class Subscription:
    """One ``sub`` stream, read by a thread."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.alerts: list[Alert] = []
        self.error: grpc.RpcError | None = None
        self._half_close = threading.Event()
        self.call = channel.stream_stream("/falco.outputs.service/sub")(self._requests())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _requests(self) -> Iterator[bytes]:
        yield b""
        self._half_close.wait(30)

    def _read(self) -> None:
        try:
            for raw in self.call:
                self.alerts.append(from_grpc(raw))
        except grpc.RpcError as exc:
            self.error = exc

    def has(self, count: int) -> bool:
        return len(self.alerts) == count

    def half_close(self) -> None:
        self._half_close.set()

    def ended(self) -> bool:
        return not self._thread.is_alive()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "falco.sock"


@pytest.fixture
def sink(socket: Path, registry: CollectorRegistry) -> Iterator[ServeGrpcSink]:
    sink = ServeGrpcSink(ServeGrpc(f"unix://{socket}", subscriber_limit_alerts=1000), SelfMetrics(registry))
    sink.start()
    yield sink
    sink.close(1.0)


def subscribers(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("falco_exporter_grpc_subscribers") or 0.0


def test_every_subscriber_gets_every_alert(sink: ServeGrpcSink, socket: Path, registry: CollectorRegistry) -> None:
    """Two streams get the same alerts, equal to what was written, without a further request."""
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        first, second = Subscription(channel), Subscription(channel)
        wait_until(lambda: subscribers(registry) == 2)
        written = [alert(number) for number in range(500)]
        sink.write(written[:250])
        sink.write(written[250:])
        wait_until(lambda: len(first.alerts) == len(second.alerts) == 500)
        assert first.alerts == written
        assert second.alerts == written
        assert tuple(first.alerts[0].tags) == ("a", "b")


def test_a_half_closed_stream_ends(sink: ServeGrpcSink, socket: Path, registry: CollectorRegistry) -> None:
    """A client that has no more requests gets what waits and the end with OK."""
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        subscription = Subscription(channel)
        wait_until(lambda: subscribers(registry) == 1)
        sink.write([alert(1)])
        subscription.half_close()
        wait_until(subscription.ended)
        assert subscription.error is None
        assert [found.output for found in subscription.alerts] == ["n=1"]
        wait_until(lambda: subscribers(registry) == 0)


def test_get_gives_what_came_since_the_last_get(sink: ServeGrpcSink, socket: Path) -> None:
    """The first get opens the queue, each later one drains it and ends."""
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        get = channel.unary_stream("/falco.outputs.service/get")
        assert list(get(b"")) == []
        sink.write([alert(1), alert(2)])
        assert [from_grpc(raw) for raw in get(b"")] == [alert(1), alert(2)]
        assert list(get(b"")) == []


def test_an_unread_get_queue_is_bounded(sink: ServeGrpcSink, socket: Path, registry: CollectorRegistry) -> None:
    """Above the limit the oldest go, counted."""
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        get = channel.unary_stream("/falco.outputs.service/get")
        assert list(get(b"")) == []
        for start in range(0, 1200, 100):
            sink.write([alert(start + number) for number in range(100)])
        kept = [from_grpc(raw) for raw in get(b"")]
        assert kept == [alert(number) for number in range(200, 1200)]
        assert registry.get_sample_value("falco_exporter_grpc_alerts_dropped_total") == 200


def test_a_slow_subscriber_is_cut_off(sink: ServeGrpcSink, socket: Path, registry: CollectorRegistry) -> None:
    """One that does not read ends with CANCELLED and is counted; another goes on."""
    with grpc.insecure_channel(f"unix://{socket}") as slow, grpc.insecure_channel(f"unix://{socket}") as quick:
        unread = slow.stream_stream("/falco.outputs.service/sub")(_never_ending())
        wait_until(lambda: subscribers(registry) == 1)
        reader = Subscription(quick)
        wait_until(lambda: subscribers(registry) == 2)
        big = Alert(1, "R", Priority.NOTICE, "syscall", "h", "x" * 50_000, {}, ())
        count = 0
        cut_off = "falco_exporter_grpc_subscribers_cut_off_total"
        while registry.get_sample_value(cut_off) == 0 and count < 5_000:
            sink.write([big] * 10)
            count += 10
            wait_until(partial(reader.has, count))
        assert registry.get_sample_value(cut_off) == 1
        with pytest.raises(grpc.RpcError) as caught:
            list(unread)
        assert caught.value.code() == grpc.StatusCode.CANCELLED
        assert reader.error is None


def _never_ending() -> Iterator[bytes]:
    yield b""
    threading.Event().wait(60)


def test_the_socket_is_for_its_owner_alone(sink: ServeGrpcSink, socket: Path) -> None:
    """Nobody else may connect."""
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600


def test_version_says_who_answers(sink: ServeGrpcSink, socket: Path) -> None:
    """The contract's level is Falco 0.43's, the build is ours."""
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        raw = channel.unary_unary("/falco.version.service/version")(b"", timeout=5)
    version = falco_version_pb2.response.FromString(raw)
    assert version.version.startswith("0.43.0+falco-report-exporter")
    assert version.minor == 43


def test_an_address_in_use_is_said(sink: ServeGrpcSink, registry: CollectorRegistry, tmp_path: Path) -> None:
    """A directory that is not there is an error with the setting's name."""
    settings = ServeGrpc(f"unix://{tmp_path}/missing/falco.sock")
    with pytest.raises(ConfigError, match=r"serve_grpc\.address"):
        ServeGrpcSink(settings, SelfMetrics(CollectorRegistry())).start()


def test_close_ends_open_streams(socket: Path) -> None:
    """On shutdown a subscriber gets what waits and then the end, within the deadline."""
    registry = CollectorRegistry()
    sink = ServeGrpcSink(ServeGrpc(f"unix://{socket}"), SelfMetrics(registry))
    sink.start()
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        subscription = Subscription(channel)
        wait_until(lambda: subscribers(registry) == 1)
        sink.write([alert(1)])
        begun = time.monotonic()
        sink.close(5.0)
        assert time.monotonic() - begun < 4
        wait_until(subscription.ended)
        assert subscription.alerts == [alert(1)]


@pytest.mark.parametrize("method", ["get", "sub"])
def test_our_own_source_reads_it_over_mutual_tls(tmp_path: Path, method: str) -> None:
    """On TCP a client with a certificate reads, by either call, alerts equal to what was written."""
    authority = Authority(tmp_path)
    server, client = authority.make_server(), authority.make_client()
    tls = TlsServer(server.cert_file, server.key_file, authority.cert_file)
    sink = ServeGrpcSink(ServeGrpc("localhost:0", tls=tls), SelfMetrics(CollectorRegistry()))
    sink.start()
    target = FalcoTarget(sink.address, tls=TlsClient(authority.cert_file, client.cert_file, client.key_file))
    metrics = SelfMetrics(CollectorRegistry())
    kept = KeepingSink()
    written = [alert(number) for number in range(300)]
    source = FalcoGrpcSource(target, FalcoGrpc(method=method), metrics)
    with running(source, kept):
        wait_until(lambda: source.state == "up")
        wait_until(sink.is_asked)
        sink.write(written)
        wait_until(lambda: len(kept.alerts) == len(written))
    sink.close(1.0)
    assert kept.alerts == written


def test_a_client_without_certificate_is_refused(tmp_path: Path) -> None:
    """Nobody reads alerts over TCP without a certificate of the authority."""
    authority = Authority(tmp_path)
    server = authority.make_server()
    tls = TlsServer(server.cert_file, server.key_file, authority.cert_file)
    sink = ServeGrpcSink(ServeGrpc("localhost:0", tls=tls), SelfMetrics(CollectorRegistry()))
    sink.start()
    credentials = grpc.ssl_channel_credentials(authority.cert_file.read_bytes())
    with grpc.secure_channel(sink.address, credentials) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/falco.version.service/version")(b"", timeout=10)
    sink.close(1.0)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def open_requests() -> Iterator[bytes]:
    """One request, and no half-close."""
    yield b""
    threading.Event().wait(20)


def test_what_waits_is_bounded_in_bytes(socket: Path, registry: CollectorRegistry) -> None:
    """Alerts of 50 kB: who does not read, by sub or by get, holds megabytes and not half a gigabyte."""
    settings = ServeGrpc(f"unix://{socket}", subscriber_limit_bytes=4 * 2**20)
    sink = ServeGrpcSink(settings, SelfMetrics(registry))
    sink.start()
    large = replace(alert(1), fields={"proc.cmdline": "x" * 50_000})
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        get = channel.unary_stream("/falco.outputs.service/get")
        assert list(get(b"")) == []
        stuck = channel.stream_stream("/falco.outputs.service/sub")(open_requests())
        wait_until(lambda: subscribers(registry) == 1)
        tracemalloc.start()
        for _ in range(200):
            sink.write([large] * 5)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 3 * 4 * 2**20
        wait_until(lambda: registry.get_sample_value("falco_exporter_grpc_subscribers_cut_off_total") == 1)
        kept = sum(1 for _ in get(b""))
        assert 0 < kept <= 4 * 2**20 // 50_000
        assert registry.get_sample_value("falco_exporter_grpc_alerts_dropped_total") == 1_000 - kept
        stuck.cancel()
    sink.close(1.0)


def test_calls_of_get_that_nobody_reads_are_few(sink: ServeGrpcSink, socket: Path) -> None:
    """Each would hold what it took: further ones are refused until one is read or cancelled."""
    large = replace(alert(1), fields={"proc.cmdline": "x" * 200_000})
    # A window that grows takes all of it on a quick machine.
    with grpc.insecure_channel(f"unix://{socket}", [("grpc.http2.bdp_probe", 0)]) as channel:
        get = channel.unary_stream("/falco.outputs.service/get")
        assert list(get(b"")) == []
        unread = []
        for _ in range(GET_LIMIT):
            sink.write([large] * 50)
            unread.append(get(b""))
            next(unread[-1])
        with pytest.raises(grpc.RpcError) as refused:
            list(get(b""))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in unread:
            call.cancel()
        wait_until(lambda: not sink._gets_open)
        assert list(get(b"")) == []
