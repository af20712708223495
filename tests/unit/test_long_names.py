"""A sender makes up names: of very long ones nothing is kept, wherever an alert is looked at."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.catalog.catalog import load_catalog
from exporter.config.model import Identity, Metrics, Route
from exporter.history.facets import tokens_of
from exporter.history.facts import row_of
from exporter.identity import make_hosts
from exporter.incidents.addresses import Addresses
from exporter.incidents.tactics import tactics_by_rule
from exporter.incidents.traits import TraitsOf
from exporter.render.markdown import to_markdown
from exporter.reporter import Reporter
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.routes import Router
from exporter.sinks.prometheus.sink import PrometheusSink
from exporter.sparing import SparingReporter
from tests.otel_records import ALERT

HUGE = 200_000
"""Characters of a made-up name."""
MADE_UP: dict[str, Callable[[Alert, str], Alert]] = {
    "rule": lambda alert, text: replace(alert, rule=text),
    "source": lambda alert, text: replace(alert, source=text),
    "source of a known rule": lambda alert, text: replace(alert, rule="Clear Log Activities", source=text),
    "host": lambda alert, text: replace(alert, hostname=text),
    "tag": lambda alert, text: replace(alert, tags=(text,)),
    "output": lambda alert, text: replace(alert, raw_output=text),
    "field's name": lambda alert, text: replace(alert, fields={text: "x"}),
    "namespace": lambda alert, text: replace(alert, fields={"k8s.ns.name": text}),
    "file": lambda alert, text: replace(alert, fields=dict(alert.fields) | {"fd.name": text}),
    "command line": lambda alert, text: replace(alert, fields=dict(alert.fields) | {"proc.cmdline": text}),
    "cloud user": lambda alert, text: replace(
        alert,
        source="aws_cloudtrail",
        fields={"ct.user": text, "ct.user.identitytype": "IAMUser", "ct.srcip": "9.9.9.9"},
    ),
}


def made_up(kind: str, number: int) -> Alert:
    alert = replace(ALERT, time_ns=ALERT.time_ns + number)
    # A value's length differs each time: what is kept by length has to be bounded too.
    fields = dict(alert.fields) | {"proc.name": "x" * number}
    return MADE_UP[kind](replace(alert, fields=fields), f"{number:08d}" * (HUGE // 8))


@pytest.fixture(scope="module")
def everything() -> Callable[[Alert], None]:
    """Everything that looks at an alert on its way through, and keeps something of what it found."""
    catalog = load_catalog()
    reporter = Reporter(catalog)
    router = Router([Route("r", ("soc",), rules=("x*",), namespaces=("shop",))], lambda _: "attack")
    brief = RecordEncoder(
        Budget(48_000, 100, lambda: None), Reports(reporter.brief_advice_for, allowance=Allowance(1.0, 1e9))
    )
    traits, addresses = TraitsOf(), Addresses()
    hosts = make_hosts(Identity(hosts=("none-*=x",)))
    tactics = tactics_by_rule(catalog)
    sparing = SparingReporter(reporter, SelfMetrics(CollectorRegistry()))
    sparing.allowance = Allowance(1.0, 1e9)
    metrics = PrometheusSink(
        Metrics(), registry=CollectorRegistry(), rules=(), describe=lambda *_: None, judge=sparing.judge
    )
    assert hosts is not None

    def look(alert: Alert) -> None:
        router.route_of(alert)
        hosts(alert)
        brief.encode(alert, observed_ns=1)
        found = traits(alert, catalog.judge.judge(alert))
        if found is not None and found.address:
            addresses.note(f"9.9.{alert.time_ns % 250}.9", found.principal, benign=False)
        tactics(alert.rule, alert.source)
        tokens_of(row_of(1, alert, catalog.judge.judge(alert)))
        to_markdown(reporter.report_for(alert))
        metrics.write([alert])
        list(metrics.collect())

    return look


@pytest.mark.parametrize("kind", MADE_UP)
def test_nothing_is_kept_of_very_long_names(everything: Callable[[Alert], None], kind: str) -> None:
    """A sender makes up a name of 200,000 characters for each alert: whatever is kept of them, it is not the names."""
    count = 40
    for number in range(3):
        everything(made_up(kind, number))
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(3, 3 + count):
            everything(made_up(kind, number))
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < count * HUGE * 3 / 4
