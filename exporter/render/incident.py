"""An incident in every format: the same sections as a report's, told of many alerts.

Owns the sections' order and words, and the JSON document's members
(``docs/incidents.md``). Refuses to escape anything: each format does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.escaping import shortened
from exporter.incidents.incident import time_text
from exporter.incidents.story import Moment, Story
from exporter.render import parts
from exporter.render.document import Block, Bullets, Code, Document, Facts, Note, Section, Step
from exporter.render.header import Row
from exporter.render.html import document_html, document_html_page
from exporter.render.json_document import command_members, prose_members, technique_members, to_json_line
from exporter.render.markdown import document_markdown
from exporter.render.parts import limited, sentence, text
from exporter.render.text import document_text
from exporter.report import Command, Prose, Span

SCHEMA = 1
ALERTS_SHOWN = 64
"""Alerts that are listed one by one; JSON has all that are kept."""


def incident_document(story: Story) -> Document:
    """Return the incident's document, in no format yet."""
    incident = story.incident
    return Document(
        title=limited(story.title, parts.TITLE_VALUE_LIMIT_CHARACTERS),
        verdict=incident.verdict,
        rows=tuple(_rows(story)),
        sections=tuple(_sections(story)),
        end=f"Incident {incident.id}",
    )


def _rows(story: Story) -> Iterator[Row]:
    incident = story.incident
    yield Row("First alert", incident.first_text, "own")
    yield Row("Last alert", incident.last_text, "own")
    yield Row("Alerts", f"{incident.count:,}", "own")
    yield Row("State", "open" if incident.is_open else "ended", "own")
    for entity in story.entities[:2]:
        yield Row(entity.label, shortened(entity.value, parts.TITLE_VALUE_LIMIT_CHARACTERS))


def _sections(story: Story) -> Iterator[Section]:
    yield Section("summary", "What Happened", tuple(_summary(story)))
    yield Section("timeline", "Timeline", (Bullets(tuple([_moment(moment) for moment in story.timeline])),))
    yield Section("commands", parts.COMMANDS, tuple(_steps(story)))
    if story.entities:
        rows = [(entity.label, shortened(entity.value, parts.DETAIL_LIMIT_CHARACTERS)) for entity in story.entities]
        yield Section("entities", "Who and What", (Facts(tuple(rows)),))
    yield Section("alerts", "Alerts", tuple(_alerts(story)))


def _summary(story: Story) -> Iterator[Block]:
    if story.chain:
        yield Note("ATT&CK:", text(f"{' → '.join(story.chain)}."))
    yield Note("Known:", ())
    yield Bullets(tuple([Note("", _capital(sentence(_short(each)))) for each in story.known]))
    yield Note("Unknown:", ())
    yield Bullets(tuple([Note("", _capital(sentence(_short(each)))) for each in story.unknown]))
    for label, prose in (("Close if", story.close_if), ("Escalate if", story.escalate_if)):
        if prose:
            yield Note(label, sentence(_short(prose)))


def _capital(prose: Prose) -> Prose:
    """With a capital where it begins with the author's words: signs are written as clauses."""
    if not prose or prose[0].kind != "text":
        return prose
    first = prose[0].text
    return (Span("text", first[:1].upper() + first[1:]), *prose[1:])


def _short(prose: Prose) -> Prose:
    return limited(prose, parts.SUMMARY_VALUE_LIMIT_CHARACTERS)


def _moment(moment: Moment) -> Note:
    member = moment.member
    times = f" ×{member.count:,}, until {time_text(member.last_ns)[11:19]}" if member.count > 1 else ""
    techniques = ", ".join(dict.fromkeys(each.technique_id for each in moment.techniques))
    verdict, outcome, _ = member.judgement
    told = [verdict, *([outcome] if outcome != "unknown" else []), *([techniques] if techniques else [])]
    rule = Span("value", shortened(member.alert.rule, parts.TITLE_VALUE_LIMIT_CHARACTERS))
    return Note(
        member.alert.time_text[:19].replace("T", " "),
        (rule, Span("text", f"{times} ({'; '.join(told)}). "), *_short(moment.summary)),
    )


def _steps(story: Story) -> Iterator[Block]:
    commands = story.steps
    yield Note("", text(parts.dialect(commands)))
    mixed = len({command.shell for command in commands}) > 1
    for number, (command, alert) in enumerate(zip(commands, story.steps_of, strict=True), 1):
        remark = parts.remark(command, names_shell=mixed)
        if alert:
            remark = (*remark, Span("text", "; of "), *_short(alert))
        yield Step(number, limited(command.title), remark, tuple(_command(command, number)), command.phase)
    if story.steps_left_out:
        are = "1 further step is" if story.steps_left_out == 1 else f"{story.steps_left_out} further steps are"
        yield Note("", text(f"{are} in the alerts' own reports."))


