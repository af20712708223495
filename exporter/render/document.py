"""What a report says, in its order and cut to its limits, before any format.

Owns the ten sections and what each length shows of them. Refuses to escape
anything and to know any format: every renderer walks what is made here, so
that all say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from exporter.escaping import shortened
from exporter.event_sources import FALCOS_HOST
from exporter.kept import PerObject
from exporter.render import parts
from exporter.render.brief_steps import WORD_LIMIT, split_steps
from exporter.render.header import Row
from exporter.render.parts import limited, text
from exporter.render.summary import Summary, summary_notes
from exporter.report import Advice, Change, Command, Prose, Reference, Report, Span

_KEPT_STEPS = 512
OFFERED_UNFOLDED = frozenset({"benign", "test"})
"""Verdicts whose report offers a Falco exception without being asked."""


class Length(StrEnum):
    """How much of a report."""

    BRIEF = "brief"
    """Up to the possible impact: what decides and what to do."""
    FULL = "full"
    """All ten sections."""


class Note(NamedTuple):
    """A paragraph; a label such as ``Look for:`` before it, or none."""

    label: str
    text: Prose


class Code(NamedTuple):
    """A block of code."""

    text: str
    language: str
    """For the fence: ``sh``, ``bash``, ``yaml``, …"""
    name: str
    """What a copy button calls it, e.g. ``step 1``; empty for what is not to be run."""
    label: str = ""
    """What stands before it, e.g. ``Undo:``."""
    message: bool = False
    """Whether it is Falco's message: one line, in which line feeds are the alert's and are shown."""


class Bullets(NamedTuple):
    """A list of notes."""

    notes: tuple[Note, ...]
    numbered: bool = False


class Step(NamedTuple):
    """A numbered step: a command or a change."""

    number: int
    title: Prose
    remark: Prose
    """Place and rights of a command, tool and file of a change."""
    blocks: tuple[Note | Code, ...]
    phase: str = ""
    """A command's phase."""


class Facts(NamedTuple):
    """Labels and values, the values as the alert has them."""

    rows: tuple[tuple[str, str], ...]


class Links(NamedTuple):
    """References."""

    references: tuple[Reference, ...]


Block = Note | Code | Bullets | Step | Facts | Links


class Section(NamedTuple):
    """A heading and what stands under it."""

    name: str
    """For ids and classes."""
    title: str
    blocks: tuple[Block, ...]
    level: int = 2
    """Of its heading; 3 lies within the section before it."""
    is_brief: bool = False
    """Whether the brief report has it."""
    is_offered: bool = True
    """False for what a reader has to unfold even in a full report."""


class Document(NamedTuple):
    """A whole document in no format yet: a report's, or an incident's."""

    title: Prose
    verdict: str
    rows: tuple[Row, ...]
    """The header."""
    sections: tuple[Section, ...]
    end: str = ""
    """Its last line; empty where there is none."""


def title(advice: Advice) -> Prose:
    """Return the report's title: verdict, what to do, what happened, where."""
    return limited(advice.title, parts.TITLE_VALUE_LIMIT_CHARACTERS)


def sections(report: Report, length: Length) -> Iterator[Section]:
    """Yield the report's sections in order; those of the brief report first."""
    notes = summary_notes(report.advice)
    brief, further = split_steps(report.advice, notes=notes)
    yield from _brief_sections(report.advice, notes, brief, further)
    if length is Length.FULL:
        yield from _rest(report, notes, further, first=len(brief) + 1)


def brief_sections(advice: Advice, word_limit: int = WORD_LIMIT) -> Iterator[Section]:
    """Yield the sections of the brief report, which the advice gives, with as many steps as the limit allows."""
    notes = summary_notes(advice)
    brief, further = split_steps(advice, word_limit, notes)
    yield from _brief_sections(advice, notes, brief, further)


def _brief_sections(
    advice: Advice, notes: Summary, brief: tuple[Command, ...], further: tuple[Command, ...]
) -> Iterator[Section]:
    yield Section("summary", parts.SUMMARY, tuple(_summary(advice, notes)), is_brief=True)
    yield Section("mitigation", parts.MITIGATION, (), is_brief=True)
    steps = [Note("", text(parts.dialect(brief))), *_steps(brief, first=1)]
    if further:
        steps.append(Note("", text(parts.further_steps(further))))
    yield Section("commands", parts.COMMANDS, tuple(steps), level=3, is_brief=True)
    yield Section("impact", parts.IMPACT, tuple(_impact(advice)), is_brief=True)


