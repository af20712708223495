"""The queue's files: private, read in order, and removed once their records are delivered or too old."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.sinks.otel.queue.bench import Bench, files, payloads


def test_many_files_are_read_in_order_and_removed_as_they_are_done_with(tmp_path: Path) -> None:
    """Above eight MiB a new file begins; what is delivered leaves the disk, a restart goes on where reading stood."""
    bench = Bench(tmp_path, limit_bytes=10**9)
    written = payloads(120, size=200_000)
    for payload in written:
        bench.spool.append(payload, 1)
    assert len(files(tmp_path)) == 3
    found = bench.spool.take(50, 10**9)
    bench.spool.release()
    assert len(files(tmp_path)) == 2
    bench.spool.close()
    again = Bench(tmp_path, limit_bytes=10**9)
    assert (again.spool.records, again.spool.size_bytes) == (70, 70 * 200_000)
    assert (found or []) + again.drain() == written
    again.spool.tidy()
    assert files(tmp_path) == []


def test_what_is_too_old_goes_file_by_file(tmp_path: Path) -> None:
    """Whole files that are above the age limit go at once, and are counted record by record."""
    bench = Bench(tmp_path, limit_bytes=10**9, limit_age_seconds=60.0)
    for payload in payloads(100, size=200_000):
        bench.spool.append(payload, 3)
    bench.clock.now += 61
    bench.spool.append(b"new", 1)
    bench.spool.tidy()
    assert bench.drops == {"age": 300}
    assert bench.drain() == [b"new"]


def test_files_and_directories_are_private_from_their_first_byte(tmp_path: Path) -> None:
    """Whatever the umask: directories 0700, the missing parents too, files 0600."""
    before = os.umask(0)
    try:
        bench = Bench(tmp_path / "a" / "b")
        bench.spool.append(b"x", 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")}
    finally:
        os.umask(before)
    assert modes.pop("b") == (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert {"lock", "position"} < set(modes)


@pytest.mark.parametrize("name", ["lock", "position", f"{0:020d}.chunks"])
def test_a_symbolic_link_in_a_files_place_is_not_followed(tmp_path: Path, name: str) -> None:
    """The queue goes on in memory and says why; what the link names stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory = tmp_path / "queue"
    directory.mkdir(mode=0o700)
    (directory / name).symlink_to(victim)
    bench = Bench(directory)
    bench.spool.append(b"x", 1)
    assert not bench.spool.durable
    assert "symbolic links" in bench.spool.unusable
    assert bench.drain() == [b"x"]
    assert victim.read_text() == "precious"


def test_an_idle_queue_gives_its_space_back(tmp_path: Path) -> None:
    """Once all is delivered, the file that is written to goes; while something waits, it stays."""
    bench = Bench(tmp_path)
    for payload in payloads(2, size=50_000):
        bench.spool.append(payload, 1)
    bench.spool.take(1, 10**6)
    bench.spool.release()
    bench.spool.tidy()
    assert len(files(tmp_path)) == 1
    assert len(bench.drain()) == 1
    bench.spool.tidy()
    assert files(tmp_path) == []
