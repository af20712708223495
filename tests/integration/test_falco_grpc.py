"""The gRPC source against a simulated Falco: one contract for get and sub, unix socket and mutual TLS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import grpc
import grpc.experimental
import pytest
from prometheus_client import CollectorRegistry

from exporter._proto import falco_lenient_pb2
from exporter.alert import Priority
from exporter.config.model import FalcoGrpc, FalcoTarget, TlsClient
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import demo_scenario, flood_messages, reference_alert
from exporter.simulator.server import FalcoSimulator, ServerTls
from exporter.sources.falco_grpc import FalcoGrpcSource
from tests.integration.certificates import Authority
from tests.integration.falco import KeepingSink, running
from tests.waiting import wait_until


@dataclass
class Setting:
    """A Falco, where to find it, and how to ask it."""

    make_falco: Callable[[], FalcoSimulator]
    target: FalcoTarget
    method: str
    registry: CollectorRegistry

    def make_source(self) -> FalcoGrpcSource:
        return FalcoGrpcSource(self.target, FalcoGrpc(self.method), SelfMetrics(self.registry))

    def value(self, metric: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(metric, {"target": "falco-1", **labels})


@pytest.fixture(params=["get", "sub"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["unix", "mutual TLS"])
def setting(request: pytest.FixtureRequest, method: str, socket_path: Path) -> Setting:
    if request.param == "unix":
        address = f"unix://{socket_path}"
        target = FalcoTarget(address, "falco-1")
        return Setting(lambda: FalcoSimulator(address), target, method, CollectorRegistry())
    authority = Authority(socket_path.parent)
    server, client = authority.make_server(), authority.make_client()
    server_tls = ServerTls(server.cert_file, server.key_file, authority.cert_file)
    with FalcoSimulator("localhost:0", tls=server_tls) as taken:
        address = taken.address
    tls = TlsClient(authority.cert_file, client.cert_file, client.key_file)
    return Setting(
        lambda: FalcoSimulator(address, tls=server_tls),
        FalcoTarget(address, "falco-1", tls),
        method,
        CollectorRegistry(),
    )


def flood(count: int) -> list[bytes]:
    return [stamp(message, 10**18 + number) for number, message in enumerate(islice(flood_messages(), count))]


def numbers(sink: KeepingSink) -> list[int]:
    return [alert.time_ns - 10**18 for alert in sink.alerts]


def test_every_alert_arrives_once_and_in_order(setting: Setting) -> None:
    """A backlog of several batches comes whole, without a double, in Falco's order."""
    sink = KeepingSink()
    with setting.make_falco() as falco:
        falco.emit_raw(flood(3000))
        with running(setting.make_source(), sink):
            wait_until(lambda: len(sink.alerts) >= 3000)
    assert numbers(sink) == list(range(3000))
    assert setting.value("falco_exporter_alerts_received_total") == 3000


def test_alerts_that_come_later_arrive_too(setting: Setting) -> None:
    """After a drain the source asks again: Falco says nothing by itself."""
    sink = KeepingSink()
    with setting.make_falco() as falco, running(setting.make_source(), sink):
        for count in range(1, 6):
            falco.emit(reference_alert())
            wait_until(lambda count=count: len(sink.alerts) == count)  # type: ignore[misc]
    assert sink.alerts[0].get("container.name") == "modest_brahmagupta"


def test_what_a_scenario_says_is_what_arrives(setting: Setting) -> None:
    """Alerts of every source come through with message, fields, tags and priority."""
    scenario = list(demo_scenario(10**18))
    sink = KeepingSink()
    with setting.make_falco() as falco:
        falco.emit(*scenario)
        with running(setting.make_source(), sink):
            wait_until(lambda: len(sink.alerts) == len(scenario))
    for told, arrived in zip(scenario, sink.alerts, strict=True):
        assert (arrived.rule, arrived.priority, arrived.output) == (told.rule, told.priority, told.message)
        assert (arrived.fields, list(arrived.tags)) == (told.fields, sorted(told.tags))


def test_bad_alerts_neither_end_the_stream_nor_take_others_along(setting: Setting) -> None:
    """Invalid UTF-8 and unknown enum values arrive; what is no message is counted; the rest arrives around them."""
    odd = falco_lenient_pb2.response(rule=b"bad \xff bytes", priority=99, source_deprecated=77)
    odd.time.seconds = 10**9
    first, last = flood(2)
    sink = KeepingSink()
    with setting.make_falco() as falco:
        falco.emit_raw([first, b"\xff\xff", odd.SerializeToString(), b"", last])
        with running(setting.make_source(), sink):
            wait_until(lambda: len(sink.alerts) == 3)
    assert (sink.alerts[1].rule, sink.alerts[1].priority) == ("bad � bytes", Priority.UNKNOWN)
    assert setting.value("falco_exporter_decode_errors_total", reason="malformed") == 1
    assert setting.value("falco_exporter_decode_errors_total", reason="bad_rule") == 1
    assert setting.value("falco_exporter_alerts_received_total") == 5
    assert setting.value("falco_exporter_source_reconnects_total") == 0


