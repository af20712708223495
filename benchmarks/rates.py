"""CPU by alerts per second: what a quiet, a busy and a flooding Falco cost."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.posts import receiving, start_sender
from benchmarks.processes import Exporter, Program, start_falco
from benchmarks.results import Result
from benchmarks.sizes import Sizes


def measure_rates(sizes: Sizes, address: str) -> Iterator[Result]:
    """Percent of a core at each rate, over gRPC and by posts on one connection, with metrics and pages."""
    for rate in sizes.rates:
        with start_falco(address) as falco, Exporter(address, pages=True) as exporter:
            exporter.await_status("/readyz")
            falco.ask("backlog 500")
            time.sleep(1)
            share, reached = _at(exporter, falco, f"rate {rate} {sizes.rate_seconds}", "emitted")
        yield from _rows("grpc", "over gRPC", rate, (share, reached))
    for rate in sizes.rates:
        with receiving() as (exporter, port), start_sender(port, 1) as sender:
            sender.ask("post 500")
            time.sleep(1)
            share, reached = _at(exporter, sender, f"pace {rate} {sizes.rate_seconds}", "posted")
        yield from _rows("posts", "by posts", rate, (share, reached))


def _at(exporter: Exporter, sender: Program, command: str, told: str) -> tuple[float, float]:
    """Return percent of a core, and alerts per second as they came: ``told`` names how many the sender sent."""
    before, begun = exporter.cpu, time.monotonic()
    sent = sender.ask(command)[told]
    passed = time.monotonic() - begun
    return (exporter.cpu - before) / passed * 100, sent / passed


def _rows(key: str, way: str, rate: int, found: tuple[float, float]) -> Iterator[Result]:
    share, reached = found
    what = f"{rate:,} alerts/s {way}"
    yield Result(f"rates.{key}.{rate}.core", f"{what}, metrics and pages", share, "% of a core")
    yield Result(f"rates.{key}.{rate}.reached", f"{what}: sent", reached, "alerts/s")
