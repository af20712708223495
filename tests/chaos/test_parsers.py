"""Every parser that reads input, on one corpus of damaged input: an answer or an error of ours, and nothing else.

HTTP is in ``test_receiver_input.py`` and ``test_pages_input.py``.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import random
import sqlite3
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from exporter.catalog.loader import Documents, load_files
from exporter.config.loader import load_config
from exporter.config.model import Otlp
from exporter.errors import ConfigError, DecodeError, ExporterError
from exporter.falco.condition import compile_condition
from exporter.falco.rules_file import read_rules
from exporter.history.database import FILE as DATABASE
from exporter.history.history import History
from exporter.history.stored import OWN_FORM, from_stored, to_stored
from exporter.incidents.state import State
from exporter.listener.address import Address
from exporter.listener.credentials import read_basic
from exporter.patterns import Pattern
from exporter.simulator.scenarios import flood
from exporter.sinks.otel.queue import segment
from exporter.sinks.otel.queue.journal import Journal
from exporter.sinks.otel.queue.old_queue import FILE_NAME as OLD_QUEUE
from exporter.sinks.otel.queue.old_queue import move_old_queue
from exporter.sinks.otel.queue.position import read_position
from exporter.sinks.otel.send.answer import from_http
from exporter.sinks.otel.send.environment import check_resource_variables, to_batching, to_endpoint, why_disabled
from exporter.sinks.prometheus.exposition import choose_exposition
from exporter.sources.decode import from_grpc, from_received
from exporter.sources.decode_json import from_json
from exporter.sources.log_lines import Pieces, unwrapped, without_prefix
from exporter.sources.pasted import alerts_in, opened
from exporter.sources.read_position import PositionFile
from exporter.web.query import number_from, place_from, query_from
from exporter.web.web_config import read_web_config
from tests.chaos.corpus import damaged
from tests.history_site import alert_of, ask_everything, filled, make_sink

INPUTS = int(os.environ.get("FUZZ_INPUTS", "100000"))
SLOW_INPUTS = INPUTS // 20
"""For parsers of files: each input is written first."""
GROWTH_LIMIT_BYTES = 24 * 2**20
ROOT = Path(__file__).parents[2]
NOW = 1_760_000_000_000_000_000

ALERTS = [alert.to_json().encode() for alert in flood(20, NOW)]


def read_alert(data: bytes, _: Path) -> None:
    from_json(data)


def read_message(data: bytes, _: Path) -> None:
    dict(from_grpc(data).fields)


def read_pasted(data: bytes, _: Path) -> None:
    try:
        for found in alerts_in(opened(io.BytesIO(data))):
            assert found.alert or found.error
    except (OSError, EOFError, zlib.error):  # gzip's own, which the command translates
        return


def read_line(data: bytes, _: Path) -> None:
    """Take it as lines of a followed file."""
    pieces = Pieces(10_000)
    for line in data.split(b"\n"):
        piece = unwrapped(line)
        whole = line if piece is None else pieces.take(piece, len(line))
        if whole is not None:
            with contextlib.suppress(DecodeError):
                from_json(without_prefix(whole))
        assert pieces.held <= 10_000


def read_condition(data: bytes, _: Path) -> None:
    compile_condition(data.decode("utf-8", "replace"))(lambda name: "x" if name else None)


def read_rules_text(data: bytes, _: Path) -> None:
    read_rules(data.decode("utf-8", "replace"))


def in_file(data: bytes, directory: Path) -> Path:
    path = directory / "input.yaml"
    path.write_bytes(data)
    return path


def read_settings(data: bytes, directory: Path) -> None:
    load_config({}, {}, in_file(data, directory))


def read_web(data: bytes, directory: Path) -> None:
    read_web_config(in_file(data, directory))


def read_catalog(data: bytes, directory: Path) -> None:
    load_files([in_file(data, directory)], Documents(), overlay=True)


def read_environment(data: bytes, _: Path) -> None:
    """Each line NAME=VALUE, ours and OpenTelemetry's."""
    lines = data.decode("utf-8", "replace").replace("\0", "").split("\n")
    environ = {name: value for name, _, value in (line.partition("=") for line in lines)}
    for read in (
        lambda: load_config({}, environ),
        lambda: why_disabled(Otlp(), environ),
        lambda: to_endpoint(Otlp(), environ),
        lambda: to_batching(environ),
        lambda: check_resource_variables(environ),
    ):
        try:
            read()
        except ConfigError:
            continue


def read_answer(data: bytes, _: Path) -> None:
    head, _blank, body = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    headers = {
        name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines[1:])
    }
    for status in (200, 302, 400, 429, 503):
        from_http(status, headers, body)


