"""The report as Markdown (CommonMark): for tickets, chats and files.

Owns the Markdown form. Every value is a code span or stands in a fenced
block, so that trackers make neither links nor mentions of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.escaping import (
    markdown_address,
    markdown_block,
    markdown_code,
    markdown_name,
    markdown_prose,
    visible,
    web_address,
)
from exporter.render import parts
from exporter.report import Change, Command, Prose, Reference, Report


def to_markdown(report: Report) -> str:
    """Return the report as Markdown, ending with a line feed."""
    blocks = [
        f"# {parts.TITLE}",
        "  \n".join([_header_line(label, value) for label, value in parts.header(report)]),
        *([f"*{markdown_prose(parts.GENERAL_NOTE)}*"] if report.advice.composed else []),
        f"## {parts.DETAILS}",
        *_details(report),
        f"## {parts.SUMMARY}",
        _prose(report.advice.summary),
        f"## {parts.IMPACT}",
        *_impact(report),
        *_mitigation(report),
        *_references(report),
        f"*Report {markdown_code(report.alert.uid)}*",
    ]
    return "\n\n".join([block for block in blocks if block]) + "\n"


def _header_line(label: str, value: str) -> str:
    own = {"Date", "Time", "Priority"}
    shown = value if label in own else markdown_code(value) if label == "Host" else markdown_name(value)
    return f"**{label}:** {shown}"


def _prose(prose: Prose) -> str:
    pieces: list[str] = []
    for literal, text in parts.joined_spans(prose):
        pieces.append(markdown_code(text) if literal else markdown_prose(text, starts_line=not pieces))
    return "".join(pieces).strip()


def _details(report: Report) -> Iterator[str]:
    if message := parts.message(report):
        yield "Falco's message:"
        # One line: the message is the alert's, line feeds in it are shown.
        yield markdown_block(visible(message), "text")
    yield "\n".join([f"*   {markdown_name(label)}: {markdown_code(value)}" for label, value in parts.details(report)])


def _impact(report: Report) -> Iterator[str]:
    yield _prose(report.advice.impact)
    if report.advice.techniques:
        names = "; ".join([markdown_prose(parts.technique_name(each)) for each in report.advice.techniques])
        yield f"ATT\\&CK: {names}."
    if report.advice.benign:
        yield f"{parts.BENIGN}:"
        yield "\n".join([f"*   {_prose(each)}" for each in report.advice.benign])


def _mitigation(report: Report) -> Iterator[str]:
    yield f"## {parts.MITIGATION}"
    if report.advice.changes or report.advice.tuning:
        yield f"### {parts.CHANGES}"
        yield from _numbered([_change(change) for change in report.advice.changes])
    if report.advice.tuning:
        yield f"**{parts.TUNING}.** {parts.TUNING_NOTE}"
        yield from _numbered([_change(change) for change in report.advice.tuning])
    if report.advice.commands:
        yield f"### {parts.COMMANDS}"
    for title, remark, commands in parts.commands_by_phase(report):
        yield f"**{title}** ({remark}):"
        yield from _numbered([_command(command) for command in commands])
    if report.advice.recommendations:
        yield f"### {parts.RECOMMENDATIONS}"
        yield "\n".join([f"{number}.  {_prose(each)}" for number, each in enumerate(report.advice.recommendations, 1)])


def _numbered(items: list[list[str]]) -> Iterator[str]:
    """Yield list items of several blocks each, indented to the marker's width."""
    for number, blocks in enumerate(items, 1):
        marker = f"{number}.".ljust(4)
        text = "\n\n".join([block for block in blocks if block])
        first, *rest = text.split("\n")
        yield "\n".join([marker + first, *[f"    {line}" if line else "" for line in rest]])


def _change(change: Change) -> list[str]:
    where = (
        f"{markdown_prose(change.tool)}, {markdown_code(change.file)}" if change.file else markdown_prose(change.tool)
    )
    steps = [
        f"{label}: {markdown_code(text)}" for label, text in (("Check", change.check), ("Load", change.load)) if text
    ]
    return [
        f"**{_prose(change.title)}** {where}:",
        markdown_block(change.content, _LANGUAGES.get(change.format, "text")),
        "  \n".join(steps),
        f"Note: {_prose(change.note)}" if change.note else "",
    ]


_LANGUAGES = {"yaml": "yaml", "falco": "yaml", "json": "json", "toml": "toml", "ini": "ini", "sh": "sh"}


def _command(command: Command) -> list[str]:
    return [
        f"**{_prose(command.title)}** ({markdown_prose(parts.PLACES.get(command.where, command.where))})",
        markdown_block(command.run, "sh"),
        f"Look for: {_prose(command.shows)}" if command.shows else "",
        f"Breaks: {_prose(command.breaks)}" if command.breaks else "",
        *(["Undo:", markdown_block(command.undo, "sh")] if command.undo else []),
    ]


def _references(report: Report) -> Iterator[str]:
    if report.advice.references:
        yield f"## {parts.REFERENCES}"
        yield "\n".join([f"*   {_reference(reference)}" for reference in report.advice.references])


def _reference(reference: Reference) -> str:
    title = markdown_prose(reference.title)
    if web_address(reference.url) is None:
        return f"{title}: {markdown_code(reference.url)}"
    return f"[{title}]({markdown_address(reference.url)})"
