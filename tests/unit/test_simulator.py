"""The simulator behaves as real Falco 0.43.1 was seen to."""

from __future__ import annotations

import queue
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import grpc
import pytest

from exporter._proto import falco_outputs_pb2, falco_version_pb2
from exporter.alert import Priority
from exporter.simulator.alerts import SimulatedAlert, stamp
from exporter.simulator.rules import RULES
from exporter.simulator.scenarios import SCENARIOS, demo_scenario, flood, flood_messages, reference_alert
from exporter.simulator.server import FalcoSimulator
from exporter.sources.decode import from_grpc, from_json
from tests.waiting import wait_until

GET, SUB = "/falco.outputs.service/get", "/falco.outputs.service/sub"


@pytest.fixture
def falco() -> Iterator[FalcoSimulator]:
    with tempfile.TemporaryDirectory() as directory, FalcoSimulator(f"unix://{directory}/falco.sock") as simulator:
        yield simulator


@pytest.fixture
def channel(falco: FalcoSimulator) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(falco.address) as opened:
        yield opened


class Subscriber:
    """A ``sub`` stream whose requests the test sends."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.requests: queue.Queue[bytes | None] = queue.Queue()
        self.call = channel.stream_stream(SUB)(iter(self.requests.get, None))

    def ask(self) -> None:
        self.requests.put(b"")


def test_get_drains_the_queue_and_ends(falco: FalcoSimulator, channel: grpc.Channel) -> None:
    """``get`` brings all that is queued and ends with OK, an empty queue included."""
    falco.emit(reference_alert(), reference_alert())
    call = channel.unary_stream(GET)(b"")
    assert len(list(call)) == 2
    assert call.code() is grpc.StatusCode.OK
    assert list(channel.unary_stream(GET)(b"")) == []


def test_sub_answers_each_request_once(falco: FalcoSimulator, channel: grpc.Channel) -> None:
    """Requests on an empty queue are forgotten; what is emitted later waits for the next request."""
    subscriber = Subscriber(channel)
    for _ in range(5):
        subscriber.ask()
    wait_until(lambda: falco.asked["sub"] == 5)
    falco.emit(reference_alert())
    assert len(list(channel.unary_stream(GET)(b""))) == 1, "it waits for any caller"
    falco.emit(reference_alert(), reference_alert())
    assert falco.queued == 2
    subscriber.ask()
    assert [from_grpc(next(subscriber.call)).rule for _ in range(2)] == ["Clear Log Activities"] * 2
    subscriber.call.cancel()
    subscriber.requests.put(None)


def test_all_clients_share_one_queue(falco: FalcoSimulator, channel: grpc.Channel) -> None:
    """Each alert goes to exactly one client."""
    falco.emit_raw(stamp(message, 10**18 + n) for n, message in enumerate(islice(flood_messages(), 2000)))
    calls = [channel.unary_stream(GET)(b"") for _ in range(3)]
    times = [from_grpc(raw).time_ns for call in calls for raw in call]
    assert sorted(times) == list(range(10**18, 10**18 + 2000))


def test_a_silent_sub_keeps_falco_from_stopping_and_a_polling_one_does_not(falco: FalcoSimulator) -> None:
    """The stop waits for an open silent stream; a request lets the stream end with OK."""
    with grpc.insecure_channel(falco.address) as channel:
        silent = Subscriber(channel)
        silent.ask()
        wait_until(lambda: falco.asked["sub"] == 1)
        assert not falco.stop(grace_seconds=0.3)
        silent.requests.put(None)
    falco.start()
    with grpc.insecure_channel(falco.address) as channel:
        polling = Subscriber(channel)
        polling.ask()
        wait_until(lambda: falco.asked["sub"] == 2)
        timer = threading.Timer(0.1, polling.ask)
        timer.start()
        assert falco.stop(grace_seconds=5)
        assert list(polling.call) == []
        assert polling.call.code() is grpc.StatusCode.OK
        polling.requests.put(None)


def test_a_half_closed_sub_is_never_ended(falco: FalcoSimulator, channel: grpc.Channel) -> None:
    """A client that half-closes waits for ever, and so does a stop."""
    call = channel.stream_stream(SUB)(iter([b""]))
    wait_until(lambda: falco.asked["sub"] == 1)
    assert not falco.stop(grace_seconds=0.3)
    assert call.code() is not grpc.StatusCode.OK


def test_calls_above_the_limit_wait_silently() -> None:
    """At most ten times threadiness calls of a kind are served at once; one more waits."""
    with (
        tempfile.TemporaryDirectory() as directory,
        FalcoSimulator(f"unix://{directory}/falco.sock", threadiness=1) as falco,
        grpc.insecure_channel(falco.address) as channel,
    ):
        subscribers = [Subscriber(channel) for _ in range(11)]
        for subscriber in subscribers:
            subscriber.ask()
        wait_until(lambda: falco.asked["sub"] == 10)
        # Asked for behind the eleventh on the same connection, and answered.
        assert list(channel.unary_stream(GET)(b"")) == []
        assert falco.asked["sub"] == 10
        for subscriber in subscribers:
            subscriber.call.cancel()
        wait_until(lambda: falco.asked["sub"] in {10, 11})
        for subscriber in subscribers:
            subscriber.requests.put(None)


def test_version_is_that_of_0_43_1(channel: grpc.Channel) -> None:
    """``version`` answers as the real one, with zeros absent."""
    answer = falco_version_pb2.response.FromString(channel.unary_unary("/falco.version.service/version")(b""))
    assert (answer.version, answer.minor, answer.patch) == ("0.43.1", 43, 1)
    assert (answer.engine_version, answer.engine_minor, answer.major) == ("0.58.0", 58, 0)


def test_the_socket_is_falcos_alone_and_goes_at_a_stop_but_not_at_a_kill() -> None:
    """Mode 0755; removed by SIGTERM, left behind by SIGKILL, taken over by the next start."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "falco.sock"
        falco = FalcoSimulator(f"unix://{path}").start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        falco.kill()
        assert path.is_socket()
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
        assert falco.start().stop()
        assert not path.exists()