def read_text(data: bytes, _: Path) -> None:
    """Take one line as each short text that a setting or a request gives."""
    text = data.decode("utf-8", "replace")
    read_basic(text)

    for read in (
        lambda: Address.from_text(text, "web.listen_address"),
        lambda: Pattern(text),
        lambda: choose_exposition(text),
    ):
        try:
            read()
        except (ConfigError, ValueError, TypeError):  # the last two by libraries; the callers translate them
            continue
    query = {name: value for name, _, value in (part.partition("=") for part in text.split("&"))}
    for ask in (
        lambda: query_from(query),
        lambda: place_from(query),
        lambda: number_from(query, "limit", default=10, most=1_000),
    ):
        try:
            ask()
        except web.HTTPBadRequest:
            continue


def read_position_file(data: bytes, directory: Path) -> None:
    PositionFile(in_file(data, directory)).load()


def read_queue_file(data: bytes, directory: Path) -> None:
    path = in_file(data, directory)
    file = os.open(path, os.O_RDONLY)
    try:
        found = segment.read_segment(file, "1.chunks", 0)
        read_position(file, [found], directory)
        reader = segment.Reader(file)
        for offset in range(0, min(len(data), 200), 50):
            if header := reader.header(offset):
                reader.payload(offset, header)
    finally:
        os.close(file)


def read_old_queue(data: bytes, directory: Path) -> None:
    """Move a queue of version 0.1: what SQLite reads of it is moved or counted, or the file stays."""
    with TemporaryDirectory(dir=directory) as queue:
        path = Path(queue) / OLD_QUEUE
        path.write_bytes(data)
        try:
            with contextlib.closing(sqlite3.connect(path)) as connection:
                rows = connection.execute("SELECT records FROM chunk").fetchall()
        except (sqlite3.Error, OverflowError, ValueError):
            rows = None
        lost = Counter[str]()
        journal = Journal(Path(queue))
        journal.open()
        try:
            move_old_queue(journal, lambda reason, records: lost.update({reason: records}))
            if not path.exists():
                assert rows is not None
                whole = [records for (records,) in rows if isinstance(records, int) and 0 < records < 2**32]
                assert journal.records + lost["damaged"] == sum(whole) + len(rows) - len(whole)
        finally:
            journal.close()


def old_queue_file() -> bytes:
    """A queue of version 0.1 with some chunks, closed in order."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / OLD_QUEUE
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(
                "CREATE TABLE chunk (id INTEGER PRIMARY KEY AUTOINCREMENT, queued_at REAL NOT NULL, records INTEGER "
                "NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL)"
            )
            for records in range(1, 30):
                payload = bytes([records]) * 300
                connection.execute(
                    "INSERT INTO chunk (queued_at, records, bytes, crc, payload) VALUES (1.5, ?, 500, ?, ?)",
                    (records, zlib.crc32(payload, records), payload),
                )
        return path.read_bytes()


def read_kept(data: bytes, _: Path) -> None:
    """Take it as the history's own form of an alert, and as a message."""
    for stored in (OWN_FORM + data, data):
        with contextlib.suppress(DecodeError):
            from_stored(stored, "host", from_received)


def read_history(data: bytes, directory: Path) -> None:
    """Ask a history for everything that is asked of one at a start, by a page and by a digest."""
    for file in directory.iterdir():
        file.unlink()
    (directory / DATABASE).write_bytes(data)
    with contextlib.closing(History(directory, from_received)) as history:
        ask_everything(history)


def history_file() -> bytes:
    """A history of some alerts and an incident, closed in order."""
    with TemporaryDirectory() as directory:
        sink = make_sink(Path(directory) / "history")
        sink.start()
        filled(sink, [alert_of(number) for number in range(12)])
        sink.note_incidents([State("i1", "i1", "attack", is_open=True, first_ns=5)])
        sink.close(30)
        return (Path(directory) / "history" / DATABASE).read_bytes()


def queue_file() -> bytes:
    """A complete queue file of three chunks."""
    parts, first = [], 0
    for payload in (b"a" * 50, zlib.compress(b"b" * 500), b""):
        parts.append(segment.to_header(payload, first, records=3, queued_at=1.5, payload_bytes=500) + payload)
        first += 3
    whole = segment.Segment("1.chunks", 0, first)
    return b"".join(parts) + segment.to_summary(whole)


@dataclass(frozen=True)
class Parser:
    """What reads, and inputs that it reads well."""

    read: Callable[[bytes, Path], None]
    seeds: list[bytes]
    inputs: int = INPUTS


