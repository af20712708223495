"""A file that another process goes on writing, followed through rotation and truncation.

Owns the open file and the order in which rotated files are read. Remembers a
position only once what lies before it has been delivered, so that a crash
gives some alerts twice (with the same uid) and none never. A named pipe is
read as long as anybody writes to it; it has no position.
"""

from __future__ import annotations

import logging
import os
import shlex
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from exporter.config.model import JsonLines
from exporter.sources.read_position import FINGERPRINT_BYTES, Position, PositionFile, position_in, rotated_after

logger = logging.getLogger(__name__)

READ_BYTES = 256 * 1024
REMEMBER_SECONDS = 1.0
GZIP_START = b"\x1f\x8b"
"""How every gzip file begins (RFC 1952, 2.3.1)."""
COMPRESSED = (
    "it is compressed (gzip), and only a file that Falco goes on writing can be followed; name that one. "
    "`falco-report-exporter report` reads compressed files"
)


class FollowedFile:
    """Bytes of one path; a new file under the same name is followed once the old one is read to its end.

    ``gap`` is called each time that lines were lost because the file that holds
    them cannot be found any more.
    """

    def __init__(self, settings: JsonLines, gap: Callable[[], None] = lambda: None) -> None:
        if settings.file is None:
            raise ValueError("a followed file needs json_lines.file")
        self._path = settings.file
        self._memory = PositionFile(settings.state_file) if settings.state_file else None
        if self._memory is not None:
            self._memory.prepare()
        self._gap = gap
        self._descriptor = -1
        self._waiting: deque[tuple[Path, int]] = deque()
        """Rotated files still to read, each from an offset on, before the path itself."""
        self._is_pipe = False
        self._read_offset = 0
        self._delivered_offset = 0
        self._remembered_at = 0.0
        self._position: Position | None = None
        """Up to where the open file was delivered; None for a pipe."""
        self._resumed = False
        self.state = "connecting"
        """``up``, or why the file cannot be read and what to do."""

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    def read(self, wait_seconds: float) -> bytes:
        """Return what is new; ``b""`` after the wait when nothing is. Never ends."""
        piece = self._read_open() if self._descriptor >= 0 or self._open() else b""
        if not piece:
            time.sleep(wait_seconds)
        return piece

    def _read_open(self) -> bytes:
        piece = self._read_piece()
        if piece or self._is_pipe:
            return piece
        if self._waiting:
            self._next_file()
        elif os.fstat(self._descriptor).st_size < self._read_offset:
            # Copied and emptied (logrotate's copytruncate): what we had not read yet is in the copy.
            logger.info("%s: the file was truncated; reading from its start", self.name)
            self._leave(first=0)
        elif self._was_replaced():
            # What was written between our last read and the rotation.
            piece = self._read_piece()
            if not piece:
                logger.info("%s: the file was rotated; following the new one", self.name)
                self._leave(first=1)
        return piece

    def _leave(self, *, first: int) -> None:
        """Go on with the files rotated meanwhile: from the one that was open (0), or from the one after it (1)."""
        position = self._position and replace(self._position, offset=self._read_offset)
        self._close()
        if position is not None:
            files = rotated_after(self._path, position) or []
            self._wait_for(files, position.offset, first=first)

    def _read_piece(self) -> bytes:
        try:
            piece = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        self._read_offset += len(piece)
        return piece

    def _was_replaced(self) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return False
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _open(self) -> bool:
        """Open what comes next; False, with the reason in ``state``, where it cannot be read."""
        if self._waiting:
            return self._next_file()
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            found = os.fstat(self._descriptor)
        except OSError as exc:
            return self._cannot_read(_advice(exc, self._path))
        if stat.S_ISDIR(found.st_mode):
            self._close()
            return self._cannot_read("it is a directory; name the file that Falco's file_output writes")
        if stat.S_ISREG(found.st_mode) and os.pread(self._descriptor, len(GZIP_START), 0) == GZIP_START:
            self._close()
            return self._cannot_read(COMPRESSED)
        self._is_pipe = stat.S_ISFIFO(found.st_mode)
        self._start_at(0)
        if self.state != "up":
            logger.info("%s: reading", self.name)
        self.state = "up"
        if self._memory is not None and not self._is_pipe and not self._resumed:
            self._resumed = True
            self._resume(self._memory)
        return self._descriptor >= 0

    def _resume(self, memory: PositionFile) -> None:
        """Go on where the last run ended, in a rotated file first where the path is a new one."""
        position = memory.load()
        if position is None:
            return
        if position.fits(self._descriptor):
            self._start_at(position.offset)
            return
        files = rotated_after(self._path, position)
        if files is not None:
            self._close()
            self._wait_for(files, position.offset)
        elif position.offset:
            logger.warning(
                "%s: the previous file was rotated away and is no longer next to it (compressed or moved); "
                "lines in it that were not read yet are lost. Keep the last rotated file uncompressed "
                "(logrotate: delaycompress) in the same directory",
                self.name,
            )
            self._gap()

    def _wait_for(self, files: list[Path], offset: int, *, first: int = 0) -> None:
        """Queue rotated files, the first of all from the offset on, leaving out those before ``first``."""
        queued = [(file, 0 if index else offset) for index, file in enumerate(files)][first:]
        if queued:
            logger.info("%s: reading %s to its end first", self.name, ", ".join([str(file) for file, _ in queued]))
        self._waiting.extend(queued)

    def _start_at(self, offset: int) -> None:
        if not self._is_pipe:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        self._read_offset = self._delivered_offset = offset
        self._position = None
        self._mark()

    def _next_file(self) -> bool:
        """Go over to the next rotated file, or to the path itself after the last."""
        self._close()
        while self._waiting:
            file, offset = self._waiting.popleft()
            try:
                self._descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as exc:
                logger.warning("%s: cannot be read (%s); its lines are lost", file, exc.strerror)
                self._gap()
                continue
            self._is_pipe = False
            self._start_at(offset)
            return True
        return False

    def _cannot_read(self, reason: str) -> bool:
        if self.state != reason:
            logger.warning("%s: %s (retrying until it can be read)", self.name, reason)
            self.state = reason
        return False

    def delivered(self, held: int) -> None:
        """Take note that all but the last ``held`` bytes were delivered; remembers the position once a second."""
        self._delivered_offset = max(self._delivered_offset, self._read_offset - held)
        self._mark()
        if time.monotonic() - self._remembered_at >= REMEMBER_SECONDS:
            self._remember()

    def close(self) -> None:
        """Remember the position and close."""
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            self._remember()
            os.close(self._descriptor)
            self._descriptor = -1

    def _mark(self) -> None:
        """Keep the position up to date; the fingerprint is read again only while it grows."""
        if self._is_pipe:
            return
        known = self._position
        if known is not None and known.fingerprint_bytes == FINGERPRINT_BYTES:
            self._position = replace(known, offset=self._delivered_offset)
        else:
            self._position = position_in(self._descriptor, self._delivered_offset)

    def _remember(self) -> None:
        if self._memory is not None and self._position is not None:
            self._remembered_at = time.monotonic()
            self._memory.save(self._position)


def _advice(error: OSError, path: Path) -> str:
    """What keeps the file from being read, and what to do about it."""
    if isinstance(error, FileNotFoundError):
        return why_missing(path)
    if isinstance(error, PermissionError):
        return f"this user (uid {os.getuid()}) may not read it; run as root, or: setfacl -m u:{os.getuid()}:r {path}"
    return f"it cannot be read: {error.strerror}"


def why_missing(path: Path) -> str:
    """Say why the file is not there, and what to do about it."""
    if not path.parent.is_dir():
        return (
            f"its directory does not exist, and Falco does not make it: sudo mkdir -p {shlex.quote(str(path.parent))}"
        )
    return (
        "no such file yet; Falco makes it with its first alert "
        f"(falco.yaml: json_output: true, file_output: {{enabled: true, keep_alive: true, filename: {path}}})"
    )


def default_state_file(queue_directory: Path | None, state_directory: str = "") -> Path | None:
    """Where the position is remembered when no setting says: beside the queue, else in systemd's STATE_DIRECTORY."""
    if queue_directory is not None:
        return queue_directory / "json-lines-position.json"
    return Path(state_directory.split(":", maxsplit=1)[0]) / "json-lines-position.json" if state_directory else None
