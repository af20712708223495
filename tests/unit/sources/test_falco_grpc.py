"""The loop of one Falco target: asking, pausing, handing over and coming back, without a server and without a wait."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from exporter._proto import falco_version_pb2
from exporter.config.model import FalcoTarget
from exporter.errors import RetryableError
from exporter.simulator.scenarios import flood
from exporter.sources import falco_grpc as module
from exporter.sources.falco_grpc import BATCH_ALERTS, BUSY_ALERTS, UNSTORED_BATCH_ALERTS
from exporter.sources.intake import ROOM_WAIT_SECONDS
from tests.handover import Kept
from tests.unit.sources.falco_grpc_bench import Asked, Bench, Clock, Stop
from tests.waiting import wait_until

MESSAGES = [alert.to_message() for alert in flood(100, 10**18)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_before_it_runs(bench: Bench) -> None:
    """Connecting, not up, nothing known, and every counter at 0."""
    source = bench.source
    assert (source.name, source.state, source.falco_version) == ("mine", "connecting", "")
    assert bench.value("falco_exporter_source_up") == 0
    assert bench.value("falco_exporter_source_reconnects_total") == 0
    source._cancel_when_silent(-1e9)
    assert source._silent is False
    assert source._silence_seconds == 30.0


def test_what_a_poll_brings_is_delivered_in_batches(bench: Bench) -> None:
    """In order, counted, with what is no message counted apart."""
    stop, kept = Stop(), Kept()
    kept.stores = True
    given = [*MESSAGES[:BATCH_ALERTS], b"\xff\xff", *MESSAGES[BATCH_ALERTS : BATCH_ALERTS + 3]]
    assert bench.source._take(given, kept, stop) == BATCH_ALERTS + 4
    assert [len(batch) for batch in kept.batches] == [BATCH_ALERTS, 3]
    times = [alert.time_ns for alert in kept.alerts]
    assert times == sorted(times)
    assert bench.value("falco_exporter_alerts_received_total") == BATCH_ALERTS + 4
    assert bench.value("falco_exporter_decode_errors_total", reason="malformed") == 1
    assert bench.source._take((), kept, stop) == 0
    assert len(kept.batches) == 2


def test_batches_are_larger_where_a_kill_loses_what_was_delivered_as_well(bench: Bench) -> None:
    """Nothing is put on disk: fewer and larger batches cost less, and lose no more."""
    kept = Kept()
    given = [*MESSAGES * 5][: UNSTORED_BATCH_ALERTS + 3]
    assert bench.source._take(given, kept, Stop()) == len(given)
    assert [len(batch) for batch in kept.batches] == [UNSTORED_BATCH_ALERTS, 3]


def test_large_messages_do_not_wait_for_each_other(bench: Bench) -> None:
    """Whoever makes alerts large fills no memory with a batch of them."""
    kept = Kept()
    large = replace(next(flood(1, 10**18)), message="x" * 400_000).to_message()
    assert bench.source._take([large] * 7, kept, Stop()) == 7
    assert [len(batch) for batch in kept.batches] == [3, 3, 1]


def test_what_came_before_an_error_is_delivered(bench: Bench) -> None:
    """And the error goes on."""
    kept = Kept()
    asked = Asked(Stop(), [*MESSAGES[:3], grpc.RpcError("gone")])
    with pytest.raises(grpc.RpcError):
        bench.source._take(asked.poll(), kept, Stop())
    assert len(kept.alerts) == 3
    assert bench.value("falco_exporter_alerts_received_total") == 3


def test_a_stop_hands_over_without_room(bench: Bench) -> None:
    """Full batches and the rest: there is nowhere left to wait."""
    stop = Stop()
    stop.set()
    kept = Kept(*[0] * 10)
    kept.stores = True
    bench.source._take(MESSAGES[: BATCH_ALERTS + 1], kept, stop)
    assert [len(batch) for batch in kept.batches] == [BATCH_ALERTS, 1]


def test_waiting_for_the_sinks_is_no_silence(bench: Bench) -> None:
    """The clock of the silence begins anew with each look for room."""
    source = bench.source
    source._progress_at = 0.0
    source._take(MESSAGES[:1], Kept(), Stop())
    assert time.monotonic() - source._progress_at < 60


def test_pauses_between_polls(bench: Bench) -> None:
    """None after a busy one, the shortest after a small one, then twice as long each time up to the ceiling."""
    stop = Stop()
    busy, small = MESSAGES[:BUSY_ALERTS], MESSAGES[: BUSY_ALERTS - 1]
    asked = Asked(stop, (), busy, small, *[()] * 5, MESSAGES[:1], (), last=MESSAGES[:2])
    kept = Kept(0, 1, -1)
    source = bench.source
    source._backoff_seconds = 20.0
    source._stream(asked, kept, stop)
    assert stop.waits == [0.01, 0.005, 0.01, 0.02, 0.04, 0.05, 0.05, 0.005, 0.01]
    assert asked.polled == 10
    assert set(kept.waits) == {ROOM_WAIT_SECONDS}
    assert len(kept.alerts) == BUSY_ALERTS + BUSY_ALERTS - 1 + 1 + 2
    assert source._backoff_seconds == 0.25
    assert time.monotonic() - source._progress_at < 60


def test_falco_is_asked_only_while_there_is_room(bench: Bench) -> None:
    """For one alert at least; what waits, waits in Falco."""
    stop = Stop()
    asked = Asked(stop, (), ())
    seen: list[int] = []

    class Looking(Kept):
        def wait_for_room(self, timeout_seconds: float) -> int:
            seen.append(asked.polled)
            return super().wait_for_room(timeout_seconds)

    bench.source._stream(asked, Looking(0, 1, -1, 1), stop)
    assert seen == [0, 0, 1, 1]


def test_a_stop_amid_a_stream_finishes_it_without_room(bench: Bench) -> None:
    """What is under way is delivered, and what the poll brought."""
    stop = Stop()
    kept = Kept(1, *[0] * 10)
    bench.source._stream(Asked(stop, MESSAGES[:2], last=MESSAGES[2:4]), kept, stop)
    assert len(kept.alerts) == 4


class Channel:
    """Stands in for grpcio's: answers to the version, and notes that it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def unary_unary(self, *_: object, **__: object) -> Callable[..., falco_version_pb2.response]:
        return lambda *_, **__: falco_version_pb2.response(version="0.43.1", engine_version="0.58.0")

    def close(self) -> None:
        self.is_closed = True