def test_an_address_that_is_taken_is_an_error() -> None:
    """Two Falcos on one port: the second says which address it could not have."""
    with FalcoSimulator("127.0.0.1:0") as falco, pytest.raises(OSError, match=falco.address):
        FalcoSimulator(falco.address).start()


def test_the_reference_alert_is_exactly_the_one_of_the_reference_report() -> None:
    """Host, time, file, process, command, user and container are those of the report."""
    alert = from_json(reference_alert().to_json())
    assert alert.time_text == "2024-10-05T18:29:39.273467556Z"
    assert (alert.rule, alert.priority, alert.hostname) == ("Clear Log Activities", Priority.WARNING, "mini-debian-lab")
    assert alert.get("fd.name") == "/tmp/falco-event-generator-syscall-ClearLogActivities-3215922156/syslog"
    assert (alert.get("proc.name"), alert.get("proc.cmdline")) == (
        "event-generator",
        "event-generator run syscall --loop",
    )
    assert (alert.get("user.name"), alert.get("user.uid"), alert.get("user.loginuid")) == ("root", "0", None)
    assert (alert.get("container.name"), len(alert.get("container.id") or "")) == ("modest_brahmagupta", 12)


@pytest.mark.parametrize("alert", list(demo_scenario(10**18)), ids=lambda alert: alert.rule)
def test_an_alert_is_the_same_in_every_form(alert: SimulatedAlert) -> None:
    """Text, gRPC with json_output, and JSON give equal alerts."""
    plain = from_grpc(alert.to_message())
    assert plain == from_grpc(alert.to_message(json_output=True)) == from_json(alert.to_json())
    assert plain.output == alert.message


def test_the_demo_has_every_kind_of_alert() -> None:
    """Syscalls in containers, pods and on hosts, plugins, Falco's own, a custom rule and a hostile one."""
    alerts = list(demo_scenario(10**18))
    assert {"syscall", "k8s_audit", "aws_cloudtrail", "gcp_auditlog", "okta", "github", "internal"} == {
        alert.source for alert in alerts
    }
    assert len({alert.rule for alert in alerts if alert.source == "syscall"}) >= 20
    assert any("<script>" in alert.message for alert in alerts)
    assert all(list(make(10**18)) for make in SCENARIOS.values())


def test_a_rules_format_is_filled_as_falco_fills_it() -> None:
    """Fields with brackets are filled, and a field without a value is <NA>."""
    alert = RULES["Attach/Exec Pod"].fill({"ka.uri.param[command]": "id"}, time_ns=1, hostname="h")
    assert alert.fields["ka.uri.param[command]"] == "id"
    assert alert.message.endswith("action=<NA> command=id)")


def test_a_stamped_message_is_the_alert_at_that_time() -> None:
    """Stamping gives what writing the alert anew would, but for the time in the text."""
    (written,) = flood(1, 5 * 10**18)
    stamped = from_grpc(stamp(next(flood_messages()), 5 * 10**18))
    assert stamped == from_grpc(written.to_message())
    assert falco_outputs_pb2.response.FromString(stamp(b"", 5 * 10**18)).time.seconds == 5 * 10**9
