"""Where reading stands is remembered through a restart, privately."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import JsonLines
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.sources.json_lines import JsonLinesSource
from tests.handover import Kept
from tests.integration.json_lines.alerts import append, line, lines, running
from tests.waiting import wait_until


def test_a_restart_goes_on_where_it_stopped(settings: JsonLines) -> None:
    """Alerts delivered before a restart do not come again, those written meanwhile do."""
    append(settings, lines(range(10)) + line(10)[:20])
    first, second = Kept(), Kept()
    with running(settings, first):
        wait_until(lambda: len(first.alerts) == 10)
    append(settings, line(10)[20:] + lines(range(11, 15)))
    with running(settings, second):
        wait_until(lambda: len(second.alerts) == 5)
    assert first.numbers + second.numbers == list(range(15))


def test_a_spoilt_memory_is_no_reason_to_stop(settings: JsonLines) -> None:
    """An unreadable position file means reading from the start."""
    assert settings.state_file is not None
    settings.state_file.write_text("{", encoding="utf-8")
    append(settings, line(1))
    with running(settings, kept := Kept()):
        wait_until(lambda: kept.numbers == [1])


def test_a_restart_between_two_pieces_loses_nothing(settings: JsonLines) -> None:
    """The position stays before a line whose end has not come; what was between its pieces comes again."""
    cri = "2024-01-02T12:00:00.1Z stdout "
    append(settings, f"{cri}F {line(0)}{cri}P {line(1)[:30]}\n")
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 1)
    append(settings, f"{cri}F {line(1)[30:]}{cri}F {line(2)}")
    with running(settings, second := Kept()):
        wait_until(lambda: len(second.alerts) == 2)
    assert first.numbers + second.numbers == [0, 1, 2]


def test_the_state_file_is_private_and_its_directory_is_made(settings: JsonLines, tmp_path: Path) -> None:
    """A position in a directory that did not exist is remembered, readable by its owner only, never through a link."""
    deep = replace(settings, state_file=tmp_path / "state" / "deep" / "position.json")
    assert deep.state_file is not None
    append(deep, lines(range(5)))
    victim = tmp_path / "victim"
    victim.write_text("kept")
    deep.state_file.parent.mkdir(parents=True)
    deep.state_file.with_name("position.json.new").symlink_to(victim)
    with running(deep, first := Kept()):
        wait_until(lambda: len(first.alerts) == 5)
    append(deep, line(5))
    with running(deep, second := Kept()):
        wait_until(lambda: second.numbers == [5])
    assert stat.S_IMODE(deep.state_file.stat().st_mode) == 0o600
    assert victim.read_text() == "kept"


def test_a_state_directory_that_cannot_be_had_is_an_error_at_start(settings: JsonLines, tmp_path: Path) -> None:
    """Otherwise every restart would count the whole file again."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"json_lines\.state_file: the directory .*/file/x"):
        JsonLinesSource(
            replace(settings, state_file=tmp_path / "file" / "x" / "position.json"), SelfMetrics(CollectorRegistry())
        )
