"""Reports are given again only where they would be the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter import reporter as module
from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.remembered import KEY_LIMIT_CHARACTERS
from exporter.catalog.uid import with_uid
from exporter.report import Report, make_report
from exporter.reporter import Reporter
from exporter.simulator.scenarios import demo_scenario
from exporter.sources.decode import from_grpc
from tests.hostile import hostile_alerts

ALERTS = [from_grpc(alert.to_message()) for alert in demo_scenario(1_760_000_000_000_000_000)]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.rule)
def test_a_kept_report_is_the_one_that_would_be_made(catalog: Catalog, alert: Alert) -> None:
    """After other alerts of the rule, in any field and time, each still gets exactly its own report."""
    variants = [alert, replace(alert, time_ns=alert.time_ns + 5), replace(alert, time_ns=alert.time_ns + 3 * 10**9)]
    variants += [replace(alert, hostname="elsewhere"), replace(alert, fields={})]
    for name in alert.fields:
        variants.append(replace(alert, fields=dict(alert.fields) | {name: "another value"}))
        variants.append(replace(alert, fields=dict(alert.fields) | {name: "<NA>"}))
    keeping = Reporter(catalog)
    for variant in [*variants, *reversed(variants)]:
        report = keeping.report_for(variant)
        made = make_report(variant, catalog.advice_for(variant), report.advice.maturity, catalog.judge.judge(variant))
        assert report == made
        assert report.alert is variant
        assert with_uid(keeping.advice_for(variant), variant.uid) == report.advice
        brief = replace(keeping.advice_for(variant), benign=(), changes=(), recommendations=(), tuning=())
        assert keeping.brief_advice_for(variant) == brief


def test_a_burst_is_given_the_same_pieces(catalog: Catalog) -> None:
    """Alerts of one second that differ in nothing the advice uses share every piece of it."""
    reporter = Reporter(catalog)
    alert, later = replace(ALERTS[0]), replace(ALERTS[0], time_ns=ALERTS[0].time_ns + 7)
    assert reporter.advice_for(alert) is reporter.advice_for(later)
    assert later.uid != alert.uid


def test_what_is_kept_is_bounded(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the number nor the size of attackers' values makes it grow."""
    monkeypatch.setattr(module, "ADVICE_KEPT", 8)
    reporter = Reporter(catalog)
    for number in range(50):
        fields = dict(ALERTS[0].fields) | {"fd.name": f"/var/log/{number}"}
        reporter.report_for(replace(ALERTS[0], fields=fields))
    huge = dict(ALERTS[0].fields) | {"fd.name": "/" + "x" * KEY_LIMIT_CHARACTERS}
    reporter.report_for(replace(ALERTS[0], fields=huge))
    kept = reporter._kept
    assert 0 < len(kept) <= 2 * 8
    assert all("x" * 100 not in str(key) for key in (*kept._recent, *kept._older))


def test_what_comes_in_turn_is_made_once(catalog: Catalog) -> None:
    """As many alerts in turn as advice is kept, of one rule in many containers or of many rules, cost nothing again."""
    reporter = Reporter(catalog)
    fields = dict(ALERTS[0].fields)
    alerts = [replace(ALERTS[0], fields=fields | {"fd.name": f"/var/log/{number}"}) for number in range(300)]
    first = [reporter.brief_advice_for(alert) for alert in alerts]
    assert all(reporter.brief_advice_for(alert) is made for alert, made in zip(alerts, first, strict=True))


def test_the_gist_is_the_beginning_of_the_report(catalog: Catalog) -> None:
    """What a list says of an alert is what its report says, for written and for general advice."""
    reporter = Reporter(catalog)
    for alert in [*ALERTS, *hostile_alerts()]:
        advice = Report(alert, reporter.advice_for(alert)).advice
        assert reporter.gist_for(alert) == (advice.what, advice.summary)


def test_a_spent_allowance_leaves_unlike_alerts_without_advice(catalog: Catalog) -> None:
    """What is at hand is given all the same: the very same object."""
    reporter, allowance = Reporter(catalog), Allowance(0.0, 60.0)
    unlike = replace(ALERTS[0], fields=dict(ALERTS[0].fields) | {"fd.name": "/var/log/other"})
    known = reporter.advice_within(ALERTS[0], allowance, is_brief=True)
    assert known is reporter.brief_advice_for(ALERTS[0])
    assert reporter.advice_within(unlike, allowance, is_brief=False) is reporter.advice_for(unlike)
    allowance.end(allowance.begin() - 60.0)
    assert reporter.advice_within(unlike, allowance, is_brief=True) is None
    assert reporter.advice_within(ALERTS[0], allowance, is_brief=True) is known
