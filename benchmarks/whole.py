"""The whole way as processes: simulated Falco, the installed exporter, an OTLP receiver."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import TICKS, Exporter, Program, Scraped, cpu_seconds, start_falco, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import Sizes

RECEIVED = "falco_exporter_alerts_received_total"
EXPORTED = "falco_exporter_log_records_exported_total"


@dataclass(frozen=True)
class Case:
    """One way through the program."""

    key: str
    what: str
    options: tuple[str, ...]
    budget: float | None = None
    command: str = "backlog"
    """What the simulated Falco is told to queue."""


def median_of(runs: int, measure: Callable[[], tuple[float, ...]]) -> list[float]:
    """Measure so often; return the median of each number."""
    return [statistics.median(column) for column in zip(*[measure() for _ in range(runs)], strict=True)]


def run_plain_loop(address: str, count: int) -> tuple[float, float, float]:
    """Return the loop's CPU an alert (µs), alerts a second, and the simulator's CPU an alert (µs)."""
    with start_falco(address) as falco:
        falco.ask(f"backlog {count}")
        falco_before = cpu_seconds(falco.pid)
        with Program([sys.executable, "-m", "benchmarks.plain_loop", address, str(count)]) as loop:
            found = loop.first
        # At least one tick of the kernel's clock, which is what it counts in.
        falco_cpu = max(cpu_seconds(falco.pid) - falco_before, 1 / TICKS)
    return found["cpu"] / count * 1e6, count / (found["ended_at"] - found["begun_at"]), falco_cpu / count * 1e6


def measure_yardstick(sizes: Sizes, address: str) -> Iterator[Result]:
    """The plain loop, and what the simulator spent on it."""
    cpu, rate, falco_cpu = median_of(sizes.runs, lambda: run_plain_loop(address, sizes.alerts))
    yield Result("yardstick.cpu", "plain Python loop, metrics only", cpu, PER_ALERT)
    yield Result("yardstick.rate", "plain Python loop, from a backlog", rate, "alerts/s")
    yield Result("simulator.cpu", "what the simulated Falco spends on an alert", falco_cpu, PER_ALERT)
    yield Result("simulator.rate", "what the simulated Falco can send at most, by its CPU", 1e6 / falco_cpu, "alerts/s")


def measure_way(sizes: Sizes, address: str) -> Iterator[Result]:
    """CPU and alerts a second of the installed command."""
    yield from _metrics_only(sizes, address, Case("metrics", "metrics only", (), budget=15))
    small = ("--grpc.window-bytes", "4096")
    yield from _metrics_only(sizes, address, Case("metrics_small", "metrics only, window of 4096 bytes", small))
    yield from _metrics_only(sizes, address, Case("pages", "metrics and report pages", ()), pages=True)
    with start_receiver() as receiver, tempfile.TemporaryDirectory() as directory:
        endpoint = f"http://127.0.0.1:{receiver.first['port']}"
        options = ("--otlp.endpoint", endpoint)
        on_disk = (*options, "--queue.directory", str(Path(directory) / "queue"))
        for case in (
            Case("otlp_bare", "without advice", (*options, "--otlp.advice", "none")),
            Case("otlp", "with advice", options, budget=60),
            Case("otlp_unlike", "with advice, no two process ids alike", options, command="unlike"),
            Case("otlp_strange", "with advice, no two command lines and files alike", options, command="strange"),
            Case("otlp_disk", "with advice, queue on disk", on_disk, budget=60),
        ):
            yield from _with_otlp(sizes, address, case)


def _metrics_only(sizes: Sizes, address: str, case: Case, *, pages: bool = False) -> Iterator[Result]:
    def once() -> tuple[float, ...]:
        with start_falco(address) as falco, Exporter(address, *case.options, pages=pages) as exporter:
            exporter.await_status("/readyz")
            return drain(falco, exporter, sizes.alerts, metric=RECEIVED)

    cpu, rate = median_of(sizes.runs, once)
    yield Result(f"way.{case.key}.cpu", f"exporter, {case.what}", cpu, PER_ALERT, case.budget)
    yield Result(f"way.{case.key}.rate", f"exporter, {case.what}, from a backlog", rate, "alerts/s")


def _with_otlp(sizes: Sizes, address: str, case: Case) -> Iterator[Result]:
    def once() -> tuple[float, ...]:
        with start_falco(address) as falco, Exporter(address, *case.options) as exporter:
            exporter.await_status("/readyz")
            cpu, rate = drain(falco, exporter, sizes.alerts, metric=EXPORTED, command=case.command)
            return cpu, rate, exporter.resident_mib

    cpu, rate, resident = median_of(sizes.runs, once)
    with_otlp = f"metrics and OTLP {case.what}"
    yield Result(f"way.{case.key}.cpu", f"exporter, {with_otlp}", cpu, PER_ALERT, case.budget)
    yield Result(f"way.{case.key}.rate", f"exporter, {with_otlp}, from a backlog", rate, "alerts/s")
    yield Result(f"memory.{case.key}", f"resident after that, OTLP {case.what}", resident, "MiB")


def drain(falco: Program, exporter: Scraped, count: int, *, metric: str, command: str = "backlog") -> tuple[float, ...]:
    """Let the exporter take a backlog; return its CPU an alert (µs) and alerts a second.

    The first scrapes and the first alerts of each kind are out of the way before.
    """
    warm = max(count // 20, 100)
    falco.ask(f"{command} {warm}")
    exporter.await_total(metric, warm)
    before = exporter.cpu
    begun = falco.ask(f"{command} {count}")
    drained = falco.ask("drained")
    exporter.await_total(metric, warm + count)
    # The backlog is queued as one, so that its first alert was taken just after.
    return (exporter.cpu - before) / count * 1e6, count / max(drained["at"] - begun["at"], 1e-3)


def measure_idle(sizes: Sizes, address: str) -> Iterator[Result]:
    """What exporter and simulator use while nothing happens."""
    with start_falco(address) as falco, Exporter(address) as exporter:
        exporter.await_status("/readyz")
        time.sleep(1.0)
        before, falco_before, begun = exporter.cpu, cpu_seconds(falco.pid), time.monotonic()
        time.sleep(sizes.idle_seconds)
        passed = time.monotonic() - begun
        own, falcos = exporter.cpu - before, cpu_seconds(falco.pid) - falco_before
    yield Result("idle.exporter", "exporter, idle", own / passed * 100, "% of a core", 1.5)
    yield Result("idle.falco", "simulated Falco, asked by an idle exporter", falcos / passed * 100, "% of a core")


def measure_start(sizes: Sizes, address: str) -> Iterator[Result]:
    """From the start of the process to its first answers."""

    def once() -> tuple[float, ...]:
        with Exporter(address) as exporter:
            alive = exporter.await_status("/healthz")
            ready = exporter.await_status("/readyz")
            return alive, ready, exporter.cpu, exporter.resident_mib

    with start_falco(address):
        alive, ready, cpu, resident = median_of(sizes.runs + 2, once)
    yield Result("start.alive", "start to the first answer on /healthz", alive, "s")
    yield Result("start.ready", "start to ready (connected to Falco)", ready, "s", 1.0)
    yield Result("start.cpu", "CPU of a start", cpu, "s")
    yield Result("memory.start", "resident after the start", resident, "MiB")
