"""Run the whole stack on this machine, without containers: `make stack`.

A simulated Falco, the exporter, and whatever of Prometheus, Alertmanager and an
OpenTelemetry Collector is installed, wired by the files in ``deploy/``; only
addresses are replaced. Grafana and Loki are not started: they are in
``deploy/compose``. Data goes to ``.cache/stack`` and is removed at the next
start. Ctrl-C ends everything.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from exporter.simulator.alerts import SimulatedAlert
from exporter.simulator.scenarios import demo_scenario
from exporter.simulator.server import FalcoSimulator

ROOT = Path(__file__).parents[1]
EXPORTER = Path(sys.executable).with_name("falco-report-exporter")
WAIT_SECONDS = 30.0
STOP_SECONDS = 15.0
CHECK_SECONDS = 60.0


@dataclass(frozen=True)
class Ports:
    """Where each program listens on 127.0.0.1."""

    exporter: int
    prometheus: int
    alertmanager: int
    otlp: int


class Stack:
    """The running programs."""

    def __init__(self, directory: Path, ports: Ports, scrape_interval: str) -> None:
        self.directory, self.ports, self.scrape_interval = directory, ports, scrape_interval
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.missing: list[str] = []

    def start(self, falco_socket: Path) -> None:
        """Start what is installed, receivers before senders. Raises RuntimeError where one does not come up."""
        self._collector()
        self._alertmanager()
        self._prometheus()
        targets = [{"address": f"unix://{falco_socket}", "name": "simulated"}]
        arguments: list[str | Path] = [EXPORTER, "run", "--config", self._write("exporter.yaml", {"targets": targets})]
        arguments += ["--web.listen-address", f"127.0.0.1:{self.ports.exporter}"]
        arguments += ["--web.external-url", f"http://127.0.0.1:{self.ports.exporter}"]
        arguments += ["--queue.directory", self.directory / "queue", "--history.directory", self.directory / "history"]
        if "collector" in self.processes:
            # All of the advice: the dashboards' rows for older Grafana show it part by part.
            arguments += ["--otlp.endpoint", f"http://127.0.0.1:{self.ports.otlp}", "--otlp.advice", "full"]
        self._run("exporter", *arguments)
        self._await("exporter", f"http://127.0.0.1:{self.ports.exporter}/readyz")

    def _run(self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )

    def _await(self, name: str, url: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not answers(url):
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not answer on {url}; its log: {self.directory / name}.log")
            time.sleep(0.05)

    def _program(self, *names: str) -> str | None:
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None:
            self.missing.append(names[0])
        return found

    def _collector(self) -> None:
        binary = find_collector()
        if binary is None:
            self.missing.append("otelcol (or tests/e2e/collector/build.sh .cache/collector)")
            return
        text = (ROOT / "deploy/collector/file.yaml").read_text("utf-8").replace(":4317", f":{self.ports.otlp}")
        text = text.replace('      http: {endpoint: "${env:OTLP_HOST:-0.0.0.0}:4318"}\n', "")
        configuration = yaml.safe_load(text)
        configuration["service"]["telemetry"] = {"metrics": {"level": "none"}}
        records = {"OTLP_HOST": "127.0.0.1", "FALCO_RECORDS_FILE": str(self.directory / "records.jsonl")}
        self._run("collector", binary, "--config", self._write("collector.yaml", configuration), environment=records)

    def _alertmanager(self) -> None:
        binary = self._program("prometheus-alertmanager", "alertmanager")
        if binary is None:
            return
        configuration = ROOT / "deploy/compose/alertmanager.yaml"
        address = f"127.0.0.1:{self.ports.alertmanager}"
        self._run(
            "alertmanager",
            binary,
            f"--config.file={configuration}",
            f"--storage.path={self.directory / 'alertmanager'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        )
        self._await("alertmanager", f"http://{address}/-/ready")

    def _prometheus(self) -> None:
        binary = self._program("prometheus")
        if binary is None:
            return
        text = (ROOT / "deploy/compose/prometheus.yaml").read_text("utf-8")
        for there, here in (
            ("/etc/prometheus/rules/", f"{ROOT}/dashboards/alerts/"),
            ("alertmanager:9093", f"127.0.0.1:{self.ports.alertmanager}"),
            ("localhost:9090", f"127.0.0.1:{self.ports.prometheus}"),
            ("exporter:9376", f"127.0.0.1:{self.ports.exporter}"),
            ("interval: 15s", f"interval: {self.scrape_interval}"),
        ):
            text = text.replace(there, here)
        configuration = yaml.safe_load(text)
        for job in configuration["scrape_configs"]:
            job.pop("basic_auth", None)  # Compose's pages have a password; here they listen on loopback only.
        address = f"127.0.0.1:{self.ports.prometheus}"
        self._run(
            "prometheus",
            binary,
            f"--config.file={self._write('prometheus.yml', configuration)}",
            f"--storage.tsdb.path={self.directory / 'prometheus'}",
            f"--web.listen-address={address}",
            "--enable-feature=exemplar-storage",
        )
        self._await("prometheus", f"http://{address}/-/ready")

    def _write(self, name: str, document: object) -> Path:
        path = self.directory / name
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def ended(self) -> list[str]:
        """Return the programs that ended by themselves."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def stop(self) -> None:
        """End every program, senders first."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def proof(self) -> str:
        """Return what shows that the whole way works; empty until it does."""
        firing_alerts = 'ALERTS{alertname=~"FalcoSevere.*|FalcoLikelyAttack",alertstate="firing"}'
        query = urllib.parse.urlencode({"query": firing_alerts})
        firing = fetched(f"http://127.0.0.1:{self.ports.prometheus}/api/v1/query?{query}")["data"]["result"]
        received = fetched(f"http://127.0.0.1:{self.ports.alertmanager}/api/v2/alerts")
        file = self.directory / "records.jsonl"
        records = file.read_text("utf-8").count('"log.record.uid"') if file.exists() else 0
        if not (firing and received and records):
            return ""
        return f"{len(firing)} alerts fire in Prometheus, Alertmanager has {len(received)}, {records} log records"


def fetched(url: str) -> Any:
    """Return the JSON that a GET brings."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def answers(url: str) -> bool:
    """Say whether a GET is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def find_collector() -> str | None:
    """Return ``$OTELCOL``, one that is installed, or the newest that the tests' build script made."""
    built = sorted((ROOT / ".cache/collector").glob("otelcol-test-*"), key=lambda path: path.stat().st_mtime)
    installed = shutil.which("otelcol-contrib") or shutil.which("otelcol")
    return os.environ.get("OTELCOL") or installed or (str(built[-1]) if built else None)


