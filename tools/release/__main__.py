"""Write a release from the last commit into a folder, by default dist/."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from tools.release import image, locked, parts, source
from tools.release.run import ReleaseError, say

ROOT = Path(__file__).parents[2]
SUMS = "SHA256SUMS"


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "dist", help="where to write; an older release there is replaced"
    )
    parser.add_argument("--no-image", action="store_true", help="leave the container image out")
    asked = parser.parse_args()
    for line in source.uncommitted(ROOT):
        say(f"WARNING: not committed, so not in the release: {line}")
    try:
        write(asked.folder.resolve(), with_image=not asked.no_image)
    except ReleaseError as exc:
        say(f"release: {exc}")
        return 1
    print((asked.folder / SUMS).read_text("utf-8"), end="")
    return 0


def write(folder: Path, *, with_image: bool) -> None:
    """Make every part in a scratch folder, then replace the release that is in ``folder``.

    Raises ``ReleaseError`` where ``folder`` has files and is no release, or where a part cannot be made.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / SUMS).exists():
        raise ReleaseError(
            f"{folder}: expected an empty folder or an older release (with {SUMS}); empty it or name another"
        )
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        tree = source.committed(ROOT, Path(scratch) / "source")
        say(f"{tree.name} {tree.version}")
        if not with_image:
            say("WARNING: --no-image: there is NO CONTAINER IMAGE in this release")
        images = [image.image] if with_image else []
        for part in (parts.distributions, parts.chart, parts.dashboards_and_alerts, *images):
            say(f"  {part.__name__.replace('_', ' ')}")
            part(tree, made)
        say("  what it is installed with")
        python = locked.environment(tree, Path(scratch) / "environment")
        locked.sbom(tree, python, made)
        locked.licences(tree, python, made)
        (made / SUMS).write_text(sums(made), "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(made, folder)


def sums(folder: Path) -> str:
    """Return one line a file as ``sha256sum --check`` reads it."""
    files = sorted(file for file in folder.iterdir() if file.name != SUMS)
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


if __name__ == "__main__":
    sys.exit(main())
