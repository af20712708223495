"""Verdicts and advice in a flood: once the allowance is spent, what is unlike all before goes without."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import load_catalog
from exporter.reporter import Reporter
from exporter.selfmetrics import SelfMetrics
from exporter.sparing import SparingReporter
from exporter.verdict.judgement import UNDECIDED


@pytest.fixture(scope="module")
def reporter() -> Reporter:
    return Reporter(load_catalog())


def alert(number: int) -> Alert:
    fields = {"proc.name": f"p{number}", "proc.cmdline": f"p{number} -x"}
    return Alert(number, "Terminal shell in container", Priority.NOTICE, "syscall", "n", "x", fields, ())


def test_there_is_a_verdict_and_advice_while_the_allowance_lasts(reporter: Reporter) -> None:
    """The same as without an allowance."""
    sparing = SparingReporter(reporter, SelfMetrics(CollectorRegistry()))
    (judgement,) = sparing.judge([alert(1)])
    assert judgement == reporter.catalog.judge.judge(alert(1))
    assert sparing.verdict_of(alert(1)) == judgement.verdict
    assert sparing.advice_for(alert(1)) == reporter.advice_for(alert(1))
    assert sparing.brief_advice_for(alert(1)) == reporter.brief_advice_for(alert(1))


def test_once_it_is_spent_what_is_unlike_goes_without(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    """Each is counted, the log says so once, and what is known already is still given."""
    registry = CollectorRegistry()
    sparing = SparingReporter(reporter, SelfMetrics(registry))
    (known,) = sparing.judge([alert(2)])
    sparing.allowance.end(sparing.allowance.begin() - 600)
    assert sparing.judge([alert(3), alert(4)]) == [UNDECIDED, UNDECIDED]
    assert sparing.judge([alert(2), alert(5)]) == [known, UNDECIDED]
    assert sparing.verdict_of(alert(6)) == "undecided"
    assert sparing.advice_for(alert(7)) is None
    assert sparing.brief_advice_for(alert(8)) is None
    assert sparing.judge([alert(2)])[0] is known
    assert registry.get_sample_value("falco_exporter_alerts_not_judged_total") == 3
    assert sum("counted as undecided" in message for message in caplog.messages) == 1
