"""What a scrape costs, and the memory that series take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.processes import AS_PROMETHEUS, Exporter, start_falco
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes
from benchmarks.whole import RECEIVED

SCRAPES = 9
WITHIN_THE_DEFAULT_LIMIT = 10_000


def measure_scrapes(sizes: Sizes, address: str) -> Iterator[Result]:
    """Scrape as Prometheus does (OpenMetrics, gzip) with few and many series."""
    for series in sizes.series:
        more = ("--metrics.series-limit", str(series)) if series > WITHIN_THE_DEFAULT_LIMIT else ()
        with start_falco(address) as falco, Exporter(address, *more) as exporter:
            exporter.await_status("/readyz")
            falco.ask(f"hosts {series}")
            exporter.await_total(RECEIVED, series)
            yield from _scrape(exporter, series)
            before = exporter.cpu
            falco.ask(f"hosts {series}")
            falco.ask("drained")
            # Looked for by its own count: a scrape would be most of what is measured.
            time.sleep(0.2)
            cpu = (exporter.cpu - before) / series * 1e6
            exporter.await_total(RECEIVED, 2 * series)
            yield Result(
                f"scrape.{series}.alert", f"counting one more alert in one of {series:,} series", cpu, PER_ALERT
            )


def _scrape(exporter: Exporter, series: int) -> Iterator[Result]:
    exporter.get("/metrics", AS_PROMETHEUS)
    before = exporter.cpu
    seconds = []
    for _ in range(SCRAPES):
        begun = time.perf_counter()
        _, body = exporter.get("/metrics", AS_PROMETHEUS)
        seconds.append(time.perf_counter() - begun)
    key, of = f"scrape.{series}", f"{series:,} series of falco_events_total"
    yield Result(f"{key}.time", f"scrape, {of}", statistics.median(seconds) * 1e3, "ms")
    yield Result(f"{key}.cpu", f"CPU of that scrape, {of}", (exporter.cpu - before) / SCRAPES * 1e3, "ms")
    yield Result(f"{key}.size", f"size of that answer (gzip), {of}", len(body) / 1024, "KiB")
    budget = 100.0 if series == 10_000 else None
    yield Result(f"memory.{series}", f"resident with {of}, scraped", exporter.resident_mib, "MiB", budget)