def _rest(report: Report, notes: Summary, further: tuple[Command, ...], *, first: int) -> Iterator[Section]:
    advice = report.advice
    if further:
        steps = tuple(_steps(further, first=first))
        yield Section("further-steps", parts.FURTHER_STEPS, steps)
    if advice.changes:
        yield Section("configuration", parts.CHANGES, tuple(_changes(advice.changes, "change")))
    if advice.recommendations:
        bullets = tuple([Note("", limited(each)) for each in advice.recommendations])
        yield Section("recommendations", parts.RECOMMENDATIONS, (Bullets(bullets, numbered=True),))
    if advice.tuning:
        blocks = (Note("", text(parts.TUNING_NOTE)), *_changes(advice.tuning, "exception"))
        offered = advice.judgement.verdict in OFFERED_UNFOLDED
        yield Section("tuning", parts.TUNING, blocks, is_offered=offered)
    yield Section("details", parts.DETAILS, tuple(_details(report, notes)))
    if advice.references:
        yield Section("references", parts.REFERENCES, (Links(advice.references),))


def _summary(advice: Advice, notes: Summary) -> Iterator[Block]:
    if advice.composed:
        yield Note("", text(parts.COMPOSED_NOTE))
    yield Note("", notes.activity)
    if notes.signs:
        yield Bullets(tuple([Note(label, prose) for label, prose in notes.signs]))
    for label, prose in notes.decision:
        yield Note(label, prose)


def _steps(commands: tuple[Command, ...], *, first: int) -> Iterator[Block]:
    mixed = len({command.shell for command in commands}) > 1
    for number, command in enumerate(commands, first):
        kept = _kept_steps(command)
        yield kept.get((number, mixed)) or kept.setdefault((number, mixed), _step(command, number, names_shell=mixed))


def _no_steps(_: Command) -> dict[tuple[int, bool], Step]:
    return {}


_kept_steps = PerObject(_no_steps, _KEPT_STEPS)
"""A command as a step, by its number and whether it names its shell: most steps of a report are those of another."""


def _step(command: Command, number: int, *, names_shell: bool) -> Step:
    remark = parts.remark(command, names_shell=names_shell)
    return Step(number, limited(command.title), remark, _command(command, number), command.phase)


def _command(command: Command, number: int) -> tuple[Note | Code, ...]:
    blocks: list[Note | Code] = [Code(command.run, command.shell, f"step {number}")]
    labelled = (("Look for:", command.shows), ("Empty answer:", command.empty), ("Breaks:", command.breaks))
    blocks += [Note(label, limited(prose)) for label, prose in labelled if prose]
    if command.undo:
        blocks.append(Code(command.undo, command.shell, f"undo of step {number}", "Undo:"))
    if command.unproven:
        blocks.append(Note(f"{parts.UNPROVEN}:", text(command.unproven)))
    return tuple(blocks)


def _impact(advice: Advice) -> Iterator[Block]:
    yield Note("", limited(advice.impact))
    if names := dict.fromkeys(map(parts.technique_name, advice.techniques)):
        yield Note("ATT&CK:", text(", ".join(names) + "."))


def _changes(changes: tuple[Change, ...], kind: str) -> Iterator[Block]:
    for number, change in enumerate(changes, 1):
        yield Step(number, limited(change.title), _file(change), tuple(_change(change, f"{kind} {number}")))


def _file(change: Change) -> Prose:
    if not change.file:
        return text(change.tool)
    return (*text(f"{change.tool}, " if change.tool else ""), Span("code", change.file))


_LANGUAGES = {"yaml": "yaml", "falco": "yaml", "json": "json", "toml": "toml", "ini": "ini", "sh": "sh"}


def _change(change: Change, name: str) -> Iterator[Note | Code]:
    yield Code(change.content, _LANGUAGES.get(change.format, "text"), "")
    if change.check:
        yield Code(change.check, "sh", f"check of {name}", "Check:")
    if change.load:
        yield Code(change.load, "sh", f"load of {name}", "Load:")
    if change.note:
        yield Note("Note:", limited(change.note))


def _details(report: Report, notes: Summary) -> Iterator[Block]:
    if report.advice.benign:
        yield Note("Probably benign if:", ())
        yield Bullets(tuple([Note("", limited(each)) for each in report.advice.benign]))
    if notes.left_out:
        yield Note("Further signs:", ())
        yield Bullets(tuple([Note(label, limited(prose)) for label, prose in notes.left_out]))
    rows = [
        (shortened(label, parts.VALUE_LIMIT_CHARACTERS), shortened(value, parts.DETAIL_LIMIT_CHARACTERS))
        for label, value in report.details
        if label not in {"Host", FALCOS_HOST}
    ]
    if rows:
        yield Facts(tuple(rows))
    if message := report.alert.output:
        yield Note("Falco's message:", ())
        yield Code(shortened(message, parts.MESSAGE_LIMIT_CHARACTERS), "text", "", message=True)
