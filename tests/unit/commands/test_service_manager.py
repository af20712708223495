"""What systemd is told, by a socket that stands in for its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.alert import Alert, Priority
from exporter.commands.service_manager import ServiceManager
from exporter.pipeline import Pipeline

ALERT = Alert(1, "A rule", Priority.WARNING, "syscall", "node-1", "text", {}, ())


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


def test_systemd_is_told_ready_alive_and_stopping(systemd: socket.socket) -> None:
    """Type=notify and WatchdogSec= work: ready once, a sign of life twice per period, stopping at the end."""
    manager = ServiceManager(lambda: True, {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "20000"})
    manager.ready()
    assert [systemd.recv(64), systemd.recv(64)] == [b"READY=1", b"WATCHDOG=1"]
    manager.close()
    manager.stopping()
    while (said := systemd.recv(64)) == b"WATCHDOG=1":
        pass
    assert said == b"STOPPING=1"


def test_the_watchdog_is_not_fed_by_a_program_that_is_stuck(
    systemd: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """systemd then restarts it; the log says why."""
    asked = threading.Semaphore(0)

    def works() -> bool:
        asked.release()
        return False

    manager = ServiceManager(works, {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "20000"})
    manager.ready()
    assert systemd.recv(64) == b"READY=1"
    assert asked.acquire(timeout=30)
    assert asked.acquire(timeout=30)
    manager.close()
    manager.stopping()
    assert systemd.recv(64) == b"STOPPING=1"
    assert "does not respond" in caplog.text


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": "20000"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "soon"}]
)
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    """A shell or a container sets none of it, or something else listens no more."""
    manager = ServiceManager(lambda: True, environment)
    manager.ready()
    manager.stopping()
    manager.close()
    assert threading.active_count() < 20


def test_a_pipeline_that_is_stuck_in_a_sink_does_not_respond() -> None:
    """The watchdog sees a sink that never comes back."""

    class Stuck:
        name = "stuck"

        def __init__(self) -> None:
            self.entered, self.leave = threading.Event(), threading.Event()

        def write(self, alerts: object) -> None:
            self.entered.set()
            self.leave.wait(10)

    sink = Stuck()
    pipeline = Pipeline([sink])  # type: ignore[list-item]
    assert pipeline.responds(1)
    thread = threading.Thread(target=pipeline.deliver, args=([ALERT],))
    thread.start()
    assert sink.entered.wait(10)
    assert not pipeline.responds(0.01)
    sink.leave.set()
    thread.join(10)
    assert pipeline.responds(1)
