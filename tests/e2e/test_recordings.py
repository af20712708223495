"""The recording rules for the dashboards: their sums only grow, and by what was sent, whatever each exporter does.

Series restart, pause, begin and end, each alone and all at once, as those of a
fleet do. Where the rules are, the dashboards count with their sums.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.generator import promql
from dashboards.generator.recordings import COUNTERS, FILE, GAUGES, SUMS, recordings
from tests.e2e.dashboard_queries import DASHBOARDS, EXPORTERS, RECORDED, documents, filled
from tests.e2e.test_alert_rules import promtool
from tests.e2e.test_event_counts import END, GONE, RANGES, RULE, SERIES, sent

pytestmark = pytest.mark.e2e

LABELS = {"rule": RULE, "priority": "Notice", "source": "syscall", "verdict": "undecided", "outcome": "unknown"}
SPAN = END + 1


def input_series(name: str, samples: list[int | None]) -> list[dict[str, str]]:
    """A rule's counter of one exporter, and the exporter's own series, which is there as long as it is scraped."""
    values = ["stale" if now is GONE and before is not GONE else now for before, now in pairwise([GONE, *samples])]
    own = {"job": "falco", "instance": name}
    counter = " ".join("_" if value is GONE else str(value) for value in values)
    return [
        {"series": f"falco_verdict_events_total{_text(LABELS | own)}", "values": counter},
        {"series": f"falco_exporter_build_info{_text(own)}", "values": f"1x{SPAN}"},
        {"series": f"process_start_time_seconds{_text(own)}", "values": f"-3600x{SPAN}"},
    ]


def _text(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def play(directory: Path, series: list[dict[str, str]], tests: list[dict[str, Any]]) -> None:
    """Let Prometheus' rule engine evaluate the rules each minute, then ask it."""
    (directory / "rules.yaml").write_text(recordings(), "utf-8")
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    (directory / "tests.yaml").write_text(json.dumps(document), "utf-8")
    promtool("test", "rules", directory / "tests.yaml")


def counted_in(minutes: int, expected: int) -> dict[str, Any]:
    """What the dashboards show for a range that ends with the samples, from the sums."""
    expr = promql.events_in_range("rule", promql.THIS_RULE)
    began = str((END - minutes) * 60_000)
    query = filled(expr, rule=RULE, __range=f"{minutes}m", __from=began, **RECORDED)
    wrong = f"abs((sum({query}) or vector(0)) - {expected}) > {max(1, expected / 100)}"
    return {"expr": wrong, "eval_time": f"{END}m", "exp_samples": []}


@pytest.mark.parametrize("name", SERIES)
def test_a_sum_grows_by_what_one_exporter_counts(tmp_path: Path, name: str) -> None:
    """In ranges that end now, short and long."""
    samples = SERIES[name]
    tests = [counted_in(minutes, sent(samples, minutes)) for minutes in RANGES]
    play(tmp_path, input_series(name, samples), tests)


def test_a_sum_of_many_grows_by_what_all_count(tmp_path: Path) -> None:
    """One that begins anew, ends or is not scraped changes nothing of the others; the sum never falls."""
    series = [each for name, samples in SERIES.items() for each in input_series(name, samples)]
    tests = [counted_in(minutes, sum(sent(samples, minutes) for samples in SERIES.values())) for minutes in RANGES]
    falls = {"expr": "resets(falco:rule_events_total[3h]) > 0", "eval_time": f"{END}m", "exp_samples": []}
    play(tmp_path, series, [*tests, falls])


def test_an_exporter_that_was_not_watched_adds_nothing_by_appearing(tmp_path: Path) -> None:
    """A Prometheus that finds a counter of a million has not seen a million events."""
    own = {"job": "falco", "instance": "old"}
    series = [
        {"series": f"falco_verdict_events_total{_text(LABELS | own)}", "values": "_x60 1000000+1x60"},
        {"series": f"falco_exporter_build_info{_text(own)}", "values": "_x60 1x60"},
        {"series": f"process_start_time_seconds{_text(own)}", "values": "_x60 -3600x60"},
    ]
    exact = {
        "expr": "sum(falco:rule_events_total)",
        "eval_time": "100m",
        "exp_samples": [{"labels": "{}", "value": 40}],
    }
    play(tmp_path, series, [exact])


def test_the_file_is_what_the_code_makes_and_promtool_accepts_it() -> None:
    assert (DASHBOARDS / FILE).read_text("utf-8") == recordings()
    promtool("check", "rules", DASHBOARDS / FILE)


def test_what_is_recorded_has_the_labels_that_the_exporter_gives() -> None:
    """Each metric exists, and each label of its sums is one of its own."""
    text = (DASHBOARDS.parent / "docs" / "metrics.md").read_text("utf-8")
    for metric, by in [*COUNTERS.values(), *GAUGES.values()]:
        row = re.search(rf"^\| `{metric}` \| \w+ \| (.*?) \|", text, re.MULTILINE)
        assert row, metric
        assert set(by) <= set(re.findall(r"`(\w+)`", row[1])), metric
    for metric, by in SUMS.values():
        assert set(by) <= set(COUNTERS[metric.removeprefix("falco:")][1]), metric


def test_every_metric_that_a_panel_may_ask_is_recorded() -> None:
    """Whatever the variable ``counted`` begins has its recording rule, and so have the other variables' metrics."""
    recorded = {rule["record"] for rule in yaml.safe_load(recordings())["groups"][0]["rules"]}
    asked = {
        filled(name, **RECORDED)
        for document in documents().values()
        for name in re.findall(r"\$\{counted:raw\}\w+", json.dumps(document))
    }
    assert asked
    assert asked | {metric for name, metric in RECORDED.items() if name != "counted"} == recorded
    assert EXPORTERS.keys() == RECORDED.keys()
