"""What was queued is there after kill -9, once and in order, whatever happened before."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from exporter.sinks.otel.queue.chunks import Chunk
from tests.unit.sinks.otel.queue.bench import Bench, killed, payloads

KILLED = """
import os, signal, sys
from pathlib import Path
from exporter.config.model import Queue
from exporter.sinks.otel.queue import disk
from exporter.sinks.otel.queue.spool import Spool
spool = Spool(Queue(directory=Path(sys.argv[1])), load=lambda stored, _: stored, on_drop=lambda *drop: None)
spool.open()
index = 0
while True:
    spool.append(b"%06d" % index + b"." * 5_000, 1)
    print(index, flush=True)
    index += 1
"""


def test_kill_9_loses_nothing_that_was_queued(tmp_path: Path) -> None:
    """Every chunk whose append had returned is there after SIGKILL, once, whole and in order."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(500):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        queued = 500 + len([line for line in process.stdout if line.endswith("\n")])
    found = [int(payload[:6]) for payload in Bench(tmp_path, limit_bytes=10**9).drain()]
    assert found in (list(range(queued)), list(range(queued + 1)))


def test_a_kill_right_after_a_new_file_began_loses_nothing(tmp_path: Path) -> None:
    """Reading stood at the end of a file that was full; what came then is in the next one, and comes once."""
    bench = Bench(tmp_path / "queue", limit_bytes=10**9)
    written = payloads(50, size=200_000)
    for payload in written[:42]:
        bench.spool.append(payload, 1)
    assert bench.spool.take(100, 10**9) == written[:42]
    bench.spool.release()
    for payload in written[42:]:
        bench.spool.append(payload, 1)
    after = killed(tmp_path / "queue", tmp_path / "copy")
    assert after.drain() == written[42:]
    assert not after.drops


def test_a_kill_while_some_of_a_batch_was_put_back_sends_that_again(tmp_path: Path) -> None:
    """What was put back lies before the place where reading stands: it must not be passed over."""
    bench = Bench(tmp_path / "queue")
    for payload in payloads(3):
        bench.spool.append(payload, 1)
    bench.spool.take(3, 10_000)
    bench.spool.put_back()
    assert bench.spool.take(1, 10_000) == payloads(1)
    bench.spool.release()
    assert killed(tmp_path / "queue", tmp_path / "copy").drain()[-2:] == payloads(3)[1:]


def test_what_is_in_flight_comes_again_after_a_kill_whatever_happened_meanwhile(tmp_path: Path) -> None:
    """Neither the drop of an older chunk nor tidying takes note of it as done with."""
    bench = Bench(tmp_path / "queue", limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(5):
        bench.spool.append(payload, 1)
    bench.spool.take(1, 10_000)
    bench.spool.append(payloads(6)[5], 1)
    bench.spool.tidy()
    assert bench.drops == {"full": 1}
    assert killed(tmp_path / "queue", tmp_path / "copy").drain() == payloads(6)


def test_what_was_dropped_does_not_come_again_after_a_kill(tmp_path: Path) -> None:
    """Nothing was in flight: the place where reading stands is kept at once."""
    bench = Bench(tmp_path / "queue", limit_bytes=500, when_full="drop-oldest")
    for payload in payloads(7):
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 2}
    assert killed(tmp_path / "queue", tmp_path / "copy").drain() == payloads(7)[2:]


def test_chunks_that_became_one_are_dropped_together(tmp_path: Path) -> None:
    """Where several chunks on disk are one in memory, reading goes on behind all of them."""
    bench = Bench(tmp_path / "queue", limit_bytes=700, when_full="drop-oldest")
    first, _, _ = ahead = [bench.spool.append_ahead(payload, 1, bench.clock.now, 100) for payload in payloads(3)]
    assert None not in ahead
    bench.spool.complete(Chunk(3, 12, bench.clock.now, b"three in one", 300, 3, first or 0))
    for payload in payloads(8)[3:]:
        bench.spool.append(payload, 1)
    assert bench.drops == {"full": 3}
    assert killed(tmp_path / "queue", tmp_path / "copy").drain() == payloads(8)[3:]
