"""Reading one volume: the alerts that a query asks for, before or after a place.

Owns the SQL, except for messages (``messages.py``). A page costs what its rows cost, however many alerts
there are: the index walks in the order of the list and stops where the page is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from exporter.alert import Priority
from exporter.history.facets import expression_of
from exporter.history.facts import Row
from exporter.history.query import Query
from exporter.incidents.state import State
from exporter.verdict.judgement import VERDICTS

_COLUMNS = "id, time_ns, uid, verdict, outcome, priority, rule, source, host, namespace, principal, place"
COUNTED = frozenset({"verdict", "outcome", "rule", "source", "host", "namespace", "principal", "place"})
"""What alerts can be counted by."""
_HOUR_NS = 3_600_000_000_000
_END_NS = 2**63 - 1


class Volume(NamedTuple):
    """What is indexed of one volume."""

    number: int
    first_id: int
    last_id: int


class Span(NamedTuple):
    """Numbers of alerts, the first and the last included."""

    first: int
    last: int


def volumes(connection: sqlite3.Connection) -> list[Volume]:
    """Return the volumes that have something to find, the newest first."""
    found = connection.execute(
        "SELECT number, first_id, indexed_id FROM volumes WHERE indexed_id >= first_id ORDER BY number DESC"
    )
    return [Volume(*row) for row in found]


def search(
    connection: sqlite3.Connection, volume: Volume, query: Query, span: Span, *, newest_first: bool, limit: int
) -> list[Row]:
    """Return at most ``limit`` alerts of the span that the query asks for."""
    expression = expression_of(query)
    if expression is None:
        return []
    first, last = max(span.first, volume.first_id), min(span.last, volume.last_id)
    if query.since_ns or query.until_ns:
        first, last = _within_hours(connection, volume.number, query, Span(first, last))
    if first > last:
        return []
    n, order = volume.number, "DESC" if newest_first else "ASC"
    tables, wanted, values = f"facts_{n} f", ["f.id BETWEEN ? AND ?"], [first, last]
    if expression:
        # The index is walked; the facts of what it finds are looked up.
        tables = f"words_{n} w CROSS JOIN facts_{n} f ON f.id = w.rowid"
        wanted, values = [f"words_{n} MATCH ?", "w.rowid BETWEEN ? AND ?"], [expression, first, last]  # type: ignore[list-item]
    if query.since_ns or query.until_ns:
        wanted.append("f.time_ns >= ? AND f.time_ns < ?")
        values += [query.since_ns, query.until_ns or _END_NS]
    key = "w.rowid" if expression else "f.id"
    columns = ", ".join([f"f.{column}" for column in _COLUMNS.split(", ")])
    statement = f"SELECT {columns} FROM {tables} WHERE {' AND '.join(wanted)} ORDER BY {key} {order} LIMIT ?"
    return [_row(found) for found in connection.execute(statement, (*values, limit))]


def _within_hours(connection: sqlite3.Connection, number: int, query: Query, span: Span) -> Span:
    """Narrow a span to the numbers that alerts of the time asked for have."""
    until = (query.until_ns or _END_NS) // _HOUR_NS
    first, last = connection.execute(
        f"SELECT min(first_id), max(last_id) FROM hours_{number} WHERE hour BETWEEN ? AND ?",
        (query.since_ns // _HOUR_NS, until),
    ).fetchone()
    return Span(1, 0) if first is None else Span(max(span.first, first), min(span.last, last))


def in_order(
    connection: sqlite3.Connection, number: int, since: tuple[int, int], until_ns: int, limit: int
) -> list[Row]:
    """Return alerts in order of time, then number, behind ``since`` (time and number) and before ``until_ns``."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM facts_{number} "
        "WHERE (time_ns, id) > (?, ?) AND time_ns < ? ORDER BY time_ns, id LIMIT ?",
        (*since, until_ns, limit),
    )
    return [_row(row) for row in found]


def find(connection: sqlite3.Connection, volume: Volume, expression: str) -> int | None:
    """Return the number of the newest alert that the index finds; None where there is none."""
    found = connection.execute(
        f"SELECT rowid FROM words_{volume.number} WHERE words_{volume.number} MATCH ? ORDER BY rowid DESC LIMIT 1",
        (expression,),
    ).fetchone()
    return found[0] if found else None


def numbers(connection: sqlite3.Connection) -> list[int]:
    """Return the numbers of all volumes, the newest first."""
    return [number for (number,) in connection.execute("SELECT number FROM volumes ORDER BY number DESC")]


def not_indexed(connection: sqlite3.Connection, number: int, limit: int) -> range:
    """Return the newest alerts of a volume that are kept and cannot be found yet."""
    behind, last = connection.execute(
        "SELECT max(indexed_id, last_id - ?), last_id FROM volumes WHERE number = ?", (limit, number)
    ).fetchone()
    return range(behind + 1, last + 1)


def latest(
    connection: sqlite3.Connection, number: int, span_ns: tuple[int, int], also_benign_of: Collection[str], limit: int
) -> list[tuple[int, int, int]]:
    """Return time, number and volume of a volume's latest alerts that were not benign, or are of these sources."""
    marks = ", ".join("?" * len(also_benign_of))
    found = connection.execute(
        f"SELECT time_ns, id, {int(number)} FROM facts_{number} WHERE time_ns >= ? AND time_ns < ? "
        f"AND (verdict <> 'benign' OR source IN ({marks})) ORDER BY time_ns DESC, id DESC LIMIT ?",
        (*span_ns, *sorted(also_benign_of), limit),
    )
    return found.fetchall()


def incident_states(connection: sqlite3.Connection) -> list[State]:
    """Return what was told of incidents; nothing where the file is of a version that did not keep it.

    What this version does not understand is left out.
    """
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'incidents'").fetchone() is None:
        return []
    found = connection.execute("SELECT id, leads_to, verdict, is_open, first_ns FROM incidents ORDER BY first_ns, id")
    return [
        State(name, leads_to, verdict, bool(is_open), first)
        for name, leads_to, verdict, is_open, first in found
        if verdict in VERDICTS and type(name) is type(leads_to) is str and type(first) is int
    ]


def tally(
    connection: sqlite3.Connection, number: int, columns: Sequence[str], span_ns: tuple[int, int], bucket_ns: int
) -> Iterator[tuple[Any, ...]]:
    """Yield each combination of the columns' values, its time in buckets before them, how many alerts at the end."""
    terms = [f"time_ns / {int(bucket_ns)}"] if bucket_ns else []
    terms += [column for column in columns if column in COUNTED]
    chosen = ", ".join(terms)
    yield from connection.execute(
        f"SELECT {chosen}, count(*) FROM facts_{number} WHERE time_ns >= ? AND time_ns < ? GROUP BY {chosen}", span_ns
    )


def names(connection: sqlite3.Connection, number: int, kind: str) -> dict[str, int]:
    """Return the names of a kind (``verdict``, ``rule``, ``host``, ``namespace``) with how many alerts have each."""
    found = connection.execute(
        f"SELECT name, alerts FROM names_{number} "
        "WHERE kind = ? AND typeof(name) = 'text' AND typeof(alerts) = 'integer'",
        (kind,),
    )
    return dict(found.fetchall())


def _row(found: tuple[Any, ...]) -> Row:
    number, time_ns, uid, verdict, outcome, priority, *rest = found
    return Row(number, time_ns, uid.hex(), verdict, outcome, Priority(priority), *rest)
