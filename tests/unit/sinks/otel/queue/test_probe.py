"""Whether a directory can hold a queue is tried, and said with what to do."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from exporter.config.model import Queue
from exporter.sinks.otel.queue.probe import check_directory


def test_a_directory_that_works_is_made_and_left_empty(tmp_path: Path) -> None:
    """Private, and with what is free in it."""
    directory = tmp_path / "a" / "queue"
    found = check_directory(directory, Queue(limit_bytes=1))
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
    found = check_directory(tmp_path, Queue(limit_bytes=limit_bytes))
    assert found.works
    assert found.message.startswith("can be written, ")
    assert f"; queue.limit_bytes allows {limit_bytes // 1_000_000} MB: a full disk would come first" in found.message


@pytest.mark.parametrize(
    ("directory", "reason"), [("/proc/queue", "No such file or directory"), ("/dev/null/x", "Not a directory")]
)
def test_a_directory_that_cannot_be_had_is_said_with_what_to_do(directory: str, reason: str) -> None:
    """The system's reason, what follows from it, and whose right is missing."""
    found = check_directory(Path(directory), Queue())
    assert not found.works
    assert found.message == (
        f"cannot be written: {reason}; alerts would wait in memory only: give user {os.geteuid()} the right to write "
        "there (chown, or fsGroup in Kubernetes), or set queue.directory to another place"
    )


def test_a_path_that_is_none_is_said() -> None:
    """A NUL is no system error."""
    found = check_directory(Path("/tmp/a\0b"), Queue())
    assert not found.works
    assert re.search("cannot be written: .*embedded null .*; alerts would wait in memory only", found.message)
