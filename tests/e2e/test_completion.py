"""Completion in real shells: what is typed before Tab becomes one whole argument."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.catalog.index import official_rules
from tests.e2e.programs import program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
_START = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
_READY = {
    "bash": "source {script}",
    "zsh": "autoload -Uz compinit && compinit -u -d {script}.dump && source {script}",
    "zsh, installed": "fpath=({script}.d $fpath); autoload -Uz compinit && compinit -u -d {script}.dump",
    "fish": "source {script}",
}
_LINE_START, _TAB, _ENTER = "\x01", "\t", "\r"
_DEADLINE_SECONDS = 60


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, setup: str, directory: Path) -> None:
        name = setup.partition(",")[0]
        self._output = directory / "typed"
        script = directory / "completion"
        with script.open("wb") as file:
            command = [sys.executable, "-m", "exporter", "completion", name]
            subprocess.run(command, stdout=file, check=True, cwd=ROOT)
        installed_scripts = directory / "completion.d"
        installed_scripts.mkdir()
        (installed_scripts / "_falco-report-exporter").write_bytes(script.read_bytes())
        bin_directory = directory / "bin"
        bin_directory.mkdir()
        installed = bin_directory / "falco-report-exporter"
        installed.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exporter "$@"\n', encoding="utf-8")
        installed.chmod(0o755)
        environment = os.environ | {
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }
        self._terminal, inside = pty.openpty()
        self._process = subprocess.Popen(
            [program("setsid"), "--ctty", program(name), *_START[name]],
            stdin=inside, stdout=inside, stderr=inside, cwd=directory, env=environment,
        )  # fmt: skip
        os.close(inside)
        self._ready = _READY[setup].format(script=script)

    def start(self) -> None:
        """Load the completion script."""
        self._run(self._ready)

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def completes(self, typed: str, *, rest: str = "") -> list[str]:
        """Return the arguments of the line that Tab makes of what is typed, as the shell itself splits them.

        ``rest`` is typed after Tab.
        """
        self._type(f"falco-report-exporter {typed}{_TAB}{rest}")
        self._run(_LINE_START + f"printf '%s\\n' > {self._output}.new ", after=f"mv {self._output}.new {self._output}")
        return self._output.read_text(encoding="utf-8").splitlines()[1:]

    def _run(self, text: str, *, after: str = "true") -> None:
        mark = self._output.with_name("done")
        self._type(f"{text}{_ENTER}{after} && touch {mark}{_ENTER}")
        ends = time.monotonic() + _DEADLINE_SECONDS
        seen = b""
        while not mark.exists():
            assert time.monotonic() < ends, seen.decode("utf-8", "replace")
            if select.select([self._terminal], [], [], 0.05)[0]:
                seen += os.read(self._terminal, 65536)
        mark.unlink()

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())


@pytest.fixture(params=_READY)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Each shell, with completion as its script sets it up."""
    started = Shell(request.param, tmp_path)
    try:
        started.start()
        yield started
    finally:
        started.close()


RULES = [
    ("Terminal", "Terminal shell in container"),
    ("Redirect", "Redirect STDOUT/STDIN to Network Connection in Container"),
    ("Backdoored", "Backdoored library loaded into SSHD (CVE-2024-3094)"),
    ("'Falco internal: t", "Falco internal: timeouts notification"),
    ('"Falco internal: t', "Falco internal: timeouts notification"),
    ("Falco\\ internal:\\ t", "Falco internal: timeouts notification"),
    ("'Container Drift Detected (o", "Container Drift Detected (open+create)"),
    ("Container\\ Drift\\ Detected\\ \\(o", "Container Drift Detected (open+create)"),
    ("port", "port-forward"),
    ("terminal", "Terminal shell in container"),
]


def test_names_of_rules_are_one_argument(shell: Shell) -> None:
    """However the name is begun, bare or in quotes: spaces, colons and brackets are part of the argument."""
    assert {rule for _, rule in RULES} <= {facts.rule for facts in official_rules()}
    for typed, rule in RULES:
        assert shell.completes(f"catalog show {typed}") == ["catalog", "show", rule]
    assert shell.completes("report --rule Terminal") == ["report", "--rule", "Terminal shell in container"]


def test_what_else_there_is_to_complete(shell: Shell, tmp_path: Path) -> None:
    """Commands, flags, words of a closed set, sources, priorities and files."""
    (tmp_path / "own alerts.jsonl").touch()
    assert shell.completes("cat") == ["catalog"]
    assert shell.completes("run --web.listen") == ["run", "--web.listen-address"]
    assert shell.completes("report --format markd") == ["report", "--format", "markdown"]
    assert shell.completes("report --priority crit") == ["report", "--priority", "critical"]
    assert shell.completes("catalog list --source aws") == ["catalog", "list", "--source", "aws_cloudtrail"]
    assert shell.completes("report own") == ["report", "own alerts.jsonl"]


def test_an_own_catalog_is_completed(shell: Shell, tmp_path: Path) -> None:
    """Names from ``--catalog.directories``, quotes and dollars among them; a broken file there does no harm."""
    own = tmp_path / "own"
    own.mkdir()
    rules = ['Zebra\'s "cage" opened', "Yak costs $HOME"]
    lines = "\n".join(f"- rule: '{rule.replace(chr(39), chr(39) * 2)}'" for rule in rules)
    (own / "rules.yaml").write_text(f"entries:\n{lines}\n", encoding="utf-8")
    (own / "broken.yaml").write_text("entries: [", encoding="utf-8")
    for typed, rule in [("Zeb", rules[0]), ("Yak", rules[1])]:
        arguments = shell.completes(f"catalog show --catalog.directories own {typed}")
        assert arguments == ["catalog", "show", "--catalog.directories", "own", rule]
