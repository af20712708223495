"""Batches that the collector refused for good, kept for a person to look at.

Owns the files and their bound. One file is one whole request, an
``ExportLogsServiceRequest`` as it was sent, which can be sent again by hand.
Refuses to send them again by itself.
"""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from exporter.private_files import make_private_directory, write_private

_log = logging.getLogger(__name__)

DIRECTORY_NAME = "refused"
SUFFIX = ".otlp"
LIMIT_BYTES = 64 * 1024 * 1024


class RefusedBatches:
    """Keep refused requests as files in ``directory``; with None they are not kept, only counted by the caller."""

    def __init__(self, directory: Path | None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        if directory is not None:
            # What a process that was killed had begun to write.
            for unfinished in directory.glob("*.part"):
                with contextlib.suppress(OSError):
                    unfinished.unlink()

    def keep(self, request: bytes) -> Path | None:
        """Write one request; the oldest files go where the bound is reached.

        Returns the file's path, None where it could not be kept (the log says why).
        """
        if self._directory is None:
            return None
        path = self._directory / f"{time.time_ns()}{SUFFIX}"
        try:
            make_private_directory(self._directory)
            self._make_room(len(request))
            write_private(path, request)
        except OSError as exc:
            _log.error("a refused batch could not be kept in %s: %s", self._directory, exc.strerror)
            return None
        return path

    def size_bytes(self) -> int:
        """How many bytes the files hold."""
        return sum(size for _, size in self._files())

    def _make_room(self, size_bytes: int) -> None:
        files = self._files()
        total = sum(size for _, size in files) + size_bytes
        for path, size in files:
            if total <= self._limit_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size

    def _files(self) -> list[tuple[Path, int]]:
        """The files with their sizes, oldest first."""
        if self._directory is None or not self._directory.is_dir():
            return []
        return [(path, path.stat().st_size) for path in sorted(self._directory.glob(f"*{SUFFIX}"))]
