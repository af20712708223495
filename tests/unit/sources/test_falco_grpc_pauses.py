"""When a Falco that is not there is looked for again, without a wait."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from exporter.config.model import FalcoTarget
from exporter.sources import falco_grpc as module
from tests.handover import Kept
from tests.unit.sources.falco_grpc_bench import Bench, Clock, Stop


def test_a_socket_that_is_missing_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at four times a second, each new fault said, until it takes connections."""
    monkeypatch.chdir(tmp_path)
    bench = Bench("unix:s")
    states: list[str] = []
    server = socket.socket(socket.AF_UNIX)

    def act(times: int) -> None:
        states.append(bench.source.state)
        if times == 2:
            Path("s").touch()
        if times == 4:
            Path("s").unlink()
            server.bind("s")
            server.listen()

    stop = Stop(50, act)
    with server:
        bench.source._connect_once(Kept(), stop)
    assert stop.waits == [0.25] * 4
    assert "there is no socket" in states[0]
    assert "is not a socket" in states[3]
    assert not stop.is_set()


def test_a_stop_ends_the_waiting_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once."""
    monkeypatch.chdir(tmp_path)
    stop = Stop(3)
    Bench("unix:s").source._connect_once(Kept(), stop)
    assert len(stop.waits) == 3


def test_pauses_double_up_to_their_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between half and the whole of it, looked at each second meanwhile."""
    clock = Clock(monkeypatch)
    bench = Bench("127.0.0.1:1", reconnect_ceiling_seconds=3.0)
    monkeypatch.setattr(module, "takes_connections", lambda _: False)
    waits = []
    for _ in range(6):
        stop = clock.stop()
        bench.source._back_off(stop)
        waits.append(stop.waits)
    assert waits == [[0.25], [0.5], [1.0], [1.0, 1.0], [1.0] * 3, [1.0] * 3]
    assert clock.ranges == [(0.5, 1.0)] * 6
    assert bench.source._backoff_seconds == 3.0


@pytest.mark.parametrize(
    ("answers", "looks"),
    [
        ([False, False, True], 3),
        ([True, True, True, True, True], 5),
        ([True, False, True], 3),
        ([False, False, False, False, False], 5),
    ],
)
def test_a_port_that_opens_ends_the_pause(answers: list[bool], looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was open all the time does not."""
    clock = Clock(monkeypatch)
    bench = Bench("127.0.0.1:1")
    bench.source._backoff_seconds = 4.0
    asked: list[FalcoTarget] = []

    def takes_connections(target: FalcoTarget) -> bool:
        asked.append(target)
        return answers[len(asked) - 1]

    monkeypatch.setattr(module, "takes_connections", takes_connections)
    bench.source._back_off(clock.stop())
    assert asked == [bench.source._target] * looks


def test_a_stop_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(module, "takes_connections", lambda _: False)
    bench = Bench("127.0.0.1:1")
    bench.source._backoff_seconds = 20.0
    stop = clock.stop()
    stop._times = 2
    bench.source._back_off(stop)
    assert len(stop.waits) == 2
