"""A Linux host: Debian in namespaces of its own, a fresh copy each time, gone with its first process.

Processes, mounts, network, host name and IPC are its own; the kernel is the
machine's. What only the kernel has (loop devices, nft, audit, cgroups) comes
from ``kernel.py`` and is undone there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.cgroups import ControlGroups
from tests.lab.paste import Answer, Terminal
from tests.lab.programs import LAB, root_file_system

_ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


_SPLIT_GROUPS = """
cd /sys/fs/cgroup && mount -o remount,rw . || exit 0
for one in cpu cpuacct; do
  [ -L "$one" ] && rm "$one" && mkdir "$one" && mount -t cgroup -o "$one" cgroup "$one"
done
for one in k8s.io kubepods system.slice user.slice; do
  [ -e "$one" ] || ln -s "unified/$one" "$one"
done
"""
"""systemd joins cpu and cpuacct, which fails where the machine has them apart; runc needs them.

Where the machine has control groups of version 1, the places of version 2 lead to its unified hierarchy, which has the
freezer: what a report says of version 2 works there as well.
"""

_BEHIND = "</dev/null >/dev/null 2>&1 & echo $!"
"""Ends the line that starts a program behind it."""


class Host:
    """A running host. Use ``host()`` to get one that ends by itself."""

    name = "host"

    def __init__(self, pid: int, groups: ControlGroups, hostname: str) -> None:
        self.pid = pid
        """Its first process, as the machine counts."""
        self.hostname = hostname
        self._groups = groups
        self.environment = dict(_ENVIRONMENT)
        self.starter: list[str] = []
        """The command that starts the reader's shells, whose words come after it; it may stay their parent."""
        self._terminals: dict[str, Terminal] = {}

    @property
    def enter(self) -> list[str]:
        """The command that runs what follows it inside, as root."""
        spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wdns=/root"]
        return self._groups.inside(["nsenter", "--target", str(self.pid), *spaces])

    def paste(self, block: str, shell: str = "bash", timeout_seconds: float = 30.0) -> Answer:
        """Paste a block into root's interactive shell; the shell stays for the next block."""
        if shell == "sh":
            return self._by_sh(block, timeout_seconds)
        return self.terminal(shell).paste(block, timeout_seconds)

    def terminal(self, shell: str) -> Terminal:
        """Return root's terminal with an interactive shell, opened at first use."""
        if shell not in self._terminals:
            self._terminals[shell] = Terminal(shell, [*self.enter, *self.starter], self.environment)
        return self._terminals[shell]

    def new_terminals(self) -> None:
        """Close the shells: the next block goes into a fresh one."""
        for shell in list(self._terminals):
            self._terminals.pop(shell).close()

    def _by_sh(self, block: str, timeout_seconds: float) -> Answer:
        done = subprocess.run(
            [*self.enter, *self.starter, "sh", "-c", block],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=self.environment,
            timeout=timeout_seconds,
            check=False,
        )
        return Answer(done.stdout, done.returncode, "sh", block)

    def run(self, command: str, *, user: str = "root", text: str = "", timeout_seconds: float = 30.0) -> str:
        """Run the lab's own shell command, e.g. the act; return what it printed. Fails where it fails."""
        words = ["sh", "-c", command] if user == "root" else ["su", "-s", "/bin/sh", user, "-c", command]
        done = subprocess.run(
            [*self.enter, *words],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            env=self.environment,
            timeout=timeout_seconds,
            check=False,
        )
        assert done.returncode == 0, f"{command}\nexit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *words: str, user: str = "root") -> int:
        """Start a program that goes on running, its output thrown away; return its process id on this host."""
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        command = shlex.join([*become, *words])
        pid = int(self.run(f"{command} {_BEHIND}"))
        self.wait_until(lambda: self.has_become_itself(pid), f"{words} has taken its starter's place")
        return pid

    def has_become_itself(self, pid: int) -> bool:
        """Whether the process is no longer what only starts one (the shell, ``env``, ``setpriv``), or has ended."""
        try:
            words = self.read(f"/proc/{pid}/cmdline").split("\0")
        except OSError:
            return True
        if not words[0]:
            # While it takes another's place it has no words, and still that one's name.
            return not self.alive(pid)
        return words[0] not in {"env", "setpriv"} and not any(word.endswith(_BEHIND) for word in words)

    def path(self, path: str | Path) -> Path:
        """Return where a file of the host is for the lab."""
        return Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def write(self, path: str, text: str | bytes = "", mode: int = 0o644) -> None:
        """Write a file, folders included."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        """Return a file's text."""
        return self.path(path).read_text("utf-8", "surrogateescape")

    def exists(self, path: str) -> bool:
        """Whether there is such a file, a broken link included."""
        file = self.path(path)
        return file.exists() or file.is_symlink()

    def alive(self, pid: int) -> bool:
        """Whether a process is there, zombies left out."""
        return self.state(pid) not in {"", "Z", "X"}

    def state(self, pid: int) -> str:
        """Return a process's state as ``ps`` writes it (``S``, ``T``, …); empty where it is gone."""
        with contextlib.suppress(OSError):
            return self.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
        return ""

    def snapshot(self, *paths: str) -> dict[str, str]:
        """Return what is at these paths and below: type, mode, owner and content, to compare byte for byte."""
        found: dict[str, str] = {}
        for top in paths:
            start = self.path(top)
            for file in [start, *(sorted(start.rglob("*")) if start.is_dir() and not start.is_symlink() else [])]:
                found[top + str(file)[len(str(start)) :]] = _described(file)
        return found

    def wait_until(self, holds: Callable[[], object], what: str, timeout_seconds: float = 10.0) -> None:
        """Return once it holds; fail, saying what did not come, when it does not in time."""
        deadline = time.monotonic() + timeout_seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {timeout_seconds:.0f} s: {what}"
            time.sleep(0.02)


