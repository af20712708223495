"""``report``: Falco's alerts as JSON lines become reports.

Owns reading files and standard input line by line, and what stands between
one report and the next. A line that is no alert is named on standard error,
counted, and makes the exit code 1; the others get their reports.
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.commands.terminal import Style
from exporter.errors import ConfigError, DecodeError
from exporter.escaping import visible
from exporter.render import HTML_PAGE_END, HTML_PAGE_START, to_html, to_json, to_markdown, to_text
from exporter.report import Report
from exporter.reporter import Reporter
from exporter.sources.decode import from_json

LINE_LIMIT_BYTES = 16 * 1024 * 1024
_PROGRESS_AFTER_SECONDS = 2.0


def report(files: Sequence[Path], form: str, directories: Sequence[Path]) -> int:
    """Print a report of each alert in the files (``-`` or none: standard input) in the form; return the exit code.

    Raises ConfigError for a file that cannot be read, CatalogError for a wrong catalog.
    """
    reporter = Reporter(load_catalog(directories))
    reading = _Reading()
    write = writer(form)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no Unicode shows escapes rather than ending the run.
        sys.stdout.reconfigure(errors="backslashreplace")
    start, between, end = _FRAMES[form]
    sys.stdout.write(start)
    for number, alert in enumerate(reading.alerts(files or [Path("-")])):
        sys.stdout.write((between if number else "") + write(reporter.report_for(alert)))
    sys.stdout.write(end)
    sys.stdout.flush()
    return reading.outcome()


_FRAMES = {
    "text": ("", "\n" + "─" * 80 + "\n\n", ""),
    "markdown": ("", "\n---\n\n", ""),
    "html": (HTML_PAGE_START, "", HTML_PAGE_END),
    "json": ("", "", ""),
}
"""What stands before the first report, between two, and after the last."""


def writer(form: str) -> Callable[[Report], str]:
    """Return the renderer of a form, text as wide and as colourful as standard output allows."""
    if form == "text":
        width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 100)
        color = Style(sys.stdout).coloured
        return lambda made: to_text(made, width=width, color=color)
    return {"markdown": to_markdown, "html": to_html, "json": to_json}[form]


class _Reading:
    """Reads alerts, and counts and names what is none."""

    def __init__(self) -> None:
        self._read = 0
        self._bad = 0
        self._shown = time.monotonic() + _PROGRESS_AFTER_SECONDS

    def alerts(self, files: Sequence[Path]) -> Iterator[Alert]:
        """Yield every alert of the files, in order."""
        for path in files:
            if str(path) == "-":
                if sys.stdin.isatty():
                    print("Reading alerts as JSON lines from the terminal; Ctrl-D ends.", file=sys.stderr)
                yield from self._file(sys.stdin.buffer, "stdin")
                continue
            try:
                with path.open("rb") as file:
                    yield from self._file(file, str(path))
            except OSError as exc:
                raise ConfigError(
                    f"{path}: cannot be read: {exc.strerror}; expected a file of Falco alerts as JSON lines, or -"
                ) from exc

    def outcome(self) -> int:
        """Say how many lines were no alerts; return the exit code."""
        if self._bad:
            lines = self._read + self._bad
            print(
                f"{self._bad:,} of {lines:,} lines {'is no alert' if self._bad == 1 else 'are no alerts'}.",
                file=sys.stderr,
            )
        elif not self._read:
            print("No alerts: the input is empty.", file=sys.stderr)
        return 1 if self._bad else 0

    def _file(self, file: BinaryIO, name: str) -> Iterator[Alert]:
        number = 0
        while line := file.readline(LINE_LIMIT_BYTES):
            number += 1
            if not line.strip():
                continue
            try:
                alert = _decoded(line, file)
            except DecodeError as exc:
                self._bad += 1
                print(visible(f"{name}:{number}: {exc}"), file=sys.stderr)
                continue
            self._read += 1
            self._progress()
            yield alert

    def _progress(self) -> None:
        """Show on a terminal how far it is, when it takes long and the reports go elsewhere."""
        if time.monotonic() > self._shown and sys.stderr.isatty() and not sys.stdout.isatty():
            self._shown = time.monotonic() + 0.5
            print(f"\r{self._read:,} alerts", end="", file=sys.stderr, flush=True)


def _decoded(line: bytes, file: BinaryIO) -> Alert:
    """Return the line's alert; of a line that is too long, read the rest first. Raises DecodeError."""
    if len(line) < LINE_LIMIT_BYTES or line.endswith(b"\n"):
        return from_json(line)
    while (rest := file.readline(LINE_LIMIT_BYTES)) and not rest.endswith(b"\n"):
        pass
    raise DecodeError("malformed", f"expected at most {LINE_LIMIT_BYTES:,} bytes in a line, found more")
