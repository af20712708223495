"""What a Loki keeps of log records, worked out from the documented format of its chunks (v4).

Loki itself is not built here. Its chunks hold entries in blocks, each block compressed by itself: time, line, and
two numbers for each piece of structured metadata, which count into one compressed list of all names and values
(``pkg/chunkenc`` of Loki 3, "Chunk v4 format"). Index and write-ahead log come on top.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

BLOCK_BYTES = 256 * 1024
"""Loki's default ``chunk_block_size``, before compressing."""
CHUNK_BYTES = 1_572_864
"""Loki's default ``chunk_target_size``, compressed."""
_CHECKSUM_BYTES = 4
_HEAD_BYTES = 6
_BLOCK_META_BYTES = 30
_END_BYTES = 44
"""Where metadata and the list of texts begin, and checksums."""


def stored_bytes(records: Iterable[bytes]) -> int:
    """Return the bytes of all chunks that hold these serialised LogRecords, compressed by gzip as by default."""
    chunk, total = _Chunk(), 0
    for raw in records:
        chunk.add(LogRecord.FromString(raw))
        if chunk.full:
            total += chunk.close()
            chunk = _Chunk()
    return total + chunk.close()


class _Chunk:
    def __init__(self) -> None:
        self._texts: dict[bytes, int] = {}
        self._block = bytearray()
        self._written = _HEAD_BYTES + _END_BYTES

    @property
    def full(self) -> bool:
        return self._written >= CHUNK_BYTES

    def add(self, record: LogRecord) -> None:
        metadata = [self._number(text) for pair in metadata_of(record) for text in pair]
        refs = varint(len(metadata) // 2) + b"".join(map(varint, metadata))
        line = _text(record.body).encode()
        self._block += varint(record.time_unix_nano) + varint(len(line)) + line + varint(len(refs)) + refs
        if len(self._block) >= BLOCK_BYTES:
            self._cut()

    def close(self) -> int:
        self._cut()
        texts = b"".join(varint(len(text)) + text for text in self._texts)
        return self._written + len(_gzip(texts))

    def _cut(self) -> None:
        if self._block:
            self._written += len(_gzip(bytes(self._block))) + _CHECKSUM_BYTES + _BLOCK_META_BYTES
            self._block.clear()

    def _number(self, text: str) -> int:
        return self._texts.setdefault(text.encode(), len(self._texts))


def metadata_of(record: LogRecord) -> Iterator[tuple[str, str]]:
    """The structured metadata that Loki makes of a record (docs/log-records.md)."""
    yield "severity_number", str(record.severity_number)
    yield "severity_text", record.severity_text
    yield "observed_timestamp", str(record.observed_time_unix_nano)
    for attribute in record.attributes:
        yield re.sub("[^a-zA-Z0-9_]", "_", attribute.key), _text(attribute.value)


def varint(number: int) -> bytes:
    """Return an unsigned number as Go's ``binary.PutUvarint`` writes it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return _list(value.array_value.values)
    return str(getattr(value, kind)) if kind else ""


def _list(values: Sequence[AnyValue]) -> str:
    return "[" + ",".join(f'"{_text(value)}"' for value in values) + "]"


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()
