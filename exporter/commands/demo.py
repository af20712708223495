"""``demo``: the whole exporter on a simulated Falco; everything else is real."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import generate_latest

from exporter.app import App
from exporter.commands.report import writer
from exporter.commands.run import run_app
from exporter.commands.terminal import Style
from exporter.config.model import Config, FalcoTarget, Web
from exporter.errors import ExporterError
from exporter.logs import configure_logging
from exporter.simulator.alerts import SimulatedAlert
from exporter.simulator.scenarios import demo_scenario
from exporter.simulator.server import FalcoSimulator

WAIT_SECONDS = 20.0
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a directory with a random name is made in it
SHOWN_METRICS = (
    "falco_rule_events_total",
    "falco_events_total",
    "falco_event_delay_seconds_count",
    "falco_version_info",
)


def demo(config: Config, *, once: bool, rate: float) -> int:
    """Play the demo; with ``once`` print the reference alert's report and the metrics, and end."""
    configure_logging("warning" if once else config.log.level, config.log.format)
    with _directory() as directory:
        socket = Path(directory, "falco.sock")
        config = _demo_config(config, socket, once=once)
        with FalcoSimulator(f"unix://{socket}", json_output=True) as falco:
            return _play_once(App(config), falco) if once else _play_on(App(config), falco, rate)


def _directory() -> tempfile.TemporaryDirectory[str]:
    """Make a directory for the socket. Raises ExporterError where nothing can be written."""
    with contextlib.suppress(OSError):
        return tempfile.TemporaryDirectory(prefix="falco-demo-")
    try:  # A container that is read-only still has this, unless somebody took it away.
        return tempfile.TemporaryDirectory(prefix="falco-demo-", dir=SHARED_MEMORY)
    except OSError as exc:
        raise ExporterError(
            "the demo needs a place to write for its simulated Falco's socket, and $TMPDIR, /tmp, /var/tmp, the "
            f"working directory and {SHARED_MEMORY} are read-only or missing; mount one (docker run --tmpfs /tmp, in "
            "Kubernetes an emptyDir on /tmp), or set TMPDIR to a directory that can be written"
        ) from exc


def _demo_config(config: Config, socket: Path, *, once: bool) -> Config:
    """A target, and a loopback listener unless one was chosen, so that the report pages are shown."""
    web = config.web
    if web.listen_address == Web().listen_address:
        web = dataclasses.replace(web, listen_address="127.0.0.1:0" if once else "127.0.0.1:9376")
    return dataclasses.replace(config, targets=(FalcoTarget(f"unix://{socket}", name="simulated"),), web=web)


def _play_once(app: App, falco: FalcoSimulator) -> int:
    alerts = list(demo_scenario(time.time_ns()))
    app.start()
    try:
        falco.emit(*alerts)
        _await_alerts(app, len(alerts))
        _print_outcome(app)
    finally:
        app.close()
    return 0


def _await_alerts(app: App, count: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while app.recent.sequence < count:
        if time.monotonic() > deadline:
            raise ExporterError(
                f"only {app.recent.sequence} of {count} alerts came from the simulated Falco in {WAIT_SECONDS:.0f} s; "
                f"its state: {dict(app.not_ready())}"
            )
        time.sleep(0.01)


def _print_outcome(app: App) -> None:
    style = Style(sys.stdout)
    reference = next(alert for alert in app.recent.alerts() if alert.rule == "Clear Log Activities")
    print(writer("text")(app.reporter.report_for(reference)))
    metrics = generate_latest(app.registry).decode()
    print(style.bold(f"Metrics of {app.recent.sequence} alerts, as Prometheus scrapes them (those above 0):\n"))
    for line in metrics.splitlines():
        if line.startswith(SHOWN_METRICS) and not line.endswith(" 0.0"):
            print(line)
    with urllib.request.urlopen(f"{app.web.url}/metrics", timeout=10) as answer:  # noqa: S310 - our own http
        size = len(answer.read())
    print(f"\nThe whole exposition on /metrics has {len(metrics.splitlines())} lines ({size} bytes).")
    print("Without --once the demo keeps running, with the report pages on http://127.0.0.1:9376/.")


def _play_on(app: App, falco: FalcoSimulator, rate: float) -> int:
    ended = threading.Event()
    thread = threading.Thread(target=_emit, args=(falco, rate, ended), name="simulated-falco", daemon=True)
    with contextlib.ExitStack() as stack:
        stack.callback(ended.set)
        thread.start()
        return run_app(app, started=lambda: _say_where(app, rate))


def _say_where(app: App, rate: float) -> None:
    style = Style(sys.stdout)
    print(style.bold(f"\n  A simulated Falco sends {rate:g} alerts per second. Open:"))
    print(f"    {app.web.url}/          state and links")
    print(f"    {app.web.url}/reports   the reports, live")
    print(f"    {app.web.url}/metrics   for Prometheus")
    print("  Ctrl-C ends it.\n", flush=True)


def _emit(falco: FalcoSimulator, rate: float, ended: threading.Event) -> None:
    """Play the scenario once at once, then again and again at the rate, with the time of the moment."""
    falco.emit(*demo_scenario(time.time_ns()))
    for alert in _endless():
        if ended.wait(1.0 / rate if rate > 0 else None):
            return
        falco.emit(dataclasses.replace(alert, time_ns=time.time_ns()))


def _endless() -> Iterator[SimulatedAlert]:
    return itertools.cycle(demo_scenario(time.time_ns()))
