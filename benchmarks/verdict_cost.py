"""What verdicts add to the counting of alerts that repeat: the same messages, counted with verdicts and without.

Both ways take turns, a batch at a time, in one process; of each batch the quickest of many turns counts, since
whatever else the machine does only adds to it. Every alert is decoded anew and has a process id and a time of its
own. Its fields are taken out before: what that costs is a stage of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from benchmarks.falco import of_process
from benchmarks.http_requests import FLOOD_RULES, timed_requests
from exporter.alert import Alert
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sources import decode
from exporter.sources.falco_grpc import BATCH_ALERTS

ALERTS = FLOOD_RULES * BATCH_ALERTS
Write = Callable[[Sequence[Alert]], object]


def added_by(judging: Write, counting: Write, *, turns: int) -> Iterator[tuple[str, str, float]]:
    """Yield a key, what the alerts are, and by how many µs of CPU an alert the first way costs more than the second."""
    messages, bodies = list(_messages()), list(_bodies())
    for key, what, read, received in (
        ("grpc", f"over gRPC, {FLOOD_RULES} rules in turn", decode.from_grpc, messages),
        ("grpc_one", "over gRPC, one rule", decode.from_grpc, messages[::FLOOD_RULES]),
        ("http", f"by posts, {FLOOD_RULES} rules in turn", decode.from_json, bodies),
        ("http_one", "by posts, one rule", decode.from_json, bodies[::FLOOD_RULES]),
    ):
        least: dict[tuple[Write, int], float] = {}
        for turn in range(turns + 2):
            for write in (judging, counting):
                for start in range(0, len(received), BATCH_ALERTS):
                    spent = _write(write, list(map(read, received[start : start + BATCH_ALERTS])))
                    if turn >= 2:  # before, they do not repeat
                        least[write, start] = min(spent, least.get((write, start), spent))
        ways = [sum(spent for (write, _), spent in least.items() if write is way) for way in (judging, counting)]
        yield key, what, (ways[0] - ways[1]) / len(received) * 1e6


def _write(write: Write, alerts: Sequence[Alert]) -> float:
    for alert in alerts:
        alert.all_fields()
    begun = time.thread_time()
    write(alerts)
    return time.thread_time() - begun


def _messages() -> Iterator[bytes]:
    now_ns = time.time_ns()
    for number, message in enumerate(islice(flood_messages(), ALERTS)):
        yield stamp(of_process(message, number), now_ns + number * 1_003)


def _bodies() -> Iterator[bytes]:
    for request in timed_requests(ALERTS, time.time_ns()):
        yield request.partition(b"\r\n\r\n")[2]
