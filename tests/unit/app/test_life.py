"""How sources end, how a stop is asked for, and what is said of the state."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from exporter.app import App
from exporter.errors import ConfigError


class Ending:
    """A source that does what a test wants, and ends."""

    def __init__(self, act: Callable[..., None] = lambda *_: None, name: str = "ending") -> None:
        self.name, self.state = name, "up"
        self._act = act

    def run(self, *given: object) -> None:
        self._act(*given)


def test_a_source_is_run_with_the_pipeline_and_the_stop(bare: App) -> None:
    """When the last one has ended, waiting ends; when one of two has, it does not."""
    given: list[object] = []
    bare._run(Ending(lambda *them: given.extend(them)))
    assert given == [bare.pipeline, bare._stop]
    assert bare.wait()


def test_one_of_two_sources_that_ends_is_not_the_end(bare: App) -> None:
    """The other one goes on."""
    go_on = threading.Event()
    other = threading.Thread(target=go_on.wait)
    other.start()
    ended = threading.Thread(target=bare._run, args=(Ending(),))
    bare._threads += [other, ended]
    ended.start()
    ended.join(30)
    assert not bare._ended.is_set()
    bare.wake()
    assert not bare.wait()
    go_on.set()
    other.join(30)
    last = threading.Thread(target=bare._run, args=(Ending(),))
    bare._threads.append(last)
    last.start()
    last.join(30)
    assert bare._ended.is_set()
    assert bare.wait()


def test_a_thread_that_dies_ends_everything(bare: App) -> None:
    """Whichever it is: waiting raises what ended it."""
    error = ZeroDivisionError("a mistake")
    bare._deaths._note(threading.ExceptHookArgs((ZeroDivisionError, error, None, threading.current_thread())))
    assert threading.current_thread().name in bare.not_ready()
    with pytest.raises(ZeroDivisionError):
        bare.wait()


def test_what_a_source_raises_is_raised_by_waiting(bare: App, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake is logged with its place; what says itself what to do is not."""

    def fail(error: Exception) -> Callable[..., None]:
        def act(*_: object) -> None:
            raise error

        return act

    bare._run(Ending(fail(ConfigError("set it"))))
    with pytest.raises(ConfigError, match="set it"):
        bare.wait()
    assert caplog.messages == []
    bare._run(Ending(fail(ZeroDivisionError("a mistake"))))
    with pytest.raises(ZeroDivisionError):
        bare.wait()
    assert caplog.messages == ["ending: ended by a programming error"]
    assert caplog.records[0].exc_info


def test_a_stop_is_asked_for(bare: App) -> None:
    """At once, or the second time; from then on it is not ready."""
    assert "shutdown" not in bare.not_ready()
    bare.request_stop()
    assert not bare._at_once.is_set()
    assert bare.not_ready()["shutdown"] == "the exporter is stopping"
    assert bare.wait()
    bare.request_stop()
    assert bare._at_once.is_set()


def test_a_stop_at_once(bare: App) -> None:
    """Without a lame duck."""
    bare.request_stop(at_once=True)
    assert bare._at_once.is_set()


def test_what_keeps_it_from_being_ready(app: App) -> None:
    """Sources that are not up, threads that died, delivery that fails."""
    app.sources = (Ending(), Ending(name="second"))  # type: ignore[assignment]
    app.sources[1].state = "down: away"  # type: ignore[misc]
    assert app.not_ready() == {"second": "down: away"}
    app._deaths.reasons["history"] = "died"
    app.log_records.unready_reason = lambda: "no collector"  # type: ignore[union-attr,method-assign]
    assert app.not_ready() == {"second": "down: away", "history": "died", "log records": "no collector"}


def test_warnings_of_receiver_and_history(app: App) -> None:
    """Each under its part."""
    assert app.warnings() == {}
    [receiver] = app._receivers()
    receiver._refusals.refuse("wrong_path", "set http_output.url")
    assert app.history is not None
    app.history.trouble = "the disk is full"
    found = app.warnings()
    assert list(found) == ["http 127.0.0.1:0 (wrong_path)", "History"]
    assert "http_output" in found["http 127.0.0.1:0 (wrong_path)"]
    rows = {row.name: row for row in app.state()}
    assert rows["History"].value == "the disk is full; alerts are not kept"
    assert rows["History"].healthy is False


def test_the_table_of_state(app: App, bare: App) -> None:
    """Alerts, each source, the history, delivery."""
    app.sources = (app.sources[0],)
    app.sources[0]._state = "up"  # type: ignore[union-attr]
    rows = app.state()
    assert [row.name for row in rows[:3]] == ["Alerts", "first", "History"]
    assert rows[0].value == "none has arrived since the start"
    assert rows[1].value.startswith("up, waiting for the first alert since the start, 0")
    assert rows[2].healthy is True
    assert str(app.config.history.directory) in rows[2].value
    assert [row.name for row in rows[3:]] == [
        "Log records (default)", "Queue (default)", "Log records (soc)", "Queue (soc)",
    ]  # fmt: skip
    assert [row.name for row in bare.state()] == ["Alerts", bare.sources[0].name, "Log records"]


def test_it_responds_while_pipeline_and_pages_do(bare: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have to."""
    asked: list[float] = []

    def says(answer: bool) -> Callable[[float], bool]:
        def responds(seconds: float) -> bool:
            asked.append(seconds)
            return answer

        return responds

    for pipeline in (True, False):
        for pages in (True, False):
            monkeypatch.setattr(bare.pipeline, "responds", says(pipeline))
            monkeypatch.setattr(type(bare.web), "is_alive", pages)
            assert bare.responds() == (pipeline and pages)
    assert set(asked) == {10.0}
