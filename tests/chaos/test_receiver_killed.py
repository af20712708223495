"""An answer to a post means that its alert survives a kill -9, where the queue is on disk."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from exporter.simulator.scenarios import flood
from tests.e2e.processes import Exporter, free_port
from tests.waiting import wait_until

CONNECTIONS = 4
ANSWERS_BEFORE_THE_KILL = 1_500


class Sender(threading.Thread):
    """Posts one alert after the other until the receiver is gone; counts what was answered."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__()
        self._port = port
        self._number = number
        self.answered = 0

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            for alert in flood(100_000, 1_760_000_000_000_000_000 + self._number):
                body = json.dumps(json.loads(alert.to_json()) | {"hostname": f"h{self._number}"}).encode()
                head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
                try:
                    connection.sendall(head + body)
                    answer = connection.recv(4_096)
                except OSError:
                    return
                if not answer.startswith(b"HTTP/1.1 200"):
                    return
                self.answered += 1


def test_what_was_answered_is_in_the_queue_after_a_kill(tmp_path: Path, say: Callable[[str], None]) -> None:
    """Four senders post flat out, the exporter is killed: the next one has every alert that was answered."""
    port = free_port()
    options = (
        *("--http.address", f"127.0.0.1:{port}", "--otlp.endpoint", "http://127.0.0.1:9"),
        *("--queue.directory", tmp_path / "queue", "--shutdown-seconds", "0.1"),
    )
    running = Exporter(tmp_path, *options)
    running.await_answer()
    running.await_ready()
    senders = [Sender(port, number) for number in range(CONNECTIONS)]
    for sender in senders:
        sender.start()
    wait_until(lambda: sum(sender.answered for sender in senders) >= ANSWERS_BEFORE_THE_KILL, "answers", seconds=60)
    running.kill()
    for sender in senders:
        sender.join(10)
    answered = sum(sender.answered for sender in senders)
    after = Exporter(tmp_path, *options)
    try:
        after.await_answer()
        after.await_ready()
        kept = int(after.total("falco_exporter_queue_records"))
    finally:
        after.stop()
    say(f"{answered} posts answered before the kill, {kept} log records in the queue after it")
    assert kept >= answered  # what was written and not yet answered may be there too
