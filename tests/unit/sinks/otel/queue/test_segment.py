"""One file of the queue: chunks are found again whatever stands between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.sinks.otel.queue import segment
from exporter.sinks.otel.queue.segment import (
    HEADER_BYTES,
    Reader,
    Segment,
    from_header,
    read_segment,
    to_header,
    to_summary,
)

FALSE_MAGIC = b"\xf5QCH" + b"no header, though it begins like one." + b"\xf5QCH" * 3


def chunk(payload: bytes, first_record: int, *, records: int = 1, queued_at: float = 5.0) -> bytes:
    header = to_header(payload, first_record, records=records, queued_at=queued_at, payload_bytes=len(payload))
    return header + payload


@contextmanager
def opened(directory: Path, content: bytes) -> Iterator[int]:
    path = directory / "chunks"
    path.write_bytes(content)
    with path.open("rb") as file:
        yield file.fileno()


@pytest.mark.parametrize("before", [b".", FALSE_MAGIC])
def test_a_header_is_found_wherever_it_stands_to_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """The next one, and not the one after it; across two blocks too; not beyond the end that was said."""
    monkeypatch.setattr(segment, "_BLOCK_BYTES", 64)
    for length in range(140):
        start = (before * 140)[:length]
        content = start + chunk(b"first", 1) + chunk(b"second", 2)
        with opened(tmp_path, content) as file:
            assert Reader(file).find(0, len(content)) == length
            assert Reader(file).find(0, length) is None
            assert Reader(file).find(length + 1, len(content)) == length + HEADER_BYTES + 5
            assert Reader(file).find(length + HEADER_BYTES, length + HEADER_BYTES + 5) is None


def test_nothing_is_found_where_there_is_no_header(tmp_path: Path) -> None:
    """An empty file, one that is shorter than a header, and one that only looks like one."""
    for content in (b"", b"\xf5QC", b"\xf5QCH", FALSE_MAGIC, chunk(b"x", 1)[: HEADER_BYTES - 1]):
        with opened(tmp_path, content) as file:
            assert Reader(file).find(0, len(content)) is None


def test_totals_are_those_of_the_chunks(tmp_path: Path) -> None:
    """Where a file was not completed, its chunks are counted; a summary says the same."""
    content = chunk(b"abc", 7, records=2, queued_at=9.0) + chunk(b"", 9, records=3, queued_at=8.0)
    expected = Segment("x", 7, 12, end_offset=len(content), chunks=2, stored_bytes=3, newest_at=9.0)
    for tail in (b"", to_summary(expected)):
        with opened(tmp_path, content + tail) as file:
            assert read_segment(file, "x", 7) == expected


def test_a_summary_is_believed_whatever_stands_before_it(tmp_path: Path) -> None:
    """A start need not read a file that is complete; damage in it is met when it is read."""
    expected = Segment("x", 7, 12, end_offset=100, chunks=2, stored_bytes=3, newest_at=9.0)
    with opened(tmp_path, b"?" * 100 + to_summary(expected)) as file:
        assert read_segment(file, "x", 7) == expected
    alone = Segment("x", 7, 9)
    with opened(tmp_path, to_summary(alone)) as file:
        assert read_segment(file, "x", 7) == alone
    for cut in (4, 10, len(to_summary(alone)) - 1):
        with opened(tmp_path, to_summary(alone)[:cut]) as file:
            assert read_segment(file, "x", 7) == Segment("x", 7, 7)


def test_a_chunk_that_was_cut_is_none_and_no_damage(tmp_path: Path) -> None:
    """The process ended while it wrote: what stood before is whole."""
    first, second = chunk(b"abc", 7), chunk(b"d" * 200, 8)
    for cut in (1, HEADER_BYTES - 1, HEADER_BYTES + 1, len(second) - 1):
        with opened(tmp_path, first + second[:cut]) as file:
            found = read_segment(file, "x", 7)
            assert (found.end_record, found.end_offset, found.chunks) == (8, len(first), 1)
    with opened(tmp_path, first + second) as file:
        assert read_segment(file, "x", 7).end_record == 9


@pytest.mark.parametrize("damage", [b"?", b"?" * HEADER_BYTES, FALSE_MAGIC])
def test_what_stands_behind_damage_is_counted(tmp_path: Path, damage: bytes) -> None:
    """Chunks after a part that cannot be read are found; one of an earlier file, by its number, is none of ours."""
    last = chunk(b"last", 10, records=4)
    with opened(tmp_path, chunk(b"abc", 7) + damage + chunk(b"of a file before", 3) + last) as file:
        found = read_segment(file, "x", 7)
        assert found.end_record == 14
        assert found.chunks == 2
        assert found.stored_bytes == 7
    with opened(tmp_path, damage + last) as file:
        assert read_segment(file, "x", 10).end_record == 14


def test_a_summary_that_does_not_fit_is_not_believed(tmp_path: Path) -> None:
    """One whose bytes changed, or that ends before the file begins."""
    content = chunk(b"abc", 7)
    changed = bytearray(to_summary(Segment("x", 7, 99, chunks=5)))
    changed[-1] ^= 1
    for tail in (bytes(changed), to_summary(Segment("x", 1, 6, chunks=5))):
        with opened(tmp_path, content + tail) as file:
            found = read_segment(file, "x", 7)
            assert (found.end_record, found.chunks) == (8, 1)


def test_a_payload_is_what_was_written_or_none(tmp_path: Path) -> None:
    """A changed byte and a file that ends too early are seen by the checksum and the length."""
    whole = chunk(b"payload", 1)
    for content, expected in ((whole, b"payload"), (whole[:-1], None), (whole[:-1] + b"?", None)):
        with opened(tmp_path, content) as file:
            reader = Reader(file)
            header = reader.header(0)
            assert header is not None
            assert reader.payload(0, header) == expected


@pytest.mark.parametrize("size", [0, 63, 100, 2**32 - 2, 2**32 - 1, 2**32, 2**40])
def test_a_size_in_memory_that_no_header_holds_is_the_largest_that_it_does(size: int) -> None:
    """All other members come back as they were."""
    header = from_header(to_header(b"abc", 2**40, records=2, queued_at=1.5, payload_bytes=size))
    assert header is not None
    assert header[:5] == (2**40, 1.5, 2, min(size, 2**32 - 1), 3)


def test_names_sort_as_numbers() -> None:
    """And what is not ours has no number."""
    names = [segment.name_of(number) for number in (0, 9, 10, 2**63)]
    assert names == sorted(names)
    assert [segment.first_record_of(name) for name in names] == [0, 9, 10, 2**63]
    for name in ("x.chunks", "12", ".chunks", "12.chunks.damaged-5", "\u0663.chunks", "-1.chunks"):
        assert segment.first_record_of(name) is None
