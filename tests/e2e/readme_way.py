"""One way in of the README, followed to the letter: its settings for Falco, its commands, its addresses.

    unshare -mn python -m tests.e2e.readme_way http_output

Runs in namespaces of its own, where ``/run``, ``/var/log`` and ``/var/lib`` are empty and the ports are free.
Falco is played by what its settings say: it posts, writes a file, or answers on its socket. Prints the report page.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
PAGES = "http://127.0.0.1:9376"
DEADLINE_SECONDS = 60.0
ALERT = {
    "rule": "Read sensitive file untrusted", "priority": "Warning", "source": "syscall", "hostname": "readme",
    "output": "12:00:00.000000001: Warning Sensitive file opened for reading by non-trusted program",
    "tags": ["maturity_stable"], "output_fields": {
        "fd.name": "/etc/shadow", "proc.name": "cat", "proc.cmdline": "cat /etc/shadow", "user.name": "root",
    },
}  # fmt: skip
"""What `sudo cat /etc/shadow > /dev/null` causes."""


class Way(NamedTuple):
    """One block of the README."""

    settings: dict[str, Any]
    """falco.yaml."""
    commands: tuple[str, ...]


def ways() -> list[Way]:
    """Return the README's blocks: settings for Falco, followed by commands."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.findall(
        r"^```yaml\n((?:json_output|grpc).*?)^```\n\n((?:    [^\n]*\n)+)", text, re.MULTILINE | re.DOTALL
    )
    return [Way(yaml.safe_load(block), tuple(map(str.strip, lines.splitlines()))) for block, lines in found]


def main(kind: str) -> None:
    """Follow the way whose settings have this key."""
    (way,) = [way for way in ways() if kind in way.settings]
    prepare()
    emit, processes = falco(way.settings)
    try:
        *before, check, run = way.commands
        for command in before:
            shell(command)
        print(shell(check))
        exporter = subprocess.Popen(["/bin/sh", "-c", f"exec {run}"])
        processes.append(exporter)
        wait_for("pages", lambda: fetch("/reports") is not None, exporter)
        emit()
        wait_for("report", lambda: str(ALERT["rule"]) in (fetch("/reports") or ""), exporter)
        (uid, *_) = re.findall(r"reports/([0-9a-f]{32})", fetch("/reports") or "")
        print(fetch(f"/reports/{uid}"))
        if kind == "http_output":
            print(test_alert())
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def prepare() -> None:
    """Empty directories that the README names, the loopback interface, and a `sudo` that changes nothing."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for directory in ("/run", "/var/log", "/var/lib"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    for directory in ("/run/falco", "/run/bin"):
        Path(directory).mkdir()
    Path("/run/bin/sudo").write_text('#!/bin/sh\nexec "$@"\n', "utf-8")
    Path("/run/bin/sudo").chmod(0o755)
    os.environ["PATH"] = f"/run/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"


def falco(settings: dict[str, Any]) -> tuple[Callable[[], None], list[subprocess.Popen[bytes]]]:
    """Return what causes an alert, and the programs that were started for it."""
    if "grpc" in settings:
        assert settings["grpc"]["enabled"]
        assert settings["grpc_output"]["enabled"]
        address = settings["grpc"]["bind_address"]
        command = [sys.executable, "-m", "benchmarks.simulated_falco", "--address", address, "--scenario", "demo"]
        started = subprocess.Popen(command, cwd=ROOT)
        wait_for("Falco's socket", Path(address.removeprefix("unix://")).exists, started)
        return lambda: None, [started]
    assert settings["json_output"] is True
    if "http_output" in settings:
        return lambda: post(settings["http_output"]["url"]), []
    file = Path(settings["file_output"]["filename"])
    return lambda: append(file), []  # Falco makes the file with its first alert.


def test_alert() -> str:
    """Run the command of step 3 that needs no Falco; its output and the report that it leads to."""
    (command,) = re.findall(
        r"`(falco-report-exporter test-alert [^`]*--web[^`]*)`", (ROOT / "README.md").read_text("utf-8")
    )
    said = shell(command)
    (uid, *_) = re.findall(r"reports/([0-9a-f]{32})", said)
    return said + (fetch(f"/reports/{uid}") or "")


def alert_of_now() -> bytes:
    """Return the alert as Falco writes it."""
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
    return json.dumps({"time": moment, **ALERT}).encode()


def post(url: str) -> None:
    """Post as Falco does."""
    headers = {"User-Agent": "falcosecurity/falco", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, alert_of_now(), headers), timeout=10) as answer:
        assert answer.status == 200


def append(file: Path) -> None:
    """Write a line as Falco does."""
    with file.open("ab") as written:
        written.write(alert_of_now() + b"\n")


def shell(command: str) -> str:
    """Run a command of the README; its output. Raises where it fails."""
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fetch(path: str) -> str | None:
    """Return a page; None while nobody answers."""
    try:
        with urllib.request.urlopen(PAGES + path, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def wait_for(what: str, condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until it is so. Raises where the process ends before, or at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"no {what}: exit status {process.poll()}")
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