def _command(command: Command, number: int) -> Iterator[Note | Code]:
    yield Code(command.run, command.shell, f"step {number}")
    for label, prose in (("Look for:", command.shows), ("Empty answer:", command.empty), ("Breaks:", command.breaks)):
        if prose:
            yield Note(label, limited(prose))
    if command.undo:
        yield Code(command.undo, command.shell, f"undo of step {number}", "Undo:")
    if command.unproven:
        yield Note(f"{parts.UNPROVEN}:", text(command.unproven))


def _alerts(story: Story) -> Iterator[Block]:
    alerts = [(alert, moment) for moment in story.timeline for alert in moment.member.alerts]
    rows = [(alert.uid, shortened(f"{alert.rule}, {moment.place}", parts.TITLE_VALUE_LIMIT_CHARACTERS))
            for alert, moment in alerts[:ALERTS_SHOWN]]  # fmt: skip
    yield Facts(tuple(rows))
    if (more := story.incident.count - len(rows)) > 0:
        yield Note("", text(f"And {more:,} more of the same kinds."))


def to_incident_text(story: Story, *, width: int = 100, color: bool = False) -> str:
    """Return the incident as text, ending with a line feed."""
    return document_text(incident_document(story), width=width, color=color)


def to_incident_markdown(story: Story) -> str:
    """Return the incident as Markdown, ending with a line feed."""
    return document_markdown(incident_document(story))


def to_incident_html(story: Story) -> str:
    """Return the incident as one ``<article>``, safe to put into any page's body."""
    return document_html(incident_document(story), f"incident-{story.incident.id}")


def to_incident_page(story: Story) -> str:
    """Return the incident as an HTML document that needs no other file and runs no script."""
    return document_html_page(incident_document(story), f"incident-{story.incident.id}")


def to_incident_json(story: Story) -> str:
    """Return the incident as one line of JSON, ASCII only, ending with a line feed."""
    return to_json_line(incident_members(story))


def incident_members(story: Story) -> dict[str, Any]:
    """Return the JSON document's members as plain dicts, lists and strings."""
    incident = story.incident
    return {
        "schema": SCHEMA,
        "id": incident.id,
        "other_ids": list(incident.other_ids),
        "state": "open" if incident.is_open else "ended",
        "verdict": incident.verdict,
        "raised_by": list(incident.raised_by),
        "first_time": incident.first_text,
        "last_time": incident.last_text,
        "alerts": incident.count,
        "title": prose_members(story.title),
        "attack_chain": list(story.chain),
        "entities": [{"label": each.label, "value": each.value} for each in story.entities],
        "known": [prose_members(each) for each in story.known],
        "unknown": [prose_members(each) for each in story.unknown],
        "close_if": prose_members(story.close_if),
        "escalate_if": prose_members(story.escalate_if),
        "timeline": [_moment_members(moment) for moment in story.timeline],
        "steps": [
            command_members(command) | ({"of": prose_members(alert)} if alert else {})
            for command, alert in zip(story.steps, story.steps_of, strict=True)
        ],
        "steps_left_out": story.steps_left_out,
    }


def _moment_members(moment: Moment) -> dict[str, Any]:
    member, alert = moment.member, moment.member.alert
    return {
        "time": alert.time_text,
        "last_time": time_text(member.last_ns),
        "count": member.count,
        "rule": alert.rule,
        "priority": alert.priority.label,
        "source": alert.source,
        "hostname": alert.hostname,
        "place": moment.place,
        "verdict": member.judgement.verdict,
        "outcome": member.judgement.outcome,
        "summary": prose_members(moment.summary),
        "attack": [technique_members(each) for each in moment.techniques],
        "uids": [each.uid for each in member.alerts],
    }


@dataclass(frozen=True, slots=True)
class IncidentFormat:
    """One format."""

    name: str
    suffix: str
    media_type: str
    title: str
    document: Callable[[Story], str]
    """The incident as a file of its own."""
    between: str = ""
    """What stands between two incidents in one file."""


INCIDENT_FORMATS: Mapping[str, IncidentFormat] = {
    made.name: made
    for made in (
        IncidentFormat("text", "txt", "text/plain", "Text", to_incident_text, "\n" + "─" * 80 + "\n\n"),
        IncidentFormat("markdown", "md", "text/markdown", "Markdown", to_incident_markdown, "\n---\n\n"),
        IncidentFormat("html", "html", "text/html", "HTML", to_incident_page),
        IncidentFormat("json", "json", "application/json", "JSON", to_incident_json),
    )
}
"""Every format of an incident, by name."""
