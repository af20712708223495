"""``report``: Falco's alerts become reports.

Owns what is printed: reports in a format and length, what stands between
them, a summary, and what is said about input that is no alert. Such input is
named on standard error, counted, and makes the exit code 1; the alerts
around it get their reports.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.commands.selection import Selection, grouped, summary_table
from exporter.commands.terminal import Style
from exporter.config.model import Incidents
from exporter.errors import ConfigError, DecodeError
from exporter.escaping import visible
from exporter.render.document import Length
from exporter.render.formats import FORMATS
from exporter.render.pager import to_pager
from exporter.render.text import to_text
from exporter.report import Report
from exporter.reporter import Reporter
from exporter.sources.pasted import PLAIN_TEXT, alerts_in, opened

PAGER = "pager"
_ERRORS_SHOWN = 3
_PROGRESS_AFTER_SECONDS = 2.0
_MORE = "This is the brief report; --length full adds configuration changes, recommendations, tuning and all details."


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the command."""

    files: Sequence[Path] = ()
    """``-`` or none: standard input."""
    form: str = "text"
    length: str = ""
    """``brief``, ``full`` or ``pager``; empty for brief text on a terminal and everything elsewhere."""
    summary: bool = False
    selection: Selection = field(default_factory=Selection)
    directories: Sequence[Path] = ()
    incidents: bool = False
    """Print the incidents that the alerts make, instead of a report of each."""
    window_seconds: float = Incidents().window_seconds
    """The incidents' window."""


def report(request: Request) -> int:
    """Print what is asked for; return the exit code.

    Raises ConfigError for a file that cannot be read or for what does not go together, CatalogError for a wrong
    catalog.
    """
    if request.incidents:
        return _incidents(request)
    if request.form != "text" and (request.summary or request.length == PAGER):
        raise ConfigError(f"{'--summary' if request.summary else '--length pager'} is text; leave out --format")
    reporter = Reporter(load_catalog(request.directories))
    reading = _Reading()
    reports = request.selection.reports(map(reporter.report_for, reading.alerts(request.files or [Path("-")])))
    if request.summary:
        printed = _print([summary_table(groups, Style(sys.stdout))] if (groups := grouped(reports)) else [])
    elif request.length == PAGER:
        printed = _print([to_pager(group.latest, times=group.times) for group in grouped(reports)], between="\n")
    else:
        printed = _print_reports(reports, request)
    return reading.outcome(printed)


def _incidents(request: Request) -> int:
    from exporter.commands.incidents import incident_texts

    if request.summary or request.length == PAGER:
        raise ConfigError(f"{'--summary' if request.summary else '--length pager'} does not go with --incidents")
    reporter = Reporter(load_catalog(request.directories))
    reading = _Reading()
    alerts = request.selection.alerts(reading.alerts(request.files or [Path("-")]))
    texts = incident_texts(
        alerts, reporter, form=request.form, window_seconds=request.window_seconds, verdicts=request.selection.verdicts
    )
    return reading.outcome(_print(texts), incidents=True)


def writer(form: str, length: str = "") -> Callable[[Report], str]:
    """Return the renderer of a format, text as wide and as colourful as standard output allows."""
    chosen = _length(form, length)
    if form == "text":
        width = min(shutil.get_terminal_size((100, 24)).columns, 100)
        return partial(to_text, length=chosen, width=width, color=Style(sys.stdout).coloured)
    return partial(FORMATS[form].render, length=chosen)


def _length(form: str, length: str) -> Length:
    return Length(length) if length else Length.BRIEF if form == "text" and sys.stdout.isatty() else Length.FULL


def _print_reports(reports: Iterable[Report], request: Request) -> int:
    form = FORMATS[request.form]
    start, end = form.frame()
    sys.stdout.write(start)
    printed = _print(map(writer(request.form, request.length), reports), between=form.between)
    sys.stdout.write(end)
    if printed and not request.length and _length(request.form, "") is Length.BRIEF:
        sys.stdout.write(f"\n{Style(sys.stdout).dim(_MORE)}\n")
    sys.stdout.flush()
    return printed


