"""The report as Markdown (CommonMark): for tickets, chats, files and Grafana's Markdown cell.

Owns the Markdown form. Every value is a code span or stands in a fenced
block, so that trackers make neither links nor mentions of it. Blocks of code
are never inside a list: an indented here-document would not end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import assert_never

from exporter.escaping import (
    markdown_address,
    markdown_block,
    markdown_code,
    markdown_name,
    markdown_prose,
    visible,
    web_address,
)
from exporter.kept import PerObject
from exporter.render import document
from exporter.render.brief_steps import WORD_LIMIT
from exporter.render.document import Block, Bullets, Code, Document, Facts, Length, Links, Note, Section, Step
from exporter.render.header import About, Row, about, timeless
from exporter.render.parts import joined_spans
from exporter.report import Advice, Prose, Reference, Report

_INLINE_LIMIT_CHARACTERS = 100
_KEPT_STEPS, _KEPT_PROSE = 256, 512
"""Pieces that are kept written out: most of an alert's report is word for word that of another one."""


def to_markdown(report: Report, length: Length = Length.FULL) -> str:
    """Return the report as Markdown, ending with a line feed."""
    advice = report.advice
    known = about(report.alert, advice.judgement.outcome)
    blocks = [_title(advice), markdown_header(known, report.alert.time_text)]
    blocks += _sections(document.sections(report, length))
    if length is Length.FULL:
        blocks.append(f"*Report {markdown_code(report.alert.uid)}*")
    return "\n\n".join(blocks) + "\n"


def document_markdown(shown: Document) -> str:
    """Return a document as Markdown, as ``to_markdown`` does a report."""
    blocks = [f"# {_prose(shown.title)}", _rows(shown.rows), *_sections(shown.sections)]
    if shown.end:
        blocks.append(f"*{markdown_prose(shown.end)}*")
    return "\n\n".join(blocks) + "\n"


def around_header(advice: Advice, word_limit: int = WORD_LIMIT) -> tuple[str, str]:
    """Return the brief report's Markdown before and after its header: what alerts with the same advice share.

    ``before + markdown_header(…) + after`` is ``to_markdown`` of
    the brief report, but for the uid, whose stand-in is left in, and for steps beyond a lower limit.
    """
    after = "\n\n".join(_sections(document.brief_sections(advice, word_limit)))
    return f"{_title(advice)}\n\n", f"\n\n{after}\n"


def markdown_header(known: About, time_text: str) -> str:
    """Return the header's lines, two rows on each; ``time_text`` is the alert's."""
    return f"{header_time(time_text)}{header_rest(known)}"


def header_time(time_text: str) -> str:
    """Return the header's first line, which has the time."""
    date, _, time = time_text.partition("T")
    return f"**Date:** {date} · **Time:** {time}  \n"


def header_rest(known: About) -> str:
    """Return the header's other lines."""
    return _rows(timeless(known))


def _rows(shown: Sequence[Row]) -> str:
    rows = [f"**{row.label}:** {_header_value(row)}" for row in shown]
    pairs = [rows[start : start + 2] for start in range(0, len(rows), 2)]
    return "  \n".join([" · ".join(pair) for pair in pairs])


def _title(advice: Advice) -> str:
    return f"# {_prose(document.title(advice))}"


def _header_value(row: Row) -> str:
    if row.kind == "own":
        return row.value
    return markdown_name(row.value) if row.kind == "name" else markdown_code(row.value)


def _sections(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        yield f"{'#' * section.level} {section.title}"
        for block in section.blocks:
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Note():
            yield _note(block, "**")
        case Code():
            yield from _code(block)
        case Bullets():
            yield "\n".join(_bullets(block))
        case Step():
            yield from _step(block)
        case Facts():
            yield "\n".join([f"- {markdown_name(label)}: {markdown_code(value)}" for label, value in block.rows])
        case Links():
            yield "\n".join([f"- {_reference(reference)}" for reference in block.references])
        case _:
            assert_never(block)


def _make_step(step: Step) -> tuple[str, ...]:
    remark = f" ({_prose(step.remark)})" if step.remark else ""
    pieces = [f"**{step.number}. {_prose(step.title)}**{remark}"]
    for part in step.blocks:
        pieces += [_note(part, "*")] if isinstance(part, Note) else _code(part)
    return tuple(pieces)


_step = PerObject(_make_step, _KEPT_STEPS, size=lambda pieces: 2 * sum(map(len, pieces)))


def _bullets(bullets: Bullets) -> Iterator[str]:
    for number, note in enumerate(bullets.notes, 1):
        yield (f"{number}. " if bullets.numbered else "- ") + _note(note, "**")


def _note(note: Note, mark: str) -> str:
    if not note.label:
        return _prose(note.text)
    return f"{mark}{_escaped(note.label)}{mark} {_prose_in_line(note.text)}".rstrip()


def _escaped(label: str) -> str:
    return label.replace("&", "\\&")


def _code(code: Code) -> list[str]:
    label = [f"*{code.label}*"] if code.label else []
    text = visible(code.text) if code.message else code.text
    if label and "\n" not in text and len(text) <= _INLINE_LIMIT_CHARACTERS:
        return [f"{label[0]} {markdown_code(text)}"]
    return [*label, markdown_block(text, code.language)]


def _write_prose(prose: Prose, *, starts_line: bool = True) -> str:
    pieces: list[str] = []
    for literal, text in joined_spans(prose):
        pieces.append(markdown_code(text) if literal else markdown_prose(text, starts_line=starts_line and not pieces))
    return "".join(pieces).strip()


_prose = PerObject(_write_prose, _KEPT_PROSE, size=lambda text: 2 * len(text))
_prose_in_line = PerObject(partial(_write_prose, starts_line=False), _KEPT_PROSE, size=lambda text: 2 * len(text))


def _reference(reference: Reference) -> str:
    title = markdown_prose(reference.title)
    if web_address(reference.url) is None:
        return f"{title}: {markdown_code(reference.url)}"
    return f"[{title}]({markdown_address(reference.url)})"
