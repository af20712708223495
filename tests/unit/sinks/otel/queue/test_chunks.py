"""A line of chunks and its totals."""

from __future__ import annotations

from exporter.sinks.otel.queue.chunks import Chunk, Line


def totals(line: Line[bytes]) -> tuple[list[int], int, int]:
    """Records of each chunk, in order, then what the line says of all of them."""
    return [chunk.records for chunk in line], line.records, line.size_bytes


def test_the_totals_are_those_of_the_chunks_whatever_comes_and_goes() -> None:
    """A chunk counts with what it takes on disk where it is there, else with what it has in memory."""
    line: Line[bytes] = Line()
    one, two, three = Chunk(1, 10, 0.0, b""), Chunk(2, 20, 0.0, b"", stored_bytes=7), Chunk(3, 30, 0.0, b"")
    assert (totals(line), line.oldest) == (([], 0, 0), None)
    for chunk in (one, two, three):
        line.append(chunk)
    assert totals(line) == ([1, 2, 3], 6, 47)
    assert [line.pop(), line.pop()] == [one, two]
    assert (totals(line), line.oldest) == (([3], 3, 30), three)
    line.put_back([one, two])
    assert totals(line) == ([1, 2, 3], 6, 47)
    line.clear()
    assert totals(line) == ([], 0, 0)
