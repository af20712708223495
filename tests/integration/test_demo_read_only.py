"""``demo`` where nothing can be written: it works as long as one place can be, else it says what to mount."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.programs import missing

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "/bin/sh", "-ec"]
READ_ONLY = """
for place in $(cut -d' ' -f5 /proc/self/mountinfo | sort -u | grep -vE '^/(proc|sys|dev$|dev/pts|dev/mqueue)'); do
    mount -o remount,bind,ro "$place"
done
"""
HOLD = 'exec 9< "$ROOT"\n'
AGAIN = 'mkdir -p "$ROOT"; mount -c --bind /proc/self/fd/9 "$ROOT"; mount -o remount,bind,ro "$ROOT"\n'
"""For a project that lies below what is mounted over."""
DEMO = 'cd /; exec "$PYTHON" -m exporter demo --once'


@pytest.fixture(autouse=True)
def _namespace() -> None:
    """Mount namespaces are not allowed everywhere."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        missing("no mount namespace can be made here")


def demo(before: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"TMPDIR", "TEMP", "TMP"}}
    environment |= {"HOME": "/nonexistent", "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "ROOT": str(ROOT)}
    return subprocess.run(
        [*NAMESPACE, HOLD + READ_ONLY + before + DEMO],
        capture_output=True, text=True, check=False, timeout=120, env=environment, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["/dev/shm", "/tmp"])
def test_demo_works_where_one_place_can_be_written(place: str) -> None:
    """A container with a read-only root, no home, and only what the runtime gives."""
    done = demo(f"mount -t tmpfs tmpfs {place}\n" + (AGAIN if Path(place) in ROOT.parents else ""))
    assert done.returncode == 0, done.stderr
    assert "Summary of Detected Activity" in done.stdout


def test_demo_says_what_to_mount() -> None:
    """Nothing can be written at all: one line, exit 2, no traceback."""
    done = demo("")
    assert done.returncode == 2, done.stdout[-500:] + done.stderr
    (line,) = done.stderr.splitlines()
    assert "docker run --tmpfs /tmp" in line
