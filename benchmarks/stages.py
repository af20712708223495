"""What each part of the hot path costs, in a process of its own.

CPU of the process, not wall time, over batches as the gRPC source hands them over.
The collector of garbage is set as the program sets it.
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from prometheus_client import CollectorRegistry

from benchmarks.falco import of_command, of_process
from benchmarks.http_requests import bodies_of
from benchmarks.processes import Program, start_falco, start_receiver
from benchmarks.results import PER_ALERT, Result
from benchmarks.sizes import FULL, SMOKE, Sizes
from benchmarks.verdict_cost import added_by
from exporter.alert import Alert, Priority
from exporter.allowance import Allowance
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.describe import describe
from exporter.config.model import FalcoTarget, Metrics, Otlp, Queue
from exporter.memory import COLLECTION_THRESHOLD, tune_memory
from exporter.pipeline import Pipeline
from exporter.reporter import Reporter
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.queue.records import Records, join
from exporter.sinks.otel.queue.spool import Spool
from exporter.sinks.otel.send.client import to_client
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.send.envelope import Envelope, to_resource
from exporter.sinks.otel.send.environment import Batching
from exporter.sinks.prometheus.sink import KnownRule, PrometheusSink
from exporter.sinks.recent import RecentSink
from exporter.sources import decode
from exporter.sources.falco_grpc import BATCH_ALERTS
from exporter.sources.falco_grpc_channel import UNSTORED_WINDOW_BYTES, GetPoller, open_channel
from exporter.sparing import SparingReporter
from exporter.verdict.judgement import Judgement

RUNS = 5
REST_SECONDS, REST_POSTS = 1e-4, 2_000
VERDICTS, VERDICTS_BUDGET = "verdicts_added.", 2.0
"""What counting by verdict may add for an alert that repeats, µs."""


def cost(work: Callable[[], object], count: int, runs: int = RUNS) -> float:
    """CPU of one alert in µs: the median of several runs of ``work``, which handles ``count`` alerts."""
    seconds = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds) / count * 1e6


def load_nothing(stored: bytes, records: int) -> Records:
    """Stand where a queue reads back what memory no longer has; this one is emptied before that."""
    raise AssertionError(f"{records} records in {len(stored)} bytes were read back")


def in_batches(items: Sequence[Alert], size: int) -> list[Sequence[Alert]]:
    """Split as the source hands over."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def each(take: Callable[[Sequence[Alert]], object], batches: Sequence[Sequence[Alert]]) -> Callable[[], None]:
    """Return work that gives every batch to ``take``."""

    def work() -> None:
        for batch in batches:
            take(batch)

    return work


def in_turn(take: Callable[[Sequence[Alert]], object], alerts: Sequence[Alert]) -> None:
    """Give the alerts to ``take`` as the source hands over."""
    for batch in in_batches(alerts, BATCH_ALERTS):
        take(batch)


