"""A laptop: a shell with a cloud's client, on the machine's own programs, where nothing but its own folder can change.

Its network is its own: only the stand-ins that a scenario starts in it answer.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.lab.paste import Answer, Terminal
from tests.lab.programs import CACHE, LAB, missing

_ENTER = """
set -e
mount -t tmpfs laptop "$1"
for name in $2; do echo "127.0.0.1 $name"; done > "$1/hosts"
mkdir "$1/home" "$1/tmp"
mount --make-rprivate /
mount --bind "$1/hosts" /etc/hosts
mount -o remount,bind,ro /etc/hosts
mount -o remount,bind,ro /
mount -t proc proc /proc
ip link set lo up
exec sleep 86400
"""


class Laptop:
    """A shell in a folder of its own. Use ``laptop()`` to get one."""

    name = "laptop"

    def __init__(self, pid: int, home: Path, environment: Mapping[str, str]) -> None:
        self.pid = pid
        self.home = home
        """The folder that it may write in, as the laptop names it."""
        self.environment = {
            "HOME": str(home),
            "USER": "responder",
            "TMPDIR": str(home.parent / "tmp"),
            "PATH": f"{CACHE / 'bin'}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            **environment,
        }
        self._terminals: dict[str, Terminal] = {}
        self.begin: Callable[[str], None] = lambda _: None
        """Told the phase of each step before it is pasted; a cloud gives its caller the rights for that."""

    @property
    def enter(self) -> list[str]:
        """The command that runs what follows it on the laptop."""
        spaces = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--uts", f"--wdns={self.home}"]
        return [*spaces, "setpriv", "--bounding-set=-all", "--inh-caps=-all"]

    def paste(self, block: str, shell: str = "bash", timeout_seconds: float = 60.0) -> Answer:
        """Paste a block into the interactive shell; the shell stays for the next block."""
        if shell == "sh":
            done = self._run(["sh", "-c", block], timeout_seconds)
            return Answer(done.stdout + done.stderr, done.returncode, "sh", block)
        if shell not in self._terminals:
            self._terminals[shell] = Terminal(shell, self.enter, self.environment)
        return self._terminals[shell].paste(block, timeout_seconds)

    def run(self, command: str, timeout_seconds: float = 60.0) -> str:
        """Run the lab's own command; return what it printed. Fails where it fails."""
        done = self._run(["sh", "-c", command], timeout_seconds)
        assert done.returncode == 0, f"{command}\nexit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def file(self, name: str) -> Path:
        """Return where a file of the shell's folder is for the lab."""
        return Path(f"/proc/{self.pid}/root{self.home}/{name}")

    def files(self) -> dict[str, bytes]:
        """Return every file of the folder with its content, hidden ones left out."""
        top = self.file("")
        found = [each for each in sorted(top.rglob("*")) if each.is_file()]
        return {
            str(each.relative_to(top)): each.read_bytes()
            for each in found
            if not any(part.startswith(".") for part in each.relative_to(top).parts)
        }

    def serve(
        self,
        words: Sequence[str | Path],
        log: Path,
        settings: Mapping[str, str] | None = None,
        *,
        inside: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a server of the lab in the laptop's network; ``inside``, on the laptop itself."""
        enter = self.enter if inside else ["nsenter", "--target", str(self.pid), "--net"]
        with log.open("ab") as output:
            return subprocess.Popen(
                [*enter, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(settings or {})},
            )

    def _run(self, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=self.environment,
            timeout=seconds,
            check=False,
        )

    def close(self) -> None:
        """Close the shells."""
        for terminal in self._terminals.values():
            terminal.close()
        self._terminals.clear()


def almost_full(place: Laptop, folder: str, blocks: int) -> Callable[[], None]:
    """Leave room for so many blocks of 4 KiB beside what is in a folder of the shell's; return what makes more."""

    def run(script: str) -> None:
        enter = ["nsenter", "--target", str(place.pid), "--mount", "sh", "-ec", script, "sh", str(place.home / folder)]
        subprocess.run(enter, check=True, capture_output=True, timeout=30)

    run(
        'mkdir -p "$1"; cp -a "$1" "$1.before"; mount -t tmpfs -o size=256k,mode=700 tmpfs "$1"; '
        f'cp -a "$1.before/." "$1"; dd if=/dev/zero of="$1/fill" bs=4k count=65 || truncate -s -{4 * blocks}k "$1/fill"'
    )
    return lambda: run('mount -o remount,size=64m "$1"; rm "$1/fill"')


@contextlib.contextmanager
def laptop(environment: Mapping[str, str] | None = None, *, hosts: Sequence[str] = ()) -> Iterator[Laptop]:
    """A fresh laptop; ``hosts`` are names that lead to its own loopback, where stand-ins listen."""
    work = Path(tempfile.mkdtemp(prefix="lab-laptop-", dir="/var/tmp"))
    spaces = ["--mount", "--net", "--pid", "--uts", "--fork", "--kill-child"]
    outer = subprocess.Popen(["unshare", *spaces, "sh", "-c", _ENTER, "sh", str(work), " ".join(hosts)])
    made: Laptop | None = None
    try:
        pid = _first_process(outer)
        made = Laptop(pid, work / "home", environment or {})
        _await_ready(pid)
        yield made
    finally:
        if made is not None:
            made.close()
        outer.send_signal(signal.SIGKILL)
        outer.wait(10)
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def loaded_client(
    place: Laptop, name: str, words: Sequence[str | Path], log: Path, settings: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Load a vendor's real client once, on the laptop, and put what hands commands to it first in the PATH.

    ``words`` run it (``served_client``); the path of its socket is added to them.
    """
    at = f"{place.home}/.{name}.socket"
    place.environment[f"LAB_{name.upper()}_SOCKET"] = at
    place.environment["PATH"] = f"{LAB / 'clients'}:{place.environment['PATH']}"
    client = place.serve([*words, at], log, settings, inside=True)
    try:
        deadline = time.monotonic() + 60
        while not place.file(f".{name}.socket").exists():
            if client.poll() is not None or time.monotonic() > deadline:
                missing(f"the {name} client did not start: {log.read_text('utf-8', 'replace')[-500:]}")
            time.sleep(0.05)
        yield
    finally:
        client.kill()
        client.wait(5)


def _first_process(outer: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 10
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    while time.monotonic() < deadline and outer.poll() is None:
        with contextlib.suppress(OSError, IndexError):
            return int(children.read_text("ascii").split()[0])
        time.sleep(0.005)
    raise AssertionError("the laptop did not start")


def _await_ready(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/exe").readlink().name != "sleep":
        assert time.monotonic() < deadline, "the laptop did not start"
        time.sleep(0.01)
