"""README's commands are commands, its settings for Falco are YAML, and the report that it shows is one of ours."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from exporter.catalog.catalog import load_catalog
from exporter.cli import build_parser
from exporter.commands.settings import config_from
from exporter.render.document import Length
from exporter.render.markdown import to_markdown
from exporter.reporter import Reporter
from exporter.sources.decode import from_json

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^    (?:sudo )?falco-report-exporter ((?:run|check) .*)$", README, re.MULTILINE)
ALERTS = ROOT / "tests" / "verdicts" / "dev.jsonl"


def test_each_way_in_has_a_check_and_a_run() -> None:
    """HTTP, file and gRPC each have one complete block."""
    assert [command.split()[0] for command in COMMANDS] == ["check", "run"] * 3


def test_the_readme_names_every_command() -> None:
    """The table of commands has a row for each but `help`."""
    (action,) = [action for action in build_parser()._actions if action.dest == "command"]
    rows = re.findall(r"^\| `([a-z-]+)[ `]", README.partition("\n## Commands\n")[2], re.MULTILINE)
    assert set(rows) == set(action.choices or ()) - {"help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_valid(command: str, tmp_path: Path) -> None:
    """Every flag exists and what is set fits together."""
    config = config_from(build_parser().parse_args(shlex.split(command)))
    assert config.web.listen_address == "127.0.0.1:9376"
    assert config.http.address or config.json_lines.file or config.targets


def test_the_settings_for_falco_are_yaml() -> None:
    """Each block that is fenced as YAML can be pasted into falco.yaml or prometheus.yml."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    keys = [set(yaml.safe_load(block)) for block in blocks]
    assert {"json_output", "http_output"} in keys
    assert {"json_output", "file_output"} in keys
    assert {"grpc", "grpc_output"} in keys
    assert {"scrape_configs"} in keys


def test_the_report_that_is_shown_is_ours() -> None:
    """Title, close and escalate lines and the first command stand in the report of that very alert."""
    rows = [json.loads(line)["alert"] for line in ALERTS.read_text("utf-8").splitlines()]
    alert = next(row for row in rows if row["rule"].startswith("Netcat Remote"))
    report = to_markdown(Reporter(load_catalog()).report_for(from_json(json.dumps(alert))), Length.BRIEF)
    shown = [line.removeprefix("> ") for line in README.splitlines() if line.startswith("> ")]
    code = shown[shown.index("```sh") + 1 : shown.index("```")]
    assert "\n".join(code) in report
    for line in shown:
        if line.startswith(("**LIKELY ATTACK", "**1. ")):
            assert line.replace("**", "") in report.replace("**", "")
