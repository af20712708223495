"""A whole stack on this machine, without containers: `make stack`.

Real Prometheus with the alert rules, real Alertmanager, a real OpenTelemetry
Collector that writes the log records to a file, the exporter, and a simulated
Falco that sends alerts. Everything listens on loopback and lives in .cache/stack.
With --check it ends with 0 once Prometheus has the alerts and the collector the records.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".cache" / "stack"
PORTS = {"exporter": 9376, "prometheus": 9090, "alertmanager": 9093, "collector gRPC": 4317, "collector HTTP": 4318}
CHECK_SECONDS = 60.0


def program(*names: str) -> Path:
    """Return the first of these programs that is installed; exit saying what to do where none is."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/bin"))
    for name in names:
        if found := shutil.which(name, path=path):
            return Path(found)
    raise SystemExit(f"stack: {' or '.join(names)} is not installed; on Debian: apt-get install {names[0]}")


def collector() -> Path:
    """Return an OpenTelemetry Collector: $OTELCOL, one that is installed, or one that was built."""
    if named := os.environ.get("OTELCOL"):
        return Path(named)
    for name in ("otelcol-contrib", "otelcol"):
        if found := shutil.which(name):
            return Path(found)
    built = sorted((ROOT / ".cache" / "collector").glob("otelcol-test-*"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise SystemExit(
            "stack: no OpenTelemetry Collector; name one with OTELCOL=…, or build one with Go: "
            "tests/e2e/collector/build.sh .cache/collector"
        )
    return built[-1]


def write_prometheus_configuration() -> Path:
    """Write Prometheus' configuration: the exporter every 5 s, the alert rules, Alertmanager."""
    file = HOME / "prometheus.yaml"
    document = {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [str(ROOT / "dashboards" / "alerts" / "falco.rules.yaml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [local("alertmanager")]}]}]},
        "scrape_configs": [
            {"job_name": "falco-report-exporter", "static_configs": [{"targets": [local("exporter")]}]},
            {"job_name": "prometheus", "static_configs": [{"targets": [local("prometheus")]}]},
        ],
    }
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return file


def local(name: str) -> str:
    """Return HOST:PORT of a part."""
    return f"127.0.0.1:{PORTS[name]}"


def commands() -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return each part's command and environment, in the order of starting."""
    python = sys.executable
    socket = HOME / "falco.sock"
    exporter = [
        str(Path(python).with_name("falco-report-exporter")), "run", "--target", f"unix://{socket}",
        "--web.listen-address", local("exporter"), "--web.external-url", f"http://{local('exporter')}",
        "--otlp.endpoint", f"http://{local('collector gRPC')}", "--otlp.protocol", "grpc",
        "--queue.directory", str(HOME / "queue"),
    ]  # fmt: skip
    addresses = {
        "OTLP_GRPC_ADDRESS": local("collector gRPC"),
        "OTLP_HTTP_ADDRESS": local("collector HTTP"),
        "FALCO_RECORDS_FILE": str(HOME / "records.jsonl"),
    }
    return {
        "simulated Falco": (
            [python, "-m", "exporter.simulator", "--address", f"unix://{socket}", "--scenario", "demo", "--rate", "1"],
            {},
        ),
        "collector": ([str(collector()), "--config", str(ROOT / "deploy" / "collector" / "file.yaml")], addresses),
        "exporter": (exporter, {}),
        "alertmanager": (
            [
                str(program("prometheus-alertmanager", "alertmanager")),
                f"--config.file={ROOT / 'deploy' / 'compose' / 'alertmanager.yaml'}",
                f"--storage.path={HOME / 'alertmanager'}", f"--web.listen-address={local('alertmanager')}",
                "--cluster.listen-address=",
            ],
            {},
        ),
        "prometheus": (
            [
                str(program("prometheus")), f"--config.file={write_prometheus_configuration()}",
                f"--storage.tsdb.path={HOME / 'prometheus'}", f"--web.listen-address={local('prometheus')}",
            ],
            {},
        ),
    }  # fmt: skip


def start(name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one part; its output goes to a file of its own."""
    log = HOME / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment)


def ask_prometheus(query: str) -> float:
    """Return the one value of an instant query; 0 while there is none."""
    url = f"http://{local('prometheus')}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return 0.0
    return float(result[0]["value"][1]) if result else 0.0


def has_data() -> bool:
    """Whether alerts are in Prometheus, an alert rule fires, and records are with the collector."""
    file = HOME / "records.jsonl"
    return (
        ask_prometheus("sum(falco_rule_events_total)") >= 35
        and ask_prometheus('count(ALERTS{alertname="FalcoSevereEvent",alertstate="firing"})') > 0
        and file.exists()
        and file.stat().st_size > 0
    )


def run(*, check: bool) -> int:
    """Start everything and wait: for a signal, for a part that ends, or with ``check`` for data."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    running: dict[str, subprocess.Popen[bytes]] = {}
    begun = time.monotonic()
    try:
        for name, (command, environment) in commands().items():
            running[name] = start(name, command, environment)
        print("Simulated Falco, exporter, collector, Prometheus and Alertmanager are starting; logs in .cache/stack.")
        for name, path in (("exporter", "/reports"), ("prometheus", "/alerts"), ("alertmanager", "/")):
            print(f"  {name:13} http://{local(name)}{path}")
        print("  log records   .cache/stack/records.jsonl\nCtrl-C ends it.", flush=True)
        while True:
            time.sleep(0.5)
            ended = [name for name, process in running.items() if process.poll() is not None]
            if ended:
                log = HOME / f"{ended[0].replace(' ', '-')}.log"
                print(f"stack: {ended[0]} has ended; its log's last lines ({log}):", file=sys.stderr)
                print("\n".join(log.read_text("utf-8", "replace").splitlines()[-10:]), file=sys.stderr)
                return 1
            if check and has_data():
                print(f"Data in Prometheus, in Alertmanager's rules and with the collector after "
                      f"{time.monotonic() - begun:.0f} s.")  # fmt: skip
                return 0
            if check and time.monotonic() - begun > CHECK_SECONDS:
                print(f"stack: no data within {CHECK_SECONDS:.0f} s; see the logs in {HOME}", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        return 0
    finally:
        for process in reversed(running.values()):
            process.terminate()
        for process in running.values():
            process.wait(20)


if __name__ == "__main__":
    sys.exit(run(check="--check" in sys.argv[1:]))
