"""The collector is killed and restarted ten times while 100,000 alerts come; none is lost."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from exporter.simulator.scenarios import flood
from tests.chaos.conftest import counted_drops, distinct_uids
from tests.e2e.processes import Collector, Exporter, Simulator, exporter, free_port
from tests.waiting import wait_until

ALERTS = 100_000
KILLS = 10


def _exported(running: Exporter) -> float:
    return running.total("falco_exporter_log_records_exported_total")


def _exported_more_than(running: Exporter, before: float) -> bool:
    return _exported(running) > before


def reconcile(running: Exporter, collector: Collector, send: Callable[[], None], say: Callable[[str], None]) -> None:
    """Send while the collector dies again and again; then sent = counted = on file + counted drops."""
    sender = threading.Thread(target=send)
    begun = time.monotonic()
    sender.start()
    for _ in range(KILLS):
        wait_until(partial(_exported_more_than, running, _exported(running)), "delivery goes on")
        collector.kill()
        collector.restart()
    sender.join(300)
    wait_until(lambda: running.total("falco_rule_events_total") == ALERTS, "every alert in metrics", seconds=120)
    wait_until(lambda: running.total("falco_exporter_queue_records") == 0, "the queue is empty", seconds=120)
    seconds = time.monotonic() - begun
    accepted, drops = distinct_uids(collector), counted_drops(running)
    collector.stop()
    say(
        f"{ALERTS} sent in {seconds:.1f} s, {KILLS} kills; in metrics {running.total('falco_rule_events_total'):.0f}, "
        f"accepted {accepted}, counted drops {drops}, retries "
        f"{running.total('falco_exporter_log_export_retries_total'):.0f}"
    )
    assert accepted + drops == ALERTS
    assert drops == 0


def arguments(directory: Path, port: int) -> tuple[str | Path, ...]:
    return ("--otlp.endpoint", f"http://127.0.0.1:{port}", "--otlp.protocol", "grpc", "--queue.directory", directory)


def test_grpc_while_the_collector_dies(tmp_path: Path, collector_binary: Path, say: Callable[[str], None]) -> None:
    """100,000 alerts over gRPC: every one is in the metrics and, once, with the collector."""
    port = free_port()
    path = tmp_path / "falco.sock"
    falco: list[Simulator] = []
    with exporter(tmp_path, "--target", f"unix://{path}", *arguments(tmp_path / "queue", port)) as running:
        try:
            reconcile(
                running, Collector(collector_binary, tmp_path, (port, free_port())),
                lambda: falco.append(Simulator(tmp_path, path, "--fast", "--backlog", str(ALERTS))), say,
            )  # fmt: skip
        finally:
            for process in falco:
                process.stop()


def post_all(port: int) -> None:
    """Post as Falco does: one connection, one alert at a time, waiting for each answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies():
            connection.sendall(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: falcosecurity/falco\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            head = connection.recv(4096)
            assert head.startswith(b"HTTP/1.1 200"), head[:200]


def bodies() -> Iterator[bytes]:
    """100,000 alerts as JSON, each with a time of its own."""
    kinds = [alert.to_json() for alert in islice(flood(50, 0), 50)]
    for number in range(ALERTS):
        moment = 1_700_000_000_000_000_000 + number * 1_003
        text = kinds[number % len(kinds)]
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 10**9))
        head = text[: text.rindex('"time":"')]
        yield f'{head}"time":"{clock}.{moment % 10**9:09d}Z"}}'.encode()


def test_http_while_the_collector_dies(tmp_path: Path, collector_binary: Path, say: Callable[[str], None]) -> None:
    """100,000 alerts over HTTP, one at a time: each answered 200, each in the metrics and with the collector."""
    port, http_port = free_port(), free_port()
    with exporter(
        tmp_path, "--http.address", f"127.0.0.1:{http_port}", *arguments(tmp_path / "queue", port)
    ) as running:
        running.await_ready()
        collector = Collector(collector_binary, tmp_path, (port, free_port()))
        reconcile(running, collector, lambda: post_all(http_port), say)
        connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().status == 405
        connection.close()
