"""The report as text for a terminal of 80 to 100 columns.

Owns the text form. Prose is wrapped; commands and file contents stand on
lines of their own, unwrapped and at the margin, so that what is copied is
exactly what runs (an indent would break here-documents and quotes over several
lines). The only control sequences are our own: bold and cyan, on request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from exporter.escaping import terminal, visible_block
from exporter.render import parts
from exporter.render.layout import cells, wrap
from exporter.report import Change, Command, Prose, Report

_BOLD, _CYAN, _PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"
_OWN_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\Z")
_INDENT = " " * 5


def to_text(report: Report, *, width: int = 100, color: bool = False) -> str:
    """Return the report as text, ending with a line feed.

    ``width`` is in terminal cells, at least 40; ``color`` makes headings and titles
    bold and what can be copied cyan, by SGR sequences.
    """
    page = _Page(max(width, 40), color=color)
    page.title(parts.TITLE)
    page.facts(parts.header(report))
    if report.advice.composed:
        page.paragraph(parts.GENERAL_NOTE)
    _details(page, report)
    page.heading(parts.SUMMARY)
    page.paragraph(_prose(report.advice.summary))
    _impact(page, report)
    page.heading(parts.MITIGATION)
    _changes(page, report)
    _commands(page, report)
    _recommendations(page, report)
    page.paragraph(f"Report {report.alert.uid}")
    return page.text()


class _Page:
    """Lines of the report as they are written."""

    def __init__(self, width: int, *, color: bool) -> None:
        self._width = width
        self._color = color
        self._lines: list[str] = []

    def text(self) -> str:
        """Return everything, without two empty lines in a row outside of blocks."""
        return "\n".join(self._lines).rstrip("\n") + "\n"

    def _strong(self, lines: Iterable[str]) -> list[str]:
        return self._styled(_BOLD, lines)

    def _styled(self, style: str, lines: Iterable[str]) -> list[str]:
        return [f"{style}{line}{_PLAIN}" if line else "" for line in lines] if self._color else list(lines)

    def _gap(self) -> None:
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def title(self, text: str) -> None:
        self._lines += self._strong([text, "=" * len(text)])

    def heading(self, text: str) -> None:
        self._gap()
        self._lines += self._strong([text, "-" * len(text)])

    def subheading(self, text: str) -> None:
        self._gap()
        self._lines += self._strong([text])

    def paragraph(self, text: str, *, first: str = "", rest: str = "") -> None:
        self._gap()
        self._lines += wrap(text, width=self._width, first=first, rest=rest)

    def item(self, text: str, *, marker: str) -> None:
        """A list item's only paragraph; items in a row stand close."""
        self._lines += wrap(text, width=self._width, first=f" {marker} ", rest=" " * (len(marker) + 2))

    def step(self, number: int, title: str) -> None:
        self._gap()
        self._lines += self._strong(wrap(title, width=self._width, first=f"{number:>3}. ", rest=_INDENT))

    def note(self, label: str, text: str) -> None:
        self._lines += wrap(f"{label}: {text}", width=self._width, first=_INDENT, rest=_INDENT + "  ")

    def block(self, text: str) -> None:
        self._gap()
        self._lines += [*self._styled(_CYAN, visible_block(text).expandtabs(8).split("\n")), ""]

    def close_list(self) -> None:
        self._gap()

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Labels in a column, values beside them."""
        self._gap()
        facts = [(terminal(label), terminal(value)) for label, value in facts]
        column = min(max((cells(label) for label, _ in facts), default=0), 20)
        for label, value in facts:
            first = label + " " * max(column - cells(label), 0) + "  "
            self._lines += wrap(value, width=self._width, first=first, rest=" " * (column + 2))


def _prose(prose: Prose) -> str:
    pieces = []
    for span in map(parts.cut, prose):
        shown = terminal(span.text)
        # A value of several words would read as the author's own.
        quoted = span.kind == "value" and (not shown or re.search(r"[ \"“”]", shown)) and not _OWN_TIME.match(shown)
        pieces.append(f"“{shown}”" if quoted else shown)
    return "".join(pieces).strip()


def _details(page: _Page, report: Report) -> None:
    page.heading(parts.DETAILS)
    if message := parts.message(report):
        page.paragraph(terminal(message))
    page.facts(parts.details(report))


def _impact(page: _Page, report: Report) -> None:
    page.heading(parts.IMPACT)
    page.paragraph(_prose(report.advice.impact))
    if report.advice.techniques:
        page.paragraph(terminal("ATT&CK: " + "; ".join(map(parts.technique_name, report.advice.techniques))), rest="  ")
    if report.advice.benign:
        page.paragraph(f"{parts.BENIGN}:")
    for each in report.advice.benign:
        page.item(_prose(each), marker="-")


def _changes(page: _Page, report: Report) -> None:
    if report.advice.changes or report.advice.tuning:
        page.subheading(parts.CHANGES)
    for number, change in enumerate(report.advice.changes, 1):
        _change(page, number, change)
    if report.advice.tuning:
        page.subheading(parts.TUNING)
        page.paragraph(parts.TUNING_NOTE)
    for number, change in enumerate(report.advice.tuning, 1):
        _change(page, number, change)


def _change(page: _Page, number: int, change: Change) -> None:
    page.step(number, _prose(change.title))
    page.note(terminal(change.tool) or "File", terminal(change.file))
    page.block(change.content)
    for label, text in (("Check", change.check), ("Load", change.load)):
        if text:
            page.note(label, terminal(text))
    if change.note:
        page.note("Note", _prose(change.note))


def _commands(page: _Page, report: Report) -> None:
    if report.advice.commands:
        page.subheading(parts.COMMANDS)
    for title, remark, commands in parts.commands_by_phase(report):
        page.paragraph(f"{title} ({remark}):")
        for number, command in enumerate(commands, 1):
            _command(page, number, command)


def _command(page: _Page, number: int, command: Command) -> None:
    place = parts.PLACES.get(command.where, terminal(command.where))
    page.step(number, f"{_prose(command.title)} ({place})")
    page.block(command.run)
    if command.shows:
        page.note("Look for", _prose(command.shows))
    if command.breaks:
        page.note("Breaks", _prose(command.breaks))
    if command.undo:
        page.note("Undo", "")
        page.block(command.undo)


def _recommendations(page: _Page, report: Report) -> None:
    if report.advice.recommendations:
        page.subheading(parts.RECOMMENDATIONS)
        page.close_list()
    for number, each in enumerate(report.advice.recommendations, 1):
        page.item(_prose(each), marker=f"{number:>2}.")
    if report.advice.references:
        page.heading(parts.REFERENCES)
    for reference in report.advice.references:
        page.item(f"{terminal(reference.title)}: {terminal(reference.url)}", marker="-")
