"""The queue's files: what damage costs, what is passed over, what is given back."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.sinks.otel.queue import journal as module
from exporter.sinks.otel.queue.journal import Damage, Journal, SpoolError
from exporter.sinks.otel.queue.segment import HEADER_BYTES, Header


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path)
    made.open()
    yield made
    made.close()


def fill(journal: Journal, count: int, *, size: int = 100, records: int = 2, queued_at: float = 5.0) -> None:
    for _ in range(count):
        journal.append(b"x" * size, records, queued_at, payload_bytes=size)


def small_files(monkeypatch: pytest.MonkeyPatch, *, chunks: int, size: int = 100) -> None:
    """Let a file be complete after so many chunks."""
    monkeypatch.setattr(module, "SEGMENT_BYTES", chunks * (HEADER_BYTES + size))


def chunk_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.chunks"))


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def read_on(journal: Journal) -> list[Header | Damage]:
    """Everything to the end, passed over as it comes."""
    found: list[Header | Damage] = []
    while (header := journal.peek()) is not None:
        found.append(header)
        if isinstance(header, Header):
            journal.skip(header.records, header.stored_bytes)
    return found


def test_damage_costs_the_chunks_that_it_hit(
    journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The header of the second of four is gone: its records are lost, the others come, and the totals come to 0."""
    fill(journal, 4)
    overwrite(chunk_files(tmp_path)[0], HEADER_BYTES + 100, b"?" * 10)
    found = read_on(journal)
    assert [each if isinstance(each, Damage) else each.first_record for each in found] == [0, Damage(2), 4, 6]
    assert (journal.records, journal.size_bytes) == (0, 0)
    path = chunk_files(tmp_path)[0]
    assert [record.message for record in caplog.records] == [
        f"the queue's file {path} is damaged; it is set aside for inspection once it has been read",
        f"2 queued records are lost: {path} does not hold what was written",
    ]


