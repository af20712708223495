"""Where the lab's programs and its root file system are, built when they are first needed.

One rule for all: what is missing is built; what cannot be built skips the
scenario and says why, unless CI=true, where it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

LAB = Path(__file__).parent
CACHE = Path(
    os.environ.get("FALCO_LAB_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "falco-lab"
)


def missing(reason: str) -> NoReturn:
    """Skip the scenario, or fail it in CI, saying what is missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI needs it")
    pytest.skip(reason)


@cache
def program(name: str) -> str:
    """Return a program's path: one that ``build.sh`` built, else one that is installed."""
    built = CACHE / "bin" / name
    if built.exists():
        return str(built)
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") or missing(
        f"{name} is neither installed nor built (tests/lab/build.sh)"
    )


@cache
def built(*parts: str) -> Path:
    """Build parts (``kubernetes``, ``etcd``, …; seconds when they are there) and return the folder of the programs."""
    return Path(_script("build.sh", *parts))


def begin_building(*parts: str) -> None:
    """Start building parts beside what else runs; ``built`` waits for them.

    One after the other, each by itself: only one process of the machine builds at a time (``build.sh`` has a lock), and
    whoever waits for a small part need not wait for all.
    """

    def build() -> None:
        for part in parts:
            subprocess.run([LAB / "build.sh", part], stdout=subprocess.DEVNULL, check=False)

    threading.Thread(target=build, daemon=True).start()


@cache
def root_file_system() -> Path:
    """Return the host's root file system, made by mmdebstrap the first time (about a minute)."""
    if os.geteuid() != 0:
        missing("a lab host needs root: namespaces, chroot and mounts")
    program("mmdebstrap")
    return Path(_script("rootfs.sh"))


def _script(name: str, *arguments: str) -> str:
    done = subprocess.run([LAB / name, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        missing(f"tests/lab/{name} {' '.join(arguments)} failed")
    return done.stdout.strip().rpartition("\n")[2]
