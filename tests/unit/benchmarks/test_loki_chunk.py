"""What the benchmark says that Loki keeps: every text once a chunk, every line and reference in its block."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from benchmarks import loki_chunk as module
from benchmarks.loki_chunk import metadata_of, stored_bytes, varint


def record(line: str, **attributes: str) -> LogRecord:
    pairs = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()]
    return LogRecord(time_unix_nano=10**18, severity_text="Notice", body=AnyValue(string_value=line), attributes=pairs)


def test_what_loki_makes_of_a_record() -> None:
    """Names with underscores, values as text, lists as JSON."""
    words = ArrayValue(values=[AnyValue(string_value="a"), AnyValue(string_value="b")])
    given = record("x", **{"proc.aname[2]": "sh"})
    given.attributes.add(key="n", value=AnyValue(int_value=42))
    given.attributes.add(key="l", value=AnyValue(array_value=words))
    given.attributes.add(key="nothing")
    assert [*metadata_of(given)] == [
        ("severity_number", "0"), ("severity_text", "Notice"), ("observed_timestamp", "0"),
        ("proc_aname_2_", "sh"), ("n", "42"), ("l", '["a","b"]'), ("nothing", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (2**63, b"\x80" * 9 + b"\1")]
)
def test_numbers(number: int, written: bytes) -> None:
    assert varint(number) == written


def test_blocks_and_texts_hold_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read back from what was compressed."""
    packed: list[bytes] = []

    def keep(data: bytes) -> bytes:
        packed.append(data)
        return b"c" * 10

    monkeypatch.setattr(module, "_gzip", keep)
    monkeypatch.setattr(module, "BLOCK_BYTES", 200)
    records = [record(f"line {number:4}", file="/etc/shadow", user=f"u{number % 2}") for number in range(20)]
    stored = stored_bytes(each.SerializeToString() for each in records)
    *blocks, texts = packed
    assert stored == 6 + 44 + len(blocks) * (10 + 4 + 30) + 10
    assert len(blocks) > 1
    assert all(len(block) < 300 for block in blocks)
    joined = b"".join(blocks)
    assert [joined.count(f"line {number:4}".encode()) for number in range(20)] == [1] * 20
    assert joined.count(b"shadow") == joined.count(b"user") == 0
    assert [texts.count(text) for text in (b"/etc/shadow", b"\x04user", b"\x02u0", b"\x02u1")] == [1] * 4


def test_a_full_chunk_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has a list of texts of its own."""
    lists: list[Any] = []
    monkeypatch.setattr(module, "CHUNK_BYTES", 4_000)
    monkeypatch.setattr(module, "BLOCK_BYTES", 1_000)
    close = module._Chunk.close

    def note(chunk: Any) -> int:
        lists.append(chunk._texts)
        return close(chunk)

    monkeypatch.setattr(module._Chunk, "close", note)
    source = random.Random(1)
    records = [record(source.randbytes(200).hex(), file="/etc/shadow").SerializeToString() for _ in range(100)]
    assert stored_bytes(records) > 20_000
    assert len(lists) > 4
    assert all(b"/etc/shadow" in texts for texts in lists[:-1])


def test_it_is_gzip() -> None:
    assert zlib.decompress(module._gzip(b"abc" * 100), wbits=31) == b"abc" * 100
