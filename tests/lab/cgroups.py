"""Control groups of a host's own: one below the machine's in every hierarchy, removed with all below it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path


class ControlGroups:
    """A group of one name in every hierarchy (version 1 and 2) that is mounted on the machine."""

    def __init__(self, name: str) -> None:
        self.folders = []
        for line in Path("/proc/self/mountinfo").read_text("ascii").splitlines():
            before, _, after = line.partition(" - ")
            if after.split()[0] not in {"cgroup", "cgroup2"}:
                continue
            folder = Path(before.split()[4]) / name
            if (folder.parent / "cpuset.cpus").exists():
                # A cpuset is made empty, and nothing can run in it, unless it takes its parent's.
                (folder.parent / "cgroup.clone_children").write_text("1")
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                self.folders.append(folder)

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs this one as a member of the groups."""
        joins = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in self.folders)
        return ["sh", "-c", f'{joins}exec "$@"', "sh", *command]

    def remove(self, timeout_seconds: float = 5.0) -> None:
        """Remove the groups and all below them, once their last process has ended."""
        deadline = time.monotonic() + timeout_seconds
        for folder in self.folders:
            for inner in [*sorted(folder.rglob("*/"), reverse=True), folder]:
                while inner.is_dir():
                    try:
                        inner.rmdir()
                    except OSError:
                        if time.monotonic() > deadline:
                            break
                        time.sleep(0.02)
