"""A real Prometheus scrapes the installed exporter and answers what a user would ask."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from exporter.web.web_config import read_web_config
from tests.e2e.processes import Exporter, Process, exporter, fetch, free_port
from tests.e2e.programs import program
from tests.hostile import hostile_values
from tests.integration.certificates import Authority
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


class Prometheus(Process):
    """Prometheus with one target, scraped every second: the first scrape after a first event takes a quarter of it."""

    def __init__(self, directory: Path, target: str, scrape: Mapping[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        job = {"job_name": "falco", "static_configs": [{"targets": [target]}], **scrape}
        file = directory / "prometheus.yml"
        settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
        file.write_text(json.dumps(settings), encoding="utf-8")
        super().__init__(
            [
                program("prometheus"),
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--enable-feature=exemplar-storage",
            ],
            directory / "prometheus.log",
        )
        wait_until(lambda: fetch(f"{self.url}/-/ready"), f"Prometheus is ready: {self.output}")

    def _ask(self, path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.loads(answer.read())["data"]

    def query(self, query: str) -> list[dict[str, Any]]:
        return list(self._ask("query", query=query)["result"])

    def value(self, query: str) -> float:
        """The one value that the query gives; 0 while it gives none."""
        found = self.query(query)
        return float(found[0]["value"][1]) if found else 0.0

    def exemplars(self, query: str) -> list[dict[str, Any]]:
        now = datetime.now(UTC).timestamp()
        return list(self._ask("query_exemplars", query=query, start=str(now - 300), end=str(now + 60)))

    def problems(self) -> list[str]:
        """What Prometheus says of samples that it could not take."""
        return [line for line in self.output.splitlines() if "level=warn" in line and "scrape" in line]


@contextmanager
def prometheus(directory: Path, target: str, **scrape: Any) -> Iterator[Prometheus]:
    process = Prometheus(directory, target, scrape)
    try:
        yield process
    finally:
        process.stop()


def line(rule: str, number: int, **fields: str) -> str:
    """Return an alert in Falco's JSON."""
    alert = {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
        "rule": rule,
        "priority": "Warning",
        "source": "syscall",
        "hostname": "node-1",
        "output": f"18:29:39.273467556: Warning Log files were tampered (number={number})",
        "output_fields": {name.replace("__", "."): value for name, value in fields.items()},
        "tags": ["T1070"],
    }
    return json.dumps(alert) + "\n"


def test_prometheus_answers_what_a_user_would_ask(tmp_path: Path) -> None:
    """The first event of a rule shows in increase(); rule_info joins; exemplars lead to the report; delay is known."""
    alerts = tmp_path / "alerts.jsonl"
    alerts.touch()
    with ExitStack() as stack:
        options = ("--json-lines.file", alerts, "--metrics.extra-labels", "k8s.pod.name")
        ours = stack.enter_context(exporter(tmp_path, *options))
        ours.await_ready()
        theirs = stack.enter_context(prometheus(tmp_path, f"127.0.0.1:{ours.port}"))
        known = 'falco_rule_events_total{rule="Clear Log Activities"}'
        wait_until(lambda: theirs.query(f"count_over_time({known}[1m]) > 2"), "scrapes before the first event")
        assert theirs.value(known) == 0
        with alerts.open("a", encoding="utf-8") as file:
            file.write(line("Clear Log Activities", 1, k8s__ns__name="web", k8s__pod__name="web-1"))
            file.write(line("My own rule", 2))
            for value in hostile_values().values():
                file.write(line(value, 3, **{"k8s.ns.name": value}))
        wait_until(lambda: theirs.value(known) == 1, "the event")
        wait_until(lambda: theirs.query(f"count_over_time(({known} == 1)[1m:250ms]) > 2"), "scrapes after it")
        assert 0.9 < theirs.value(f"increase({known}[1m])") < 2
        labels = theirs.query('falco_events_total{k8s_pod_name="web-1"}')[0]["metric"]
        assert (labels["k8s_ns_name"], labels["hostname"], labels["priority"]) == ("web", "node-1", "Warning")
        (joined,) = theirs.query(
            f"{known} * on (rule, priority, source) group_left (summary, mitigation, mitre_technique) falco_rule_info"
        )
        assert joined["metric"]["summary"]
        assert joined["metric"]["mitigation"]
        assert joined["metric"]["mitre_technique"]
        assert theirs.value('time() - falco_rule_last_event_timestamp_seconds{rule="My own rule"}') < 60
        assert 0 < theirs.value("histogram_quantile(0.5, falco_event_delay_seconds_bucket)") < 60
        (exemplars,) = theirs.exemplars(known)
        uid = exemplars["exemplars"][0]["labels"]["uid"]
        assert "Clear Log Activities" in fetch(f"{ours.url}/reports/{uid}")
        assert theirs.value("falco_exporter_build_info") == 1
        assert theirs.value("max_over_time(up[1m])") == theirs.value("min_over_time(up[1m])") == 1
        assert theirs.problems() == []
        checked = subprocess.run(
            [program("promtool"), "check", "metrics"],
            input=fetch(f"{ours.url}/metrics"),
            text=True,
            check=False,
            capture_output=True,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_prometheus_scrapes_with_password_and_certificate(tmp_path: Path) -> None:
    """One web configuration file, which promtool finds right, protects the exporter; Prometheus gets through."""
    authority = Authority(tmp_path)
    authority.make_server("server")
    client = authority.make_client("client")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(5)).decode()
    file = tmp_path / "web.yml"
    file.write_text(
        f"""
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=60
basic_auth_users:
  prometheus: {hashed}
""",
        encoding="utf-8",
    )
    checked = subprocess.run(
        [program("promtool"), "check", "web-config", file], check=False, text=True, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert read_web_config(file).authenticates
    alerts = tmp_path / "alerts.jsonl"
    alerts.touch()
    probe = f"127.0.0.1:{free_port()}"
    ours = Exporter(tmp_path, "--json-lines.file", alerts, "--web.config.file", file, "--web.probe-address", probe)
    tls = {"ca_file": str(authority.cert_file), "cert_file": str(client.cert_file), "key_file": str(client.key_file)}
    password = {"username": "prometheus", "password": "secret"}
    try:
        wait_until(lambda: fetch(f"http://{probe}/liveness") or not ours.alive(), "the exporter answers")
        target = f"localhost:{ours.port}"
        with prometheus(tmp_path, target, scheme="https", basic_auth=password, tls_config=tls) as theirs:
            wait_until(lambda: theirs.value("up") == 1, f"the scrape: {theirs.output}")
        assert hashed not in ours.output
    finally:
        ours.stop()
