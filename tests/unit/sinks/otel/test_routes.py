"""Which records go where: the first route that fits decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.alert import Alert, Priority
from exporter.config.model import Route
from exporter.sinks.otel.routes import Router
from tests.otel_records import ALERT


def names(*routes: Route, alert: Alert = ALERT, verdict: str = "undecided") -> tuple[str, ...]:
    """Where the alert's record goes."""
    return Router(routes, lambda _alert: verdict).route_of(alert).to


AUDIT = replace(ALERT, source="k8s_audit", fields={"ka.target.namespace": "kube-system"}, rule="Attach/Exec Pod")
BRACKETS = replace(ALERT, rule="Container Drift Detected (open+create) [x]")


@pytest.mark.parametrize(
    ("route", "alert", "fits"),
    [
        (Route("r", ("soc",)), ALERT, True),
        (Route("r", ("soc",), priority="warning"), ALERT, True),
        (Route("r", ("soc",), priority="critical"), ALERT, False),
        (Route("r", ("soc",), priority="critical"), replace(ALERT, priority=Priority.ALERT), True),
        (Route("r", ("soc",), rules=("Clear*",)), ALERT, True),
        (Route("r", ("soc",), rules=("clear*", "Clear Log")), ALERT, False),
        (Route("r", ("soc",), rules=("*[x]",)), BRACKETS, True),
        (Route("r", ("soc",), rules=("Container Drift Detected (open+create) ?x?",)), BRACKETS, True),
        (Route("r", ("soc",), sources=("k8s_audit",)), ALERT, False),
        (Route("r", ("soc",), sources=("k8s_audit",), namespaces=("kube-*",)), AUDIT, True),
        (Route("r", ("soc",), namespaces=("kube-*",)), ALERT, False),
        (Route("r", ("soc",), tags=("nothing", "T1070")), ALERT, True),
        (Route("r", ("soc",), tags=("nothing",)), ALERT, False),
        (Route("r", ("soc",), verdicts=("undecided", "attack")), ALERT, True),
        (Route("r", ("soc",), verdicts=("attack",)), ALERT, False),
    ],
)
def test_every_condition_of_a_route_must_hold(route: Route, alert: Alert, fits: bool) -> None:
    """A minimum priority, globs of rules and namespaces, sources, one of the tags, verdicts; else it is the default."""
    assert names(route, alert=alert) == (("soc",) if fits else ("default",))


def test_the_first_route_that_fits_decides() -> None:
    """Order counts, a dropping route is one like any other, and two endpoints can get the same record."""
    drop = Route("noise", drop=True, verdicts=("benign",))
    both = Route("r", ("soc", "default"), priority="warning")
    assert names(drop, both, verdict="benign") == ()
    assert names(drop, both, verdict="attack") == ("soc", "default")
    assert names(both, drop, verdict="benign") == ("soc", "default")


def test_the_verdict_is_asked_for_only_where_a_route_names_one() -> None:
    """It costs as much as the advice."""

    def fail(_alert: Alert) -> str:
        raise AssertionError("asked")

    assert Router([Route("r", ("soc",), priority="debug")], fail).route_of(ALERT).to == ("soc",)
    wrong_rule = Route("r", ("soc",), rules=("X",), verdicts=("attack",))
    assert Router([wrong_rule], fail).route_of(ALERT).to == ("default",)


def test_what_is_kept_is_per_rule_source_priority_namespace_and_tags() -> None:
    """Two alerts of one rule that differ in a condition go different ways, whichever came first."""
    router = Router([Route("r", ("soc",), namespaces=("shop",), tags=("T1070",))], lambda _alert: "")
    shop = replace(ALERT, fields={"k8s.ns.name": "shop"})
    found = [router.route_of(alert).to for alert in (ALERT, shop, replace(shop, tags=()), ALERT, shop)]
    assert found == [("default",), ("soc",), ("default",), ("default",), ("soc",)]
