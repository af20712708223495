"""The exporter's own log: one line an event, whatever stands in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from exporter.logs import JsonFormatter, TextFormatter, configure_logging
from exporter.selfmetrics import SelfMetrics
from exporter.sources.decode import from_json
from exporter.sources.intake import Intake
from tests.hostile import hostile_values


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("exporter.sources.falco_grpc", logging.WARNING, "f", 1, message, arguments, None)


def with_traceback(one: logging.LogRecord, text: str) -> logging.LogRecord:
    try:
        int(text, 99)
    except ValueError as exc:
        one.exc_info = (ValueError, ValueError(text), exc.__traceback__)
    return one


@pytest.fixture
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root, ours = logging.getLogger(), logging.getLogger("exporter")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], root.level, ours.level = before


@pytest.mark.parametrize("value", hostile_values())
def test_a_hostile_value_stays_in_its_line(value: str) -> None:
    """No value starts a line of its own, steers a terminal or hides a character, in either form."""
    text = TextFormatter().format(record("%s: refused", value))
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    line = JsonFormatter().format(record("%s: refused", value))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == f"{value}: refused"


def test_a_line_says_when_how_grave_and_where() -> None:
    """Time in UTC with milliseconds, level, module, message."""
    one = record("up")
    one.created = 1_769_860_800.25
    assert TextFormatter().format(one) == "2026-01-31T12:00:00.250Z WARNING sources.falco_grpc: up"
    assert json.loads(JsonFormatter().format(one)) == {
        "time": "2026-01-31T12:00:00.250Z",
        "level": "warning",
        "logger": "exporter.sources.falco_grpc",
        "message": "up",
    }


@pytest.mark.usefixtures("_restored")
def test_the_level_is_ours_and_others_are_quiet() -> None:
    """Below the level nothing is written; libraries speak from warnings on."""
    stream = io.StringIO()
    configure_logging("info", "text", stream=stream)
    logging.getLogger("exporter.app").info("shown")
    logging.getLogger("exporter.app").debug("hidden")
    logging.getLogger("aiohttp.access").info("hidden")
    logging.getLogger("aiohttp.server").warning("shown too")
    lines = stream.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["INFO app: shown", "WARNING aiohttp.server: shown too"]


@pytest.mark.parametrize("value", [*hostile_values(), "\x9b31m", "a\n2026-01-31T12:00:00.000Z INFO app: all is well"])
def test_a_hostile_value_in_a_traceback_steers_nothing(value: str) -> None:
    """What an exception says is escaped too, and none of its lines looks like a record."""
    failed = with_traceback(record("failed"), value)
    text = TextFormatter().format(failed)
    assert all(line.replace("\t", "").isprintable() for line in text.split("\n"))
    assert all(line.startswith("    ") for line in text.split("\n")[1:])
    assert JsonFormatter().format(failed).isascii()


def test_a_stranger_cannot_fill_the_log_with_one_line() -> None:
    """Messages and tracebacks are cut, and say by how much."""
    failed = with_traceback(record("%s", "x" * 10**6), "y" * 10**6)
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(failed)
        assert len(line) < 30_000
        assert "more characters" in line


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("form", ["text", "json"])
def test_with_redaction_no_message_is_quoted(form: str) -> None:
    """A message that cannot be read may hold any secret: the log says why it was refused, not what it holds."""
    stream = io.StringIO()
    configure_logging("info", form, stream=stream, conceals=True)
    intake = Intake("http :0", SelfMetrics(CollectorRegistry()))
    assert intake.decode(b'{"time": "2026-01-31T12:00:00Z", "rule": "R", "priority": "hunter2"}', from_json) is None
    logging.getLogger("exporter.app").info("%s and %d", "shown", 1)
    assert "hunter2" not in stream.getvalue()
    assert "an alert could not be read (bad_priority): what was found is not shown" in stream.getvalue()
    assert "shown and 1" in stream.getvalue()