def _print(texts: Iterable[str], *, between: str = "") -> int:
    printed = 0
    for text in texts:
        sys.stdout.write(between + text if printed and between else text)
        printed += 1
    sys.stdout.flush()
    return printed


class _Reading:
    """Reads alerts, and counts and names what is none."""

    def __init__(self) -> None:
        self._read = 0
        self._bad = 0
        self._hint = ""
        self._shown = time.monotonic() + _PROGRESS_AFTER_SECONDS
        self._progressed = False

    def alerts(self, files: Sequence[Path]) -> Iterator[Alert]:
        """Yield every alert of the files, in order."""
        for path in files:
            if str(path) == "-":
                if sys.stdin.isatty():
                    print("Paste alerts in Falco's JSON form; Ctrl-D ends.", file=sys.stderr)
                yield from self._file(sys.stdin.buffer, "stdin", 0)
                continue
            try:
                with path.open("rb") as file:
                    yield from self._file(file, str(path), os.fstat(file.fileno()).st_size)
            except OSError as exc:
                raise ConfigError(
                    f"{path}: cannot be read: {exc.strerror or exc}; expected a file of Falco alerts in JSON, or -"
                ) from exc

    def outcome(self, printed: int, *, incidents: bool = False) -> int:
        """Say how much of the input was no alert; return the exit code."""
        self._clear_progress()
        if self._bad > _ERRORS_SHOWN:
            print(f"… and {self._bad - _ERRORS_SHOWN:,} more.", file=sys.stderr)
        if self._bad:
            print(f"{self._bad:,} of {self._read + self._bad:,} lines {_are(self._bad)}.", file=sys.stderr)
        elif not self._read:
            print("No alerts: the input is empty.", file=sys.stderr)
        elif not printed and incidents:
            print(f"No incidents: none of the {self._read:,} alerts is a likely attack or goes with another.",
                  file=sys.stderr)  # fmt: skip
        elif not printed:
            print(f"None of the {self._read:,} alerts matches.", file=sys.stderr)
        if self._hint:
            print(self._hint, file=sys.stderr)
        return 1 if self._bad else 0

    def _file(self, file: BinaryIO, name: str, size: int) -> Iterator[Alert]:
        try:
            for found in alerts_in(opened(file)):
                if found.alert is None:
                    self._refuse(name, found.line, found.error)
                    continue
                self._read += 1
                self._progress(file, size)
                yield found.alert
        except (EOFError, zlib.error) as exc:
            raise ConfigError(f"{name}: the compressed data is damaged: {exc}") from exc

    def _refuse(self, name: str, line: int, error: DecodeError | None) -> None:
        self._bad += 1
        if error is not None and error.reason == PLAIN_TEXT:
            self._hint = "Falco writes JSON with `json_output: true` in falco.yaml; reports need its fields."
        if self._bad <= _ERRORS_SHOWN:
            self._clear_progress()
            print(visible(f"{name}:{line}: {error}"), file=sys.stderr)

    def _progress(self, file: BinaryIO, size: int) -> None:
        """Show on a terminal how far it is, when it takes long and the reports go elsewhere."""
        if time.monotonic() > self._shown and sys.stderr.isatty() and not sys.stdout.isatty():
            self._shown = time.monotonic() + 0.5
            self._progressed = True
            share = f", {file.tell() * 100 // size} %" if size else ""
            print(f"\r{self._read:,} alerts{share} ", end="", file=sys.stderr, flush=True)

    def _clear_progress(self) -> None:
        if self._progressed:
            self._progressed = False
            print(f"\r{'':40}\r", end="", file=sys.stderr, flush=True)


def _are(count: int) -> str:
    return "is not a Falco alert" if count == 1 else "are not Falco alerts"
