"""Damaged, foreign and missing files: nothing stops the queue, and what is lost is counted."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.unit.sinks.otel.queue.bench import Bench, files, payloads


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
@pytest.mark.parametrize("seed", range(12))
def test_a_file_damaged_anywhere_never_stops_the_queue(tmp_path: Path, seed: int, *, closed: bool) -> None:
    """Bytes overwritten at random: it opens, gives only what was written, in order, and counts all the rest."""
    chance = random.Random(seed)
    written = payloads(200, size=3_000)
    first = Bench(tmp_path)
    for payload in written:
        first.spool.append(payload, 1)
    [file] = files(tmp_path)
    unfinished = file.read_bytes()
    first.spool.close()
    whole = file.read_bytes() if closed else unfinished
    content = bytearray(whole)
    for _ in range(chance.choice([1, 4, 40])):
        start = chance.choice([chance.randrange(200), chance.randrange(len(content))])
        content[start : start + 64] = chance.randbytes(len(content[start : start + 64]))
    file.write_bytes(content)

    second = Bench(tmp_path)
    second.spool.append(b"new", 1)
    found = second.drain()
    assert found[-1:] == [b"new"]
    assert found[:-1] == [payload for payload in written if payload in set(found)]
    lost = len(written) - (len(found) - 1)
    assert 0 < lost < 200
    # Without a summary at its end nobody can know how many records a file had.
    if closed and content[-48:] == whole[-48:]:
        assert second.drops == {"damaged": lost}
    assert second.spool.records == second.spool.size_bytes == 0
    assert [path for path in tmp_path.glob("*.damaged-*") if path.read_bytes() == content]
    second.spool.close()
    assert Bench(tmp_path).drain() == []


@pytest.mark.parametrize("content", [b"", b"no queue at all" * 1_000, b"\xf5QCH" * 4_096])
def test_a_file_that_is_no_queue_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """Whatever lies where the queue should be, the exporter starts, on disk, and keeps what it found."""
    (tmp_path / f"{7:020d}.chunks").write_bytes(content)
    bench = Bench(tmp_path)
    assert bench.spool.durable
    bench.spool.append(b"x", 1)
    assert bench.drain() == [b"x"]
    kept = [path.read_bytes() for path in tmp_path.glob("*.damaged-*")]
    assert kept == ([content] if content else [])


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    """The last three are kept, whatever their numbers."""
    for number in (9, 8, 1, 7, 0):
        (tmp_path / f"{number:020d}.chunks").write_bytes(b"no queue at all" * 100)
        Bench(tmp_path).spool.close()
    kept = sorted(path.name.partition(".")[0] for path in tmp_path.glob("*.damaged-*"))
    assert kept == [f"{number:020d}" for number in (0, 1, 7)]


@pytest.mark.parametrize("damage", ["all", "magic", "checksum", "end", "short", "nothing"])
def test_a_damaged_position_sends_again_and_never_skips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Where reading stood cannot be read: everything that is still there comes, and the log says so."""
    first = Bench(tmp_path)
    for payload in payloads(4):
        first.spool.append(payload, 1)
    first.spool.take(1, 10_000)
    first.spool.release()
    first.spool.close()
    whole = (tmp_path / "position").read_bytes()
    damaged = {
        "all": b"x" * len(whole),
        "magic": b"?" + whole[1:],
        "checksum": whole[:-1] + bytes([whole[-1] ^ 1]),
        "end": whole[:-1],
        "short": whole[:4],
        "nothing": b"",
    }
    (tmp_path / "position").write_bytes(damaged[damage])
    assert Bench(tmp_path).drain() == payloads(4)
    said = f"the reading position of the queue in {tmp_path} is damaged; everything in the queue is sent (again)"
    assert [record.message for record in caplog.records] == ([said] if damage != "nothing" else [])


def test_a_truncated_file_under_a_running_queue_is_counted(tmp_path: Path) -> None:
    """The file is cut while we hold it: what is lost is counted, what comes after is on disk again."""
    bench = Bench(tmp_path, limit_bytes=10**8, memory_bytes=10**8)
    big = payloads(1_000, size=20_000)
    for payload in big:
        bench.spool.append(payload, 1)
    for file in files(tmp_path):
        os.truncate(file, 30_000)
    found = bench.drain()
    bench.spool.append(b"new", 1)
    found += bench.drain()
    assert found[-1] == b"new"
    assert len(found) - 1 + bench.drops["damaged"] == len(big)
    assert bench.drops["damaged"] > 0


def test_files_that_somebody_removed_are_counted(tmp_path: Path) -> None:
    """The files vanish under a running queue: counted as damaged, and the queue goes on."""
    bench = Bench(tmp_path, limit_bytes=10**8, memory_bytes=10**8)
    for payload in payloads(1_500, size=20_000):
        bench.spool.append(payload, 1)
    for file in files(tmp_path):
        file.unlink()
    found = bench.drain()
    assert len(found) + bench.drops["damaged"] == 1_500
    assert bench.drops["damaged"] > 0
    bench.spool.append(b"new", 1)
    assert bench.drain() == [b"new"]
