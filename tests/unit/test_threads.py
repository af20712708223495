"""Threads that end by a mistake are noticed, and those of others are left alone."""

from __future__ import annotations

import threading

import pytest

from exporter.threads import ThreadDeaths


def die(name: str) -> None:
    def mistake() -> None:
        raise ZeroDivisionError(name)

    thread = threading.Thread(target=mistake, name=name)
    thread.start()
    thread.join()


def test_a_death_is_told_while_somebody_watches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the thread's name and the error; before and after it is who watched before that is told."""
    others: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", others.append)
    told: list[BaseException] = []
    deaths = ThreadDeaths(told.append)
    die("before")
    deaths.watch()
    die("one")
    die("two")
    deaths.close()
    deaths.close()
    die("after")
    assert [str(error) for error in told] == ["one", "two"]
    assert set(deaths.reasons) == {"one", "two"}
    assert [args.thread.name for args in others if args.thread] == ["before", "after"]
    assert "one: ended by a programming error" in caplog.text
    assert "ZeroDivisionError: two" in caplog.text
    others.clear()
