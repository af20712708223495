"""``python -m benchmarks``: measure, print the table beside the last one, and with ``--store`` keep it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.delay import measure_delay
from benchmarks.exposition import measure_scrapes
from benchmarks.falco_exporter import measure_beside
from benchmarks.falcosidekick import measure_sidekick
from benchmarks.fleet import measure_fleet
from benchmarks.history import measure_history
from benchmarks.hour import measure_hour
from benchmarks.posts import measure_posts
from benchmarks.rates import measure_rates
from benchmarks.results import Result
from benchmarks.rules import measure_overlay, measure_rules
from benchmarks.seen import measure_seen
from benchmarks.sizes import FULL, SMOKE, Sizes
from benchmarks.stages import measure_stages
from benchmarks.storage import measure_storage
from benchmarks.waiting import measure_queue
from benchmarks.whole import measure_idle, measure_start, measure_way, measure_yardstick

GROUPS: dict[str, Callable[[Sizes, str], Iterator[Result]]] = {
    "posts": measure_posts,
    "sidekick": measure_sidekick,
    "seen": measure_seen,
    "yardstick": measure_yardstick,
    "way": measure_way,
    "beside": measure_beside,
    "delay": measure_delay,
    "start": measure_start,
    "idle": measure_idle,
    "scrape": measure_scrapes,
    "stages": measure_stages,
    "history": measure_history,
    "hour": measure_hour,
    "fleet": measure_fleet,
    "storage": measure_storage,
    "rates": measure_rates,
    "queue": measure_queue,
    "rules": measure_rules,
    "overlay": measure_overlay,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the groups asked for; return 1 where a budget is missed and ``--check`` asks to say so."""
    given = parse(argv)
    sizes = SMOKE if given.smoke else FULL
    last = results.load()
    found: list[Result] = []
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix://{Path(directory) / 'falco.sock'}"
        for name in given.groups or GROUPS:
            about = results.machine() | {"load_before": os.getloadavg()[0], "runs": sizes.runs}
            begun, rows = time.monotonic(), []
            for result in GROUPS[name](sizes, address):
                rows.append(result)
                print(f"{result.what}: {results.to_number(result.value)} {result.unit}", file=sys.stderr, flush=True)
            print(f"-- {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            found += rows
            if given.store:
                results.store(name, rows, about | {"load_after": os.getloadavg()[0]}, order=tuple(GROUPS))
    print(f"{results.to_caption(about)}\n\n{results.to_table(found, last)}")
    missed = [result for result in found if not results.is_met(result)]
    for result in missed:
        print(f"above its budget: {result.what}", file=sys.stderr)
    return 1 if missed and given.check else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="measure the exporter")
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"what to measure: {', '.join(GROUPS)} (default: all)"
    )
    parser.add_argument("--smoke", action="store_true", help="just enough to see that everything runs")
    parser.add_argument(
        "--store", action="store_true", help="keep each group's results: results.json, and the tables in README.md"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 where a budget is missed")
    given = parser.parse_args(argv)
    if unknown := set(given.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}; expected some of: {', '.join(GROUPS)}")
    if given.store and given.smoke:
        parser.error("--store keeps what a whole measurement found; leave out --smoke")
    return given


if __name__ == "__main__":
    sys.exit(main())
