"""An interactive shell at a terminal, into which blocks are pasted as a responder pastes them.

Lines arrive one by one, as in a terminal without bracketed paste: a command
that reads the terminal eats the lines after it, comments and ``!`` mean what
they mean when typed, and what a block leaves behind is still there for the next.
"""

from __future__ import annotations

import os
import pty
import re
import secrets
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHELLS: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash", "--norc", "--noprofile", "--noediting", "-i"),
    "zsh": ("zsh", "-f", "-i", "+Z", "-o", "nopromptsp", "-o", "nopromptcr", "-o", "nobeep"),
}
_STATE = {
    "bash": 'printf \'%s;\' "$PWD" "$(umask)" "$PATH" "$IFS" "$(shopt -po; trap)"',
    "zsh": 'printf \'%s;\' "$PWD" "$(umask)" "$PATH" "$IFS" "$(set -o; trap)"',
}
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pasted block printed, and its exit status."""

    text: str
    """Everything on the terminal, standard error included, without echo and colours."""
    status: int
    shell: str
    block: str

    def __str__(self) -> str:
        return f"[{self.shell}, exit {self.status}]\n{self.block.rstrip()}\n--- answered:\n{self.text}"


class PasteError(AssertionError):
    """The block did not come to its end at a terminal, or left something behind in the reader's shell."""


class Terminal:
    """One interactive shell, for as many blocks as are pasted into it.

    ``prefix`` is the command that enters the place, e.g. ``nsenter --target 42 --all``.
    """

    def __init__(self, shell: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self.shell = shell
        master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[1] &= ~termios.OPOST
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self._master = master
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *prefix, *SHELLS[shell]],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm", "LC_ALL": "C.UTF-8", "PS1": "", "PS2": "", **(environment or os.environ)},
        )
        os.close(slave)
        try:
            self._await_mark("PS1= PS2= PROMPT= PROMPT2=", 20.0)
            self._state = self._state_now()
        except BaseException:
            self.close()
            raise

    def paste(self, block: str, timeout_seconds: float = 30.0) -> Answer:
        """Paste a block and press Enter; return what it answered.

        Raises PasteError where it does not come to its end in time, or changes the reader's shell:
        directory, umask, PATH, IFS, options or traps.
        """
        text, status = self._await_mark(block, timeout_seconds)
        answer = Answer(text, status, self.shell, block)
        after = self._state_now()
        if after != self._state:
            self._state = after
            raise PasteError(f"the block left the reader's shell changed (directory, umask, PATH, options): {answer}")
        return answer

    def set_up(self, block: str) -> None:
        """Paste what is meant to change the shell itself."""
        self._await_mark(block, 10.0)
        self._state = self._state_now()

    def variable(self, name: str) -> str:
        """Return a variable of the shell, empty where it is not set."""
        return self._await_mark(f'printf %s "${{{name}-}}"', 10.0)[0]

    def _state_now(self) -> str:
        return self._await_mark(_STATE[self.shell], 10.0)[0]

    def _await_mark(self, block: str, timeout_seconds: float) -> tuple[str, int]:
        mark = secrets.token_hex(8)
        # Two halves, so that an echo of the line is not taken for its answer.
        end = f"printf '\\n<%s%s %s>\\n' {mark[:8]} {mark[8:]} \"$?\"\n"
        answer = re.compile(rf"\n?<{mark} (\d+)>\r?\n".encode())
        waiting = (block.rstrip("\n") + "\n" + end).encode("utf-8", "surrogateescape")
        got = b""
        deadline = time.monotonic() + timeout_seconds
        while not (found := answer.search(got)):
            left = deadline - time.monotonic()
            if left <= 0:
                self._interrupt()
                so_far = got.decode("utf-8", "replace")
                raise PasteError(
                    f"no end within {timeout_seconds:.0f} s: a quote or here-document is open, a command reads the "
                    f"terminal, or a pager waits.\n[{self.shell}]\n{block}\n--- so far:\n{so_far}"
                )
            readable, writable, _ = select.select([self._master], [self._master] if waiting else [], [], min(left, 1.0))
            if writable:
                waiting = waiting[os.write(self._master, waiting[:512]) :]
            if readable:
                try:
                    got += os.read(self._master, 65536)
                except OSError:
                    raise PasteError(f"the block ended the reader's shell.\n[{self.shell}]\n{block}") from None
        text = _COLOURS.sub("", got[: found.start()].decode("utf-8", "replace")).replace("\r\n", "\n")
        return text, int(found[1])

    def _interrupt(self) -> None:
        """End whatever still runs, so that the next block of a story does not wait for it."""
        os.write(self._master, b"\x03\x03\n")

    def close(self) -> None:
        """Hang up."""
        os.close(self._master)
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(5)
