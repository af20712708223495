"""Write the dashboards and their recording rules, or with ``--check`` say which files differ from the code (exit status 1)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from dashboards.generator.all import dashboards
from dashboards.generator.recordings import FILE, recordings

DIRECTORY = Path(__file__).parents[1]


def stale(documents: Mapping[str, str]) -> list[str]:
    """Return what differs, one sentence each: changed, missing, and files that no code makes."""
    found = []
    for name, text in documents.items():
        path = DIRECTORY / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif path.read_text("utf-8") != text:
            found.append(f"{name} differs from what the code makes")
    return found + [
        f"{path.name} is made by no code" for path in DIRECTORY.glob("*.json") if path.name not in documents
    ]


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    documents = {**dashboards(), FILE: recordings()}
    if parser.parse_args().check:
        found = stale(documents)
        if found:
            print("\n".join(found), "run: make dashboards", sep="\n", file=sys.stderr)
        return bool(found)
    for name, text in documents.items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
