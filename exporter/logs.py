"""The exporter's own log: one line an event, as text or JSON, on standard error.

Owns the form of a line. Whatever stands in a message is made visible first,
so that a value from an alert can neither start a line of its own nor steer a
terminal.
"""

from __future__ import annotations

import json
import logging
import sys
import textwrap
from datetime import UTC, datetime
from typing import TextIO

from exporter.errors import DecodeError
from exporter.escaping import shortened, visible, visible_block

NOT_SHOWN = "what was found is not shown, since redaction is set"
MESSAGE_LIMIT_CHARACTERS = 8_000
TRACEBACK_LIMIT_CHARACTERS = 16_000
"""An exception's text may hold what a stranger sent."""


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.123Z INFO falco_grpc message``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one visible line; a traceback follows, indented: none of its lines is a record."""
        module = record.name.removeprefix("exporter.")
        line = f"{_timestamp(record)} {record.levelname} {module}: {visible(_message(record))}"
        if not record.exc_info:
            return line
        traceback = visible_block(shortened(self.formatException(record.exc_info), TRACEBACK_LIMIT_CHARACTERS))
        return f"{line}\n{textwrap.indent(traceback, '    ', lambda _: True)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        document = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if record.exc_info:
            document["exception"] = shortened(self.formatException(record.exc_info), TRACEBACK_LIMIT_CHARACTERS)
        return json.dumps(document)


def _message(record: logging.LogRecord) -> str:
    return shortened(record.getMessage(), MESSAGE_LIMIT_CHARACTERS)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class Concealing(logging.Filter):
    """Leaves out of the log what a message that cannot be read contains: what is secret in it is not known."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put a note in the place of each quotation; every record is written."""
        if isinstance(record.args, tuple) and any(isinstance(argument, DecodeError) for argument in record.args):
            record.args = tuple(
                NOT_SHOWN if isinstance(argument, DecodeError) else argument for argument in record.args
            )
        return True


def configure_logging(level: str, form: str, *, stream: TextIO | None = None, conceals: bool = False) -> None:
    """Send the log to the stream (standard error). ``level`` and ``form`` as in ``config.Logging``.

    ``conceals``: quote nothing of messages that could not be read, since redaction cannot be applied to them.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    if conceals:
        handler.addFilter(Concealing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("exporter").setLevel(level.upper())
