"""Archives have the same bytes wherever and whenever they are made."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from tools.release.archives import compressed, to_tar

EPOCH = 1_700_000_000


def written(folder: Path, names: list[str], *, mode: int, time: int) -> Path:
    """Write files in the order of the names."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}\n", "utf-8")
        file.chmod(mode)
        os.utime(file, (time, time))
    return folder


def test_order_times_and_modes_of_the_files_do_not_show(tmp_path: Path) -> None:
    """Two folders with the same names and contents give the same bytes."""
    names = ["b.txt", "a/z.txt", "a.txt"]
    one = written(tmp_path / "one", names, mode=0o600, time=1)
    other = written(tmp_path / "other", names[::-1], mode=0o664, time=2)
    assert compressed(to_tar(one, "x/", EPOCH), EPOCH) == compressed(to_tar(other, "x/", EPOCH), EPOCH)


def test_an_archive_has_the_contents_below_its_prefix(tmp_path: Path) -> None:
    """What went in comes out, owned by root, of the given time; programs stay programs."""
    folder = written(tmp_path, ["a/run.sh"], mode=0o700, time=1)
    with tarfile.open(fileobj=io.BytesIO(compressed(to_tar(folder, "x-1/", EPOCH), EPOCH))) as archive:
        (entry,) = archive.getmembers()
        content = archive.extractfile(entry)
        assert content is not None
        assert content.read() == b"content of a/run.sh\n"
    assert (entry.name, entry.mtime, entry.uid, entry.uname, entry.mode) == ("x-1/a/run.sh", EPOCH, 0, "root", 0o755)


def test_a_link_is_refused(tmp_path: Path) -> None:
    """Nothing from outside the folder gets into a release by a link."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="link: expected a plain file"):
        to_tar(tmp_path, "", EPOCH)
