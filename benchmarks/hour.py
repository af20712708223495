"""Memory over the alerts of an hour at 1,000 a second, sent as fast as they are taken.

Each alert has a process id and a time of its own, a millisecond after the one before it, so that what goes by
alerts' ages sees an hour pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.posts import receiving, start_sender
from benchmarks.processes import start_receiver
from benchmarks.results import Result
from benchmarks.sizes import Sizes
from benchmarks.whole import EXPORTED

PARTS = 4
MILLISECOND_NS = 1_000_000
GROWTH_BUDGET_MIB = 10


def measure_hour(sizes: Sizes, _address: str) -> Iterator[Result]:
    """Resident memory after a hundredth of the alerts and after each quarter; metrics, pages, incidents and OTLP."""
    with start_receiver() as receiver:
        otlp = ("--otlp.endpoint", f"http://127.0.0.1:{receiver.first['port']}")
        with receiving(*otlp) as (exporter, port), start_sender(port, 1) as sender:
            sent = max(sizes.hour_alerts // 100, 2_000)
            now_ns = time.time_ns() - sizes.hour_alerts * MILLISECOND_NS
            sender.ask(f"burst {sent} {now_ns}")
            exporter.await_total(EXPORTED, sent)
            first = exporter.resident_mib
            yield Result("hour.before", f"resident after the first {sent:,} alerts of an hour", first, "MiB")
            for part in range(1, PARTS + 1):
                count = sizes.hour_alerts * part // PARTS - sizes.hour_alerts * (part - 1) // PARTS
                now_ns += count * MILLISECOND_NS
                sender.ask(f"burst {count} {now_ns}")
                sent += count
                exporter.await_total(EXPORTED, sent)
                yield Result(
                    f"hour.{part * 100 // PARTS}", f"resident after {sent:,} alerts", exporter.resident_mib, "MiB"
                )
            growth = exporter.resident_mib - first
    yield Result("hour.growth", "more than after the first hundredth", growth, "MiB", GROWTH_BUDGET_MIB)
