"""The alert rules: Prometheus' own tool reads them and plays their tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.programs import program

pytestmark = pytest.mark.e2e

ALERTS = Path(__file__).parents[2] / "dashboards" / "alerts"
RULES = ALERTS / "falco.rules.yaml"
TESTS = ALERTS / "falco.rules.test.yaml"


def alerts() -> list[dict[str, Any]]:
    return [
        rule
        for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], check=False, capture_output=True, text=True, cwd=ALERTS
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules() -> None:
    """`promtool check rules` finds nothing wrong."""
    promtool("check", "rules", RULES)


def test_promtool_plays_the_tests() -> None:
    """Each alert fires where it must and stays silent where it must not."""
    promtool("test", "rules", TESTS)


def test_every_alert_is_tested_firing_and_silent() -> None:
    """No alert is without a test that sees it fire and one that sees it silent."""
    firing: set[str] = set()
    silent: set[str] = set()
    for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]:
        for case in test.get("alert_rule_test", []):
            (firing if case.get("exp_alerts") else silent).add(case["alertname"])
        for case in test.get("promql_expr_test", []):
            found = re.search(r'alertname="(\w+)"', case["expr"])
            assert found, case
            (firing if case.get("exp_samples") else silent).add(found[1])
    names = {rule["alert"] for rule in alerts()}
    assert firing == names
    assert silent == names


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    """Annotations carry summary, impact, first step and the dashboard's address."""
    for rule in alerts():
        assert {"summary", "impact", "mitigation", "dashboard_url"} <= set(rule["annotations"]), rule["alert"]
        assert rule["labels"]["severity"]
