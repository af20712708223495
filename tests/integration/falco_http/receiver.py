"""A running receiver of Falco's posts, and ways to post to it."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from exporter.config.model import FalcoHttp
from exporter.selfmetrics import SelfMetrics
from exporter.sources.falco_http import FalcoHttpSource
from tests.http_requests import Delivered

FALCO_HEADERS = {"User-Agent": "falcosecurity/falco", "Content-Type": "application/json"}


ALERT = {
    "time": "2026-01-31T12:00:00.000000001Z", "rule": "R", "priority": "Notice", "source": "syscall",
    "hostname": "h", "output": "12:00:00.000000001: Notice something", "output_fields": {"proc.pid": 5}, "tags": ["a"],
}  # fmt: skip


class Receiver:
    """A running source."""

    def __init__(self, source: FalcoHttpSource, kept: Delivered, registry: CollectorRegistry) -> None:
        self.source, self.kept, self.registry = source, kept, registry

    @property
    def port(self) -> int:
        return self.source.port

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        if context is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=10, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def post(self, body: bytes | str, path: str = "/", **headers: str) -> tuple[int, str, dict[str, str]]:
        return self.ask("POST", path, body, **headers)

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        connection = self.connect()
        try:
            connection.request(method, path, body, FALCO_HEADERS | headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.headers)
        finally:
            connection.close()

    def errors(self, reason: str) -> float | None:
        labels = {"target": self.source.name, "reason": reason}
        return self.registry.get_sample_value("falco_exporter_decode_errors_total", labels)

    def received(self) -> float | None:
        return self.registry.get_sample_value("falco_exporter_alerts_received_total", {"target": self.source.name})

    def rejected(self, reason: str) -> float | None:
        labels = {"listener": "http", "reason": reason}
        return self.registry.get_sample_value("falco_exporter_http_rejected_total", labels)


@contextmanager
def receiving(settings: FalcoHttp) -> Iterator[Receiver]:
    registry, kept, stop = CollectorRegistry(), Delivered(), threading.Event()
    source = FalcoHttpSource(settings, SelfMetrics(registry))
    thread = threading.Thread(target=source.run, args=(kept, stop))
    thread.start()
    assert source.listening.wait(10)
    try:
        yield Receiver(source, kept, registry)
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def read_to_the_end(connection: socket.socket) -> bytes:
    read = b""
    try:
        while piece := connection.recv(1000):
            read += piece
    except ConnectionResetError:
        pass
    return read


@contextmanager
def open_socket(receiver: Receiver) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as connection:
        yield connection


def request(body: bytes, *, path: str = "/", headers: Sequence[str] = (), length: bool = True) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def statuses(connection: socket.socket, count: int) -> list[int]:
    """Read so many answers, one after another."""
    file = connection.makefile("rb")
    found = []
    for _ in range(count):
        head = iter(file.readline, b"\r\n")
        found.append(int(next(head).split()[1]))
        length = next(
            (int(line.split(b":")[1]) for line in list(head) if line.lower().startswith(b"content-length")), 0
        )
        file.read(length)
    return found
