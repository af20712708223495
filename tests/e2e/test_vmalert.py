"""The alert rules on records in VictoriaLogs, by vmalert itself: what is told of an attack, and of what is none."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from exporter.alert import Alert
from tests.e2e.dashboard_queries import DASHBOARDS
from tests.e2e.log_store import insert, records_of, victorialogs
from tests.e2e.processes import Process, fetch, free_port
from tests.e2e.programs import find_vmalert
from tests.otel_records import attributes_of
from tests.waiting import wait_until
from tools.verdicts import FILES, judged

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

RULES = DASHBOARDS / "alerts" / "vmalert.rules.yaml"
HOSTILE = """{{ $value }} `"'</a>{{ printf "%s" }}"""
"""What a template would act upon, and quotes."""


class Told(NamedTuple):
    """What vmalert told, and the records that it looked at, in the order of ``alerts``."""

    alerts: list[dict[str, Any]]
    records: list[dict[str, Any]]

    def of(self, name: str) -> dict[str, Any]:
        """The one alert of a rule."""
        (found,) = [alert for alert in self.alerts if alert["name"] == name]
        return found


def alerts() -> list[Alert]:
    """A likely attack in a pod, a grave alert that nothing decides, a benign one; two of a hostile host."""
    rows = [row for row in judged(FILES) if row.alert.get("k8s.pod.name") or row.judgement.verdict != "attack"]
    attack = next(row.alert for row in rows if row.judgement.verdict == "attack")
    undecided = next(row.alert for row in rows if row.judgement.verdict == "undecided" and row.alert.priority <= 2)
    benign = next(row.alert for row in rows if row.judgement.verdict == "benign")
    # Before the minute that vmalert looks at last, so that its first evaluation sees them.
    now = time.time_ns() - 90 * 10**9
    return [
        replace(attack, time_ns=now),
        replace(undecided, time_ns=now, hostname=HOSTILE, fields={**undecided.fields, "k8s.pod.name": ""}),
        replace(benign, time_ns=now, hostname=HOSTILE),
    ]


def test_vmalert_reads_the_rules() -> None:
    """Its own check, which also reads expressions and templates."""
    done = subprocess.run(
        [find_vmalert(), "-dryRun", f"-rule={RULES}", "-datasource.url=http://127.0.0.1:1"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """What vmalert has told of a likely attack, a severe alert that nothing decides, and a benign one."""
    directory = tmp_path_factory.mktemp("vmalert")
    with victorialogs(directory) as url:
        records = records_of(alerts())
        insert(url, records)
        found_by = f"{url}/select/logsql/query?query=*"
        wait_until(lambda: len(fetch(found_by).splitlines()) == len(records), "every record is found", seconds=30)
        port = free_port()
        arguments = [f"-rule={RULES}", f"-datasource.url={url}", "-rule.defaultRuleType=vlogs", "-notifier.blackhole"]
        here = [f"-httpListenAddr=127.0.0.1:{port}", "-group.maxStartDelay=1ms"]
        process = Process([find_vmalert(), *arguments, *here], directory / "vmalert.log")
        try:
            found: list[dict[str, Any]] = []

            def ask() -> bool:
                answer = fetch(f"http://127.0.0.1:{port}/api/v1/alerts")
                found[:] = json.loads(answer)["data"]["alerts"] if answer else []
                return len(found) == 2 or not process.alive()

            wait_until(ask, "vmalert tells of two", seconds=240)
            assert process.alive(), process.output
            yield Told(found, [attributes_of(record) for record in records])
        finally:
            process.stop()


def test_an_attack_is_told_with_its_pod_its_report_and_what_to_do(told: Told) -> None:
    attack, found = told.records[0], told.of("FalcoLikelyAttackRecord")
    rule, pod = attack["security_rule.name"], attack["k8s.pod.name"]
    assert found["labels"]["rule"] == rule
    assert found["annotations"]["summary"] == f"LIKELY ATTACK, escalate now: {rule} on {pod}"
    assert found["annotations"]["description"] == attack["falco.report.pager"]


def test_values_in_what_is_told_are_themselves(told: Told) -> None:
    """A host's name that looks like a template is not one."""
    undecided, found = told.records[1], told.of("FalcoSevereRecord")
    rule, priority = undecided["security_rule.name"], undecided["falco.priority"]
    assert found["annotations"]["summary"] == f"UNDECIDED, Falco {priority}: {rule} on {HOSTILE}"
