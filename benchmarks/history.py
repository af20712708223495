"""What the history costs: taking an alert, writing it, making it searchable, and a page of a million of them.

The alerts are those of the flood, each with a process id of its own, from 97 hosts and 17 users.
They are made searchable in the largest pieces that the exporter takes, as in a flood. CPU is that of the one thread,
since nothing else runs, with garbage looked for as seldom as in the program; pages are timed by the clock, none of them
asked for before.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from exporter.alert import Alert, Priority, time_text
from exporter.catalog.catalog import load_catalog
from exporter.config.model import HistorySettings, Incidents
from exporter.digest.digest import knowledge_of, make_digest
from exporter.history.database import open_writer, transaction
from exporter.history.history import History
from exporter.history.query import Query, searchable
from exporter.history.schema import create_volume
from exporter.history.sink import HistorySink
from exporter.history.writer import INDEX_ALERTS, Bounds, Writer
from exporter.memory import COLLECTION_THRESHOLD
from exporter.reporter import Reporter
from exporter.selfmetrics import HistoryMetrics
from exporter.simulator.scenarios import flood
from exporter.sources.decode import from_json, from_received
from exporter.tuning.proposals import propose
from exporter.web.listing import LAST_PAGE, Listing, Place

BATCH = 500
_SECOND_NS = 1_000_000_000
_BEGIN_NS = 1_770_000_000 * _SECOND_NS
_GIGABYTE = 1_000_000_000
_PAGE_BUDGET_MS = 100.0
_WRITE_BUDGET_US = 6.0
_WALK_BUDGET_SECONDS = 60.0


def measure_history(sizes: Sizes, _address: str) -> Iterator[Result]:
    """Fill a history, then ask it for pages of every kind."""
    with tempfile.TemporaryDirectory(prefix="history-") as name:
        directory = Path(name)
        reporter = Reporter(load_catalog())
        with _garbage_as_in_the_program():
            yield from _written(directory, reporter, sizes)
        yield from _pages(directory, reporter, sizes)
        yield from _walks(directory, reporter, sizes)


@contextlib.contextmanager
def _garbage_as_in_the_program() -> Iterator[None]:
    """Look for garbage as seldom as the program does, and not among what was there before."""
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTION_THRESHOLD, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def alerts(count: int) -> Iterator[Alert]:
    """Yield alerts, one a second."""
    templates = [from_json(alert.to_json()) for alert in flood(23, _BEGIN_NS)]
    bodies = [alert.to_json() for alert in flood(23, _BEGIN_NS)]
    for number in range(count):
        template = templates[number % len(templates)]
        fields = template.all_fields() | {"proc.pid": str(1_000 + number), "user.name": f"user{number % 17}"}
        time_ns = _BEGIN_NS + number * _SECOND_NS
        body = bodies[number % len(bodies)].replace('"proc.pid":', f'"evt.num":{number},"proc.pid":', 1)
        body = body.replace(f'"time":"{time_text(template.time_ns)}"', f'"time":"{time_text(time_ns)}"')
        yield replace(
            template,
            time_ns=time_ns,
            hostname=f"node-{number % 97}",
            fields=fields,
            received=body.encode(),
        )


def _written(directory: Path, reporter: Reporter, sizes: Sizes) -> Iterator[Result]:
    taken = _taking(directory / "taking", reporter, list(alerts(sizes.stage_alerts)))
    yield Result("history.take.cpu", "history: what the thread of the source spends", taken, PER_ALERT)
    connection = open_writer(directory)
    writer = Writer(
        connection, Bounds(4 * _GIGABYTE, 1e9), judge=reporter.catalog.judge.judge, read_message=from_received
    )
    append = index = settle = 0.0
    waiting = alerts(sizes.history_alerts)
    while batch := list(itertools.islice(waiting, INDEX_ALERTS)):
        began = time.thread_time()
        for start in range(0, len(batch), BATCH):
            writer.append(batch[start : start + BATCH])
        written = time.thread_time()
        while writer.index(INDEX_ALERTS)[0]:
            pass
        indexed = time.thread_time()
        writer.settle()
        append, index = append + written - began, index + indexed - written
        settle += time.thread_time() - indexed
    size = (directory / "history.db").stat().st_size
    connection.close()
    words = _words_only(directory / "words", list(alerts(sizes.stage_alerts)))
    each = 1e6 / sizes.history_alerts
    yield Result("history.write.cpu", "history: writing in batches", append * each, PER_ALERT, _WRITE_BUDGET_US)
    yield Result("history.index.cpu", "history: verdict, uid, facts and full text", index * each, PER_ALERT)
    yield Result(
        "history.words.cpu", "history: of that, what SQLite's full-text index takes by itself", words, PER_ALERT
    )
    yield Result("history.settle.cpu", "history: from SQLite's log into the file", settle * each, PER_ALERT)
    yield Result("history.size", f"history: {sizes.history_alerts:,} alerts on disk, each",
                 size / sizes.history_alerts, "bytes")  # fmt: skip


def _words_only(directory: Path, batch: list[Alert]) -> float:
    """Return what no program around it can save: words into the full-text index, without facts and uid."""
    directory.mkdir(mode=0o700)
    connection = open_writer(directory)
    for statement in create_volume(1):
        connection.execute(statement)
    rows = [(number, searchable(alert), "") for number, alert in enumerate(batch)]
    began = time.thread_time()
    for start in range(0, len(rows), INDEX_ALERTS):
        with transaction(connection):
            connection.executemany(
                "INSERT INTO words_1 (rowid, text, facts) VALUES (?, ?, ?)", rows[start : start + INDEX_ALERTS]
            )
    passed = time.thread_time() - began
    connection.close()
    return passed * 1e6 / len(batch)


def _taking(directory: Path, reporter: Reporter, batch: list[Alert]) -> float:
    sink = HistorySink(
        HistorySettings(directory=directory),
        judge=reporter.catalog.judge.judge,
        read_message=from_received,
        metrics=HistoryMetrics(CollectorRegistry()),
    )
    began = time.thread_time()
    for start in range(0, len(batch), BATCH):
        sink.write(batch[start : start + BATCH])
    return (time.thread_time() - began) * 1e6 / len(batch)


def _pages(directory: Path, reporter: Reporter, sizes: Sizes) -> Iterator[Result]:
    history = History(directory, from_received)
    middle = sizes.history_alerts // 2
    in_the_middle = _BEGIN_NS + middle * _SECOND_NS
    asked = {
        "the newest": (Query(), Place()),
        "in the middle": (Query(), Place(before=middle)),
        "back from the middle": (Query(), Place(LAST_PAGE, after=middle)),
        "the oldest": (Query(), Place(before=min(1_000, middle))),
        "a word of every alert": (Query(text="parent"), Place()),
        "a frequent word, in the middle": (Query(text="bash"), Place(before=middle)),
        "a beginning": (Query(text="user1*"), Place()),
        "a word of one alert": (Query(text=f"{middle}"), Place()),
        "a word of none": (Query(text="nowhere"), Place()),
        "a verdict": (Query(verdict="attack"), Place()),
        "warnings and above on one host": (Query(priority=Priority.WARNING, host="node-13"), Place()),
        "a principal, a host and a verdict": (Query(principal="user7", verdict="test", host="node-7"), Place()),
        "an hour in the middle": (Query(since_ns=in_the_middle, until_ns=in_the_middle + 3_600 * _SECOND_NS), Place()),
        "a word in an hour in the middle": (
            Query(text="bash", since_ns=in_the_middle, until_ns=in_the_middle + 3_600 * _SECOND_NS),
            Place(),
        ),
    }
    for name, (query, place) in asked.items():
        Listing(history, reporter.gist_for).page(query, place)  # the file's pages are the system's to keep
        listing = Listing(history, reporter.gist_for)
        began = time.perf_counter()
        found = listing.page(query, place)
        milliseconds = (time.perf_counter() - began) * 1e3
        yield Result(
            f"history.page.{name.replace(' ', '_')}", f"history: a page, {name} ({len(found.alerts):,} alerts)",
            milliseconds, "ms", _PAGE_BUDGET_MS,
        )  # fmt: skip
    yield from _single(history, directory, middle)


def _walks(directory: Path, reporter: Reporter, sizes: Sizes) -> Iterator[Result]:
    """Ask for what goes through every alert. CPU, since nobody waits for it."""
    history, catalog = History(directory, from_received), reporter.catalog
    span_ns = (_BEGIN_NS, _BEGIN_NS + sizes.history_alerts * _SECOND_NS)
    began = time.thread_time()
    make_digest(history, *span_ns, knowledge_of(catalog, Incidents().window_seconds))
    yield Result("history.digest.cpu", f"digest of {sizes.history_alerts:,} alerts", time.thread_time() - began, "s",
                 _WALK_BUDGET_SECONDS)  # fmt: skip
    began = time.thread_time()
    propose(history, catalog, *span_ns)
    yield Result("history.tune.cpu", f"tune on {sizes.history_alerts:,} alerts", time.thread_time() - began, "s",
                 _WALK_BUDGET_SECONDS)  # fmt: skip


def _single(history: History, directory: Path, middle: int) -> Iterator[Result]:
    with sqlite3.connect(directory / "history.db") as connection:
        volume = connection.execute("SELECT number FROM volumes WHERE last_id >= ? LIMIT 1", (middle,)).fetchone()[0]
        uid = connection.execute(f"SELECT uid FROM facts_{volume} WHERE id = ?", (middle,)).fetchone()[0].hex()
    began = time.perf_counter()
    assert history.find(uid) is not None
    yield Result("history.find", "history: one alert by its address", (time.perf_counter() - began) * 1e3, "ms",
                 _PAGE_BUDGET_MS)  # fmt: skip
    began = time.perf_counter()
    history.choices()
    yield Result("history.choices", "history: what there is to filter by", (time.perf_counter() - began) * 1e3, "ms")