def test_once_connected_it_is_up(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Falco's version is shown and logged; the second time counts as a reconnect."""
    caplog.set_level("INFO")
    source = bench.source
    source._set_up(Channel())  # type: ignore[arg-type]
    assert (source.state, source.falco_version) == ("up", "0.43.1")
    assert bench.value("falco_exporter_source_up") == 1
    assert bench.value("falco_version_info", version="0.43.1", engine_version="0.58.0") == 1
    assert bench.value("falco_exporter_source_reconnects_total") == 0
    assert caplog.messages == ["mine: connected to Falco 0.43.1 (engine 0.58.0), fetching alerts with get"]
    source._set_up(Channel())  # type: ignore[arg-type]
    source._set_up(Channel())  # type: ignore[arg-type]
    assert bench.value("falco_exporter_source_reconnects_total") == 2


def test_what_is_wrong_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Until it is something else."""
    source = bench.source
    source._set_up(Channel())  # type: ignore[arg-type]
    for message in ("a", "a", "b"):
        source._set_down(message)
    assert source.state == "down: b"
    assert bench.value("falco_exporter_source_up") == 0
    assert caplog.messages == [f"mine: {message} (retrying until it works)" for message in "ab"]


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A unix socket that takes connections."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        server.listen()
        yield "unix:s"


class Opened:
    """Stands in for what opens channels and makes pollers; has what they were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, poller: Any = None, error: Exception | None = None) -> None:
        self.given: list[Any] = []
        self.channel = Channel()

        def open_channel(target: FalcoTarget, *, window_bytes: int) -> Channel:
            self.given.append((target, window_bytes))
            if error is not None and poller is None:
                raise error
            return self.channel

        def make_poller(method: str, channel: Channel) -> Any:
            self.given.append((method, channel))
            return poller

        monkeypatch.setattr(module, "open_channel", open_channel)
        monkeypatch.setattr(module, "make_poller", make_poller)


