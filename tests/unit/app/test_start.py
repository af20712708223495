"""Starting, giving up a start, the lame duck and the end, with the pages on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.app import App
from exporter.config.model import Config, FalcoHttp, JsonLines, Shutdown, Web
from exporter.errors import ConfigError
from tests.unit.app.parts import LOOPBACK


class Waiting:
    """A source that runs until the stop, or for as long as a test wants."""

    state = "up"

    def __init__(self, name: str = "mine", end: threading.Event | None = None) -> None:
        self.name = name
        self.given: list[object] = []
        self.ran_in = ""
        self._end = end

    def run(self, handover: object, stop: threading.Event) -> None:
        self.ran_in = threading.current_thread().name
        self.given += [handover, stop]
        (self._end or stop).wait(60)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(json_lines=JsonLines(file=tmp_path / "alerts"), web=LOOPBACK, shutdown_seconds=7.0)


def closes(app: App, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return what the pipeline is closed with from now on."""
    given: list[float] = []
    close = app.pipeline.close

    def noted(seconds: float) -> None:
        given.append(seconds)
        close(seconds)

    monkeypatch.setattr(app.pipeline, "close", noted)
    return given


def test_from_the_start_to_the_end(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each source in a thread of its name; everything ends within the time, and nothing stays."""
    caplog.set_level("INFO", "exporter.app")
    before = threading.excepthook
    app, sources = App(config), (Waiting("one"), Waiting("two"))
    app.sources = sources  # type: ignore[assignment]
    given = closes(app, monkeypatch)
    app.start()
    assert threading.excepthook != before
    assert app.responds()
    assert caplog.messages == [
        f"metrics on {app.web.url}/metrics (listening on 127.0.0.1:0)",
        "report pages on, at /reports",
    ]
    app.close()
    assert [source.ran_in for source in sources] == ["source one", "source two"]
    assert all(source.given == [app.pipeline, app._stop] for source in sources)
    assert not any(thread.is_alive() for thread in app._threads)
    assert not app.web.is_alive
    assert threading.excepthook == before
    assert len(given) == 1
    assert 1.0 < given[0] <= 7.0
    app.close()


def test_pages_that_are_off_are_said(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    """With what to set."""
    caplog.set_level("INFO", "exporter.app")
    app = App(replace(config, web=Web(listen_address=":0")))
    app.sources = ()
    app.start()
    app.close()
    assert caplog.messages[-1] == (
        "report pages off: the listener can be reached from other machines and asks for no password; set "
        "web.reports_address to 127.0.0.1:9377, or web.config_file with a password or client certificates"
    )


def test_a_source_that_does_not_end_is_left(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named, and nothing is left of the time for the sinks."""
    monkeypatch.setattr("exporter.app.SOURCE_SECONDS", 0.05)
    end = threading.Event()
    app = App(replace(config, shutdown_seconds=0.01))
    app.sources = (Waiting(end=end),)  # type: ignore[assignment]
    given = closes(app, monkeypatch)
    app.start()
    app.close()
    end.set()
    assert caplog.messages == ["source mine did not end within 0.05 s"]
    assert given == [0.0]
    app._threads[0].join(30)


def test_sinks_outlive_a_source_that_is_slow_to_end(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the shutdown is to be: what the source has answered until then would be lost."""
    end = threading.Event()
    app = App(replace(config, shutdown_seconds=0.0))
    app.sources = (Waiting(end=end),)  # type: ignore[assignment]
    given = closes(app, monkeypatch)
    app.start()
    threading.Timer(0.3, end.set).start()
    app.close()
    assert end.is_set()
    assert given == [0.0]


@pytest.fixture
def receiving() -> Iterator[App]:
    app = App(Config(http=FalcoHttp(address="127.0.0.1:0"), web=LOOPBACK, shutdown=Shutdown(lame_duck_seconds=0.5)))
    yield app
    for receiver in app._receivers():
        receiver.close()


def test_a_start_that_fails_is_taken_back(receiving: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports that were opened are closed, sinks have no time, and threads are whose they were."""
    before = threading.excepthook
    given = closes(receiving, monkeypatch)
    [receiver] = receiving._receivers()
    opened: list[object] = []

    def fail() -> None:
        opened.append(receiver._sockets)
        raise ConfigError("in use")

    monkeypatch.setattr(receiver, "open", fail)
    with pytest.raises(ConfigError, match="in use"):
        receiving.start()
    assert len(opened) == 1
    assert given == [0]
    assert not receiving.web.is_alive
    assert threading.excepthook == before
    assert receiving._threads == []


def test_ports_go_on_elsewhere(receiving: App) -> None:
    """Those that the settings name; second handles, which the giver closes."""
    [receiver] = receiving._receivers()
    receiver.open()
    [opened] = receiver._sockets or ()
    heir = App(receiving.config)
    [taker] = heir._receivers()
    heir.adopt({"127.0.0.1:0": [opened], "elsewhere:1": []})
    [taken] = taker._sockets or ()
    assert taken.fileno() != opened.fileno()
    assert taken.getsockname() == opened.getsockname()
    heir.adopt({})
    assert taker._sockets is None
    taken.close()


@pytest.mark.parametrize(
    ("asked", "failed", "seconds", "stopped", "state", "waits"),
    [
        (True, False, 0.5, False, "up", True),
        (False, False, 0.5, False, "up", False),
        (True, True, 0.5, False, "up", False),
        (True, False, 0.0, False, "up", False),
        (True, False, 0.5, True, "up", False),
        (True, False, 0.5, False, "connecting", False),
    ],
)
def test_when_posts_are_taken_a_while_longer(  # noqa: PLR0917 - a table
    asked: bool,
    failed: bool,
    seconds: float,
    stopped: bool,
    state: str,
    waits: bool,
    receiving: App,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a stop was asked for, where a receiver is up; not after a failure, not twice, not without the time."""
    caplog.set_level("INFO", "exporter.app")
    app = receiving
    app.config = replace(app.config, shutdown=Shutdown(lame_duck_seconds=seconds))
    [receiver] = app._receivers()
    receiver.state = state
    waited: list[float | None] = []
    monkeypatch.setattr(app._at_once, "wait", waited.append)
    if asked:
        app.request_stop()
    if failed:
        app._failure = ZeroDivisionError()
    if stopped:
        app._stop.set()
    begun = time.monotonic()
    app._be_lame_duck()
    assert time.monotonic() - begun < 30
    assert waited == [seconds] * waits
    assert caplog.messages == ["stopping: not ready any more; alerts are still accepted for 0.5 s"] * waits
