"""How long a report is for the person who reads it: words, of text and blocks alike.

Owns the limits of a whole report, and how many steps it has, on example
alerts. Refuses the limits of single parts (see ``limits.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog
from exporter.lint.examples import examples
from exporter.lint.finding import Finding
from exporter.prose import to_plain
from exporter.render import parts
from exporter.render.brief_steps import split_steps
from exporter.render.document import Length, title
from exporter.render.markdown import to_markdown
from exporter.report import Report
from exporter.reporter import Reporter

BRIEF_WORDS = 450
BRIEF_WORDS_WITH_KEEP = 560
"""Where a containment comes with the steps that keep what it destroys: it is never shown without them."""
FULL_WORDS = 900
FIRST_COMMAND_WORDS = 150
TITLE_WORDS = 15
STEPS = (2, 5)


def check_length(catalog: Catalog) -> Iterator[Finding]:
    """Yield reports of example alerts that are too long, start too late with a command, or have too many steps."""
    reporter = Reporter(catalog)
    for entry in catalog.entries:
        facts = catalog.facts(entry.rule)
        if facts is None:
            continue
        for kind, alert in examples(facts):
            for message in too_long(reporter, alert):
                yield Finding(entry.place, entry.rule, f"{message} (on an example alert: {kind})")


def too_long(reporter: Reporter, alert: Alert) -> Iterator[str]:
    """Yield what is too long in the alert's report."""
    report = reporter.report_for(alert)
    brief = to_markdown(report, Length.BRIEF)
    keeps = any(command.phase == "keep" for command in split_steps(report.advice)[0])
    for name, text, limit in (
        ("the brief report", brief, BRIEF_WORDS_WITH_KEEP if keeps else BRIEF_WORDS),
        ("the full report", to_markdown(report, Length.FULL), FULL_WORDS),
        ("the text before the first command", brief.partition("```")[0], FIRST_COMMAND_WORDS),
        ("the title", to_plain(title(report.advice)), TITLE_WORDS),
    ):
        if (found := len(_without_verdict(text).split())) > limit:
            yield f"{name} has {found} words; expected at most {limit}"
    yield from _steps(report)


def _without_verdict(text: str) -> str:
    """Return the text without the line that says that no sign decides: an example has no signs."""
    return "\n".join([line for line in text.split("\n") if not line.startswith(f"- **{parts.UNDECIDED}**")])


def _steps(report: Report) -> Iterator[str]:
    low, high = STEPS if report.alert.source != "internal" else (1, 5)
    found = len(report.advice.commands)
    if not low <= found <= high:
        yield f"{found} steps; expected {low} to {high}"
    phases = [command.phase for command in report.advice.commands]
    unseen = [command for command in report.advice.commands if command.phase == "contain" and not command.shows]
    if unseen and "verify" not in phases:
        yield "contains without showing whether it held; end it with a look and `shows`, or add a step that verifies it"
    if "contain" in phases and "look" in phases and phases.index("contain") < phases.index("look"):
        yield "contains before it looks"