def test_a_damaged_payload_is_said_and_its_file_kept_for_a_look(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said of the payload before it, which is whole."""
    monkeypatch.setattr(module, "SHRINK_BYTES", 0)
    fill(journal, 2)
    path = chunk_files(tmp_path)[0]
    overwrite(path, 2 * HEADER_BYTES + 150, b"?" * 10)
    header = journal.peek()
    assert isinstance(header, Header)
    assert journal.payload(header) == b"x" * 100
    assert caplog.records == []
    journal.skip(2, 100)
    header = journal.peek()
    assert isinstance(header, Header)
    assert journal.payload(header) is None
    assert [record.message for record in caplog.records] == [
        f"the queue's file {path} is damaged; it is set aside for inspection once it has been read",
        f"2 queued records are lost: {path} does not hold what was written",
    ]
    journal.skip(2, 100)
    journal.shrink()
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes().count(b"?") == 10
    assert caplog.records[-1].message == f"the damaged file of the queue was set aside as {aside}"


def test_what_is_written_behind_damage_comes_and_has_its_size(tmp_path: Path) -> None:
    """The last chunk of the file that is written to is lost; the next one in it is not, at a restart either."""
    first = Journal(tmp_path)
    first.open()
    fill(first, 2)
    overwrite(chunk_files(tmp_path)[0], HEADER_BYTES + 100, b"?" * 10)
    assert len(read_on(first)) == 2
    fill(first, 2)
    header = first.peek()
    assert isinstance(header, Header)
    assert header.first_record == 4
    first.skip(2, 100)
    first.settle()
    first.close()
    second = Journal(tmp_path)
    second.open()
    try:
        assert (second.records, second.size_bytes) == (2, 100)
        assert [each.first_record for each in read_on(second) if isinstance(each, Header)] == [6]
    finally:
        second.close()


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_sizes_are_right_behind_damage(journal: Journal, tmp_path: Path, damaged: int) -> None:
    """What waits behind a lost chunk is counted by its own bytes, wherever in the file that stood."""
    fill(journal, 4)
    for _ in range(damaged):
        journal.skip(2, 100)
    overwrite(chunk_files(tmp_path)[0], damaged * (HEADER_BYTES + 100), b"?" * 10)
    assert journal.peek() == Damage(2)
    left = 3 - damaged
    assert (journal.next_record, journal.records, journal.size_bytes) == (8 - 2 * left, 2 * left, 100 * left)


def test_a_chunk_of_the_past_is_not_taken_for_the_next(journal: Journal, tmp_path: Path) -> None:
    """A header that is whole but has an earlier number, or the same, is passed over, and so is what it covers."""
    fill(journal, 3)
    path = chunk_files(tmp_path)[0]
    first = path.read_bytes()[: HEADER_BYTES + 100]
    overwrite(path, HEADER_BYTES + 100, first)
    found = read_on(journal)
    assert [each if isinstance(each, Damage) else each.first_record for each in found] == [0, Damage(2), 4]


def test_a_file_that_is_lost_is_passed_over_whole(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are counted, those of the next file come, and the sizes fit."""
    small_files(monkeypatch, chunks=2)
    fill(journal, 5)
    files = chunk_files(tmp_path)
    assert len(files) == 3
    journal.skip(2, 100)
    files[0].write_bytes(b"")
    files[1].write_bytes(b"?" * 300)
    assert journal.peek() == Damage(2)
    assert (journal.records, journal.size_bytes) == (6, 300)
    assert journal.peek() == Damage(4)
    assert (journal.records, journal.size_bytes) == (2, 100)
    assert isinstance(journal.peek(), Header)


def test_only_whole_files_that_are_older_are_passed_over(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest chunk of a file decides; the file that is written to stays."""
    small_files(monkeypatch, chunks=2)
    for queued_at in (1.0, 9.0, 2.0, 3.0, 1.0):
        fill(journal, 1, queued_at=queued_at)
    assert journal.skip_older(9.0) == 0
    journal.skip(2, 100)
    assert journal.skip_older(10.0) == 2
    assert (journal.next_record, journal.records, journal.size_bytes) == (4, 6, 300)
    assert journal.skip_older(3.0) == 0
    assert journal.skip_older(3.5) == 4
    assert journal.skip_older(100.0) == 0
    assert (journal.next_record, journal.records, journal.size_bytes) == (8, 2, 100)


def test_a_place_after_a_file_that_was_passed_over_survives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was too old does not come again, and what remains has its size."""
    small_files(monkeypatch, chunks=2)
    first = Journal(tmp_path)
    first.open()
    fill(first, 2, queued_at=1.0)
    fill(first, 3, queued_at=9.0)
    assert first.skip_older(5.0) == 4
    first.settle()
    first.close()
    second = Journal(tmp_path)
    second.open()
    try:
        assert (second.next_record, second.records, second.size_bytes) == (4, 6, 300)
    finally:
        second.close()


@pytest.mark.parametrize(("left", "removed"), [(0, True), (1, False)])
def test_space_is_given_back_once_all_is_done_with(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, removed: bool
) -> None:
    """The file that is written to goes when nothing in it is wanted; before, and while it is small, it stays."""
    monkeypatch.setattr(module, "SHRINK_BYTES", 3 * (HEADER_BYTES + 100))
    fill(journal, 2)
    for _ in range(2):
        journal.skip(2, 100)
    journal.shrink()
    assert len(chunk_files(tmp_path)) == 1
    fill(journal, 1 + left)
    journal.skip(2, 100)
    journal.shrink()
    assert (chunk_files(tmp_path) == []) is removed
    fill(journal, 1)
    assert len(read_on(journal)) == 1 + left


def test_a_file_that_ends_for_lack_of_space_says_so(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of which only a part could be written is not there, and the next one is whole."""
    fill(journal, 1)
    monkeypatch.setattr(os, "pwritev", lambda *_: 5)
    with pytest.raises(SpoolError, match=r"cannot write to the queue in .*: No space left on device") as caught:
        fill(journal, 1)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC  # by which the log says what helps
    monkeypatch.undo()
    fill(journal, 1)
    assert (journal.records, journal.size_bytes) == (4, 200)
    assert len(read_on(journal)) == 2


def test_a_file_that_could_only_be_begun_does_not_move_the_reading_place(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands within the file before, and goes on there."""
    small_files(monkeypatch, chunks=2)
    fill(journal, 4)
    for _ in range(3):
        journal.skip(2, 100)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", lambda *_: 5)
        with pytest.raises(SpoolError):
            fill(journal, 1)
    assert (journal.next_record, journal.records, journal.size_bytes) == (6, 2, 100)
    fill(journal, 1)
    assert [each if isinstance(each, Damage) else each.first_record for each in read_on(journal)] == [6, 8]


def test_a_file_that_is_gone_is_damage_and_one_that_cannot_be_opened_is_not(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is lost, or waits until it can be read."""
    small_files(monkeypatch, chunks=1)
    fill(journal, 2)
    first, _ = chunk_files(tmp_path)
    hidden = first.rename(first.with_suffix(".away"))
    monkeypatch.chdir(tmp_path)
    # Opening a socket fails, and not as a file that is gone would.
    with socket.socket(socket.AF_UNIX) as stand_in:
        stand_in.bind(first.name)
    with pytest.raises(SpoolError, match=r"^cannot read the queue in .*: "):
        journal.peek()
    first.unlink()
    hidden.rename(first)
    assert isinstance(journal.peek(), Header)
    journal.skip(2, 100)
    chunk_files(tmp_path)[1].unlink()
    assert journal.peek() == Damage(2)
    assert (journal.records, journal.size_bytes) == (0, 0)


def test_an_empty_queue_may_be_settled(journal: Journal, tmp_path: Path) -> None:
    """There is no file yet; what comes later is read from its start."""
    journal.settle()
    fill(journal, 1)
    journal.close()
    later = Journal(tmp_path)
    later.open()
    assert (later.records, len(read_on(later))) == (2, 1)
    later.close()


def test_where_files_begin_is_known(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number of their first record, behind the one that is asked of."""
    small_files(monkeypatch, chunks=2)
    fill(journal, 5)
    assert [journal.files_after(record) for record in (0, 3, 4, 8)] == [[8, 4], [8, 4], [8], []]


def test_who_is_closed_says_so(tmp_path: Path) -> None:
    """Before and after, nothing is open and nothing can be written."""
    made = Journal(tmp_path)
    assert not made.is_open
    with pytest.raises(SpoolError, match=r"cannot write to the queue in .*: the queue is closed$"):
        fill(made, 1)
    made.open()
    assert made.is_open
    fill(made, 1)
    made.close()
    assert (made.is_open, made.records, made.size_bytes) == (False, 0, 0)


def test_a_start_waits_for_another_process_to_let_go(tmp_path: Path) -> None:
    """The one before may still be delivering its rest."""
    with (tmp_path / "lock").open("wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        letting_go = threading.Timer(0.2, fcntl.flock, (holder, fcntl.LOCK_UN))
        letting_go.start()
        made = Journal(tmp_path)
        made.open(wait_seconds=30.0)
        assert made.is_open
        made.close()
        letting_go.join()


def test_what_a_files_damaged_end_held_is_known_from_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly that is lost, and every later file is read."""
    small_files(monkeypatch, chunks=2)
    first = Journal(tmp_path)
    first.open()
    fill(first, 6)
    first.close()
    os.truncate(chunk_files(tmp_path)[0], HEADER_BYTES + 100)
    second = Journal(tmp_path)
    second.open()
    try:
        found = read_on(second)
    finally:
        second.close()
    assert [each if isinstance(each, Damage) else each.first_record for each in found] == [0, Damage(2), 4, 6, 8, 10]


def test_a_file_that_was_done_with_goes_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ended after it had noted the place and before it removed the file: nothing of it counts."""
    small_files(monkeypatch, chunks=2)
    first = Journal(tmp_path)
    first.open()
    fill(first, 4)
    done = chunk_files(tmp_path)[0]
    content = done.read_bytes()
    for _ in range(2):
        first.skip(2, 100)
    first.settle()
    first.close()
    assert not done.exists()
    done.write_bytes(content)
    second = Journal(tmp_path)
    second.open()
    try:
        assert (second.records, second.size_bytes) == (4, 200)
        assert not done.exists()
        assert [each.first_record for each in read_on(second) if isinstance(each, Header)] == [4, 6]
    finally:
        second.close()


def test_without_a_position_reading_begins_with_the_oldest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its number: what was done with long ago is not counted as lost."""
    small_files(monkeypatch, chunks=2)
    first = Journal(tmp_path)
    first.open()
    fill(first, 5)
    for _ in range(2):
        first.skip(2, 100)
    first.settle()
    first.close()
    (tmp_path / "position").unlink()
    second = Journal(tmp_path)
    second.open()
    try:
        assert (second.next_record, second.records, second.size_bytes) == (4, 6, 300)
        assert [each if isinstance(each, Damage) else each.first_record for each in read_on(second)] == [4, 6, 8]
    finally:
        second.close()


def test_a_directory_is_taken_again_after_it_was_let_go(journal: Journal) -> None:
    """What was not done with is read from the same file."""
    fill(journal, 2)
    assert isinstance(journal.peek(), Header)
    journal.skip(2, 100)
    journal.settle()
    journal.close()
    journal.open()
    header = journal.peek()
    assert isinstance(header, Header)
    assert journal.payload(header) == b"x" * 100


def test_a_file_that_was_removed_is_not_kept_open(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the disk would have its space back only at the end of the process."""
    monkeypatch.setattr(module, "SHRINK_BYTES", 0)
    fill(journal, 1)
    assert len(read_on(journal)) == 1
    journal.shrink()
    assert chunk_files(tmp_path) == []
    opened = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    assert not [name for name in opened if name.startswith(str(tmp_path)) and "chunks" in name]
