"""What every form of the report has in common: titles, order, limits.

Owns the report's headings and how its parts are grouped. Refuses to escape
anything: that is each renderer's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from exporter.escaping import shortened
from exporter.report import Command, Prose, Report, Span, Technique

TITLE = "Falco Alert Report"
DETAILS, SUMMARY, IMPACT = "Alert Details", "Summary of Detected Activity", "Possible Impact"
MITIGATION, CHANGES, COMMANDS = "Mitigation Strategies", "Configuration Changes", "Command Line Commands"
RECOMMENDATIONS, REFERENCES = "Additional Recommendations", "References"
TUNING = "Tuning Falco"
TUNING_NOTE = "Only once you are sure that this is innocent: the next alert like it will not come."
BENIGN = "Benign explanations"
GENERAL_NOTE = (
    "General advice: nobody has written an entry for this rule. What follows is composed from the alert's own "
    "ATT&CK tags, source and fields."
)
PHASES = {
    "look": ("Look first", "these only read"),
    "keep": ("Keep the evidence", "these write only below the evidence directory"),
    "contain": ("Contain", "these change state: read what each breaks before you run it"),
    "verify": ("Verify", "these only read"),
    "recover": ("Recover", "these change state: read what each breaks before you run it"),
}
PLACES = {
    "host": "on the host",
    "node": "on the container's node",
    "cluster": "in the cluster",
    "cloud": "at the cloud provider",
}
VALUE_LIMIT_CHARACTERS = 400
"""Of a value inside a sentence."""
DETAIL_LIMIT_CHARACTERS = 1000
"""Of a value that stands alone."""
MESSAGE_LIMIT_CHARACTERS = 4000
"""Of Falco's own message."""


def header(report: Report) -> tuple[tuple[str, str], ...]:
    """Return the report's first lines: label and value, the host only where it is known."""
    date, time = report.alert.time_text.split("T")
    alert = report.alert
    lines = (
        ("Date", date),
        ("Time", time),
        ("Rule", shortened(alert.rule, DETAIL_LIMIT_CHARACTERS)),
        ("Priority", alert.priority.label),
        ("Source", shortened(alert.source, DETAIL_LIMIT_CHARACTERS)),
        ("Host", shortened(alert.hostname, DETAIL_LIMIT_CHARACTERS)),
    )
    return tuple([line for line in lines if line[1]])


def details(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the alert's facts except the host, which the header has, each cut to its limit."""
    for label, value in report.details:
        if label != "Host":
            yield shortened(label, VALUE_LIMIT_CHARACTERS), shortened(value, DETAIL_LIMIT_CHARACTERS)


def message(report: Report) -> str:
    """Return Falco's own message, cut to its limit; empty where it sent none."""
    return shortened(report.alert.output, MESSAGE_LIMIT_CHARACTERS)


def cut(span: Span) -> Span:
    """Return the span with its text cut to the limit inside a sentence."""
    if span.kind != "value" or len(span.text) <= VALUE_LIMIT_CHARACTERS:
        return span
    return Span(span.kind, shortened(span.text, VALUE_LIMIT_CHARACTERS))


def joined_spans(prose: Prose) -> Iterator[tuple[bool, str]]:
    """Yield (is literal, text) with neighbours of one kind joined: two code spans in a row would read as one."""
    for literal, spans in groupby(map(cut, prose), lambda span: span.kind != "text"):
        yield literal, "".join([span.text for span in spans])


def technique_name(technique: Technique) -> str:
    """Return e.g. ``T1070.002 Clear Linux or Mac System Logs (Defense Evasion)``."""
    return f"{technique.technique_id} {technique.technique}".rstrip() + (
        f" ({technique.tactic})" if technique.tactic else ""
    )


def commands_by_phase(report: Report) -> Iterator[tuple[str, str, list[Command]]]:
    """Yield (title, remark, commands) for each phase that has commands, reading before changing."""
    for phase, (title, remark) in PHASES.items():
        if commands := [command for command in report.advice.commands if command.phase == phase]:
            yield title, remark, commands


def colon(title: str) -> str:
    """Return the title so that a place in parentheses and a colon can follow."""
    return title.removesuffix(".")
