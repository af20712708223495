"""When a post shows in the metrics, and whether rare senders wait for busy ones."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator

from benchmarks.http_requests import requests_of
from benchmarks.http_sender import connect, post_on_one
from benchmarks.posts import receiving, start_sender
from benchmarks.processes import Exporter
from benchmarks.results import Result
from benchmarks.sizes import Sizes

RECEIVED = "falco_exporter_alerts_received_total"
PACE_ALERTS = 1_000
"""Alerts per second where the time of an answer is measured at a pace."""
CONNECTIONS = 1_000
FAIR_BUDGET_MS = 60
SEEN_BUDGET_MS = 60


def measure_seen(sizes: Sizes, _address: str) -> Iterator[Result]:
    """Answers at a pace, scrapes just after a post, and answers of rare senders among busy ones."""
    with receiving() as (exporter, port), start_sender(port, 1) as sender:
        sender.ask(f"pace {PACE_ALERTS} 1")
        found = sender.ask(f"pace {PACE_ALERTS} {sizes.live_seconds}")
        milliseconds = sorted(_until_seen(exporter, port, max(int(sizes.live_seconds * 50), 20)))
    what = f"posts: from post to answer at {PACE_ALERTS:,} alerts/s"
    yield Result("seen.answer.p50", f"{what}, median", found["p50"] * 1e3, "ms")
    yield Result("seen.answer.p99", f"{what}, 99th percentile", found["p99"] * 1e3, "ms")
    what = "posts: from post to the end of a scrape that shows it, asked for once the post is answered"
    yield Result("seen.scrape.p50", f"{what}, median", milliseconds[len(milliseconds) // 2], "ms")
    last = milliseconds[len(milliseconds) * 99 // 100]
    yield Result("seen.scrape.p99", f"{what}, 99th percentile", last, "ms", SEEN_BUDGET_MS)
    with receiving() as (_exporter, port), start_sender(port, CONNECTIONS) as sender:
        sender.ask(f"fair {max(sizes.posts // 10, 100)}")
        found = sender.ask(f"fair {sizes.posts}")
    what = f"posts: answer on one of {CONNECTIONS - 7:,} rare connections while 7 others post all the time"
    yield Result("seen.fair.p50", f"{what}, median", found["p50"] * 1e3, "ms")
    yield Result("seen.fair.p99", f"{what}, 99th percentile", found["p99"] * 1e3, "ms", FAIR_BUDGET_MS)


def _until_seen(exporter: Exporter, port: int, count: int) -> Iterator[float]:
    """Post one alert and scrape, again and again; yield the milliseconds of both. Fails where a scrape lacks it."""
    sender = connect(port, ())
    scraper = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=30)
    wanted = _counted(scraper)
    for request in requests_of(count):
        begun = time.perf_counter()
        post_on_one(sender, iter((request,)), 1)
        wanted += 1
        found = _counted(scraper)
        yield (time.perf_counter() - begun) * 1e3
        if found != wanted:
            raise RuntimeError(f"a scrape after {wanted:.0f} answered posts shows {found:.0f}")
    sender.close()
    scraper.close()


def _counted(scraper: http.client.HTTPConnection) -> float:
    scraper.request("GET", "/metrics")
    lines = scraper.getresponse().read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(RECEIVED + "{"))
