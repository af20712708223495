"""How long an alert takes from its event until it is counted.

Runs the program's own parts in this process, with one more sink at the end
that notes each alert's age: exact, where the exporter's histogram has buckets.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from benchmarks.processes import Program, free_port, start_falco
from benchmarks.results import Result
from benchmarks.sizes import Sizes
from exporter.alert import Alert
from exporter.app import App
from exporter.config.model import Config, FalcoTarget, Web

RATES = (20, 1_000, 10_000)


class Ages:
    """A sink that notes how old each alert is once every other sink has it."""

    name = "ages"

    def __init__(self) -> None:
        self.ages_ns: list[int] = []

    def start(self) -> None:
        pass

    def room(self) -> int:
        return 1_000_000

    def write(self, alerts: Sequence[Alert]) -> None:
        now_ns = time.time_ns()
        self.ages_ns += [now_ns - alert.time_ns for alert in alerts]

    def close(self, deadline_seconds: float) -> None:
        pass


def measure_delay(sizes: Sizes, address: str) -> Iterator[Result]:
    """Median and 99th percentile at three rates."""
    for rate in RATES:
        with start_falco(address) as falco, Program([sys.executable, "-m", "benchmarks.delay", address]) as program:
            emitted = falco.ask(f"rate {rate} {sizes.live_seconds}")["emitted"]
            found = program.ask(str(int(emitted)))
        at = f"at {rate:,} alerts/s"
        yield Result(f"delay.{rate}.p50", f"event to metric {at}, median", found["p50"], "ms")
        yield Result(f"delay.{rate}.p99", f"event to metric {at}, 99th percentile", found["p99"], "ms", 60)


def main() -> None:
    """Run beside the Falco at ``argv[1]``; once a number is read, wait for as many alerts and print their ages."""
    config = Config(targets=(FalcoTarget(sys.argv[1]),), web=Web(listen_address=f"127.0.0.1:{free_port()}"))
    app = App(config)
    ages = Ages()
    app.pipeline.sinks += (ages,)
    app.start()
    app.prepare()
    while app.not_ready():
        time.sleep(0.01)
    print(json.dumps({}), flush=True)
    expected = int(sys.stdin.readline())
    waiting = threading.Event()
    for _ in range(1_000):
        if len(ages.ages_ns) >= expected or waiting.wait(0.01):
            break
    found = sorted(ages.ages_ns)
    print(json.dumps({f"p{part}": found[len(found) * part // 100] / 1e6 for part in (50, 99)}), flush=True)
    sys.stdin.readline()
    app.close()


if __name__ == "__main__":
    main()
