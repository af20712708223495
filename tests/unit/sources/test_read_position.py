"""The place up to which a file was read: remembered, and found again after rotation."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.sources import read_position
from exporter.sources.read_position import FINGERPRINT_BYTES, Position, PositionFile, position_in, rotated_after

LONG = b"".join(b"line %03d of a file that somebody writes\n" % number for number in range(20))


def position_of(path: Path, offset: int) -> Position:
    with path.open("rb") as file:
        return position_in(file.fileno(), offset)


def fits(position: Position, path: Path) -> bool:
    with path.open("rb") as file:
        return position.fits(file.fileno())


def written(path: Path, content: bytes, *, age_seconds: int = 0) -> Path:
    """Write a file that is so much older than the newest."""
    path.write_bytes(content)
    os.utime(path, (1_760_000_000 - age_seconds,) * 2)
    return path


def test_a_fingerprint_is_what_it_always_was(tmp_path: Path) -> None:
    """An upgrade finds the place that the version before remembered."""
    assert position_of(written(tmp_path / "a", b"abcd"), 3).fingerprint == "cf4ab791c62b8d2b2109c90275287816"


def test_what_cannot_be_read_or_is_a_link_is_not_the_file(tmp_path: Path) -> None:
    """It may have become so after it was looked at."""
    path = written(tmp_path / "a", LONG)
    position = position_of(path, 100)
    (tmp_path / "link").symlink_to(path)
    fit = {name: read_position._fits(tmp_path / name, position) for name in ("a", "link", "gone", ".")}
    assert fit == {"a": True, "link": False, "gone": False, ".": False}


@pytest.mark.parametrize("offset", [0, 1, 100, FINGERPRINT_BYTES - 1, FINGERPRINT_BYTES, 700])
def test_a_file_is_known_again_by_what_was_read_of_it(tmp_path: Path, offset: int) -> None:
    """Grown it is the same; shorter than the place, or other in what the fingerprint covers, it is another."""
    path = written(tmp_path / "a", LONG)
    position = position_of(path, offset)
    assert (position.offset, position.inode) == (offset, path.stat().st_ino)
    assert position.fingerprint_bytes == min(offset, FINGERPRINT_BYTES)
    assert fits(position, path)
    assert fits(position, written(tmp_path / "exactly", LONG[:offset]))
    assert fits(position, written(tmp_path / "grown", LONG * 2))
    if offset:
        assert not fits(position, written(tmp_path / "shorter", LONG[: offset - 1]))
        covered = position.fingerprint_bytes
        for at in (0, covered - 1):
            assert not fits(position, written(tmp_path / "other", LONG[:at] + b"?" + LONG[at + 1 :]))


def test_the_file_that_was_read_and_those_after_it_are_found(tmp_path: Path) -> None:
    """Oldest first, whatever their names; older ones, and what only looks like one, are not among them."""
    path = written(tmp_path / "alerts.jsonl", b"new" * 100)
    position = position_of(written(tmp_path / "alerts.jsonl-20260131", LONG, age_seconds=30), 100)
    first = tmp_path / "alerts.jsonl-20260131"
    second = written(tmp_path / "alerts.jsonl.9", b"second" * 99, age_seconds=20)
    third = written(tmp_path / "alerts.jsonl.1", b"third" * 99, age_seconds=10)
    written(tmp_path / "alerts.jsonl.5", b"before" * 99, age_seconds=40)
    written(tmp_path / "others.jsonl.1", b"others" * 99, age_seconds=15)
    for suffix in (".gz", ".bz2", ".xz", ".zst", ".lz4"):
        written(tmp_path / f"alerts.jsonl.2{suffix}", LONG, age_seconds=15)
    (tmp_path / "alerts.jsonl.d").mkdir()
    (tmp_path / "alerts.jsonl.link").symlink_to(first)
    assert rotated_after(path, position) == [first, second, third]


def test_the_inode_decides_between_files_that_begin_alike(tmp_path: Path) -> None:
    """A copy has another one: then the content decides."""
    path = tmp_path / "a"
    older, newer = (written(tmp_path / name, LONG, age_seconds=age) for name, age in (("a.2", 20), ("a.1", 10)))
    position = position_of(newer, 300)
    assert rotated_after(path, position) == [newer]
    shutil.copy2(newer, tmp_path / "a.3")
    newer.unlink()
    older.unlink()
    assert rotated_after(path, position) == [tmp_path / "a.3"]


def test_an_inode_that_was_used_again_is_not_believed(tmp_path: Path) -> None:
    """The content has to fit as well; the one that does is found beside it."""
    right = written(tmp_path / "a.2", LONG, age_seconds=20)
    position = position_of(right, 300)
    wrong = written(tmp_path / "a.1", b"?" * 999, age_seconds=10)
    again = Position(300, position.fingerprint, position.fingerprint_bytes, wrong.stat().st_ino)
    assert rotated_after(tmp_path / "a", again) == [right, wrong]


def test_there_may_be_none(tmp_path: Path) -> None:
    """Nothing beside it, nothing that fits, no directory; a file of which nothing was read is not missed."""
    path = written(tmp_path / "a", b"new")
    position = position_of(written(tmp_path / "elsewhere", LONG), 300)
    assert rotated_after(path, position) is None
    written(tmp_path / "a.1", b"?" * 999)
    assert rotated_after(path, position) is None
    assert rotated_after(path, position_of(tmp_path / "a.1", 0)) is None
    assert rotated_after(tmp_path / "gone" / "a", position) is None


def test_a_position_is_remembered(tmp_path: Path) -> None:
    """As it was, privately, in the place of the one before; nothing else stays."""
    memory = PositionFile(tmp_path / "position.json")
    for offset in (5, 7):
        position = Position(offset, "ab12", 256, 99)
        memory.save(position)
        assert memory.load() == position
    assert [path.name for path in tmp_path.iterdir()] == ["position.json"]
    assert stat.S_IMODE(memory.path.stat().st_mode) == 0o600


def test_what_was_left_half_written_is_replaced(tmp_path: Path) -> None:
    """By a process that was killed."""
    (tmp_path / "position.json.new").write_text("{")
    memory = PositionFile(tmp_path / "position.json")
    memory.save(Position(5, "ab12", 256, 99))
    assert memory.load() == Position(5, "ab12", 256, 99)
    assert [path.name for path in tmp_path.iterdir()] == ["position.json"]


def test_nothing_remembered_is_nothing_to_say(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first start."""
    assert PositionFile(tmp_path / "position.json").load() is None
    assert caplog.records == []


