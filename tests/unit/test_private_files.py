"""Files that only we may read, and those that one process holds at a time."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from exporter.private_files import make_private_directory, open_locked, open_private, write_private


def test_files_and_directories_are_ours_only(tmp_path: Path) -> None:
    """From the first byte, whatever the umask; a directory that is there already stays as it is."""
    before = os.umask(0)
    try:
        make_private_directory(tmp_path / "a" / "b")
        write_private(tmp_path / "a" / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "file").stat().st_mode) == 0o600
    (tmp_path / "a").chmod(0o755)
    make_private_directory(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


def test_a_link_in_a_files_place_is_not_followed(tmp_path: Path) -> None:
    """Somebody who may write there chooses no other file for us."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_private(tmp_path / "link", os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "elsewhere").exists()


def test_one_holds_a_locked_file_until_it_closes_it(tmp_path: Path) -> None:
    """A second one is told so at once, or gets it within the time that it waits."""
    first = open_locked(tmp_path / "lock")
    assert first is not None
    assert open_locked(tmp_path / "lock") is None
    letting_go = threading.Timer(0.2, os.close, (first,))
    letting_go.start()
    second = open_locked(tmp_path / "lock", wait_seconds=30)
    letting_go.join()
    assert second is not None
    os.close(second)
