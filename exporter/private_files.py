"""Files and directories that only we may read, from their first byte.

Owns how they are made: mode 0600 and 0700 whatever the umask, never through a
symbolic link that somebody laid where a file of ours belongs. Raises OSError
as the system gives it; refuses to know what is in the files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_LOCK_POLL_SECONDS = 0.05


def make_private_directory(path: Path) -> None:
    """Make a directory and each parent that is missing, mode 0700. One that exists stays as it is."""
    for directory in (*reversed(path.parents), path):
        with contextlib.suppress(FileExistsError):
            if not directory.exists():
                directory.mkdir(mode=_DIRECTORY_MODE)
    if not path.is_dir():
        raise NotADirectoryError(20, "it is not a directory", str(path))


def open_directory(path: Path) -> int:
    """Return a descriptor of a directory, for ``open_private`` and the functions of ``os`` that take one."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def open_private(name: str | Path, flags: int, *, directory: int | None = None) -> int:
    """Open a file, mode 0600 where it is made now; a symbolic link in its place is an error (ELOOP)."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE, dir_fd=directory)


def open_locked(name: str | Path, *, directory: int | None = None, wait_seconds: float = 0.0) -> int | None:
    """Open a file that one process holds at a time, until it closes it; None where another still does."""
    file = open_private(name, os.O_RDWR | os.O_CREAT, directory=directory)
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(file)
                    return None
                time.sleep(_LOCK_POLL_SECONDS)
            else:
                return file
    except OSError:
        os.close(file)
        raise


def write_private(path: Path, content: bytes) -> None:
    """Put a file in place in one step, so that a reader sees the old content or the new; leaves nothing on failure."""
    unfinished = path.with_name(path.name + ".part")
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    try:
        with open(open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(content)
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