def story(rate: float, seed: int) -> Iterator[tuple[float, SimulatedAlert]]:
    """Yield pauses and alerts without end: common rules often, grave ones seldom, now and then a burst of one."""
    choose = random.Random(seed)
    alerts = list(demo_scenario(time.time_ns()))
    weights = [
        (1.0 if alert.priority <= 2 else 3.0 if alert.priority <= 4 else 8.0) * choose.random() ** 3 for alert in alerts
    ]
    while True:
        (alert,) = choose.choices(alerts, weights)
        yield choose.expovariate(rate), alert
        if choose.random() < 0.01:
            for _ in range(choose.randint(10, 40)):
                yield choose.expovariate(rate * 8), alert


def play(falco: FalcoSimulator, rate: float, ended: threading.Event) -> None:
    """Emit the demo once, then the story; each alert has the time of the moment."""
    now = time.time_ns()
    falco.emit(
        *[replace(alert, time_ns=min(alert.time_ns, now + number)) for number, alert in enumerate(demo_scenario(now))]
    )
    for pause, alert in story(rate, seed=7):
        if ended.wait(pause):
            return
        falco.emit(replace(alert, time_ns=time.time_ns()))


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__)
    parser.add_argument("--directory", type=Path, default=ROOT / ".cache/stack", help="data and logs")
    parser.add_argument("--rate", type=float, default=0.5, help="alerts a second after the demo, about")
    parser.add_argument("--scrape-interval", default="5s", help="Prometheus' scrape and evaluation interval")
    parser.add_argument("--check", action="store_true", help="end with 0 once alerts and log records have arrived")
    parser.add_argument("--free-ports", action="store_true", help="ports that are free, rather than the usual ones")
    return parser.parse_args()


def say_where(stack: Stack) -> None:
    """Print addresses."""
    ports = stack.ports
    lines = [f"exporter       http://127.0.0.1:{ports.exporter}/ (report pages: /reports)"]
    if "prometheus" in stack.processes:
        lines.append(f"Prometheus     http://127.0.0.1:{ports.prometheus}/ (alerts: /alerts)")
    if "alertmanager" in stack.processes:
        lines.append(f"Alertmanager   http://127.0.0.1:{ports.alertmanager}/")
    if "collector" in stack.processes:
        lines.append(f"log records    {stack.directory / 'records.jsonl'}")
    print("\n  " + "\n  ".join(lines))
    for name in stack.missing:
        print(f"  not installed: {name}")
    print("  Grafana and Loki: deploy/compose. Ctrl-C ends it.\n", flush=True)


def main() -> int:
    """Run until Ctrl-C or until a program ends; the exit status."""
    arguments = parse_arguments()
    directory: Path = arguments.directory.absolute()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    ports = Ports(*[free_port() for _ in range(4)]) if arguments.free_ports else Ports(9376, 9090, 9093, 4317)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    stack = Stack(directory, ports, arguments.scrape_interval)
    with FalcoSimulator(f"unix://{directory / 'falco.sock'}", json_output=True) as falco:
        try:
            stack.start(directory / "falco.sock")
            say_where(stack)
            player = threading.Thread(target=play, args=(falco, arguments.rate, ended), daemon=True)
            player.start()
            return watch(stack, ended, check=arguments.check)
        except RuntimeError as exc:
            print(exc, file=sys.stderr)
            return 1
        finally:
            ended.set()
            stack.stop()


def watch(stack: Stack, ended: threading.Event, *, check: bool) -> int:
    """Wait for the end, or with ``check`` for the proof; the exit status. Raises RuntimeError where a program ends."""
    if check and stack.missing:
        raise RuntimeError(f"nothing to check: not installed: {', '.join(stack.missing)}")
    deadline = time.monotonic() + CHECK_SECONDS
    while not ended.wait(0.5):
        if gone := stack.ended():
            raise RuntimeError(f"ended by itself: {', '.join(gone)}; see the logs in {stack.directory}")
        if check and (proof := stack.proof()):
            print(proof)
            return 0
        if check and time.monotonic() > deadline:
            raise RuntimeError(
                f"no alerts or log records within {CHECK_SECONDS:.0f} s; see the logs in {stack.directory}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
