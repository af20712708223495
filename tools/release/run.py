"""Starting other programs while a release is made: one environment, and an error that says what failed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class ReleaseError(Exception):
    """A release cannot be made; the text says what was expected, what was found and what to do."""


def output(command: Sequence[str | Path], *, folder: Path | None = None, more: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it prints; ``more`` are variables beside those of this process.

    Raises ``ReleaseError`` with the program's own words where it fails or does not exist.
    """
    # Nothing of the machine's language or time zone gets into what is made.
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", **(more or {})}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise ReleaseError(f"{command[0]}: no such program; install it or add it to PATH") from exc
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-4000:]
        raise ReleaseError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{words}")
    return done.stdout


def tool(name: str) -> Path:
    """Return a program of the Python environment that this runs in."""
    return Path(sys.executable).with_name(name)


def say(text: str) -> None:
    """Tell the person at the terminal what happens."""
    print(text, file=sys.stderr, flush=True)
