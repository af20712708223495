"""The exporter is killed -9 ten times in mid-stream; Falco is restarted twenty times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.simulator.server import FalcoSimulator
from tests.chaos.conftest import counted_drops, distinct_uids
from tests.e2e.processes import Collector, Exporter, exporter
from tests.waiting import wait_until

KILLS = 10
RATE = 4_000
IN_FLIGHT_LIMIT = 100
"""What one kill may lose: a batch in our hands (32), what the socket and HTTP/2's window hold (some tens)."""
DRAIN_SECONDS = 300
"""While an exporter starts Falco goes on: on a busy machine ten starts leave hundreds of thousands of alerts."""
RESTARTS = 20
ALERTS_A_RESTART = 250


class Emitter(threading.Thread):
    """Makes a simulated Falco emit at a steady rate, and counts."""

    def __init__(self, falco: FalcoSimulator) -> None:
        super().__init__(daemon=True)
        self.falco = falco
        self.count = 0
        self.ended = threading.Event()
        self._messages = flood_messages()

    def emit(self, count: int) -> None:
        start_ns = time.time_ns()
        batch = [stamp(message, start_ns + number) for number, message in enumerate(islice(self._messages, count))]
        self.count += len(batch)
        self.falco.emit_raw(batch)

    def run(self) -> None:
        begun = time.monotonic()
        while not self.ended.wait(0.01):
            self.emit(int((time.monotonic() - begun) * RATE) - self.count)


def test_kill_9_of_the_exporter_in_mid_stream(
    tmp_path: Path, collector_binary: Path, say: Callable[[str], None]
) -> None:
    """Only what was in flight between Falco and the queue is lost; everything queued is delivered."""
    collector = Collector(collector_binary, tmp_path)
    address = f"unix://{tmp_path}/falco.sock"
    arguments = ("--target", address, "--otlp.endpoint", f"http://127.0.0.1:{collector.grpc_port}",
                 "--otlp.protocol", "grpc", "--queue.directory", tmp_path / "queue")  # fmt: skip
    with FalcoSimulator(address) as falco:
        emitter = Emitter(falco)
        emitter.start()
        for _ in range(KILLS):
            running = Exporter(tmp_path, *arguments)
            running.await_ready()
            wait_until(lambda: running.total("falco_rule_events_total") > 500, "alerts arrive")  # noqa: B023
            running.kill()
        emitter.ended.set()
        emitter.join()
        with exporter(tmp_path, *arguments) as last:
            last.await_ready()
            wait_until(lambda: falco.queued == 0, "Falco's queue is empty", seconds=DRAIN_SECONDS)
            wait_until(
                lambda: last.total("falco_exporter_queue_records") == 0, "the queue is empty", seconds=DRAIN_SECONDS
            )
            drops = counted_drops(last)
    accepted = distinct_uids(collector)
    collector.stop()
    lost = emitter.count - accepted - drops
    say(f"{emitter.count} sent, {KILLS} kills -9; accepted {accepted}, counted drops {drops}, "
        f"lost in flight {lost} ({lost / KILLS:.1f} a kill)")  # fmt: skip
    assert 0 <= lost <= KILLS * IN_FLIGHT_LIMIT
    assert drops == 0


def test_falco_restarts_twenty_times(tmp_path: Path, say: Callable[[str], None]) -> None:
    """Stopped or killed, its socket removed or left behind: the exporter comes back, and counts every alert."""
    address = f"unix://{tmp_path}/falco.sock"
    seconds = []
    with exporter(tmp_path, "--target", address, "--otlp.advice", "none") as running:
        for number in range(RESTARTS):
            falco = FalcoSimulator(address).start()
            begun = time.monotonic()
            running.await_ready()
            seconds.append(time.monotonic() - begun)
            emitter = Emitter(falco)
            emitter.emit(ALERTS_A_RESTART)
            expected = (number + 1) * ALERTS_A_RESTART
            wait_until(lambda: running.total("falco_rule_events_total") == expected, "all counted")  # noqa: B023
            if number % 2:
                falco.kill()
            else:
                assert falco.stop(), "Falco could not stop: a call was left open"
            wait_until(lambda: running.total("falco_exporter_source_up") == 0, "the loss of Falco is seen")
        counted = running.total("falco_rule_events_total")
        reconnects = running.total("falco_exporter_source_reconnects_total")
    say(f"{RESTARTS} restarts, {counted:.0f} of {RESTARTS * ALERTS_A_RESTART} counted, {reconnects:.0f} reconnects, "
        f"ready again after {max(seconds):.2f} s at most")  # fmt: skip
    assert counted == RESTARTS * ALERTS_A_RESTART
    assert reconnects == RESTARTS - 1
    assert max(seconds) < 5
