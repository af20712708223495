"""What is under deploy/ is accepted by the programs that read it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.web.web_config import read_web_config
from tests.e2e.programs import find_collector, find_compose, program

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BUILDABLE = ("clickhouse", "file", "loki", "victorialogs")
"""Configurations whose exporters are in the collector that the tests build."""
UNBUILDABLE = ("elasticsearch", "opensearch")
"""Their exporters' modules are not to be had where CI builds: read as YAML alone, and their pipeline compared."""
ENVIRONMENT = {
    "LOKI_URL": "http://127.0.0.1:3100",
    "VICTORIALOGS_URL": "http://127.0.0.1:9428",
    "CLICKHOUSE_ENDPOINT": "tcp://127.0.0.1:9000",
    "CLICKHOUSE_USER": "u",
    "CLICKHOUSE_PASSWORD": "p",
    "FALCO_RECORDS_FILE": "records.jsonl",
}


def test_every_collector_configuration_is_one_of_these() -> None:
    """No configuration stands there unchecked."""
    assert {path.stem for path in (DEPLOY / "collector").glob("*.yaml")} == {*BUILDABLE, *UNBUILDABLE}


@pytest.mark.parametrize("name", BUILDABLE)
def test_a_real_collector_loads_the_configuration(name: str, tmp_path: Path) -> None:
    """Every key is one that the component knows."""
    done = subprocess.run(
        [find_collector(), "validate", "--config", DEPLOY / "collector" / f"{name}.yaml"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", UNBUILDABLE)
def test_the_others_differ_in_their_exporter_alone(name: str) -> None:
    """Receivers and processors are those that a real collector loads."""
    ours = yaml.safe_load((DEPLOY / "collector" / f"{name}.yaml").read_text("utf-8"))
    loaded = yaml.safe_load((DEPLOY / "collector" / "loki.yaml").read_text("utf-8"))
    assert ours["receivers"] == loaded["receivers"]
    assert ours["processors"] == loaded["processors"]
    (pipeline,) = ours["service"]["pipelines"].values()
    assert pipeline["exporters"] == list(ours["exporters"]) == [name]


def test_compose_accepts_the_stack() -> None:
    """`docker compose config` has no complaint, and every file that is mounted exists."""
    file = DEPLOY / "compose" / "compose.yaml"
    command = [find_compose(), "-f", file, "config"]
    environment = os.environ | {"ALERTS_PATH": "/secret"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for service in yaml.safe_load(done.stdout)["services"].values():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind" and str(ROOT) in volume["source"]:
                assert Path(volume["source"]).exists(), volume["source"]


def test_compose_names_what_others_made_by_version_and_content() -> None:
    """A tag can be moved to something else; the exporter's own image is built here."""
    services = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))["services"]
    images = {service["image"] for service in services.values() if "build" not in service}
    assert len(images) == 6
    for image in images:
        assert re.fullmatch(r"[a-z./-]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", image), image


def test_compose_does_not_start_without_its_secrets() -> None:
    """No password that everybody knows and no open receiver: `setup.sh` is asked for."""
    environment = {name: value for name, value in os.environ.items() if name != "ALERTS_PATH"}
    command = [find_compose(), "-f", DEPLOY / "compose" / "compose.yaml", "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "run ./setup.sh first" in done.stderr


DOCKER = """\
#!/bin/sh
# Stands for Docker: Compose reads the file for real, and the image's Python is the tests'.
set -eu
shift
"$COMPOSE" config --quiet
case $1 in
build) ;;
run) while [ "$1" != -c ]; do shift; done; exec "$PYTHON" "$@" ;;
*) exit 1 ;;
esac
"""


def test_setup_makes_secrets_that_are_used(tmp_path: Path) -> None:
    """Twice the same: passwords of one's own, a hash that the exporter reads, a path that Falco is given."""
    directory = shutil.copytree(DEPLOY / "compose", tmp_path / "deploy" / "compose")
    shutil.copytree(DEPLOY / "collector", tmp_path / "deploy" / "collector")
    stand_in = tmp_path / "bin" / "docker"
    stand_in.parent.mkdir()
    stand_in.write_text(DOCKER, encoding="utf-8")
    stand_in.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "ALERTS_PATH"}
    environment |= {"COMPOSE": str(find_compose()), "PYTHON": sys.executable}
    environment["PATH"] = f"{stand_in.parent}:{environment['PATH']}"
    found = []
    for _ in range(2):
        done = subprocess.run([directory / "setup.sh"], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        found.append([(directory / "secrets" / name).read_text("utf-8") for name in ("pages-password", "alerts-path")])
    assert found[0] == found[1]
    password, path = found[0]
    hashed = read_web_config(directory / "secrets" / "web.yml").users["falco"]
    assert bcrypt.checkpw(password.encode(), hashed)
    assert stat.S_IMODE((directory / "secrets").stat().st_mode) == 0o700
    command = [find_compose(), "config"]
    read = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True, env=environment)
    assert f"http_output.url=http://exporter:2801{path}" in read.stdout
    assert password not in read.stdout


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    """promtool checks it, with the rules where Compose mounts them."""
    text = (DEPLOY / "compose" / "prometheus.yaml").read_text("utf-8")
    file = tmp_path / "prometheus.yaml"
    file.write_text(text.replace("/etc/prometheus/rules", str(ROOT / "dashboards" / "alerts")), encoding="utf-8")
    done = subprocess.run([program("promtool"), "check", "config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_accepts_its_configuration() -> None:
    """amtool checks it."""
    file = DEPLOY / "compose" / "alertmanager.yaml"
    done = subprocess.run([program("amtool"), "check-config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=FalcoIncident incident=19c25fe000db2bb0 verdict=attack severity=critical", "pager"),
        ("alertname=FalcoIncidentsWithoutSeries severity=critical", "pager"),
        ("alertname=FalcoAttackOutsideIncident verdict=attack severity=critical", "pager"),
        ("alertname=FalcoLikelyAttack priority=Notice rule=R verdict=attack severity=critical", "pager"),
        ("alertname=FalcoSevereEvent priority=Critical rule=R verdict=undecided severity=critical", "pager"),
        ("alertname=FalcoSevereEventExplained priority=Critical rule=R verdict=benign severity=info", "team"),
        ("alertname=FalcoRuleNeverSeenBefore priority=Critical rule=R severity=warning", "team"),
        ("alertname=FalcoUnusualRate priority=Warning rule=R", "team"),
        ("alertname=FalcoUnusualRate priority=Notice rule=R", "nobody"),
        ("alertname=FalcoExporterDown instance=i", "pager"),
        ("alertname=FalcoHistoryDamaged instance=i severity=warning", "team"),
    ],
)
def test_alertmanager_routes_by_verdict_and_priority(labels: str, receiver: str) -> None:
    """Likely attacks of any priority wake somebody; what is likely benign and notices wake nobody."""
    file = DEPLOY / "compose" / "alertmanager.yaml"
    command = [program("amtool"), "config", "routes", "test", f"--config.file={file}", *labels.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == receiver


def test_no_incident_hides_an_attack_outside_of_it() -> None:
    """Nothing inhibits the page for attacks that no incident tells of; incidents inhibit within their cluster."""
    document = yaml.safe_load((DEPLOY / "compose" / "alertmanager.yaml").read_text("utf-8"))
    targets = [text for rule in document["inhibit_rules"] for text in rule["target_matchers"]]
    named = [text for text in targets if "Falco.*" not in text]
    assert named
    assert not any("Outside" in text for text in named)
    (of_incidents,) = (rule for rule in document["inhibit_rules"] if "FalcoIncident" in rule["source_matchers"][0])
    assert of_incidents["equal"] == ["cluster"]


def test_the_local_stack_has_data_within_a_minute(tmp_path: Path) -> None:
    """`make stack`: real Prometheus, Alertmanager and collector, and a critical alert fires."""
    environment = os.environ | {"OTELCOL": str(find_collector())}
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    done = subprocess.run(
        [sys.executable, "-m", "tools.stack", "--check", "--free-ports", "--directory", tmp_path],
        capture_output=True, text=True, check=False, env=environment, timeout=110, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_has_each_dashboards_data_source() -> None:
    """Grafana is given no dashboard whose data source is not provisioned, and every other one."""
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
    mounted = [volume.split(":")[0] for volume in compose["services"]["grafana"]["volumes"]]
    given = {Path(path).name for path in mounted if path.endswith(".json")}
    files = (DEPLOY / "compose" / "grafana" / "provisioning" / "datasources").glob("*.yaml")
    there = {source["type"] for file in files for source in yaml.safe_load(file.read_text("utf-8"))["datasources"]}
    asked = {
        path.name: set(re.findall(r'"query": "(prometheus|loki|[\w-]+-datasource)"', path.read_text("utf-8")))
        for path in (ROOT / "dashboards").glob("*.json")
    }
    assert all(asked.values())
    assert given == {name for name, types in asked.items() if types <= there}


def test_loki_leads_from_a_record_to_its_report() -> None:
    """A derived field takes the label that every record has, and the exporter's address of its report page."""
    (file,) = (DEPLOY / "compose" / "grafana" / "provisioning" / "datasources").glob("*.yaml")
    (loki,) = [source for source in yaml.safe_load(file.read_text("utf-8"))["datasources"] if source["type"] == "loki"]
    (field,) = loki["jsonData"]["derivedFields"]
    assert (field["matcherType"], field["matcherRegex"]) == ("label", "log_record_uid")
    assert field["url"] == "http://localhost:9376/reports/$${__value.raw}"


def test_loki_takes_what_explore_asks_for() -> None:
    """A thousand records of 10 kB at once, on the way in and on the way out."""
    server = yaml.safe_load((DEPLOY / "compose" / "loki.yaml").read_text("utf-8"))["server"]
    for way in ("recv", "send"):
        assert server[f"grpc_server_max_{way}_msg_size"] >= 6 * 1_000 * 10_000
