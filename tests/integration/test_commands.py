"""Commands against running things: demo, health, run with standard input."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.simulator.scenarios import reference_alert
from exporter.simulator.server import FalcoSimulator
from tests.e2e.processes import COMMAND, exporter, fetch, free_port
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _sighup_reaches_what_is_started() -> Iterator[None]:
    """Under ``nohup`` SIGHUP is ignored here, and so it would be in every program that is started."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("program", [[str(COMMAND)], [sys.executable, "-m", "exporter"]])
def test_demo_once_does_the_main_job(program: list[str]) -> None:
    """Installed command and module alike: the reference report, the metrics, exit 0, nothing on standard error."""
    done = subprocess.run([*program, "demo", "--once"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("Rule       Clear Log Activities", "Summary of Detected Activity",
                 "Possible Impact", "Mitigation Strategies", "Configuration Changes", "Command Line Commands",
                 "Additional Recommendations"):  # fmt: skip
        assert part in done.stdout
    line = 'falco_rule_events_total{priority="Warning",rule="Clear Log Activities",source="syscall"} 1.0'
    assert line in done.stdout.splitlines()
    assert "\x1b" not in done.stdout


def test_a_standard_variable_that_is_not_valid_is_one_line(
    falco: FalcoSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and one line that names the variable, what was expected and what was found."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")
    for command in ("check", "run"):
        assert main([command, "--target", falco.address]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "OTEL_EXPORTER_OTLP_TIMEOUT: expected a whole number of milliseconds, found '10s'" in line


def test_health_asks_the_running_exporter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 while it answers, 1 with the reason once it does not."""
    with exporter(tmp_path, "--target", f"unix://{tmp_path}/falco.sock") as running:
        address = f"127.0.0.1:{running.port}"
        assert main(["health", "--web.listen-address", address]) == 0
    assert main(["health", "--web.listen-address", address]) == 1
    assert "no answer" in capsys.readouterr().err


def test_standard_input_is_read_to_its_end_and_the_exporter_ends(tmp_path: Path) -> None:
    """``falco | falco-report-exporter run --stdin``: exit 0 after the last line."""
    line = reference_alert().to_json() + "\n"
    done = subprocess.run(
        [COMMAND, "run", "--stdin", "--web.listen-address", "127.0.0.1:0"],
        input=line * 3, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "stdin: the input has ended" in done.stderr


def test_sigterm_drains_and_ends_with_0(falco: FalcoSimulator, tmp_path: Path) -> None:
    """SIGTERM ends the exporter within seconds, without a traceback, and Falco can stop as well."""
    with exporter(tmp_path, "--target", falco.address) as running:
        running.await_ready()
        begun = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - begun < 5
    assert "Traceback" not in running.output
    assert falco.stop()


def test_sighup_reads_the_settings_again_and_the_port_stays_open(tmp_path: Path) -> None:
    """Every post that comes while one set of settings follows another is answered; the new ones hold afterwards."""
    settings = tmp_path / "settings.yaml"
    port = free_port()
    settings.write_text(f"http: {{address: '127.0.0.1:{port}'}}\nidentity: {{labels: ['cluster=first']}}\n")
    kept = ["--history.directory", f"{tmp_path}/history", "--queue.directory", f"{tmp_path}/queue"]
    kept += ["--otlp.endpoint", "http://127.0.0.1:9", "--shutdown-seconds", "1"]
    with exporter(tmp_path, "--config", str(settings), *kept) as running:
        running.await_ready()
        taken = [post_alert(port)]
        settings.write_text(f"http: {{address: '127.0.0.1:{port}'}}\nidentity: {{labels: ['cluster=second']}}\n")
        os.kill(running.pid, signal.SIGHUP)
        wait_until(lambda: "applies its new settings" in running.output, "the first change has begun")
        settings.write_text(f"http: {{address: '127.0.0.1:{port}'}}\nidentity: {{labels: ['cluster=third']}}\n")
        os.kill(running.pid, signal.SIGHUP)  # while the second settings take the first one's place
        while running.output.count("the settings were read again") < 2 and len(taken) < 10_000:
            taken.append(post_alert(port))
        taken += [post_alert(port) for _ in range(20)]
        assert set(taken) == {200}
        found = f"{running.url}/api/v1/reports?limit=500"
        wait_until(lambda: len(json.loads(fetch(found) or "{}").get("reports", [])) == min(len(taken), 500), "all kept")
        assert 'cluster="third"' in fetch(f"{running.url}/metrics")
        assert 'cluster="second"' not in fetch(f"{running.url}/metrics")
        assert running.stop() == 0
    assert "Traceback" not in running.output


def test_settings_that_cannot_be_leave_those_of_before(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    port = free_port()
    good = f"http: {{address: '127.0.0.1:{port}'}}\n"
    settings.write_text(good)
    with exporter(tmp_path, "--config", str(settings)) as running, socket.create_server(("127.0.0.1", 0)) as other:
        running.await_ready()
        settings.write_text(good + "htpp: {}\n")
        os.kill(running.pid, signal.SIGHUP)
        wait_until(lambda: "the exporter keeps its previous settings" in running.output, "refused")
        assert post_alert(port) == 200
        settings.write_text(good + f"web: {{probe_address: '127.0.0.1:{other.getsockname()[1]}'}}\n")
        os.kill(running.pid, signal.SIGHUP)
        wait_until(lambda: "went back to its previous settings" in running.output, "went back")
        assert post_alert(port) == 200
        assert running.stop() == 0
    assert "Traceback" not in running.output


def test_sighup_at_a_terminal_ends_it_in_order(tmp_path: Path) -> None:
    """The terminal is gone: what waits is not dropped by a sudden end."""
    controller, terminal = os.openpty()
    with exporter(tmp_path, "--http.address", "127.0.0.1:0", stdin=terminal) as running:
        running.await_ready()
        os.kill(running.pid, signal.SIGHUP)
        assert running.wait() == 0
    os.close(controller)
    os.close(terminal)
    assert "Traceback" not in running.output


def post_alert(port: int) -> int:
    """Post one alert on a connection of its own, as somebody would who has none yet; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = '{"time":"2026-11-28T12:00:00Z","rule":"Terminal shell in container","priority":"Notice","output":"x"}'
    try:
        connection.request("POST", "/", body)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "setting", ["--http.address", "--web.listen-address", "--web.probe-address", "--web.reports-address"]
)
def test_an_address_in_use_is_one_line(setting: str) -> None:
    """Exit 2 and what to do, without a traceback and without starting anything."""
    addresses = {"--web.listen-address": "127.0.0.1:0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses[setting] = f"127.0.0.1:{port}"
        flags = [word for pair in addresses.items() for word in pair]
        done = subprocess.run(
            [COMMAND, "run", "--stdin", *flags], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert said == [
        f"falco-report-exporter: {setting[2:].replace('-', '_')}: cannot listen on {addresses[setting]}: Address "
        "already in use; choose another address, or stop the program that holds it "
        f"(`ss -ltnp 'sport = :{port}'` names it)"
    ]


def test_a_configuration_mistake_exits_2_before_anything_listens(tmp_path: Path) -> None:
    """The installed command says the mistake on standard error."""
    done = subprocess.run(
        [COMMAND, "run", "--web.listen-address", "nonsense"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "falco-report-exporter: web.listen_address: found 'nonsense'" in done.stderr


def test_a_version_is_shown_at_each_connect(falco: FalcoSimulator, tmp_path: Path) -> None:
    """The log has one clear line, the metric the version."""
    with exporter(tmp_path, "--target", falco.address) as running:
        running.await_ready()
        wait_until(lambda: "connected to Falco 0.43.1" in running.output)
        assert running.total("falco_version_info") == 1
