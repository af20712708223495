"""Files that are renamed, copied, cut or replaced: each line once."""

from __future__ import annotations

import os

import pytest

from exporter.config.model import JsonLines
from tests.handover import Kept
from tests.integration.json_lines.alerts import append, gaps, line, lines, rotate, running
from tests.waiting import wait_until


def test_a_file_is_followed_through_rotation(settings: JsonLines) -> None:
    """What was written before, between and after a rename arrives once and in order."""
    assert settings.file is not None
    append(settings, lines(range(10)))
    kept = Kept()
    with running(settings, kept):
        wait_until(lambda: len(kept.alerts) == 10)
        append(settings, lines(range(10, 20)))
        settings.file.rename(settings.file.with_suffix(".1"))
        append(settings, lines(range(20, 30)))
        wait_until(lambda: len(kept.alerts) == 30)
    assert kept.numbers == list(range(30))


def test_a_truncated_file_is_read_from_its_start(settings: JsonLines) -> None:
    """After copytruncate what is written anew is delivered."""
    assert settings.file is not None
    append(settings, lines(range(20)))
    kept = Kept()
    with running(settings, kept):
        wait_until(lambda: len(kept.alerts) == 20)
        os.truncate(settings.file, 0)
        wait_until(lambda: settings.file is not None and settings.file.stat().st_size == 0)
        append(settings, line(20))
        wait_until(lambda: len(kept.alerts) == 21)
    assert kept.numbers == list(range(21))


def test_another_file_is_read_from_its_start(settings: JsonLines) -> None:
    """A remembered position is not used for a file that begins differently."""
    assert settings.file is not None
    append(settings, lines(range(10)))
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 10)
    settings.file.write_text(lines(range(100, 120)), encoding="utf-8")
    with running(settings, second := Kept()):
        wait_until(lambda: len(second.alerts) == 20)
    assert second.numbers == list(range(100, 120))


def test_a_rotation_while_the_exporter_is_down_loses_nothing(settings: JsonLines) -> None:
    """What was not read yet of the rotated files comes first, then the new file, each line once."""
    append(settings, lines(range(10)))
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 10)
    append(settings, lines(range(10, 20)))
    rotate(settings, ".2")
    append(settings, lines(range(20, 25)))
    rotate(settings, ".1")
    append(settings, lines(range(25, 30)))
    with running(settings, second := Kept()) as registry:
        wait_until(lambda: len(second.alerts) == 20)
        assert gaps(registry, settings) == 0
    assert first.numbers + second.numbers == list(range(30))


def test_a_copy_made_while_the_exporter_is_down_is_read_on(settings: JsonLines) -> None:
    """logrotate's copytruncate keeps the inode; the copy beside the file holds what was not read yet."""
    assert settings.file is not None
    append(settings, lines(range(10)))
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 10)
    append(settings, lines(range(10, 20)))
    settings.file.with_name(settings.file.name + ".1").write_bytes(settings.file.read_bytes())
    settings.file.write_text(lines(range(20, 22)), encoding="utf-8")
    with running(settings, second := Kept()):
        wait_until(lambda: len(second.alerts) == 12)
    assert first.numbers + second.numbers == list(range(22))


def test_a_rotated_file_that_is_gone_is_counted(settings: JsonLines, caplog: pytest.LogCaptureFixture) -> None:
    """Lines that cannot be found any more are a counter and a warning that says what to change."""
    append(settings, lines(range(10)))
    with running(settings, first := Kept()) as registry:
        wait_until(lambda: len(first.alerts) == 10)
        assert gaps(registry, settings) == 0
    rotate(settings).rename(settings.file.with_suffix(".gz"))  # type: ignore[union-attr]
    append(settings, lines(range(20, 22)))
    with running(settings, second := Kept()) as registry:
        wait_until(lambda: len(second.alerts) == 2)
        assert gaps(registry, settings) == 1
    assert "delaycompress" in caplog.text
