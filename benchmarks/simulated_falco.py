"""A simulated Falco as a process of its own, for benchmarks and tests.

    python -m benchmarks.simulated_falco --address unix:///run/falco/falco.sock --backlog 100000

Prints one line once it serves. SIGTERM stops it as Falco stops, SIGKILL leaves
its socket behind as Falco does. The installed command's ``demo`` is for people.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from itertools import islice
from pathlib import Path

from benchmarks.fast_falco import FastFalco
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import SCENARIOS, flood_messages
from exporter.simulator.server import FalcoSimulator, ServerTls

SLICE_SECONDS = 0.01


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = parse_arguments()
    simulator = make_simulator(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    fill(simulator, arguments)
    simulator.start()
    print(f"serving on {simulator.address} with {simulator.queued} alerts queued", flush=True)
    emit_until(stop, simulator, arguments)
    simulator.stop()


def make_simulator(arguments: argparse.Namespace) -> FalcoSimulator | FastFalco:
    """Return the faithful simulator, or the fast one where that is asked for."""
    if arguments.fast:
        return FastFalco(arguments.address)
    tls = ServerTls(*arguments.tls) if arguments.tls else None
    return FalcoSimulator(arguments.address, tls=tls, json_output=arguments.json_output)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulated_falco", description="a simulated Falco 0.43.1"
    )
    parser.add_argument("--address", required=True, help="unix:///PATH or HOST:PORT")
    parser.add_argument("--tls", nargs=3, type=Path, metavar=("CERT", "KEY", "CLIENT_CA"), help="mutual TLS, PEM files")
    parser.add_argument("--fast", action="store_true", help="send ten times as fast; unix socket only, less faithful")
    parser.add_argument("--json-output", action="store_true", help="as Falco's json_output: true")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="alerts to queue first")
    parser.add_argument("--backlog", type=int, default=0, metavar="N", help="flood alerts to queue first")
    parser.add_argument("--rate", type=float, default=0.0, metavar="N", help="flood alerts a second from then on")
    return parser.parse_args()


def fill(simulator: FalcoSimulator | FastFalco, arguments: argparse.Namespace) -> None:
    """Queue the scenario and the backlog."""
    if arguments.scenario:
        scenario = SCENARIOS[arguments.scenario](time.time_ns())
        simulator.emit_raw(alert.to_message(json_output=arguments.json_output) for alert in scenario)
    start_ns = time.time_ns()
    messages = islice(flood_messages(json_output=arguments.json_output), arguments.backlog)
    simulator.emit_raw(stamp(message, start_ns + number * 1_003) for number, message in enumerate(messages))


def emit_until(stop: threading.Event, simulator: FalcoSimulator | FastFalco, arguments: argparse.Namespace) -> None:
    """Emit at the rate until ``stop``; a late slice is made up for by the next one."""
    messages = flood_messages(json_output=arguments.json_output)
    begun = time.monotonic()
    emitted = 0
    while not stop.wait(SLICE_SECONDS if arguments.rate else None):
        due = int((time.monotonic() - begun) * arguments.rate) - emitted
        simulator.emit_raw([stamp(message, time.time_ns()) for message in islice(messages, due)])
        emitted += due


if __name__ == "__main__":
    main()