class Stages:
    """Alerts of the flood, and every part that they pass."""

    def __init__(self, sizes: Sizes, address: str) -> None:
        self.count = sizes.stage_alerts
        self.address = address
        now_ns = time.time_ns()
        self.messages = [stamp(message, now_ns + 1_003 * n) for n, message in self._numbered()]
        self.alerts = [decode.from_grpc(message) for message in self.messages]
        self.batches = in_batches(self.alerts, BATCH_ALERTS)
        self.catalog = load_catalog()
        self.reporter = Reporter(self.catalog)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECTION_THRESHOLD, 20, 20)

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        return enumerate(islice(flood_messages(), self.count))

    def measure(self) -> Iterator[tuple[str, str, float]]:
        """Yield key, what it is and µs an alert."""
        size = sum(map(len, self.messages)) / self.count
        yield "receive", "receive (`get`, raw bytes)", self._receive(lambda _: None)
        yield "decode", f"decode ({size:,.0f}-byte messages)", self._cost_of_messages(decode.from_grpc)
        rested, busy = self._decode_json(REST_SECONDS, 0.0)
        yield "decode_json", "decode a post's body, one after the other", busy
        yield "decode_json_rested", f"the same, each after a rest of {REST_SECONDS * 1e3:g} ms", rested
        yield "pipeline", "pipeline (no sinks)", cost(each(Pipeline([]).deliver, self.batches), self.count)
        sparing = SparingReporter(self.reporter, SelfMetrics(CollectorRegistry()))
        sparing.allowance = Allowance(1.0, 1e9)
        judge, judge_all = self.catalog.judge.judge, sparing.judge
        counting, judging = self._prometheus(self.catalog), self._prometheus(self.catalog, judge_all)
        yield "prometheus", "Prometheus sink", self._of_new(lambda alerts: in_turn(counting.write, alerts))
        yield (
            "prometheus_verdict",
            "Prometheus sink with verdicts, alerts repeat",
            self._of_new(lambda alerts: in_turn(judging.write, alerts)),
        )
        yield (
            "verdict",
            "verdict and outcome, alerts repeat",
            self._of_new(lambda alerts: [judge(alert) for alert in alerts]),
        )
        for mix, what, added in added_by(judging.write, counting.write, turns=self.count // 200):
            yield f"{VERDICTS}{mix}", f"verdicts add to the Prometheus sink, alerts repeat, {what}", added
        yield "recent", "recent reports", self._sink(RecentSink(1_000))
        yield "uid", "uid", cost(lambda: [alert.uid for alert in self.alerts], self.count)
        yield "report", "advice", cost(lambda: [self.reporter.advice_for(a) for a in self.alerts], self.count)
        yield from self._log_records()

    def _receive(self, take: Callable[[bytes], object]) -> float:
        with start_falco(self.address) as falco:
            channel = open_channel(FalcoTarget(self.address), window_bytes=UNSTORED_WINDOW_BYTES)
            poller = GetPoller(channel)
            seconds = []
            for _ in range(RUNS):
                falco.ask(f"backlog {self.count}")
                begun, received = time.process_time(), 0
                while received < self.count:
                    for raw in poller.poll():
                        take(raw)
                        received += 1
                seconds.append(time.process_time() - begun)
            channel.close()
        return statistics.median(seconds) / self.count * 1e6

    def _cost_of_messages(self, read: Callable[[bytes], object]) -> float:
        def work() -> None:
            for message in self.messages:
                read(message)

        return cost(work, self.count)

    @staticmethod
    def _decode_json(*rests_seconds: float) -> list[float]:
        """CPU of one body in µs for each rest before it, 0 for none: of runs in turn, the least of each.

        Each body has process ids of its own: those that differ in their time only are not read whole.
        """
        numbers = itertools.count()
        least = [math.inf] * len(rests_seconds)
        for _ in range(RUNS):
            for place, rest_seconds in enumerate(rests_seconds):
                spent = 0.0
                for body in list(bodies_of(itertools.islice(numbers, REST_POSTS))):
                    if rest_seconds:
                        time.sleep(rest_seconds)
                    begun = time.thread_time()
                    decode.from_json(body)
                    spent += time.thread_time() - begun
                least[place] = min(least[place], spent)
        return [spent / REST_POSTS * 1e6 for spent in least]

    def _of_new(self, work: Callable[[Sequence[Alert]], object]) -> float:
        """CPU of one alert in µs: the least of several runs, each with alerts that nothing is noted at yet."""
        seconds = []
        for _ in range(RUNS):
            alerts = [decode.from_grpc(message) for message in self.messages]
            for alert in alerts:
                alert.all_fields()
            begun = time.process_time()
            work(alerts)
            seconds.append(time.process_time() - begun)
        return min(seconds) / self.count * 1e6

    def _sink(self, sink: RecentSink) -> float:
        return cost(each(sink.write, self.batches), self.count)

    @staticmethod
    def _prometheus(
        catalog: Catalog, judge: Callable[[Sequence[Alert]], Iterable[Judgement]] | None = None
    ) -> PrometheusSink:
        rules = [KnownRule(f.rule, Priority.from_label(f.priority), f.source) for f in catalog.rules.values()]
        return PrometheusSink(
            Metrics(),
            registry=CollectorRegistry(),
            rules=rules,
            describe=lambda rule, source: describe(catalog, rule, source),
            judge=judge,
        )

    def _log_records(self) -> Iterator[tuple[str, str, float]]:
        settings = Otlp()
        budget = Budget(settings.record_limit_bytes, settings.attribute_limit, lambda: None)
        bare, full = (
            RecordEncoder(budget, Reports(None)),
            RecordEncoder(budget, Reports(self.reporter.advice_for, detail=settings.advice)),
        )
        yield "encode_bare", "take fields out, encode, without advice", self._encode(bare, self.messages)
        yield "encode", "take fields out, report and encode, with advice", self._encode(full, self.messages)
        unlike = [of_process(message, n) for n, message in enumerate(self.messages)]
        yield "encode_unlike", "the same, no two process ids alike", self._encode(full, unlike)
        strange = [of_command(message, n) for n, message in enumerate(self.messages)]
        yield "encode_strange", "the same, no two command lines and files alike", self._encode(full, strange)
        chunks = [self._records(full, batch) for batch in self.batches]
        size, stored_size = sum(map(len, chunks)) / self.count, sum(len(bytes(chunk)) for chunk in chunks) / self.count
        yield "queue", "queue in memory, in and out", self._queue(chunks, Queue())
        with tempfile.TemporaryDirectory() as directory:
            yield (
                "queue_disk",
                f"queue on disk, in and out ({stored_size / 1024:.1f} KiB a record)",
                self._queue(chunks, Queue(directory=Path(directory))),
            )
        yield "send", f"send (OTLP gRPC, {size / 1024:.1f} KiB a record)", self._send(chunks)

    def _encode(self, encoder: RecordEncoder, messages: Sequence[bytes]) -> float:
        """Encoding alone, of alerts that were decoded just before, as in the program."""
        seconds = []
        for _ in range(RUNS):
            spent = 0.0
            for start in range(0, len(messages), BATCH_ALERTS):
                batch = [decode.from_grpc(message) for message in messages[start : start + BATCH_ALERTS]]
                begun = time.process_time()
                self._records(encoder, batch)
                spent += time.process_time() - begun
            seconds.append(spent)
        return statistics.median(seconds) / self.count * 1e6

    @staticmethod
    def _records(encoder: RecordEncoder, batch: Sequence[Alert]) -> Records:
        records = Records()
        observed_ns = time.time_ns()
        for alert in batch:
            records.add(encoder.encode(alert, observed_ns=observed_ns), observed_ns, alert.received)
        return records

    def _queue(self, chunks: Sequence[Records], settings: Queue) -> float:
        spool: Spool[Records] = Spool(settings, load=load_nothing, on_drop=lambda reason, records: None)
        spool.open()

        def work() -> None:
            for chunk in chunks:
                spool.append(chunk, chunk.count)
                if spool.records >= Batching().records:
                    spool.take(Batching().records, 1 << 30)
                    spool.release()

        found = cost(work, self.count)
        spool.close()
        return found

    def _send(self, chunks: Sequence[Records]) -> float:
        with start_receiver() as receiver:
            client = to_client(Endpoint("grpc", f"http://127.0.0.1:{receiver.first['port']}"))
            envelope = Envelope(to_resource())
            per_request = max(Batching().records // BATCH_ALERTS, 1)

            def work() -> None:
                for start in range(0, len(chunks), per_request):
                    batch = join(chunks[start : start + per_request])
                    client.send(envelope.request(batch))

            found = cost(work, self.count)
            client.close()
        return found


def measure_stages(sizes: Sizes, address: str) -> Iterator[Result]:
    """Measure every stage in a fresh process."""
    smoke = ["--smoke"] if sizes == SMOKE else []
    # grpc reads it at its import; the command sets it for itself (exporter/cli.py).
    tuned = ["env", "GRPC_EXPERIMENTS=-event_engine_client"]
    with Program([*tuned, sys.executable, "-m", "benchmarks.stages", address, *smoke]) as program:
        for key, what, value in program.first["stages"]:
            budget = VERDICTS_BUDGET if key.startswith(VERDICTS) else None
            yield Result(f"stage.{key}", f"stage: {what}", value, PER_ALERT, budget)


def main() -> None:
    """Print every stage's cost as one JSON line."""
    tune_memory()
    sizes = SMOKE if "--smoke" in sys.argv else FULL
    print(json.dumps({"stages": list(Stages(sizes, sys.argv[1]).measure())}), flush=True)


if __name__ == "__main__":
    main()
