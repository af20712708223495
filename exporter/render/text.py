"""The report as text for a terminal.

Owns the text form. Prose is wrapped; commands and file contents stand on
lines of their own, unwrapped and at the margin, so that what is copied is
exactly what runs (an indent would break here-documents and quotes over several
lines). The only control sequences are our own: bold, cyan and the verdict's
colour, on request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import assert_never

from exporter.escaping import terminal, visible_block
from exporter.render import document
from exporter.render.document import Block, Bullets, Code, Document, Facts, Length, Links, Note, Step
from exporter.render.header import Row, header
from exporter.render.layout import cells, wrap
from exporter.report import Prose, Report, Span

_BOLD, _CYAN, _PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"
_VERDICT_COLORS = {"attack": "\x1b[1;31m", "undecided": "\x1b[1;33m", "benign": "\x1b[1;32m", "test": "\x1b[1;34m"}
COLORS = frozenset({_BOLD, _CYAN, _PLAIN, *_VERDICT_COLORS.values()})
"""Every control sequence that is used."""
_OWN_VALUE = re.compile(r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\d+(?:\.\d)? (?:ms|s|min|h|days))\Z", re.ASCII)
"""A time or a duration that we wrote."""
_INDENT = " " * 4
_LEAST_WIDTH = 40


def to_text(report: Report, length: Length = Length.FULL, *, width: int = 100, color: bool = False) -> str:
    """Return the report as text, ending with a line feed.

    ``width`` is in terminal cells, at least 40; ``color`` makes headings and titles
    bold, what can be copied cyan and the verdict coloured, by SGR sequences.
    """
    advice = report.advice
    shown = Document(
        title=document.title(advice),
        verdict=advice.judgement.verdict,
        rows=header(report.alert, advice.judgement.outcome),
        sections=tuple(document.sections(report, length)),
        end=f"Report {report.alert.uid}" if length is Length.FULL else "",
    )
    return document_text(shown, width=width, color=color)


def document_text(shown: Document, *, width: int = 100, color: bool = False) -> str:
    """Return a document as text, as ``to_text`` does a report."""
    page = _Page(max(width, _LEAST_WIDTH), color=color)
    page.title(_prose(shown.title), _VERDICT_COLORS.get(shown.verdict, _BOLD))
    page.header(shown.rows)
    for section in shown.sections:
        page.heading(section.title, section.level)
        for block in section.blocks:
            page.block(block)
    if shown.end:
        page.paragraph(shown.end)
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

    def _styled(self, style: str, lines: Iterable[str]) -> list[str]:
        return [f"{style}{line}{_PLAIN}" if line else "" for line in lines] if self._color else list(lines)

    def _gap(self) -> None:
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def title(self, text: str, style: str) -> None:
        lines = wrap(text, width=self._width)
        self._lines += self._styled(style, [*lines, "=" * min(max(map(cells, lines)), self._width)])

    def header(self, rows: Sequence[Row]) -> None:
        """Rows in two columns, read downwards, where the width allows; else in one."""
        self._gap()
        label = max(len(row.label) for row in rows) + 2
        lines = [row.label.ljust(label) + terminal(row.value) for row in rows]
        half = (len(lines) + 1) // 2
        column = max(map(cells, lines[:half])) + 3
        if column + max(map(cells, lines[half:]), default=0) <= self._width:
            right = [*lines[half:], *([""] * (2 * half - len(lines)))]
            lines = [
                (line + " " * (column - cells(line)) + other).rstrip()
                for line, other in zip(lines[:half], right, strict=True)
            ]
            self._lines += lines
        else:
            for line in lines:
                self._lines += wrap(line, width=self._width, rest=" " * label)

    def heading(self, text: str, level: int) -> None:
        self._gap()
        self._lines += self._styled(_BOLD, [text, "-" * len(text)] if level < 3 else [text])

    def block(self, block: Block) -> None:
        """Write one block of a section."""
        match block:
            case Note():
                self.paragraph(_labelled(block))
            case Code():
                self.code(block, "")
            case Bullets():
                self._bullets(block)
            case Step():
                self._step(block)
            case Facts():
                self._facts(block.rows)
            case Links():
                self._gap()
                for link in block.references:
                    self._item(f"{terminal(link.title)}: {terminal(link.url)}", "-")
            case _:
                assert_never(block)

    def paragraph(self, text: str) -> None:
        self._gap()
        self._lines += wrap(text, width=self._width)

    def _bullets(self, bullets: Bullets) -> None:
        self._gap()
        for number, note in enumerate(bullets.notes, 1):
            self._item(_labelled(note), f"{number}." if bullets.numbered else "-")

    def _item(self, text: str, marker: str) -> None:
        """A list item's only paragraph; items in a row stand close."""
        self._lines += wrap(text, width=self._width, first=f" {marker} ", rest=" " * (len(marker) + 2))

    def _step(self, step: Step) -> None:
        self._gap()
        remark = f" [{_prose(step.remark)}]" if step.remark else ""
        title = wrap(_prose(step.title) + remark, width=self._width, first=f" {step.number}. ", rest=_INDENT)
        self._lines += self._styled(_BOLD, title)
        for block in step.blocks:
            if isinstance(block, Note):
                self._lines += wrap(_labelled(block), width=self._width, first=_INDENT, rest=_INDENT + "  ")
            else:
                self.code(block, _INDENT)

    def code(self, code: Code, indent: str) -> None:
        if code.message:  # prose as far as a reader is concerned
            self._lines += wrap(terminal(code.text), width=self._width)
            return
        if code.label:
            self._lines.append(f"{indent}{code.label}")
        self._gap()
        self._lines += [*self._styled(_CYAN, visible_block(code.text).expandtabs(8).rstrip("\n").split("\n")), ""]

    def _facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Labels in a column, values beside them."""
        self._gap()
        facts = [(terminal(label), terminal(value)) for label, value in facts]
        column = min(max((cells(label) for label, _ in facts), default=0), 24)
        for label, value in facts:
            first = label + " " * max(column - cells(label), 0) + "  "
            self._lines += wrap(value, width=self._width, first=first, rest=" " * (column + 2))


def _labelled(note: Note) -> str:
    return f"{note.label} {_prose(note.text)}".strip() if note.label else _prose(note.text)


def _prose(prose: Prose) -> str:
    return "".join(map(_span, prose)).strip()


def _span(span: Span) -> str:
    shown = terminal(span.text)
    # A value of several words would read as the author's own.
    quoted = span.kind == "value" and (not shown or re.search(r"[ \"“”]", shown)) and not _OWN_VALUE.match(shown)
    return f"“{shown}”" if quoted else shown
