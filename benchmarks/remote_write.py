"""Samples for Prometheus' remote-write receiver, in numbers that need the wire's bytes to be written by hand.

Owns the encoding of requests, not what is in them.
"""

from __future__ import annotations

import http.client
import struct
from collections.abc import Iterable, Mapping

from exporter.sinks.otel.encode.wire import varint

STALE = struct.pack("<Q", 0x7FF0000000000002)
"""The value that says that a series has ended."""
REQUEST_BYTES = 8_000_000


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, with its length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def label(name: str, value: str) -> bytes:
    """Return one label of a series."""
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def labels(pairs: Mapping[str, str]) -> bytes:
    """Return the labels of a series, in the order that Prometheus wants."""
    return b"".join([label(name, value) for name, value in sorted(pairs.items()) if value])


def sample(value: bytes, milliseconds: int) -> bytes:
    """Return one sample; ``value`` is a double's eight bytes."""
    return field(2, b"\x09" + value + b"\x10" + varint(milliseconds))


def samples(values: Iterable[tuple[float, int]]) -> bytes:
    """Return samples: values with their milliseconds since 1970."""
    return b"".join([sample(struct.pack("<d", value), at) for value, at in values])


class Writer:
    """Sends series in requests of some megabytes."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._waiting: list[bytes] = []
        self._bytes = 0

    def add(self, series: bytes) -> None:
        """Take one series with its samples: ``labels() + samples()``."""
        self._waiting.append(field(1, series))
        self._bytes += len(series)
        if self._bytes > REQUEST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what waits. Raises RuntimeError where Prometheus refuses it."""
        body, self._waiting, self._bytes = b"".join(self._waiting), [], 0
        if not body:
            return
        # Snappy's block format, all of it one literal: nothing is gained by packing for the same machine.
        packed = varint(len(body)) + b"\xfc" + struct.pack("<I", len(body) - 1) + body
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        self._connection.request("POST", "/api/v1/write", packed, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"Prometheus refuses samples: {answer.status} {said[:300]!r}")
