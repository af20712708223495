"""How far a followed file was read, remembered across restarts.

Owns the file in which the position stands, what identifies a file again after
it was renamed or copied, and finding it among its rotated siblings.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from exporter.errors import ConfigError

logger = logging.getLogger(__name__)

FINGERPRINT_BYTES = 256
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file that has been delivered up to here."""

    offset: int
    """Bytes from the file's start."""
    fingerprint: str
    """Digest of the file's first ``fingerprint_bytes`` bytes."""
    fingerprint_bytes: int
    """At most ``FINGERPRINT_BYTES``, less where less was delivered."""
    inode: int = 0
    """The file's inode; 0 where it is not known."""

    def fits(self, descriptor: int) -> bool:
        """Whether this open file is the one that was read, grown or not. Raises OSError."""
        return (
            os.fstat(descriptor).st_size >= self.offset
            and _fingerprint(descriptor, self.fingerprint_bytes) == self.fingerprint
        )


def position_in(descriptor: int, offset: int) -> Position:
    """Return the position ``offset`` bytes into the open file. Raises OSError."""
    length = min(FINGERPRINT_BYTES, offset)
    return Position(offset, _fingerprint(descriptor, length), length, os.fstat(descriptor).st_ino)


def _fingerprint(descriptor: int, length: int) -> str:
    return hashlib.blake2b(os.pread(descriptor, length, 0), digest_size=16).hexdigest()


def rotated_after(path: Path, position: Position) -> list[Path] | None:
    """Return the file that was read up to ``position`` and those rotated after it, oldest first.

    Looks at the siblings whose names begin with the path's (``alerts.jsonl.1``,
    ``alerts.jsonl-20260131``), by inode first and by content where the file was
    copied. None where none of them is the one that was read.
    """
    siblings = []
    with contextlib.suppress(OSError):
        for sibling in path.parent.iterdir():
            if sibling.name.startswith(path.name) and sibling != path and sibling.suffix not in _COMPRESSED:
                with contextlib.suppress(OSError):
                    found = sibling.lstat()
                    if stat.S_ISREG(found.st_mode):
                        siblings.append((found.st_mtime_ns, sibling, found.st_ino))
    siblings.sort()
    by_inode_first = sorted(range(len(siblings)), key=lambda index: siblings[index][2] != position.inode)
    for index in by_inode_first:
        if _fits(siblings[index][1], position):
            return [sibling for _, sibling, _ in siblings[index:]]
    return None


def _fits(path: Path, position: Position) -> bool:
    if position.offset == 0:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return position.fits(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


class PositionFile:
    """The file that holds the position; private to its owner from the first byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._failed = False

    def prepare(self) -> None:
        """Make the directory where it is missing. Raises ConfigError where the position could not be kept."""
        directory = self.path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(
                f"json_lines.state_file: the directory {directory} does not exist and cannot be made: {exc.strerror}; "
                "make it, or name another file"
            ) from exc
        if not os.access(directory, os.W_OK | os.X_OK):
            raise ConfigError(
                f"json_lines.state_file: uid {os.geteuid()} may not write in {directory}, and without a remembered "
                "position a restart would count alerts again; give it the right (chown), mount the directory writable, "
                "or name another file"
            )

    def load(self) -> Position | None:
        """Return the remembered position; None where there is none, or none that can be read (logged)."""
        try:
            members = json.loads(self.path.read_text(encoding="utf-8"))
            return Position(
                int(members["offset"]),
                str(members["fingerprint"]),
                min(int(members["fingerprint_bytes"]), FINGERPRINT_BYTES),
                int(members.get("inode", 0)),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            logger.warning("%s: the remembered position is unreadable (%s); reading from the start", self.path, exc)
            return None

    def save(self, position: Position) -> None:
        """Replace the remembered position at once; logs the first failure in a row."""
        new = self.path.with_name(self.path.name + ".new")
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(position), file)
            new.replace(self.path)
            self._failed = False
        except OSError as exc:
            if not self._failed:
                logger.warning(
                    "%s: the position cannot be remembered (%s); a restart would read alerts again",
                    self.path,
                    exc.strerror,
                )
            self._failed = True
