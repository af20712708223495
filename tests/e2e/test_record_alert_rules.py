"""Alert rules on log records: of the grammar of their languages, and about attributes that records have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.dashboard_queries import DASHBOARDS
from tests.e2e.loki_standin import loki_name
from tests.e2e.programs import program

pytestmark = pytest.mark.e2e

ALERTS = DASHBOARDS / "alerts"
ATTRIBUTES = set(
    re.findall(
        r"`([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+)`", (DASHBOARDS.parent / "docs" / "log-records.md").read_text("utf-8")
    )
)


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((ALERTS / name).read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_loki_rules_are_logql(tmp_path: Path) -> None:
    """Grafana's own grammar reads each expression."""
    there = tmp_path / "check"
    shutil.copytree(Path(__file__).with_name("logql"), there)
    done = subprocess.run([program("npm"), "ci"], check=False, capture_output=True, text=True, cwd=there)
    assert done.returncode == 0, done.stderr
    asked = [{"language": "logql", "expr": rule["expr"]} for rule in rules("loki.rules.yaml")]
    done = subprocess.run(
        [program("node"), "check.mjs"], input=json.dumps(asked), check=True, capture_output=True, text=True, cwd=there
    )
    assert json.loads(done.stdout) == [""] * len(asked)


def test_loki_rules_name_labels_that_records_have() -> None:
    """In expressions, labels and annotations; what an expression groups by is all that its texts can name."""
    known = {loki_name(name) for name in ATTRIBUTES} | {"service_name"}
    for rule in rules("loki.rules.yaml"):
        named = set(re.findall(r"\|\s*(\w+)\s*[=!]", rule["expr"]))
        grouped = {
            name.strip() for names in re.findall(r"sum by \(([^)]*)\)", rule["expr"]) for name in names.split(",")
        }
        texts = " ".join([*rule["labels"].values(), *rule["annotations"].values()])
        assert named | grouped <= known
        assert set(re.findall(r"\$labels\.(\w+)", texts)) <= grouped


def test_vmalert_rules_name_fields_that_records_have() -> None:
    """VictoriaLogs keeps the attributes' own names."""
    for rule in rules("vmalert.rules.yaml"):
        grouped = set(re.findall(r'"([a-z0-9_.]+)"', re.findall(r"stats by \(([^)]*)\)", rule["expr"])[0]))
        texts = " ".join([*rule["labels"].values(), *rule["annotations"].values()])
        assert set(re.findall(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"', rule["expr"])) <= ATTRIBUTES
        assert set(re.findall(r'index \$labels "([^"]+)"', texts)) <= grouped
