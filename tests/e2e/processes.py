"""Programs as processes: the installed exporter, the simulated Falco, an OpenTelemetry Collector."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

COMMAND = Path(sys.executable).with_name("falco-report-exporter")

NO_LAME_DUCK = ("--shutdown.lame-duck-seconds", "0")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def fetch(url: str, timeout_seconds: float = 5.0) -> str:
    """The body of a GET; empty when nobody answers or the answer is an error."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as exc:
        exc.close()
        return ""
    except (urllib.error.URLError, OSError):
        return ""


class Process:
    """A running program whose output goes to a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        self.log = log
        self._stdin = stdin
        self._command = list(map(str, command))
        self._environment = {**os.environ, **(environment or {})}
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=self._stdin, stdout=output, stderr=subprocess.STDOUT, env=self._environment
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_seconds: float = 30.0) -> int:
        return self._process.wait(timeout_seconds)

    def stop(self, timeout_seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        return self.wait(timeout_seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(30)

    def resident_bytes(self) -> int:
        """Resident memory now, from /proc."""
        fields = Path(f"/proc/{self.pid}/statm").read_text("ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class Exporter(Process):
    """The installed command with ``run``, on a loopback port of its own."""

    def __init__(
        self,
        directory: Path,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        self.port = free_port()
        super().__init__(
            [COMMAND, "run", "--web.listen-address", f"127.0.0.1:{self.port}", *NO_LAME_DUCK, *arguments],
            directory / "exporter.log",
            environment,
            stdin,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def await_answer(self) -> None:
        wait_until(lambda: fetch(f"{self.url}/healthz") or not self.alive(), "the exporter answers")
        assert self.alive(), self.output

    def await_ready(self) -> None:
        wait_until(lambda: fetch(f"{self.url}/readyz") or not self.alive(), f"the exporter is ready: {self.output}")
        assert self.alive(), self.output

    def samples(self) -> dict[str, float]:
        """Every sample of /metrics, by name with labels as written."""
        found = {}
        for line in fetch(f"{self.url}/metrics").splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def total(self, name: str) -> float:
        """The sum of a metric over its labels."""
        samples = self.samples()
        return sum(value for key, value in samples.items() if key == name or key.startswith(name + "{"))


@contextmanager
def exporter(directory: Path, *arguments: str | Path, **keywords: Any) -> Iterator[Exporter]:
    """A running exporter, stopped at the end."""
    process = Exporter(directory, *arguments, **keywords)
    try:
        process.await_answer()
        yield process
    finally:
        process.stop()


class Simulator(Process):
    """A simulated Falco in a process of its own."""

    def __init__(self, directory: Path, socket_path: Path, *arguments: str) -> None:
        log = directory / "simulator.log"
        before = log.read_text("utf-8").count("serving on") if log.exists() else 0
        super().__init__(
            [sys.executable, "-m", "benchmarks.simulated_falco", "--address", f"unix://{socket_path}", *arguments], log
        )
        wait_until(lambda: self.output.count("serving on") > before, "the simulated Falco serves", seconds=60)


class Collector(Process):
    """A real OpenTelemetry Collector that writes what it receives to a file of JSON lines."""

    def __init__(self, binary: Path, directory: Path, ports: tuple[int, int] | None = None) -> None:
        self.grpc_port, self.http_port = ports or (free_port(), free_port())
        self.file = directory / "records.jsonl"
        configuration = directory / "collector.yaml"
        configuration.write_text(
            json.dumps(
                {
                    "receivers": {
                        "otlp": {
                            "protocols": {
                                "grpc": {"endpoint": f"127.0.0.1:{self.grpc_port}"},
                                "http": {"endpoint": f"127.0.0.1:{self.http_port}"},
                            }
                        }
                    },
                    # With rotation set the exporter writes unbuffered: what it accepted is on file, whatever kills it.
                    "exporters": {"file": {"path": str(self.file), "rotation": {"max_megabytes": 10_000}}},
                    "service": {
                        "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["file"]}},
                        "telemetry": {"metrics": {"level": "none"}},
                    },
                }
            ),
            encoding="utf-8",
        )
        self._starts = 0
        super().__init__([binary, "--config", configuration], directory / "collector.log")

    def _start(self) -> None:
        super()._start()
        self._starts += 1
        wait_until(
            lambda: self.output.count("Everything is ready") >= self._starts or not self.alive(), "the collector runs"
        )
        assert self.alive(), self.output

    def restart(self) -> None:
        """Start it again, on the same ports and the same file."""
        self._start()

    def records(self) -> list[dict[str, Any]]:
        """Every log record received so far, in OTLP's JSON form, each with its ``resource``."""
        found = []
        text = self.file.read_text("utf-8") if self.file.exists() else ""
        for line in text.splitlines():
            if not line.endswith("}"):
                continue
            for group in json.loads(line).get("resourceLogs", []):
                for scope in group["scopeLogs"]:
                    found += [record | {"resource": group["resource"]} for record in scope["logRecords"]]
        return found
