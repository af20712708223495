"""Whether a directory can hold what it is for is tried, and said with what to do."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from exporter.directories import DirectoryCheck, check_directory, what_helps


def checked(directory: Path, limit_bytes: int = 1) -> DirectoryCheck:
    return check_directory(directory, section="queue", limit_bytes=limit_bytes, otherwise="alerts would be lost")


def test_a_directory_that_works_is_made_and_left_empty(tmp_path: Path) -> None:
    """Private, and with what is free in it."""
    directory = tmp_path / "a" / "queue"
    found = checked(directory)
    assert found.works
    assert found.message.startswith("can be written, ")
    free_mb = int(found.message.split()[3])
    assert abs(free_mb - shutil.disk_usage(tmp_path).free // 1_000_000) < 5_000
    assert found.message.endswith(" MB are free")
    assert list(directory.iterdir()) == []
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_limit_that_the_disk_cannot_hold_is_said(tmp_path: Path) -> None:
    """It works, but a full disk would come before the limit."""
    limit_bytes = shutil.disk_usage(tmp_path).free * 2
    found = checked(tmp_path, limit_bytes)
    assert found.works
    assert found.message.startswith("can be written, ")
    assert f"; queue.limit_bytes allows {limit_bytes // 1_000_000} MB: a full disk would come first" in found.message


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("/proc/queue", "No such file or directory; alerts would be lost: set queue.directory to another place"),
        ("/dev/null/x", "Not a directory; alerts would be lost: set queue.directory to a directory, or to a path"),
        ("/dev/null", "it is not a directory; alerts would be lost: set queue.directory to a directory"),
    ],
)
def test_a_directory_that_cannot_be_had_is_said_with_what_to_do(directory: str, said: str) -> None:
    """The system's reason, what follows from it, and what helps."""
    found = checked(Path(directory))
    assert not found.works
    assert found.message.startswith(f"cannot be written: {said}")


def test_a_path_that_is_none_is_said() -> None:
    """A NUL is no system error."""
    found = checked(Path("/tmp/a\0b"))
    assert not found.works
    assert re.search("cannot be written: .*embedded null .*; alerts would be lost", found.message)


@pytest.mark.parametrize(
    ("number", "helps"),
    [
        (
            errno.EACCES,
            f"give uid {os.geteuid()} the right to write there (chown, or fsGroup in Kubernetes), or set x to",
        ),
        (errno.EROFS, "mount it writable (a volume, in a container), or set x to another place"),
        (errno.ENOSPC, "free space there, or set x to another place"),
        (errno.EIO, "set x to another place"),
    ],
)
def test_each_error_has_advice_of_its_own(number: int, helps: str) -> None:
    """Rights do not help against a read-only mount, nor against a full disk."""
    assert what_helps(OSError(number, "?"), "x").startswith(helps)
