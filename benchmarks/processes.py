"""The programs that are measured, each a process, and what /proc says of them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

COMMAND = Path(sys.executable).with_name("falco-report-exporter")
_CPUCLOCK_SCHED = 2
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
AS_PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "Accept-Encoding": "gzip",
}
TIMEOUT_SECONDS = 120.0
NO_LAME_DUCK = ("--shutdown.lame-duck-seconds", "0")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, those that have ended too; nanoseconds count.

    Linux numbers a process's clock so (clock_getcpuclockid(3)).
    """
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) / 1e9


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE_BYTES / 2**20


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Program:
    """A process that answers commands with JSON lines; ended at the end of the ``with`` block."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.first = self._read()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def start_falco(address: str, *options: str) -> Program:
    """Start a simulated Falco (``falco.py``)."""
    return Program([sys.executable, "-m", "benchmarks.falco", address, *options])


def start_receiver() -> Program:
    """Start an OTLP receiver (``receiver.py``); ``first["port"]`` is where."""
    return Program([sys.executable, "-m", "benchmarks.receiver"])


def start_counting_receiver() -> Program:
    """Start an OTLP receiver that counts the log records, too."""
    return Program([sys.executable, "-m", "benchmarks.receiver", "--count"])


class Scraped:
    """A program that shows its counters to Prometheus; ended at the end of the ``with`` block."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        self.port = port
        self._command = command[0]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.spawned_at = time.monotonic()
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    @property
    def resident_mib(self) -> float:
        return resident_mib(self.pid)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def await_status(self, path: str, *, pause_seconds: float = 0.005) -> float:
        """Wait until ``path`` is answered with 200; return the seconds since the process was started."""
        while time.monotonic() - self.spawned_at < TIMEOUT_SECONDS:
            if self._process.poll() is not None:
                break
            try:
                if self.get(path)[0] == 200:
                    return time.monotonic() - self.spawned_at
            except OSError:
                pass
            time.sleep(pause_seconds)
        self._log.seek(0)
        raise RuntimeError(f"{self._command} does not answer on {path}: {self._log.read().decode()}")

    def total(self, name: str) -> float:
        """The sum of a metric over its labels."""
        _, body = self.get("/metrics")
        lines = [line for line in body.decode().splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def await_total(self, name: str, wanted: float) -> None:
        begun = time.monotonic()
        while (found := self.total(name)) < wanted:
            if time.monotonic() - begun > TIMEOUT_SECONDS:
                raise RuntimeError(f"{name} is {found}, expected {wanted}")
            time.sleep(0.25)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Exporter(Scraped):
    """The installed command with ``run``.

    ``address``: of Falco's gRPC server; empty where alerts come another way. ``pages``: on the loopback, where
    reports are kept and shown.
    """

    def __init__(self, address: str, *arguments: str, pages: bool = False) -> None:
        port = free_port()
        target = ("--target", address) if address else ()
        listen = ("--web.listen-address", f"127.0.0.1:{port}" if pages else f":{port}")
        super().__init__((str(COMMAND), "run", *NO_LAME_DUCK, *target, *listen, *arguments), port)
