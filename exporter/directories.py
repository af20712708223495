"""Whether a directory of ours can be written, and what helps where it cannot.

Owns the trial and the advice on each of the system's errors. Refuses to read what is in a directory.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import reason_of
from exporter.private_files import make_private_directory, write_private

_TRIAL_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class DirectoryCheck:
    """The outcome of one trial."""

    works: bool
    message: str
    """What was found and, where it does not work, what to do; a line for an operator."""


def check_directory(directory: Path, *, section: str, limit_bytes: int, otherwise: str) -> DirectoryCheck:
    """Write and remove a file in the directory, which is made where it is missing.

    ``section`` has the settings ``directory`` and ``limit_bytes``; ``otherwise`` says what happens where it cannot be
    written.
    """
    trial = directory / "trial"
    try:
        make_private_directory(directory)
        write_private(trial, bytes(_TRIAL_BYTES))
        trial.unlink()
        free_bytes = shutil.disk_usage(directory).free
    except (OSError, ValueError) as exc:
        helps = what_helps(exc, f"{section}.directory")
        return DirectoryCheck(False, f"cannot be written: {reason_of(exc)}; {otherwise}: {helps}")
    message = f"can be written, {free_bytes // 1_000_000} MB are free"
    if free_bytes < limit_bytes:
        message += f"; {section}.limit_bytes allows {limit_bytes // 1_000_000} MB: a full disk would come first"
    return DirectoryCheck(True, message)


def what_helps(error: BaseException | None, setting: str) -> str:
    """Return what to do where this error keeps us from writing; ``setting`` names the file or directory."""
    elsewhere = f"set {setting} to another place"
    match getattr(error, "errno", None):
        case errno.EACCES | errno.EPERM:
            return f"give uid {os.geteuid()} the right to write there (chown, or fsGroup in Kubernetes), or {elsewhere}"
        case errno.EROFS:
            return f"mount it writable (a volume, in a container), or {elsewhere}"
        case errno.ENOSPC | errno.EDQUOT:
            return f"free space there, or {elsewhere}"
        case errno.ENOTDIR | errno.EEXIST:
            return f"set {setting} to a directory, or to a path where one can be made"
        case _:
            return elsewhere
