"""Which of the alerts read get a report, and what they come to together.

Owns the filters of ``report`` and its summary table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.alert import Alert, Priority
from exporter.commands.terminal import Style
from exporter.escaping import shortened, visible
from exporter.render.header import about
from exporter.render.layout import cells
from exporter.report import Report
from exporter.verdict.judgement import VERDICTS

_COLUMN_LIMIT_CHARACTERS = 48


@dataclass(frozen=True, slots=True)
class Selection:
    """Which alerts are asked for; an empty part asks for all."""

    rule: str = ""
    """A part of the rule's name, any case."""
    priority: Priority | None = None
    """This priority and above."""
    verdicts: frozenset[str] = frozenset()
    last: int = 0
    """Only this many, the last in the input; 0 for all."""

    def reports(self, reports: Iterable[Report]) -> Iterator[Report]:
        """Yield the reports asked for, in order."""
        chosen = filter(self._admits, reports)
        yield from deque(chosen, maxlen=self.last) if self.last else chosen

    def alerts(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        """Yield the alerts asked for, in order, whatever their verdict."""
        chosen = filter(self._admits_alert, alerts)
        yield from deque(chosen, maxlen=self.last) if self.last else chosen

    def _admits(self, report: Report) -> bool:
        return self._admits_alert(report.alert) and (
            not self.verdicts or report.advice.judgement.verdict in self.verdicts
        )

    def _admits_alert(self, alert: Alert) -> bool:
        return (self.priority is None or alert.priority <= self.priority) and (
            not self.rule or self.rule.casefold() in alert.rule.casefold()
        )


@dataclass(slots=True)
class Group:
    """Alerts of one rule at one place with one verdict."""

    latest: Report
    times: int = 1


def grouped(reports: Iterable[Report]) -> list[Group]:
    """Return the reports in groups, likely attacks first, the most frequent first."""
    groups: dict[tuple[str, str, str], Group] = {}
    for report in reports:
        key = (report.advice.judgement.verdict, report.alert.rule, about(report.alert).place)
        group = groups.setdefault(key, Group(report, 0))
        group.times += 1
        if report.alert.time_ns >= group.latest.alert.time_ns:
            group.latest = report
    ranks = {str(verdict): rank for rank, verdict in enumerate(VERDICTS)}
    return sorted(groups.values(), key=lambda group: (ranks[group.latest.advice.judgement.verdict], -group.times))


def summary_table(groups: Iterable[Group], style: Style) -> str:
    """Return a table of groups for a terminal, the verdict's words first."""
    rows = [("VERDICT", "TIMES", "RULE", "WHERE", "LAST")]
    for group in groups:
        alert = group.latest.alert
        words = group.latest.advice.verdict_words.partition(",")[0]
        moment = f"{alert.time_text[:10]} {alert.time_text[11:19]}"
        rows.append((words, f"{group.times:,}", _cell(alert.rule), _cell(about(alert).place), moment))
    widths = [max([cells(row[column]) for row in rows]) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        padded = [cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(padded).rstrip()
        lines.append(line if number else style.bold(line))
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return visible(shortened(text, _COLUMN_LIMIT_CHARACTERS))
