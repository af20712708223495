"""What waits on disk is delivered whole by the next exporter, after a stop and after kill -9."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

from exporter.config.model import Redaction
from exporter.redaction import make_redaction
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sources.decode import from_grpc, from_json
from tests.integration.otlp.receiver import Receiver, free_port
from tests.integration.otlp.sinks import LOGS_PATHS, RECEIVERS, delivering
from tests.otel_records import attributes_of, many
from tests.waiting import wait_until


def test_what_was_not_delivered_is_delivered_after_a_restart(protocol: str, tmp_path: Path) -> None:
    """The exporter stops while the collector is away: the next one delivers the same uids and bytes."""
    port, receiver = free_port(), Receiver()
    with delivering(f"http://127.0.0.1:{port}", protocol, tmp_path, close_seconds=0.2) as (sink, metric):
        sink.write(many(5))
        wait_until(lambda: sink.delivery_failing_since is not None)
    assert metric("log_records_dropped_total", reason="shutdown") == 0
    with RECEIVERS[protocol](receiver, port=port), delivering(receiver.endpoint, protocol, tmp_path):
        wait_until(lambda: len(receiver.accepted) == 5)
    assert receiver.uids == [alert.uid for alert in many(5)]


def test_the_disk_keeps_what_falco_sent_and_delivers_the_whole_record(protocol: str, tmp_path: Path) -> None:
    """After a restart each record is, attribute by attribute, what it would have been without the disk."""
    alerts = [from_grpc(stamp(message, 1_760_000_000_000_000_000)) for message in islice(flood_messages(), 40)]
    with RECEIVERS[protocol](Receiver()) as direct, delivering(direct.endpoint, protocol) as (sink, _):
        sink.write(alerts)
        wait_until(lambda: len(direct.accepted) == 40)
    port, receiver = free_port(), Receiver()
    with delivering(f"http://127.0.0.1:{port}", protocol, tmp_path, close_seconds=0.2) as (sink, metric):
        sink.write(alerts)
        assert metric("queue_bytes") < sum(record.ByteSize() for record in direct.accepted)
        observed = time.time_ns()
    assert b"Consider chattr" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with RECEIVERS[protocol](receiver, port=port), delivering(receiver.endpoint, protocol, tmp_path):
        wait_until(lambda: len(receiver.accepted) == 40)
    assert [attributes_of(record) for record in receiver.accepted] == [
        attributes_of(record) for record in direct.accepted
    ]
    assert all(record.observed_time_unix_nano < observed for record in receiver.accepted)


def test_what_was_masked_is_not_on_disk_either(protocol: str, tmp_path: Path) -> None:
    """The message that an alert came in, which the disk would keep, does not outlive its masking."""
    redaction = make_redaction(Redaction(fields=("proc.cmdline",)))
    assert redaction is not None
    line = b'{"rule":"R","priority":"Debug","time":"2024-10-05T18:29:39Z","output_fields":{"proc.cmdline":"hunter2"}}'
    with delivering(f"http://127.0.0.1:{free_port()}", protocol, tmp_path, close_seconds=0.2) as (sink, metric):
        sink.write([redaction(from_json(line))])
        assert metric("queue_records") == 1
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_full_queue_on_disk_asks_sources_to_wait(protocol: str, tmp_path: Path) -> None:
    """With when_full wait and no collector, room goes to 0 and nothing is dropped."""
    with delivering(
        f"http://127.0.0.1:{free_port()}", protocol, tmp_path, close_seconds=0.2, queue={"limit_bytes": 200_000}
    ) as (sink, metric):
        while room := sink.room():
            sink.write(many(min(room, 10)))
        assert metric("queue_bytes") <= 200_000
        assert metric("log_records_dropped_total", reason="full") == 0


def test_a_queue_directory_that_cannot_be_used_is_not_ready(receiver: Receiver, protocol: str) -> None:
    """Alerts are delivered from memory, and readiness says why that is not what was asked for."""
    with delivering(receiver.endpoint, protocol, Path("/proc/queue")) as (sink, metric):
        assert "/proc/queue" in sink.unready_reason()
        sink.write(many(1))
        wait_until(lambda: metric("log_records_exported_total") == 1)


KILLED = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from exporter.config.model import Grouping, Otlp, Queue
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.record import Reports
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.sink import Destination, OtelLogsSink
from exporter.sources.decode import from_received
from tests.otel_records import many, advice_for
sink = OtelLogsSink(
    Otlp(), Destination(Endpoint(sys.argv[2], sys.argv[1]), Queue(directory=Path(sys.argv[3]))), Grouping(),
    reports=Reports(advice_for), read_message=from_received, metrics=SelfMetrics(CollectorRegistry()),
)
sink.start()
for first in range(int(sys.argv[4]), 10**9, 5):
    sink.write(many(5, first=first))
    print(first + 5, flush=True)
"""


def test_kill_9_in_mid_stream_loses_nothing_that_was_taken(protocol: str, tmp_path: Path) -> None:
    """Killed three times while it writes and sends: every alert that was taken arrives, under one uid each."""
    taken, queued_again = 0, set[str]()
    with RECEIVERS[protocol]() as receiver:
        for _ in range(3):
            arguments = [
                sys.executable,
                "-c",
                KILLED,
                receiver.endpoint + LOGS_PATHS[protocol],
                protocol,
                str(tmp_path),
                str(taken),
            ]
            with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(40):
                    taken = int(process.stdout.readline())
                process.kill()
                taken = max([taken, *(int(line) for line in process.stdout if line.endswith("\n"))])
            # One more batch may have been queued than the last one that was reported: it is written once more.
            queued_again |= {alert.uid for alert in many(taken + 5)} - {alert.uid for alert in many(taken)}
        with delivering(receiver.endpoint, protocol, tmp_path) as (sink, metric):
            wait_until(lambda: metric("queue_records") == 0)
            assert sink.status().queued_records == 0
    expected = {alert.uid for alert in many(taken)}
    # One more batch may have been queued than the last one that was reported.
    assert expected <= set(receiver.uids) <= {alert.uid for alert in many(taken + 5)}
    bytes_by_uid: dict[str, set[bytes]] = {}
    for record in receiver.accepted:
        uid = attributes_of(record)["log.record.uid"]
        bytes_by_uid.setdefault(uid, set()).add(record.SerializeToString())
    assert {len(versions) for uid, versions in bytes_by_uid.items() if uid not in queued_again} == {1}
