"""A Prometheus sink under test: one known rule, a clock moved by hand, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.alert import Alert, Priority
from exporter.config.model import Metrics
from exporter.sinks.prometheus.sink import KnownRule, PrometheusSink

NOW_NS = 1_800_000_000_000_000_000


KNOWN = KnownRule("Clear Log Activities", Priority.WARNING, "syscall")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@dataclass(frozen=True)
class Description:
    """What the catalog would say."""

    maturity: str
    tactics: tuple[str, ...]
    techniques: tuple[str, ...]
    summary: str
    impact: str
    mitigation: str
    runbook: str


def describe(rule: str, source: str) -> Description | None:
    if rule != KNOWN.rule:
        return None
    return Description(
        maturity="stable",
        tactics=("Defense Evasion",),
        techniques=("T1070",),
        summary="A log file was emptied.",
        impact="Traces may be gone.",
        mitigation="Look who did it.",
        runbook="https://example.org/rule",
    )


def make_sink(clock: Clock | None = None, **settings: Any) -> tuple[PrometheusSink, CollectorRegistry]:
    registry = CollectorRegistry()
    sink = PrometheusSink(
        Metrics(**settings), registry=registry, rules=[KNOWN], describe=describe, clock_ns=clock or Clock()
    )
    return sink, registry


def make_alert(rule: str = KNOWN.rule, *, host: str = "node-1", age_seconds: float = 0.02, **fields: str) -> Alert:
    return Alert(
        time_ns=NOW_NS - int(age_seconds * 1e9),
        rule=rule,
        priority=Priority.WARNING,
        source="syscall",
        hostname=host,
        raw_output="18:29:39.273467556: Warning Log files were tampered",
        fields={name.replace("__", "."): value for name, value in fields.items()},
        tags=("T1070", "mitre_defense_evasion"),
    )


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def rule_total(
    registry: CollectorRegistry, rule: str, priority: str = "Warning", source: str = "syscall"
) -> float | None:
    return sample(registry, "falco_rule_events_total", rule=rule, priority=priority, source=source)


def samples(registry: CollectorRegistry, name: str) -> list[Any]:
    return [found for metric in registry.collect() for found in metric.samples if found.name == name]
