"""A file that is followed: what each reading gives through rotation, truncation and failures."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from pathlib import Path

import pytest

from exporter.config.model import JsonLines
from exporter.sources.followed_file import FollowedFile, default_state_file, why_missing
from exporter.sources.read_position import PositionFile


def text(number: int, *, length: int = 400) -> bytes:
    """Lines that no other number has, longer than a fingerprint."""
    return (f"line {number} ".encode() * 99)[: length - 1] + b"\n"


class Bench:
    """A file, who follows it, and what is lost."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "alerts.jsonl"
        self.settings = JsonLines(file=self.path, state_file=directory / "state" / "position.json")
        self.gaps = 0
        self._rotated_at = 1_760_000_000
        self.followed = self.follow()

    def follow(self) -> FollowedFile:
        """Follow as a new process does."""
        self.followed = FollowedFile(self.settings, self._gap)
        return self.followed

    def _gap(self) -> None:
        self.gaps += 1

    def write(self, content: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(content)

    def rotate(self, name: str) -> Path:
        """Rename the file, a second after the one before."""
        self._rotated_at += 1
        os.utime(self.path, (self._rotated_at, self._rotated_at))
        return self.path.rename(self.path.with_name(self.path.name + name))

    def read(self, *, held: int = 0) -> bytes:
        """Everything that is there, delivered but for the last bytes."""
        found, empty = b"", 0
        while empty < 4:
            piece = self.followed.read(0)
            empty = 0 if piece else empty + 1
            if piece:
                found += piece
                self.followed.delivered(held)
        return found

    def remembered(self) -> int | None:
        assert self.settings.state_file is not None
        position = PositionFile(self.settings.state_file).load()
        return None if position is None else position.offset


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_new_comes_once_and_the_place_is_remembered_at_the_end(bench: Bench) -> None:
    """After a start it goes on there; what is held is not delivered and comes again."""
    bench.write(text(1))
    assert bench.followed.state == "connecting"
    assert bench.read() == text(1)
    assert (bench.followed.state, bench.followed.name) == ("up", str(bench.path))
    bench.write(text(2))
    assert bench.read(held=30) == text(2)
    bench.followed.close()
    bench.followed.close()
    assert bench.remembered() == 770
    bench.write(text(3))
    bench.follow()
    assert bench.read() == text(2)[-30:] + text(3)
    assert bench.gaps == 0


def test_the_place_is_remembered_once_a_second(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each piece; and it never goes back."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for number, (seconds, remembered) in enumerate(((0.0, 400), (0.9, 400), (0.1, 1_200), (0.5, 1_200))):
        now[0] += seconds
        bench.write(text(number))
        assert len(bench.followed.read(0)) == 400
        bench.followed.delivered(0)
        assert bench.remembered() == remembered
    bench.followed.delivered(900)
    bench.followed.close()
    assert bench.remembered() == 1_600


def test_nothing_new_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as was asked, and only where there is nothing."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert bench.followed.read(0.25) == b""
    bench.write(text(1))
    assert bench.followed.read(0.25) == text(1)
    assert slept == [0.25]
    assert bench.followed.read(0.5) == b""
    assert slept == [0.25, 0.5]


def test_a_file_that_was_rotated_is_read_to_its_end_and_then_the_new_one(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written after the last reading and before the rotation comes too; the log says each step."""
    caplog.set_level("INFO")
    bench.write(text(1))
    assert bench.read() == text(1)
    bench.write(text(2))
    bench.rotate(".1")
    assert bench.read() == text(2)
    bench.write(text(3))
    assert bench.read() == text(3)
    assert bench.gaps == 0
    assert [record.message for record in caplog.records] == [
        f"{bench.path}: reading",
        f"{bench.path}: the file was rotated; following the new one",
    ]


def test_what_is_written_at_the_moment_of_the_rotation_comes_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the reading that found nothing, and before the new file was seen."""
    bench.write(text(1))
    assert bench.read() == text(1)
    rotated = bench.rotate(".1")
    bench.write(text(3))
    found = Path.stat
    late = [text(2)]

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path == bench.path and late:
            with rotated.open("ab") as file:
                file.write(late.pop())
        return found(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    assert bench.read() == text(2) + text(3)


@pytest.mark.parametrize("length", [400, 100])
def test_files_that_were_rotated_meanwhile_come_in_order(
    bench: Bench, caplog: pytest.LogCaptureFixture, length: int
) -> None:
    """Two rotations between two readings: nothing is skipped, and nothing comes twice."""
    bench.write(text(1, length=length))
    assert bench.read() == text(1, length=length)
    bench.write(text(2))
    bench.rotate(".2")
    bench.write(text(3))
    between = bench.rotate(".1")
    bench.write(text(4))
    caplog.set_level("INFO")
    assert bench.read() == text(2) + text(3) + text(4)
    assert bench.gaps == 0
    assert f"{bench.path}: reading {between} to its end first" in caplog.messages


@pytest.mark.parametrize("copied", [True, False])
def test_a_file_that_was_emptied_is_read_from_its_start(
    bench: Bench, caplog: pytest.LogCaptureFixture, copied: bool
) -> None:
    """After what its copy beside it has, where there is one: that from where reading stood, though some is held."""
    caplog.set_level("INFO")
    bench.write(text(1))
    assert bench.read(held=30) == text(1)
    bench.write(text(2))
    if copied:
        shutil.copy(bench.path, bench.path.with_name("alerts.jsonl.1"))
    bench.path.write_bytes(text(3, length=100))
    assert bench.read() == (text(2) if copied else b"") + text(3, length=100)
    assert f"{bench.path}: the file was truncated; reading from its start" in caplog.messages


def test_a_start_reads_first_what_was_rotated_while_nobody_read(bench: Bench) -> None:
    """From the place that is remembered, then every later file from its start."""
    bench.write(text(1))
    assert bench.read() == text(1)
    bench.followed.close()
    bench.write(text(2))
    bench.rotate(".2")
    bench.write(text(3))
    bench.rotate(".1")
    bench.write(text(4))
    bench.follow()
    assert bench.read() == text(2) + text(3) + text(4)
    bench.followed.close()
    assert (bench.gaps, bench.remembered()) == (0, 400)


def test_what_was_rotated_away_is_a_gap_that_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """With what to change; the new file is read from its start."""
    bench.write(text(1))
    assert bench.read() == text(1)
    bench.followed.close()
    bench.rotate(".1").unlink()
    bench.write(text(2))
    bench.follow()
    assert bench.read() == text(2)
    assert bench.gaps == 1
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == [
        f"{bench.path}: the previous file was rotated away and is no longer next to it (compressed or moved); "
        "lines in it that were not read yet are lost. Keep the last rotated file uncompressed "
        "(logrotate: delaycompress) in the same directory"
    ]


def test_a_file_of_which_nothing_was_read_is_no_gap(bench: Bench) -> None:
    """There was nothing in it."""
    bench.write(b"")
    assert bench.read() == b""
    bench.followed.close()
    bench.rotate(".1").unlink()
    bench.write(text(1))
    bench.follow()
    assert bench.read() == text(1)
    assert bench.gaps == 0


def test_a_rotated_file_that_goes_before_it_is_read_is_a_gap(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The ones after it are read; a symbolic link in its place is not followed."""
    for number, name in ((1, ".3"), (2, ".2"), (3, ".1")):
        bench.write(text(number))
        if number == 1:
            assert bench.read() == text(1)
            bench.followed.close()
            bench.write(text(9))
        bench.rotate(name)
    bench.write(text(4))
    bench.follow()
    assert bench.followed.read(0) == b""
    gone = bench.path.with_name("alerts.jsonl.2")
    gone.unlink()
    gone.symlink_to("/etc/passwd")
    assert bench.read() == text(9) + text(3) + text(4)
    assert bench.gaps == 1
    said = f"{gone}: cannot be read (Too many levels of symbolic links); its lines are lost"
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == [said]


def test_the_only_rotated_file_may_go_before_it_is_read(bench: Bench) -> None:
    """A gap, and the source goes on with the new one."""
    bench.write(text(1))
    assert bench.read() == text(1)
    bench.followed.close()
    bench.write(text(2))
    rotated = bench.rotate(".1")
    bench.follow()
    bench.write(text(3))
    assert bench.followed.read(0) == b""
    rotated.unlink()
    assert bench.read() == text(3)
    assert bench.gaps == 1


def test_a_file_that_is_away_is_still_read_and_then_the_new_one(bench: Bench) -> None:
    """Between a rename and the writer's next line there is none under the name."""
    bench.write(text(1))
    assert bench.read() == text(1)
    rotated = bench.rotate(".1")
    assert bench.read() == b""
    with rotated.open("ab") as file:
        file.write(text(2))
    assert bench.read() == text(2)
    bench.write(text(3))
    assert bench.read() == text(3)


def test_what_keeps_it_from_being_read_is_said_once_until_it_can(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Missing, a directory, compressed, a link to itself: each with what to do."""
    caplog.set_level("INFO")
    reasons = []
    for _ in range(2):
        assert bench.followed.read(0) == b""
    reasons.append(bench.followed.state)
    bench.path.mkdir()
    for _ in range(2):
        assert bench.followed.read(0) == b""
    reasons.append(bench.followed.state)
    bench.path.rmdir()
    bench.path.write_bytes(gzip.compress(b"{}\n"))
    assert bench.followed.read(0) == b""
    reasons.append(bench.followed.state)
    bench.path.unlink()
    bench.path.symlink_to(bench.path)
    assert bench.followed.read(0) == b""
    reasons.append(bench.followed.state)
    bench.path.unlink()
    bench.write(text(1))
    assert bench.read() == text(1)
    assert bench.followed.state == "up"
    assert why_missing(bench.path.parent / "a b" / "alerts.jsonl") == (
        f"its directory does not exist, and Falco does not make it: sudo mkdir -p '{bench.path.parent}/a b'"
    )
    assert reasons == [
        "no such file yet; Falco makes it with its first alert "
        f"(falco.yaml: json_output: true, file_output: {{enabled: true, keep_alive: true, filename: {bench.path}}})",
        "it is a directory; name the file that Falco's file_output writes",
        "it is compressed (gzip), and only a file that Falco goes on writing can be followed; name that one. "
        "`falco-report-exporter report` reads compressed files",
        "it cannot be read: Too many levels of symbolic links",
    ]
    said = [f"{bench.path}: {reason} (retrying until it can be read)" for reason in reasons]
    assert [record.message for record in caplog.records] == [*said, f"{bench.path}: reading"]


def test_a_pipe_has_no_place(bench: Bench) -> None:
    """It is read while somebody writes, and from the next one who does; nothing is remembered."""
    os.mkfifo(bench.path)
    assert bench.followed.read(0) == b""
    for number in (1, 2):
        with bench.path.open("wb", buffering=0) as writer:
            assert bench.followed.read(0) == b""
            writer.write(text(number))
            assert bench.followed.read(0) == text(number)
            bench.followed.delivered(0)
    assert bench.followed.read(0) == b""
    bench.followed.close()
    assert bench.remembered() is None


def test_without_a_file_there_is_nothing_to_follow() -> None:
    """A mistake of the caller's."""
    with pytest.raises(ValueError, match=r"^a followed file needs json_lines\.file$"):
        FollowedFile(JsonLines())


def test_the_place_is_remembered_beside_the_queue_or_where_systemd_says() -> None:
    """The first of its directories; nowhere where neither is known."""
    name = "json-lines-position.json"
    assert default_state_file(Path("/q"), "/s") == Path("/q") / name
    assert default_state_file(None, "/s:/t:/u") == Path("/s") / name
    assert default_state_file(None) is None


def test_without_a_place_for_it_nothing_is_remembered(tmp_path: Path) -> None:
    """It is read from its start, and nothing is written beside it."""
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(text(1))
    followed = FollowedFile(JsonLines(file=path))
    assert followed.read(0) == text(1)
    followed.delivered(0)
    followed.close()
    assert list(tmp_path.iterdir()) == [path]