def seeds(*names: str) -> list[bytes]:
    """Read files of ``seeds``."""
    return [(Path(__file__).parent / "seeds" / name).read_bytes() for name in names]


CONDITIONS = [
    b"evt.type in (open, openat) and not (proc.name = \"a b\" or fd.name glob '/etc/*')",
    b"toupper(proc.name) startswith AB and proc.aname[2] exists and evt.arg.flags contains O_TRUNC",
    b"(((a.b = 1 and c.d pmatch (/x, /y))) or not e.f regex '^a.*$') and basename(proc.exepath) = val(proc.name)",
]
PASTED = [
    b"\n".join(ALERTS[:2]),
    b'2024-01-01T00:00:00.1Z stderr F {"log":"x"}\n',
    b"\x1f\x8b\x08\0" + b"x" * 30,
    b'[\n  {"rule": "x",\n   "priority": "Notice"}\n]\n',
]
LOG_LINES = [
    b'2024-01-01T00:00:00.1Z stdout P {"rule"\n2024-01-01T00:00:00.1Z stdout F :"x"}\n',
    json.dumps({"log": ALERTS[0].decode() + "\n", "stream": "stdout"}).encode(),
    b"Jan  2 12:00:00 h falco[123]: " + ALERTS[0],
    json.dumps({"MESSAGE": ALERTS[0].decode(), "PRIORITY": "5"}).encode(),
]
SHORT_TEXTS = [
    b"Basic YTpi",
    b"[::1]:9376",
    b"unix:/run/x.sock",
    b"application/openmetrics-text;version=1.0.0;q=0.5, */*",
    b"limit=10&priority=critical&verdict=attack&text=a%20b",
    rb"(?i)password=(\S+)",
]
POSITION = b'{"offset": 12, "fingerprint": "ab12", "fingerprint_bytes": 64, "inode": 5}'
PARSERS = {
    "JSON alert": Parser(read_alert, ALERTS),
    "gRPC message": Parser(read_message, [alert.to_message() for alert in flood(20, NOW)]),
    "what is pasted into report": Parser(read_pasted, PASTED),
    "Falco condition": Parser(read_condition, CONDITIONS),
    "OTLP answer": Parser(read_answer, seeds("answer-json.txt", "answer-protobuf.txt", "answer-html.txt")),
    "short texts": Parser(read_text, SHORT_TEXTS),
    "Falco rules file": Parser(read_rules_text, seeds("rules.yaml", "rules-append.yaml"), SLOW_INPUTS),
    "settings file": Parser(read_settings, seeds("settings.yaml"), SLOW_INPUTS),
    "web configuration": Parser(read_web, seeds("web.yaml"), SLOW_INPUTS),
    "catalog overlay": Parser(read_catalog, seeds("catalog.yaml"), SLOW_INPUTS),
    "environment": Parser(read_environment, seeds("environment.txt"), SLOW_INPUTS),
    "read position": Parser(read_position_file, [POSITION], SLOW_INPUTS),
    "queue of version 0.1": Parser(read_old_queue, [old_queue_file()], SLOW_INPUTS),
    "queue file": Parser(read_queue_file, [queue_file()], SLOW_INPUTS),
    "alert of the history": Parser(read_kept, [to_stored(alert_of(1, received=b""))[1:], *ALERTS[:3]]),
    "history file": Parser(read_history, [history_file()], SLOW_INPUTS),
    "line of a log": Parser(read_line, [*PASTED, *LOG_LINES]),
}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PARSERS)
def test_damaged_input_is_read_or_refused(
    name: str, say: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever comes: no exception but ours, and no memory that stays."""
    caplog.set_level(logging.CRITICAL)
    parser, outcomes, before = PARSERS[name], Counter[str](), 0
    assert parser.seeds
    inputs = damaged(parser.seeds, parser.inputs, random.Random(7))
    with TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for number, data in enumerate(inputs):
            if number == parser.inputs // 5:
                gc.collect()
                before = resident_bytes()
            try:
                parser.read(data, Path(directory))
                outcomes["read"] += 1
            except ExporterError:
                outcomes["refused"] += 1
            except Exception as exc:  # noqa: BLE001 - any other is the fault that is looked for
                pytest.fail(f"{type(exc).__name__}: {exc} for {data[:300]!r} ({len(data)} bytes)")
    gc.collect()
    growth = resident_bytes() - before
    say(f"{parser.inputs:,} inputs: {dict(outcomes)}; memory grew by {growth / 2**20:.1f} MiB")
    assert growth < GROWTH_LIMIT_BYTES
