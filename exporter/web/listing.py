"""What the list of reports shows: rows with their verdict, repeats in groups, pages, counts.

Owns the rows made of kept alerts, and keeps them as long as the alerts. Refuses
HTTP. Safe from any thread: what is kept is only ever added or replaced whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.alert import Alert
from exporter.escaping import valid_text
from exporter.prose import to_plain
from exporter.render.header import about
from exporter.report import Report
from exporter.sinks.recent import Entry, Filter, RecentSink
from exporter.verdict.judgement import VERDICTS

PAGE_ROWS = 50
TEXT_LIMIT_CHARACTERS = 400


class Row(NamedTuple):
    """What is shown of one alert; texts valid, long ones cut."""

    uid: str
    time: str
    verdict: str
    verdict_words: str
    """E.g. ``LIKELY ATTACK``."""
    outcome: str
    priority: str
    rule: str
    what: str
    """What happened and where, as in the report's title."""
    summary: str
    place: str
    """Pod, container or principal; else the host."""
    source: str
    host: str
    namespace: str
    output: str
    """Falco's message."""
    group: str
    """Equal for alerts of one rule at one place with one verdict."""


@dataclass(slots=True)
class Group:
    """A row and the others like it, newest first."""

    row: Row
    others: list[Row] = field(default_factory=list)

    @property
    def times(self) -> int:
        """How often it came."""
        return 1 + len(self.others)


class Page(NamedTuple):
    """One page of groups."""

    groups: list[Group]
    number: int
    pages: int
    alerts: int
    """Alerts that the filter admits, on all pages."""


class Listing:
    """Rows of the alerts kept."""

    def __init__(self, recent: RecentSink, report_for: Callable[[Alert], Report]) -> None:
        self._recent = recent
        self._report_for = report_for
        self._rows: dict[int, Row] = {}

    def row(self, entry: Entry) -> Row:
        """Return the row of a kept alert."""
        row = self._rows.get(entry.sequence)
        if row is None:
            row = self._rows[entry.sequence] = _row(entry.uid, self._report_for(entry.alert))
        return row

    def rows(self, entries: Iterable[Entry], verdict: str = "") -> Iterator[Row]:
        """Yield the rows of the entries that have the verdict, all without one."""
        for entry in entries:
            row = self.row(entry)
            if not verdict or row.verdict == verdict:
                yield row

    def search(self, wanted: Filter, verdict: str, *, limit: int) -> list[Row]:
        """Return at most ``limit`` rows that filter and verdict admit, newest first."""
        found = []
        for row in self.rows(self._kept(wanted), verdict):
            found.append(row)
            if len(found) >= limit:
                break
        return found

    def page(self, wanted: Filter, verdict: str, number: int) -> Page:
        """Return a page of groups, the one that came last first; the last page for a number beyond it."""
        groups: dict[str, Group] = {}
        alerts = 0
        for row in self.rows(self._kept(wanted), verdict):
            alerts += 1
            if group := groups.get(row.group):
                group.others.append(row)
            else:
                groups[row.group] = Group(row)
        found = list(groups.values())
        pages = max(1, -(-len(found) // PAGE_ROWS))
        number = min(number, pages)
        return Page(found[(number - 1) * PAGE_ROWS : number * PAGE_ROWS], number, pages, alerts)

    def counts(self) -> Mapping[str, int]:
        """Return how many of the alerts kept have each verdict, the gravest verdict first."""
        counted = Counter(row.verdict for row in self.rows(self._kept(Filter())))
        return {verdict: counted[verdict] for verdict in VERDICTS}

    def _kept(self, wanted: Filter) -> list[Entry]:
        entries = self._recent.search(wanted, limit=len(self._recent))
        if len(self._rows) > 2 * len(self._recent) + PAGE_ROWS:
            kept = {entry.sequence for entry in self._recent.search(Filter(), limit=len(self._recent))}
            self._rows = {sequence: row for sequence, row in list(self._rows.items()) if sequence in kept}
        return entries


def _row(uid: str, report: Report) -> Row:
    alert, advice = report.alert, report.advice
    place = about(alert).place
    texts = (
        uid,
        alert.time_text,
        advice.judgement.verdict,
        advice.verdict_words.partition(",")[0],
        advice.judgement.outcome,
        alert.priority.label,
        alert.rule,
        to_plain(advice.what),
        to_plain(advice.summary),
        place,
        alert.source,
        alert.hostname,
        alert.namespace,
        alert.output,
        _group(advice.judgement.verdict, alert.rule, place),
    )
    return Row(*[valid_text(_cut(text)) for text in texts])


def _group(*parts: str) -> str:
    """Of few characters, whatever the parts hold, since it stands in a page's attributes."""
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT_CHARACTERS else text[: TEXT_LIMIT_CHARACTERS - 1] + "…"
