"""What a path may be: a file, one that is missing or may not be read, a named pipe."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import JsonLines
from exporter.selfmetrics import SelfMetrics
from exporter.sources.followed_file import FollowedFile
from exporter.sources.json_lines import JsonLinesSource
from tests.handover import Kept
from tests.integration.json_lines.alerts import append, line, lines, running
from tests.waiting import wait_until


@pytest.mark.parametrize(("kind", "word"), [("missing", "no such file yet"), ("directory", "it is a directory")])
def test_a_file_that_cannot_be_read_is_not_up(settings: JsonLines, kind: str, word: str) -> None:
    """The state says what is wrong and what to do, and goes back to up once the file is there."""
    assert settings.file is not None
    if kind == "directory":
        settings.file.mkdir()
    registry = CollectorRegistry()
    source = JsonLinesSource(settings, SelfMetrics(registry))
    stop = threading.Event()
    thread = threading.Thread(target=source.run, args=(kept := Kept(), stop))
    thread.start()
    try:
        wait_until(lambda: word in source.state)
        up = "falco_exporter_source_up"
        assert registry.get_sample_value(up, {"target": str(settings.file)}) == 0
        if kind == "directory":
            settings.file.rmdir()
        append(settings, line(1))
        wait_until(lambda: kept.numbers == [1])
        assert source.state == "up"
        assert registry.get_sample_value(up, {"target": str(settings.file)}) == 1
    finally:
        stop.set()
        thread.join(10)


def test_a_file_of_another_user_is_named_with_what_to_do(settings: JsonLines, caplog: pytest.LogCaptureFixture) -> None:
    """Without the right to read it, the source is not up and says whose right is missing."""
    assert settings.file is not None
    append(settings, line(1))
    settings.file.chmod(0)
    followed = FollowedFile(replace(settings, state_file=None))
    user = os.geteuid()
    if user == 0:  # root may read anything
        os.seteuid(65534)
    try:
        assert followed.read(0) == b""
    finally:
        os.seteuid(user)
    assert "may not read it; run as root, or: setfacl -m u:" in followed.state
    assert followed.state in caplog.text
    settings.file.chmod(0o600)
    assert followed.read(0) == line(1).encode()
    assert followed.state == "up"
    followed.close()


def test_a_named_pipe_is_read_from_one_writer_after_another(settings: JsonLines) -> None:
    """Falco's file_output may name a pipe; when a writer closes it, the next one is read."""
    assert settings.file is not None
    os.mkfifo(settings.file)
    with running(settings, kept := Kept()):
        append(settings, lines(range(3)))
        wait_until(lambda: len(kept.alerts) == 3)
        append(settings, lines(range(3, 5)))
        wait_until(lambda: len(kept.alerts) == 5)
    assert settings.state_file is not None
    assert not settings.state_file.exists()
