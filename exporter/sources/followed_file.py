"""A file that another process goes on writing, followed through rotation and truncation.

Owns the position in the file and its memory across restarts. Remembers a
position only once what lies before it has been delivered, so that a crash
gives some alerts twice (with the same uid) and none never.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import IO

from exporter.config.model import JsonLines

logger = logging.getLogger(__name__)

READ_BYTES = 256 * 1024
REMEMBER_SECONDS = 1.0
FINGERPRINT_BYTES = 256


class FollowedFile:
    """Bytes of one path; a new file under the same name is followed once the old one is read to its end."""

    def __init__(self, settings: JsonLines) -> None:
        if settings.file is None:
            raise ValueError("a followed file needs json_lines.file")
        self._path = settings.file
        self._state_file = settings.state_file
        self._file: IO[bytes] | None = None
        self._read_offset = 0
        self._delivered_offset = 0
        self._remembered_at = 0.0
        self._missing_logged = False
        self._memory_failed = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    def read(self, wait_seconds: float) -> bytes:
        """Return what is new; ``b""`` after the wait when nothing is. Never ends."""
        if self._file is None and not self._open():
            time.sleep(wait_seconds)
            return b""
        piece = self._read_open()
        if not piece:
            time.sleep(wait_seconds)
        return piece

    def _read_open(self) -> bytes:
        file = self._file
        if file is None:
            return b""
        piece = file.read(READ_BYTES)
        if piece:
            self._read_offset += len(piece)
            return piece
        if os.fstat(file.fileno()).st_size < self._read_offset:
            logger.info("%s: the file was truncated; reading from its start", self.name)
            file.seek(0)
            self._read_offset = self._delivered_offset = 0
        elif self._was_replaced(file):
            # What was written between our last read and the rotation.
            piece = file.read(READ_BYTES)
            self._read_offset += len(piece)
            if not piece:
                logger.info("%s: the file was rotated; following the new one", self.name)
                file.close()
                self._file = None
            return piece
        return b""

    def _was_replaced(self, file: IO[bytes]) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(file.fileno())
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except OSError as exc:
            if not self._missing_logged:
                logger.warning("%s: cannot be read yet: %s (looking again until it can)", self.name, exc.strerror)
                self._missing_logged = True
            return False
        self._missing_logged = False
        self._read_offset = self._delivered_offset = self._recall(self._file)
        self._file.seek(self._read_offset)
        return True

    def delivered(self, count: int) -> None:
        """Take note of delivered bytes; remembers the position at most once a second."""
        self._delivered_offset += count
        if time.monotonic() - self._remembered_at >= REMEMBER_SECONDS:
            self._remember()

    def close(self) -> None:
        """Remember the position and close."""
        self._remember()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _recall(self, file: IO[bytes]) -> int:
        """Where to go on; 0 for a file that is not the remembered one."""
        if self._state_file is None:
            return 0
        try:
            state = json.loads(self._state_file.read_text(encoding="utf-8"))
            length, offset = int(state["fingerprint_bytes"]), int(state["offset"])
            fits = _fingerprint(file, length) == state["fingerprint"] and offset <= os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as exc:
            logger.warning("%s: the remembered position is unreadable (%s); reading from the start", self.name, exc)
            return 0
        return offset if fits else 0

    def _remember(self) -> None:
        if self._state_file is None or self._file is None:
            return
        self._remembered_at = time.monotonic()
        length = min(FINGERPRINT_BYTES, self._delivered_offset)
        state = {
            "offset": self._delivered_offset,
            "fingerprint": _fingerprint(self._file, length),
            "fingerprint_bytes": length,
        }
        new = self._state_file.with_name(self._state_file.name + ".new")
        try:
            new.write_text(json.dumps(state), encoding="utf-8")
            new.replace(self._state_file)
            self._memory_failed = False
        except OSError as exc:
            if not self._memory_failed:
                logger.warning(
                    "%s: the position cannot be remembered in %s (%s); a restart would read alerts again",
                    self.name, self._state_file, exc.strerror,
                )  # fmt: skip
            self._memory_failed = True


def _fingerprint(file: IO[bytes], length: int) -> str:
    """A digest of the file's first bytes: tells a new file from one that only grew."""
    return hashlib.blake2b(os.pread(file.fileno(), length, 0), digest_size=16).hexdigest()


def default_state_file(queue_directory: Path | None) -> Path | None:
    """Where the position is remembered when no setting says: beside the queue."""
    return queue_directory / "json-lines-position.json" if queue_directory else None
