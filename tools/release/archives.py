"""Archives whose bytes depend on nothing but names, contents and one time."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def to_tar(folder: Path, prefix: str, epoch: int) -> bytes:
    """Return a tar of every file below a folder, in the order of the names, each under ``prefix``.

    Owner and group are root, modes 0644 or 0755, times ``epoch`` (seconds since 1970). Raises ``ValueError`` for links
    and devices.
    """
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
            if file.is_dir() and not file.is_symlink():
                continue
            if file.is_symlink() or not file.is_file():
                raise ValueError(f"{file.relative_to(folder)}: expected a plain file")
            content = file.read_bytes()
            entry = tarfile.TarInfo(f"{prefix}{file.relative_to(folder).as_posix()}")
            entry.size = len(content)
            entry.mtime = epoch
            entry.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(content))
    return kept.getvalue()


def compressed(content: bytes, epoch: int) -> bytes:
    """Return the gzip of some bytes, with no name in its header and ``epoch`` as its time."""
    return gzip.compress(content, compresslevel=9, mtime=epoch)