def test_a_connection_from_beginning_to_end(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened with the settings, streamed, cancelled and closed."""
    bench, stop, kept = Bench(listening, window_bytes=4_096, method="sub"), Stop(), Kept()
    asked = Asked(stop, MESSAGES[:2], last=MESSAGES[2:3])
    opened = Opened(monkeypatch, asked)
    source = bench.source
    source._silent, source._progress_at = True, 0.0
    source._connect_once(kept, stop)
    assert opened.given == [(source._target, 4_096), ("sub", opened.channel)]
    assert len(kept.alerts) == 3
    assert (asked.cancelled, opened.channel.is_closed, source._poller) == (1, True, None)
    assert source.state == "up"
    assert source._silent is False
    assert time.monotonic() - source._progress_at < 60


@pytest.mark.parametrize(("stores", "window_bytes"), [(True, 16_384), (False, 65_536)])
def test_how_much_is_read_ahead(
    listening: str, monkeypatch: pytest.MonkeyPatch, stores: bool, window_bytes: int
) -> None:
    """More where a kill loses what was handed over as well."""
    bench, stop, kept = Bench(listening), Stop(), Kept()
    kept.stores = stores
    opened = Opened(monkeypatch, Asked(stop, ()))
    bench.source._connect_once(kept, stop)
    assert opened.given[0] == (bench.source._target, window_bytes)


def test_a_failed_stream_is_said_and_followed_by_a_pause(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop ends the pause; what was opened is closed."""
    bench, stop = Bench(listening), Stop(1)
    asked = Asked(threading.Event(), [*MESSAGES[:1], RetryableError("Falco is stopping")], ())
    opened = Opened(monkeypatch, asked)
    kept = Kept()
    bench.source._connect_once(kept, stop)
    assert bench.source.state == "down: Falco is stopping"
    assert len(kept.alerts) == 1
    assert (asked.cancelled, opened.channel.is_closed) == (1, True)
    assert len(stop.waits) == 1


def test_a_stream_that_we_cancelled_is_said_to_be_silent(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not to have failed by itself."""
    bench, stop = Bench(listening), Stop(1)
    source = bench.source

    class Silent(Asked):
        def poll(self) -> Iterator[bytes]:
            source._cancel_when_silent(-1.0)
            raise grpc.RpcError("cancelled")

    asked = Silent(stop, ())
    Opened(monkeypatch, asked)
    source._connect_once(Kept(), stop)
    assert source.state == "down: unix:s takes our calls but does not answer: Falco hangs, or other clients use up " + (
        "its limit of concurrent calls (10 times `grpc.threadiness`); close them, or look into Falco's log"
    )
    assert asked.cancelled == 2


def test_a_channel_that_cannot_be_opened(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS file that cannot be read, e.g.; there is nothing to close."""
    bench, stop = Bench(listening), Stop(1)
    Opened(monkeypatch, error=RetryableError("cannot read the TLS file"))
    bench.source._connect_once(Kept(), stop)
    assert bench.source.state == "down: cannot read the TLS file"


@pytest.mark.parametrize(
    ("silence", "waits", "limits"), [(30.0, 1.0, [30.0, 5.0]), (0.5, 0.25, [0.5, 0.5]), (4.0, 1.0, [4.0, 4.0])]
)
def test_the_watch_looks_for_silence(
    silence: float, waits: float, limits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the stop, with the limit that is set; after it with a short one, until the source is done."""
    bench = Bench(silence=silence)
    looked: list[float] = []
    monkeypatch.setattr(bench.source, "_cancel_when_silent", looked.append)
    stop, done = Stop(2), Stop(2)
    bench.source._watch(stop, done)
    assert stop.waits == [waits] * 2
    assert done.waits == [0.1] * 2
    assert looked == limits


def test_the_watch_ends_with_the_source() -> None:
    """Also where nobody asked for a stop."""
    done = threading.Event()
    done.set()
    stop = Stop(5)
    Bench().source._watch(stop, done)
    assert len(stop.waits) == 1


@pytest.mark.parametrize(("ago", "cancelled"), [(4.0, 0), (6.0, 1)])
def test_a_call_that_is_silent_for_too_long_is_cancelled(
    ago: float, cancelled: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And noted, so that the failure is explained."""
    clock = Clock(monkeypatch)
    asked = Asked(Stop())
    bench.source._poller = asked
    bench.source._progress_at = clock.now - ago
    bench.source._cancel_when_silent(5.0)
    assert (asked.cancelled, bench.source._silent) == (cancelled, bool(cancelled))


@pytest.mark.parametrize(("method", "option", "said"), [("get", None, 1), ("sub", None, 0), ("get", "there", 0)])
def test_a_run_connects_until_the_stop(
    method: str, option: str | None, said: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Again and again; it is watched meanwhile, and not up afterwards. What grpcio lacks is said."""
    monkeypatch.setattr(module, "find_single_threaded_option", lambda: option)
    bench = Bench(method=method)
    stop, kept = threading.Event(), Kept()
    given: list[Any] = []
    watched: list[threading.Thread] = []

    def connect_once(*them: Any) -> None:
        given.append(them)
        bench.source._intake.up.set(1)
        wait_until(lambda: [each for each in threading.enumerate() if each.name == "falco-watch"])
        watched.extend(each for each in threading.enumerate() if each.name == "falco-watch")
        if len(given) == 2:
            stop.set()

    monkeypatch.setattr(bench.source, "_connect_once", connect_once)
    bench.source.run(kept, stop)
    assert given == [(kept, stop)] * 2
    assert bench.value("falco_exporter_source_up") == 0
    assert watched[0].daemon
    assert not watched[0].is_alive()
    assert [
        m for m in caplog.messages if m == "this grpcio has no single-threaded unary stream; alerts will cost more CPU"
    ] == (["this grpcio has no single-threaded unary stream; alerts will cost more CPU"] * said)


def test_a_mistake_ends_the_run_and_its_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised to the application."""
    bench = Bench()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.source, "_connect_once", fail)
    with pytest.raises(ZeroDivisionError):
        bench.source.run(Kept(), threading.Event())
    assert not [each for each in threading.enumerate() if each.name == "falco-watch"]