def _described(file: Path) -> str:
    try:
        found = file.lstat()
    except OSError:
        return "absent"
    if file.is_symlink():
        return f"link to {file.readlink()}"
    content = hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""
    return f"{found.st_mode:o} {found.st_uid}:{found.st_gid} {content}"


@contextlib.contextmanager
def host(
    *,
    systemd: bool = False,
    kernel: bool = False,
    kind: type[Host] | None = None,
    programs: Path | None = None,
    hostname: str = "lab-host",
) -> Iterator[Host]:
    """A fresh host, its processes and mounts gone at the end; with ``systemd``, booted by it.

    ``programs`` is a folder that becomes its /usr/local/bin; ``kind`` is what is yielded, a Host unless given.

    With ``kernel``, /proc/sys and /sys are the machine's own and writable: what is set there, the scenario sets back.
    """
    lower = root_file_system()
    work = Path(tempfile.mkdtemp(prefix="lab-host-"))
    groups = ControlGroups(work.name)
    spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
    with (work / "console.log").open("wb") as log:
        outer = subprocess.Popen(
            [
                *groups.inside(["unshare", *spaces, "--fork", "--kill-child", "--propagation", "private"]),
                LAB / "enter.sh",
                lower,
                work,
                *(["systemd"] if systemd else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "LAB_KERNEL": "1" if kernel else "",
                "LAB_HOSTNAME": hostname,
                "LAB_PROGRAMS": str(programs or ""),
            },
        )
    made: Host | None = None
    try:
        made = (kind or Host)(_inner(outer, work / "console.log"), groups, hostname)
        _await_boot(made, work / "console.log", systemd=systemd)
        yield made
    finally:
        if made is not None:
            made.new_terminals()
        outer.send_signal(signal.SIGKILL)
        outer.wait(10)
        groups.remove()
        shutil.rmtree(work, ignore_errors=True)


def _inner(outer: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 10
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    while time.monotonic() < deadline and outer.poll() is None:
        with contextlib.suppress(OSError, IndexError):
            return int(children.read_text("ascii").split()[0])
        time.sleep(0.005)
    raise AssertionError(f"the host did not start: {log.read_text('utf-8', 'replace')}")


def _await_boot(made: Host, log: Path, *, systemd: bool) -> None:
    """Wait until the first process has become the host's own, and systemd, where asked for, has booted."""
    init = Path(f"/proc/{made.pid}/exe")

    def entered() -> bool:
        name = init.readlink().name if init.exists() else ""
        return name == "systemd" if systemd else name == "dash"

    try:
        made.wait_until(entered, "the host's first process")
        if systemd:
            made.wait_until(
                lambda: (
                    subprocess.run(
                        [*made.enter, "systemctl", "is-system-running", "--wait"], capture_output=True, check=False
                    ).stdout.strip()
                    in {b"running", b"degraded"}
                ),
                "systemd has booted",
                30,
            )
            made.run(_SPLIT_GROUPS)
    except (AssertionError, OSError) as error:
        raise AssertionError(f"{error}: {log.read_text('utf-8', 'replace')}") from error