def test_an_earlier_versions_position_has_no_inode(tmp_path: Path) -> None:
    """And a fingerprint is of no more bytes than we take."""
    path = tmp_path / "position.json"
    path.write_text(json.dumps({"offset": 5, "fingerprint": "ab12", "fingerprint_bytes": 10_000}))
    assert PositionFile(path).load() == Position(5, "ab12", FINGERPRINT_BYTES, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"\xff",
        b"[" * 100_000,
        b'{"offset": "x", "fingerprint": "", "fingerprint_bytes": 1}',
        b'{"offset": 5, "fingerprint_bytes": 1}',
        b'{"offset": null, "fingerprint": "", "fingerprint_bytes": 1}',
    ],
    ids=range(9),
)
def test_a_position_that_cannot_be_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """Reading begins at the start: better twice than never."""
    path = tmp_path / "position.json"
    path.write_bytes(content)
    assert PositionFile(path).load() is None
    [record] = caplog.records
    assert record.message.startswith(f"{path}: the remembered position is unreadable (")
    assert record.message.endswith("); reading from the start")
    assert "(None)" not in record.message


def test_a_position_that_cannot_be_remembered_is_said_once_for_each_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not each second, but again where it had worked in between."""
    directory = tmp_path / "state"
    memory = PositionFile(directory / "position.json")
    said = (
        f"{memory.path}: the position cannot be remembered (No such file or directory); "
        "a restart would read alerts again"
    )
    for times in (1, 2):
        for _ in range(3):
            memory.save(Position(1, "", 0))
        assert [record.message for record in caplog.records] == [said] * times
        directory.mkdir()
        memory.save(Position(1, "", 0))
        shutil.rmtree(directory)


def test_its_directory_is_made_privately(tmp_path: Path) -> None:
    """Parents too; one that is there stays as it is."""
    directory = tmp_path / "a" / "b"
    for _ in range(2):
        PositionFile(directory / "position.json").prepare()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_used_is_said_with_what_to_do(tmp_path: Path) -> None:
    """One that cannot be made, and one that is not writable for this user."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        PositionFile(tmp_path / "file" / "x" / "position.json").prepare()
    assert str(caught.value) == (
        f"json_lines.state_file: the directory {tmp_path / 'file' / 'x'} does not exist and cannot be made: "
        "Not a directory; make it, or name another file"
    )
    with pytest.raises(ConfigError) as caught:
        PositionFile(Path("/proc/self/position.json")).prepare()
    assert str(caught.value) == (
        f"json_lines.state_file: uid {os.geteuid()} may not write in /proc/self, and "
        "without a remembered position a restart would count alerts again; give it the right (chown), mount the "
        "directory writable, or name another file"
    )
