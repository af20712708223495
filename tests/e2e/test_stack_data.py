"""Every query of the dashboards and alert rules against a real Prometheus and the exporter's real records.

`make stack` runs: a simulated Falco, the exporter, Prometheus, Alertmanager and
a collector. Queries for Loki run on the stand-in, which serves the records that
the collector wrote.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.generator.recordings import recordings
from tests.e2e.dashboard_queries import (
    DASHBOARDS,
    EXPORTERS,
    RECORDED,
    Query,
    documents,
    filled,
    grouped_labels,
    queries,
    selectors,
)
from tests.e2e.loki_standin import answer, read_lines
from tests.e2e.processes import Process, fetch
from tests.e2e.programs import find_collector, program
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

ROOT = DASHBOARDS.parent
RULE = "Terminal shell in container"
GOOD_WHEN_EMPTY = {
    ("falco-exporter-health.json", "Log records lost, by reason"),
    ("falco-exporter-health.json", "HTTP requests refused"),
}
"""Panels that show trouble: without any they are empty, and say so."""
GIVEN_BY_PROMETHEUS = {"job", "instance", "le", "__name__"}


@dataclass(frozen=True)
class Stack:
    """Where the running stack can be asked."""

    exporter: str
    prometheus: str
    records: Path

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The result of an instant query; fails with Prometheus' own words."""
        answered = fetch(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expr})}", 30)
        assert answered, f"Prometheus refuses: {expr}"
        return list(json.loads(answered)["data"]["result"])

    def labels(self) -> dict[str, set[str]]:
        """The labels of each metric, as the exporter exposes them now."""
        found: dict[str, set[str]] = {}
        for line in fetch(f"{self.exporter}/metrics").splitlines():
            if not line.startswith("#") and (matched := re.match(r"(\w+)(?:\{(.*)\})? \S+$", line)):
                labels = re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', matched[2] or "")
                found.setdefault(matched[1], set()).update(labels)
            elif line.startswith("# TYPE "):
                found.setdefault(line.split()[2], set())
        return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack that has seen the demo and some seconds of the story after it."""
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    directory = tmp_path_factory.mktemp("s") / "stack"
    command = [sys.executable, "-m", "tools.stack", "--free-ports", "--scrape-interval", "1s", "--rate", "5"]
    process = Process(
        [*command, "--directory", directory],
        directory.with_suffix(".log"),
        {"OTELCOL": str(find_collector()), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    try:
        wait_until(lambda: "Ctrl-C" in process.output or not process.alive(), "the stack runs", seconds=60)
        assert process.alive(), process.output
        addresses = dict(re.findall(r"(exporter|Prometheus) +(http://[\d.:]+)/", process.output))
        running = Stack(addresses["exporter"], addresses["Prometheus"], directory / "records.jsonl")
        wait_until(lambda: running.ask("sum(falco_rule_events_total) > 60"), "Prometheus has the demo", seconds=60)
        wait_until(lambda: running.ask("count(rate(falco_event_delay_seconds_count[20s]))"), "rates can be made")
        yield running
    finally:
        process.stop()


@pytest.mark.parametrize("query", queries("promql"), ids=str)
def test_promql_names_what_the_exporter_has(query: Query) -> None:
    """Every metric of a query is in docs/metrics.md with the labels that the query names."""
    documented = {
        row[0]: set(re.findall(r"`(\w+)`", row[1]))
        for row in re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", (ROOT / "docs/metrics.md").read_text("utf-8"), re.M)
    }
    for metric, matchers in selectors(query.expr):
        family = re.sub(r"_(bucket|sum|count)$", "", metric)
        labels = documented.get(metric, documented.get(family))
        assert labels is not None, metric
        assert matchers <= labels | GIVEN_BY_PROMETHEUS, metric
    known = set.union(*documented.values()) | GIVEN_BY_PROMETHEUS
    made = set(re.findall(r'label_replace\(.*?"(\w+)", "\$1"', query.expr)) | {"tactic", "technique", "page"}
    assert grouped_labels(query.expr) <= known | made


def test_the_document_of_metrics_is_true(stack: Stack) -> None:
    """What a running exporter exposes has the labels that docs/metrics.md gives it."""
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    for metric, labels in stack.labels().items():
        family = re.sub(r"_(bucket|sum|count|created)$", "", metric)
        row = re.search(rf"^\| `(?:{metric}|{family}|{metric}_total)` \| \w+ \| (.*?) \|", text, re.MULTILINE)
        assert row, metric
        assert labels - {"le"} <= set(re.findall(r"`(\w+)`", row[1])), metric


def without_data(stack: Stack) -> set[tuple[str, str]]:
    """Return the panels of which no query has data just now."""
    found: dict[tuple[str, str], list[object]] = {}
    for query in queries("promql"):
        # A bar of a priority that had no event within the last seconds is absent: look at the whole ten minutes.
        answered = stack.ask(filled(query.expr, rule=RULE, __interval="10m"))
        found.setdefault((query.dashboard, query.panel), []).extend(answered)
    return {panel for panel, answered in found.items() if not answered}


def test_every_promql_runs_and_has_data(stack: Stack) -> None:
    """Each panel has data from the demo; a panel of trouble may be empty, and its query still runs."""
    wait_until(lambda: without_data(stack) <= GOOD_WHEN_EMPTY, "every panel has data, but those of trouble")


def test_every_variable_has_values(stack: Stack) -> None:
    """What a variable asks Prometheus for is there."""
    for name, document in documents().items():
        for variable in document["templating"]["list"]:
            if variable["name"] in EXPORTERS:
                assert taken(stack, variable) == EXPORTERS[variable["name"]], "no sum is as old as the range"
            elif variable["type"] == "query":
                matched = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                assert matched, variable["query"]
                found = {series["metric"].get(matched[2]) for series in stack.ask(filled(matched[1]))}
                assert found - {None, ""}, f"{name}: {variable['name']}"


def test_every_rule_runs_and_the_first_critical_event_fires(stack: Stack) -> None:
    """Prometheus evaluates each alert rule without an error, and the demo's critical events fire."""
    answered = json.loads(fetch(f"{stack.prometheus}/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in answered for rule in group["rules"]]
    files = [DASHBOARDS / "alerts" / name for name in ("falco.rules.yaml", "falco-dashboards.rules.yaml")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    assert len(rules) == sum(len(group["rules"]) for group in groups)
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    wait_until(
        lambda: len(stack.ask('ALERTS{alertname=~"FalcoSevere.*|FalcoLikelyAttack",alertstate="firing"}')) >= 5,
        "likely attacks and grave events fire",
    )


def test_sums_are_recorded_of_what_the_exporter_counts(stack: Stack) -> None:
    """Once Prometheus has evaluated the rules, each has series, and variables choose them for a range they cover."""
    wanted = {rule["record"] for rule in yaml.safe_load(recordings())["groups"][0]["rules"]}
    wait_until(
        lambda: (
            {series["metric"]["__name__"] for series in stack.ask('group by (__name__) ({__name__=~"falco:.+_.+"})')}
            >= wanted
        ),
        "every sum is recorded",
        seconds=150,
    )
    variables = [variable for document in documents().values() for variable in document["templating"]["list"]]
    for variable in variables:
        if variable["name"] in EXPORTERS:
            chosen = {"__range": "1s", **RECORDED}
            wait_until(lambda: taken(stack, variable, **chosen) == RECORDED[variable["name"]], variable["name"])  # noqa: B023
            if "hostname" in variable["query"]:
                assert taken(stack, variable, **chosen, host="db-1") == "falco_events_total"


def taken(stack: Stack, variable: dict[str, Any], **values: str) -> str:
    """Return the value that Grafana gives a variable of a query's result: what its regular expression finds."""
    [series] = stack.ask(filled(variable["query"].removeprefix("query_result"), **values))
    found = re.search(variable["regex"].strip("/"), series["metric"]["__name__"])
    assert found
    return found[1]


def test_every_logql_runs_on_real_records_and_has_data(stack: Stack) -> None:
    """Each query for Loki finds something in the exporter's records under Loki's names."""
    lines = read_lines(stack.records)
    shell = next(line for line in lines if line.get("security_rule_name") == RULE)
    same = {"same_host": shell.get("host_name"), "same_container": shell.get("container_id")}
    attacks = (line for line in lines if line.get("falco_verdict") == "attack" and line.get("host_name"))
    attacked = next(attacks).get("security_rule_name")
    now = time.time_ns()
    for query in queries("logql"):
        rule = attacked if 'falco_verdict="attack"' in query.expr else RULE
        expr = filled(query.expr, rule=rule, same_user=shell.get("user_name"), **same)
        asked = {
            "query": expr,
            "start": str(now - 600 * 10**9),
            "end": str(now + 60 * 10**9),
            "time": str(now + 60 * 10**9),
        }
        path = "/loki/api/v1/query" if query.instant else "/loki/api/v1/query_range"
        if query.panel != "Files":  # a shell in a container opens none
            assert answer(path, asked | {"step": "15s"}, lines)["result"], str(query)


def test_the_report_has_every_part_in_order(stack: Stack) -> None:
    """What the panel shows of one alert is the reference report's shape, with this alert's values."""
    (query,) = [query for query in queries("logql") if query.panel == "Report as text"]
    lines = read_lines(stack.records)
    now = time.time_ns()
    asked = {"query": filled(query.expr, rule="Clear Log Activities"), "start": "0", "end": str(now), "limit": "1"}
    (stream,) = answer("/loki/api/v1/query_range", asked, lines)["result"]
    text = stream["values"][0][1]
    parts = [
        "FALCO ALERT REPORT", "Rule            Clear Log Activities", "Priority        Warning", "ALERT DETAILS",
        "SUMMARY OF DETECTED ACTIVITY", "POSSIBLE IMPACT", "MITIGATION: COMMANDS",
        "MITIGATION: CONFIGURATION CHANGES", "MITIGATION: FURTHER RECOMMENDATIONS", "REFERENCES",
    ]  # fmt: skip
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert "fromJson" not in text


def test_an_alert_says_what_to_do(stack: Stack) -> None:
    """A firing alert has the words for who is called: impact, first step, and a link to what to read."""
    alerts = json.loads(fetch(f"{stack.prometheus}/api/v1/alerts"))["data"]["alerts"]
    severe = [alert for alert in alerts if alert["labels"].get("verdict")]
    assert severe
    for alert in severe:
        page = "incidents/" if alert["labels"].get("incident") else "reports?rule="
        assert alert["annotations"]["report_url"].startswith(f"{stack.exporter}/{page}")
        assert alert["annotations"]["impact"]
        assert alert["annotations"]["mitigation"]
