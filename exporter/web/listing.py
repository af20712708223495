"""What the list of reports shows: rows with their verdict, repeats in groups, pages.

Owns how kept alerts become groups and pages. The list is cut into stretches of
a thousand alerts; within one, alerts of one rule at one place with one verdict
are a group, whose newest has a row. So a page costs the same however many
alerts are kept. Refuses HTTP. Safe from any thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.alert import Alert, time_text
from exporter.catalog.advice import verdict_word
from exporter.escaping import valid_text
from exporter.history.facts import Row
from exporter.history.query import Query
from exporter.history.store import ReportStore
from exporter.kept import Kept
from exporter.prose import to_plain
from exporter.reporter import Gist

PAGE_ROWS = 50
STRETCH_ALERTS = 1_000
EARLIER_SHOWN = 20
TEXT_LIMIT_CHARACTERS = 400
LAST_PAGE = 0
"""Asks for a stretch's last page, whatever its number."""
_KEPT_ROWS = 4_096


class Shown(NamedTuple):
    """What is shown of one alert; texts valid, long ones cut."""

    uid: str
    time: str
    verdict: str
    """As it was judged when it came."""
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
    principal: str
    """Who acted; empty where the alert names nobody."""
    output: str
    """Falco's message."""
    group: str
    """Equal for alerts of one rule at one place with one verdict."""


@dataclass(slots=True)
class Group:
    """A row and the others like it, newest first."""

    row: Shown
    others: list[Row] = field(default_factory=list)

    @property
    def earlier(self) -> list[tuple[str, str]]:
        """Uid and time of the next ones, at most twenty."""
        return [(row.uid, time_text(row.time_ns)) for row in self.others[:EARLIER_SHOWN]]

    @property
    def times(self) -> int:
        """How often it came."""
        return 1 + len(self.others)


class Place(NamedTuple):
    """A page of a stretch."""

    number: int = 1
    """From 1; ``LAST_PAGE`` for the stretch's last."""
    before: int = 0
    """The stretch begins with the newest alert below this number; 0 for the newest of all."""
    after: int = 0
    """Where given instead: the stretch ends with the oldest alert above this number."""


class Page(NamedTuple):
    """One page of groups."""

    groups: list[Group]
    number: int
    pages: int
    """Pages of this stretch."""
    alerts: list[Row]
    """Alerts of this stretch that the query admits, newest first."""
    is_newest: bool
    """Whether the stretch begins with the newest alert."""
    newer: Place | None
    older: Place | None


class Listing:
    """Rows of the alerts kept."""

    def __init__(self, store: ReportStore, gist_for: Callable[[Alert], Gist]) -> None:
        self._store = store
        self._gist_for = gist_for
        self._shown: Kept[tuple[int, str], Shown] = Kept(_KEPT_ROWS)

    def shown(self, rows: Iterable[Row]) -> Iterator[Shown]:
        """Yield what is shown of each row, those left out whose alert is not kept any more."""
        rows = list(rows)
        alerts = self._store.read([row for row in rows if (row.id, row.uid) not in self._shown])
        for row in rows:
            shown = self._shown.get((row.id, row.uid))
            if shown is None and row.id in alerts:
                shown = self._shown.keep((row.id, row.uid), _shown(row, alerts[row.id], self._gist_for(alerts[row.id])))
            if shown is not None:
                yield shown

    def search(self, query: Query, *, limit: int) -> list[Shown]:
        """Return what is shown of at most ``limit`` alerts, newest first."""
        return list(self.shown(self._store.page(query, limit=limit)))

    def page(self, query: Query, place: Place) -> Page:
        """Return a page of groups, the one that came last first; the last page for a number beyond it."""
        stretch, has_older = self._stretch(query, place)
        if place.after and len(stretch) < STRETCH_ALERTS:
            place = place._replace(after=0)
            stretch, has_older = self._stretch(query, place)
        groups: dict[str, list[Row]] = {}
        for row in stretch:
            groups.setdefault(group_of(row), []).append(row)
        found = list(groups.values())
        pages = max(1, -(-len(found) // PAGE_ROWS))
        number = pages if place.number == LAST_PAGE else min(place.number, pages)
        members = found[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
        shown = {row.group: row for row in self.shown(group[0] for group in members)}
        is_newest = not place.before and not place.after
        before = 0 if is_newest or not stretch else stretch[0].id + 1
        newer = older = None
        if number > 1:
            newer = Place(number - 1, before)
        elif not is_newest:
            newer = Place(LAST_PAGE, after=stretch[0].id) if stretch else Place()
        if number < pages:
            older = Place(number + 1, before)
        elif has_older:
            older = Place(1, before=stretch[-1].id)
        return Page(
            [Group(shown[key], group[1:]) for group in members if (key := group_of(group[0])) in shown],
            number,
            pages,
            stretch,
            is_newest,
            newer,
            older,
        )

    def _stretch(self, query: Query, place: Place) -> tuple[list[Row], bool]:
        """Return the stretch's alerts, and whether there are older ones."""
        page = self._store.page
        if place.after:
            return page(query, limit=STRETCH_ALERTS, after=place.after, from_newest=False), True
        found = page(query, limit=STRETCH_ALERTS + 1, before=place.before)
        return found[:STRETCH_ALERTS], len(found) > STRETCH_ALERTS


def _shown(row: Row, alert: Alert, gist: Gist) -> Shown:
    texts = (
        row.uid,
        alert.time_text,
        row.verdict,
        verdict_word(row.verdict),
        row.outcome,
        row.priority.label,
        row.rule,
        to_plain(gist.what),
        to_plain(gist.summary),
        row.place,
        row.source,
        row.host,
        row.namespace,
        row.principal,
        alert.output,
        group_of(row),
    )
    return Shown(*[valid_text(_cut(text)) for text in texts])


def group_of(row: Row) -> str:
    """Return the group's name: of few characters, whatever the row holds, since it stands in a page's attributes."""
    parts = "\x1f".join((row.verdict, row.rule, row.place))
    return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT_CHARACTERS else text[: TEXT_LIMIT_CHARACTERS - 1] + "…"
