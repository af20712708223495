"""Every exception that the program writes for an alert, with ordinary and hostile values, read as Falco reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.catalog.catalog import load_catalog
from exporter.catalog.condition import Condition
from exporter.catalog.exception import Compared, ExceptionStep, composed_exception
from exporter.falco.condition import And, Comparison, Not, compile_condition, walk
from exporter.falco.fields import fits_kind, kind_of_field
from exporter.falco.rules import Rule, Rules
from exporter.falco.rules_file import read_rules
from tests.unit.falco.test_exceptions import ORDINARY, VALUES

WRITTEN = [
    # When it is offered is the entry's own affair; here it is asked what it says.
    replace(step, condition=Condition())
    for entry in load_catalog([]).entries
    for step in entry.tuning
    if isinstance(step, ExceptionStep)
]
COMPOSED = [
    composed_exception("Ours", source, traits)
    for source, traits in [
        ("syscall", ("process", "anything")),
        ("syscall", ("file", "container", "process", "anything")),
        *[(name, (name, "anything")) for name in ("k8s_audit", "aws_cloudtrail", "gcp_auditlog", "okta", "github")],
    ]
]
STEPS = [*WRITTEN, *COMPOSED]
EXAMPLES = {"number": "7", "bool": "true", "ip": "192.0.2.7", "list": "(a,b)"}


def event_for(step: ExceptionStep, value: str) -> dict[str, str]:
    """Return an alert's fields: the value, made different for each, where the field's kind takes it."""
    event = {}
    for index, compared in enumerate(step.compared):
        kind = kind_of_field(compared.field, step.source) or "string"
        own = compared.value or f"{index}{value}"
        if compared.field == "container.id":
            event[compared.field] = "host"
            continue
        event[compared.field] = own if kind != "list" and fits_kind(own, kind) else EXAMPLES[kind]
    return event


def loaded(step: ExceptionStep, event: dict[str, str], *, pod: bool = False) -> tuple[Rules, str] | None:
    """Return the rules after the exception was loaded, and its text; None where none is offered."""
    fields = {**event, "k8s.pod.name": "web-1"} if pod else event
    change = step.render(_answers(fields))
    if change is None:
        return None
    text = change.content
    if change.format == "yaml":
        (text,) = yaml.safe_load(text)["customRules"].values()
    base = Rules({step.rule: Rule(step.rule, "base.rule exists", "x", "INFO", step.source, "upstream.yaml")})
    rules = read_rules(text, base=base)
    assert rules.problems == []
    return rules, text


def _answers(fields: dict[str, str]) -> Callable[[str], str | None]:
    """Look up the fields; ``host`` as a container is none, as in an alert."""
    present = {name: value for name, value in fields.items() if (name, value) != ("container.id", "host")}
    return present.get


@pytest.mark.parametrize("value", ORDINARY)
def test_every_exception_compares_what_it_says(value: str) -> None:
    """One comparison for each field, nothing else; this case is silent, its neighbours are not."""
    offered = 0
    for step in STEPS:
        event = event_for(step, value)
        for pod in (False, True):
            found = loaded(step, event, pod=pod)
            if found is None:
                continue
            offered += 1
            node = found[0].condition(step.rule)
            assert isinstance(node, And)
            assert isinstance(node.children[-1], Not)
            comparisons = [part for part in walk(node.children[-1].child) if not isinstance(part, And)]
            assert all(isinstance(part, Comparison) for part in comparisons)
            assert len(comparisons) == len(step.compared)
            fires = compile_condition(node)
            assert not fires({**event, "base.rule": "x"}.get)
            for compared in step.compared:
                assert fires({**event, "base.rule": "x", compared.field: "neighbour"}.get), (step.rule, compared)
    assert offered or len(value) > 250


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.source} {step.rule}")
def test_every_exception_is_offered(step: ExceptionStep) -> None:
    """Each compares fields that its source has, with values that their kinds take."""
    assert loaded(step, event_for(step, "O'Brien")) is not None
    assert all(kind_of_field(compared.field, step.source) for compared in step.compared)


@settings(max_examples=50)
@given(st.sampled_from(COMPOSED), VALUES, VALUES)
def test_two_exceptions_for_one_rule_load_together(step: ExceptionStep, first: str, second: str) -> None:
    """The exceptions of two alerts in one file: both load, each silences its own case."""
    events = [event_for(step, first), event_for(step, second)]
    found = [loaded(step, event) for event in events]
    if None in found or events[0] == events[1]:
        return
    base = Rules({step.rule: Rule(step.rule, "base.rule exists", "x", "INFO", step.source, "upstream.yaml")})
    rules = read_rules("\n".join(text for _, text in filter(None, found)), base=base)
    assert rules.problems == []
    fires = compile_condition(rules.condition(step.rule))
    assert not any(fires({**event, "base.rule": "x"}.get) for event in events)


PYTHON = {"proc.exepath": "/usr/bin/python3.11", "fd.name": "/srv/x", "proc.pname": "bash"}


def step_for(*fields: str) -> ExceptionStep:
    """A shipped exception, for these fields."""
    return replace(WRITTEN[0], source="syscall", compared=tuple(Compared(field) for field in fields))


def test_an_interpreter_is_excepted_with_its_command_line_only() -> None:
    """Its path fits every script; without a command line no exception is offered."""
    step = step_for("proc.exepath", "fd.name")
    command = {"proc.cmdline": "python3 /srv/backup.py"}
    compared = [found.field for found in step.comparisons(_answers(PYTHON | command))]
    assert compared == ["proc.exepath", "fd.name", "proc.cmdline"]
    assert step.comparisons(_answers(PYTHON)) == []
    other = PYTHON | {"proc.exepath": "/usr/bin/pythonista"}
    assert [found.field for found in step.comparisons(_answers(other))] == ["proc.exepath", "fd.name"]
    own = step_for("proc.exepath", "proc.cmdline")
    assert len(own.comparisons(_answers(PYTHON | command))) == 2


def test_a_peer_is_taken_from_the_connection() -> None:
    """Where the rule's output has no address of its own."""
    step = step_for("proc.exepath", "fd.cip")
    fields = {"proc.exepath": "/usr/bin/redis", "alert.client": "203.0.113.9"}
    assert [found.value for found in step.comparisons(_answers(fields))] == ["/usr/bin/redis", "203.0.113.9"]
    assert {"alert.client", "proc.cmdline"} <= step.fields_used()
