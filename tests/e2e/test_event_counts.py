"""Counts of events in the dashboards, asked of Prometheus' own engine: they are what was sent.

Series restart, pause, begin and end within the range and before it. Only
extrapolation may make a difference, and it is smaller than one event, or one
in a hundred.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from dashboards.generator import promql
from tests.e2e.dashboard_queries import filled, queries
from tests.e2e.programs import program

pytestmark = pytest.mark.e2e

GONE = None
END = 180
"""Minutes of samples, one each minute; queries look at the end."""
RULE = 'a (b|c) "d" \\e'
RANGES = (5, 30, 60, 120)


def counting(count: int, *, start: int = 0, step: int = 1) -> list[int | None]:
    """A counter's samples while it grows."""
    return [start + step * index for index in range(count)]


SERIES: dict[str, list[int | None]] = {
    "steady": counting(181, step=3),
    "quiet": [7] * 181,
    "restarted": [*counting(150), *counting(31)],
    "restarted twice": [*counting(130, step=2), *counting(30), *counting(21, start=4)],
    "away for a while, then restarted": [*counting(150, start=1), *[GONE] * 10, *counting(21, start=1)],
    "not scraped for a while": [*counting(140), *[GONE] * 10, *counting(31, start=150)],
    "new": [*[GONE] * 160, *counting(21, start=5)],
    "new, one look": [*[GONE] * 180, 4],
    "restarted before each range, back within": [*counting(50), *[GONE] * 127, 3, 4, 4, 4],
    "gone": [*counting(178, start=1), *[GONE] * 3],
}


@dataclass(frozen=True)
class Case:
    """One count, and how many events it must find."""

    expr: str
    sent: int


def sent(samples: list[int | None], minutes: int) -> int:
    """Return the events within the last minutes: each step up, and all of a counter that begins again."""
    started = samples[END - minutes]
    total, last = 0, started if started is not None else 0
    for value in samples[END - minutes + 1 :]:
        if value is not None:
            total += value - last if value >= last else value
            last = value
    return total


def play(directory: Path, samples: list[int | None], cases: list[Case]) -> None:
    """Ask promtool; each count may differ by one, or one in a hundred."""
    values = ["stale" if now is GONE and before is not GONE else now for before, now in pairwise([GONE, *samples])]
    series = " ".join("_" if value is GONE else str(value) for value in values)
    tests: list[dict[str, object]] = [
        {
            "expr": f"abs((sum({case.expr}) or vector(0)) - {case.sent}) <= bool {max(1, case.sent / 100)}",
            "eval_time": f"{END}m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for case in cases
    ]
    promtool(directory, [{"series": f"falco_events_total{{rule={json.dumps(RULE)}}}", "values": series}], tests)


def promtool(directory: Path, series: list[dict[str, str]], tests: list[dict[str, object]]) -> None:
    """Play tests of queries on series with a sample each minute."""
    document = {
        "rule_files": [],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    file = directory / "counts.yaml"
    file.write_text(json.dumps(document), "utf-8")
    done = subprocess.run([program("promtool"), "test", "rules", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_source_that_has_sent_nothing_is_not_called_connected(tmp_path: Path) -> None:
    """The table of sources tells three states; a receiver's open port is none of an alert."""
    (query,) = [query for query in queries("promql") if query.panel == "Sources of alerts" and query.ref == "A"]
    states = {"away": (0, 5, 0), "alerts came": (1, 5, 1), "nobody has posted": (1, 0, 2)}
    series, expected = [], []
    for target, (there, received, state) in states.items():
        labels = f'{{job="j", instance="i", target="{target}"}}'
        series.append({"series": f"falco_exporter_source_up{labels}", "values": str(there)})
        series.append({"series": f"falco_exporter_alerts_received_total{labels}", "values": str(received)})
        expected.append({"labels": f'{{instance="i", target="{target}"}}', "value": state})
    asked = filled(query.expr, job="j", instance="i")
    promtool(tmp_path, series, [{"expr": asked, "eval_time": "0m", "exp_samples": expected}])


def test_records_that_are_off_are_no_zero(tmp_path: Path) -> None:
    """Without log records there is no answer, and the panel says that they are off; with them, nothing lost is 0."""
    [query] = [query for query in queries("promql") if query.panel == "Records lost"]
    asked = filled(query.expr, job="j", instance="i", __range="60m")
    labels = '{job="j", instance="i"}'
    series = {"series": f"falco_exporter_build_info{labels}", "values": "1x60"}
    off: dict[str, object] = {"expr": asked, "eval_time": "60m", "exp_samples": []}
    on: dict[str, object] = {**off, "exp_samples": [{"labels": "{}", "value": 0}]}
    promtool(tmp_path, [series], [off])
    promtool(tmp_path, [series, {"series": f"falco_exporter_queue_limit_bytes{labels}", "values": "5x60"}], [on])


def in_minutes(expr: str, minutes: int) -> str:
    """Return the query for a range that ends with the samples, with the hostile rule chosen."""
    began = str((END - minutes) * 60_000)
    return filled(expr, rule=RULE, __range=f"{minutes}m", __interval=f"{minutes}m", __from=began)


@pytest.mark.parametrize("name", SERIES)
def test_counts_are_what_was_sent(tmp_path: Path, name: str) -> None:
    """Over restarts, gaps, new and ended series, in short ranges and long ones."""
    expr = promql.events_in_range("rule", promql.THIS_RULE)
    samples = SERIES[name]
    play(tmp_path, samples, [Case(in_minutes(expr, minutes), sent(samples, minutes)) for minutes in RANGES])


@pytest.mark.parametrize("name", sorted(SERIES.keys() - {"restarted twice"}))
def test_bars_are_what_was_sent(tmp_path: Path, name: str) -> None:
    """A bar is right over one restart; graphs have 120 bars, so that two within one are rare."""
    expr = promql.events_per_step("rule", promql.THIS_RULE)
    samples = SERIES[name]
    play(tmp_path, samples, [Case(in_minutes(expr, minutes), sent(samples, minutes)) for minutes in RANGES])


@pytest.mark.parametrize("name", SERIES)
def test_the_time_before_is_counted_alike(tmp_path: Path, name: str) -> None:
    """What "as many as before" compares with is as true."""
    expr = promql.events_before_range("rule", promql.THIS_RULE, metric=promql.EVENTS)
    samples = SERIES[name]
    earlier = [*[GONE] * 60, *samples][: END + 1]
    cases = [Case(in_minutes(expr, 60), sent(earlier, 60))]
    play(tmp_path, samples, cases)


def test_what_a_rule_means_is_known_after_a_restart(tmp_path: Path) -> None:
    """The exporter shows a rule again only with its next event: what it last said counts until then."""
    seen = [f'falco_rule_info{{rule={json.dumps(RULE)},summary="{words}",instance="{instance}"}}' for words, instance in
            (("before", "a"), ("now", "b"))]  # fmt: skip
    tests = [
        {"expr": f"count({in_minutes(promql.rule_info('rule, summary', promql.THIS_RULE), 60)}) or vector(0)",
         "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}]}
        for minute in (20, 60, 100)
    ]  # fmt: skip
    series = [{"series": seen[0], "values": "1x30 stale"}, {"series": seen[1], "values": "_x90 1x30"}]
    promtool(tmp_path, series, tests)