def test_a_stop_loses_nothing(setting: Setting) -> None:
    """Stopped amid a backlog, the source reads the call under way to its end: all is delivered or still in Falco."""
    sink = KeepingSink()
    with setting.make_falco() as falco:
        falco.emit_raw(flood(5000))
        with running(setting.make_source(), sink):
            wait_until(lambda: sink.alerts)
        assert len(sink.alerts) + falco.queued == 5000
    assert numbers(sink) == list(range(len(sink.alerts)))


def test_nothing_is_asked_while_the_sinks_have_no_room(setting: Setting) -> None:
    """What waits, waits in Falco; once there is room it comes."""
    sink = KeepingSink(limit=0)
    with setting.make_falco() as falco:
        falco.emit_raw(flood(10))
        with running(setting.make_source(), sink):
            wait_until(lambda: setting.value("falco_exporter_source_up") == 1)
            wait_until(sink.is_asked_again(), "it looks for room")
            assert falco.asked["get"] + falco.asked["sub"] == 0
            assert falco.queued == 10
            sink.limit = 10
            wait_until(lambda: len(sink.alerts) == 10)


def test_a_full_sink_stops_the_reading_of_a_long_backlog(setting: Setting) -> None:
    """No more is delivered than there is room for, and nothing is lost by waiting."""
    sink = KeepingSink(limit=700)
    with setting.make_falco() as falco:
        falco.emit_raw(flood(2000))
        with running(setting.make_source(), sink):
            wait_until(lambda: len(sink.alerts) == 700)
            wait_until(sink.is_asked_again(), "it looks for room")
            assert len(sink.alerts) == 700
            sink.limit = 10_000
            wait_until(lambda: len(sink.alerts) == 2000)
    assert numbers(sink) == list(range(2000))


def test_falco_stops_cleanly_and_its_return_is_noticed_at_once(
    setting: Setting, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Falco that stops is not held up; after its return alerts come again, and each change is one log line."""
    caplog.set_level("INFO", "exporter.sources")
    sink = KeepingSink()
    source = setting.make_source()
    failed: list[str] = []
    set_down = source._set_down

    def note(message: str) -> None:
        set_down(message)
        failed.append(message)

    monkeypatch.setattr(source, "_set_down", note)
    falco = setting.make_falco().start()
    with running(source, sink):
        falco.emit(reference_alert())
        wait_until(lambda: sink.alerts)
        assert source.state == "up"
        assert falco.stop(grace_seconds=5.0)
        wait_until(lambda: source.state.startswith("down: "))
        assert setting.value("falco_exporter_source_up") == 0
        wait_until(lambda: len(failed) >= 5, "more tries, which must not add lines")
        down = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert 1 <= len(down) <= 2
        with setting.make_falco() as returned:
            returned.emit(reference_alert())
            begun = time.monotonic()
            wait_until(lambda: len(sink.alerts) == 2)
            assert time.monotonic() - begun < 5
    assert setting.value("falco_exporter_source_reconnects_total") == 1
    connected = [record for record in caplog.records if "connected to Falco 0.43.1" in record.message]
    assert len(connected) == 2


def test_falcos_version_is_asked_and_shown(setting: Setting) -> None:
    """Each connection asks for Falco's version, which is an info metric."""
    with setting.make_falco() as falco, running(setting.make_source(), KeepingSink()):
        wait_until(lambda: setting.value("falco_version_info", version="0.43.1", engine_version="0.58.0") == 1)
        assert falco.asked["version"] == 1


def test_an_idle_falco_is_asked_as_often_as_the_ceiling_says(setting: Setting) -> None:
    """Idle, the pause between two polls grows to its ceiling of 50 ms and stays there."""
    with setting.make_falco() as falco, running(setting.make_source(), KeepingSink()):
        wait_until(lambda: falco.asked[setting.method] >= 6)
        before, begun = falco.asked[setting.method], time.monotonic()
        wait_until(lambda: falco.asked[setting.method] >= before + 10)
        seconds = time.monotonic() - begun
    assert seconds >= 10 * 0.05 * 0.9


def test_a_grpcio_without_the_single_threaded_option_still_works(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Should grpcio drop its experimental option, the ordinary call takes over with a log line."""
    monkeypatch.setattr(grpc.experimental.ChannelOptions, "SingleThreadedUnaryStream", None)
    address = f"unix://{socket_path}"
    sink = KeepingSink()
    source = FalcoGrpcSource(FalcoTarget(address), FalcoGrpc("get"), SelfMetrics(CollectorRegistry()))
    with FalcoSimulator(address) as falco:
        falco.emit_raw(flood(1000))
        with running(source, sink):
            wait_until(lambda: len(sink.alerts) == 1000)
    assert numbers(sink) == list(range(1000))
    assert "no single-threaded unary stream" in caplog.text
