"""What many rules cost, and many entries of an operator's own catalog: the start, memory, and an alert."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.many_rules import write_catalog, write_rules_file
from benchmarks.processes import Exporter, start_falco, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from benchmarks.whole import EXPORTED, RECEIVED


def measure_rules(sizes: Sizes, address: str) -> Iterator[Result]:
    """Start with rules files of so many rules, then take alerts of all of them in turn; metrics and pages."""
    for count in sizes.rules:
        with tempfile.TemporaryDirectory(prefix="rules-") as name:
            path = Path(name) / "rules.yaml"
            write_rules_file(path, count)
            found = _measure(
                sizes, address, ("--metrics.rules-files", str(path)), metric=RECEIVED, command=f"rules:{count}"
            )
        yield from _rows(f"rules.{count}", f"{count:,} rules, metrics and pages", found)


def measure_overlay(sizes: Sizes, address: str) -> Iterator[Result]:
    """Start with a catalog of so many entries besides the shipped ones, then take alerts of their rules; with OTLP."""
    with start_receiver() as receiver:
        for count in sizes.entries:
            with tempfile.TemporaryDirectory(prefix="catalog-") as name:
                directory = Path(name) / "catalog"
                write_catalog(directory, count)
                endpoint = f"http://127.0.0.1:{receiver.first['port']}"
                options = ("--catalog.directories", str(directory), "--otlp.endpoint", endpoint)
                found = _measure(sizes, address, options, metric=EXPORTED, command=f"own:{count}")
            entries = "1 own catalog entry" if count == 1 else f"{count:,} own catalog entries"
            yield from _rows(f"overlay.{count}", f"{entries}, metrics, pages and OTLP", found)


def _measure(
    sizes: Sizes, address: str, options: Sequence[str], *, metric: str, command: str
) -> tuple[float, float, float]:
    """Return CPU seconds of the start, MiB resident afterwards, and µs per alert, of several runs the least.

    Each rule has had its first alert before.
    """
    count, first = sizes.alerts // 3, 2 * int(command.partition(":")[2])
    runs = []
    for _ in range(sizes.runs):
        with start_falco(address) as falco, Exporter(address, *options, pages=True) as exporter:
            exporter.await_status("/readyz")
            started, resident = exporter.cpu, exporter.resident_mib
            falco.ask(f"{command} {first}")
            exporter.await_total(metric, first)
            before = exporter.cpu
            falco.ask(f"{command} {count}")
            falco.ask("drained")
            exporter.await_total(metric, first + count)
            runs.append((started, resident, (exporter.cpu - before) / count * 1e6))
    return min(run[0] for run in runs), min(run[1] for run in runs), min(run[2] for run in runs)


def _rows(key: str, what: str, found: tuple[float, float, float]) -> Iterator[Result]:
    yield Result(f"{key}.start", f"CPU of a start, {what}", found[0], "s")
    yield Result(f"{key}.memory", f"resident after it, {what}", found[1], "MiB")
    yield Result(f"{key}.alert", f"an alert, {what}", found[2], PER_ALERT)
