"""Whether the queue's directory can be used, and if not, what to do: for the ``check`` command.

Owns the trial. Refuses to read what waits there.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from exporter.config.model import Queue
from exporter.private_files import make_private_directory, write_private

_TRIAL_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class DirectoryCheck:
    """The outcome of one trial."""

    works: bool
    message: str
    """What was found and, where it does not work, what to do; a line for an operator."""


def check_directory(directory: Path, settings: Queue) -> DirectoryCheck:
    """Write and remove a file in the queue's directory, which is made where it is missing."""
    trial = directory / "trial"
    try:
        make_private_directory(directory)
        write_private(trial, bytes(_TRIAL_BYTES))
        trial.unlink()
        free_bytes = shutil.disk_usage(directory).free
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        return DirectoryCheck(False, f"cannot be written: {reason}; alerts would wait in memory only: {_advice()}")
    message = f"can be written, {free_bytes // 1_000_000} MB are free"
    if free_bytes < settings.limit_bytes:
        message += f"; queue.limit_bytes allows {settings.limit_bytes // 1_000_000} MB: a full disk would come first"
    return DirectoryCheck(True, message)


def _advice() -> str:
    return (
        f"give user {os.geteuid()} the right to write there (chown, or fsGroup in Kubernetes), or set queue.directory "
        "to another place"
    )
