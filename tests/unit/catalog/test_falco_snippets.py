"""Every shipped snippet for Falco, with ordinary and hostile values, read as Falco reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.catalog.steps import ChangeStep
from exporter.catalog.template import Absent
from exporter.escaping import Unembeddable
from exporter.falco.condition import (
    And,
    Comparison,
    Field,
    Node,
    Not,
    Or,
    Value,
    Values,
    compile_condition,
    fields_of,
    to_text,
    walk,
)
from exporter.falco.rules import NamedCondition, NamedList, Rule, Rules
from exporter.falco.rules_file import read_rules
from exporter.lint.walk import changes
from tests.unit.falco.test_exceptions import ORDINARY

CATALOG = load_catalog([])
SNIPPETS = [
    (owned.owner, change) for owned, change in changes(CATALOG) if change.format == "falco" and change.content.fields
]
"""Those that hold values of the alert."""
LISTS = {name for facts in CATALOG.rules.values() for name in facts.lists}
MACROS = {name for facts in CATALOG.rules.values() for name in facts.macros}


def base(text: str) -> Rules:
    """Rules as upstream names them: what the snippet changes is there, and fires when ``base.rule`` is there."""
    names = set(re.findall(r"(?m)^- (?:rule|macro|list): (.+)$", text))
    rules = Rules()
    rules.rules = {
        name: Rule(name, "base.rule exists", "x", "INFO", facts.source, "upstream.yaml")
        for name, facts in CATALOG.rules.items()
        if name in names
    }
    rules.macros = {name: NamedCondition(name, "base.macro exists", 0, 0) for name in MACROS & names}
    rules.lists = {name: NamedList(name, ("upstream item",), 0, 0) for name in LISTS & names}
    for macro in rules.macros:
        rules.rules[f"uses {macro}"] = Rule(f"uses {macro}", f"base.rule exists and not {macro}", "x", "INFO", "", "")
    for found in rules.lists:
        condition = f"base.rule exists and not list.user in ({found})"
        rules.rules[f"uses {found}"] = Rule(f"uses {found}", condition, "x", "INFO", "", "")
    return rules


def conditions(text: str) -> Iterator[tuple[str, Node]]:
    """Yield each rule's condition after the snippet was loaded, by the rule's name."""
    rules = read_rules(text, base=base(text))
    assert rules.problems == []
    for name in rules.rules:
        yield name, rules.condition(name)


def with_values(node: Node, values: Mapping[str, str]) -> Node:
    """Return the condition with other values in place of these."""
    if isinstance(node, And | Or):
        return type(node)(tuple(with_values(child, values) for child in node.children))
    if isinstance(node, Not):
        return Not(with_values(node.child, values))
    if not isinstance(node, Comparison):
        return node
    if isinstance(node.right, Values):
        return replace(node, right=Values(tuple(_other(value, values) for value in node.right.items)))
    return replace(node, right=_other(node.right, values)) if isinstance(node.right, Value) else node


def _other(value: Value, values: Mapping[str, str]) -> Value:
    return replace(value, text=values.get(value.text, value.text))


def rendered(change: ChangeStep, value: str) -> str | None:
    """Return the snippet with this value, made different for each field; None where it is not offered."""
    fields = sorted(change.content.fields)
    only_host = change.condition.only == "host"

    def look_up(field: str) -> str | None:
        return None if only_host and field == "container.id" else f"{fields.index(field)}{value}"

    try:
        return change.content.render(look_up)
    except (Absent, Unembeddable):
        return None


PLAIN = {change: list(conditions(text)) for _, change in SNIPPETS if (text := rendered(change, "plain"))}


@pytest.mark.parametrize("value", ORDINARY)
def test_a_value_changes_nothing_but_itself(value: str) -> None:
    """The pasted rules have the operators that the author wrote; the values are the only difference."""
    offered = 0
    for owner, change in SNIPPETS:
        text = rendered(change, value)
        if text is None:
            continue
        offered += 1
        values = {f"{index}plain": f"{index}{value}" for index in range(len(change.content.fields))}
        assert list(conditions(text)) == [(name, with_values(node, values)) for name, node in PLAIN[change]], owner
    assert offered == len(SNIPPETS) or re.search(r"[\\#:\n]|_", value) or len(value) > 250


NO_EXCEPTION = {"All Cloudtrail Events"}
"""Snippets that make the rule fire for one case only."""


def event_of(node: Node, change: ChangeStep) -> dict[str, str]:
    """Return an event with the alert's values, and for the author's own comparisons something that fits."""
    fields = sorted(change.content.fields)
    event = {field: f"{index}plain" for index, field in enumerate(fields)} | {"base.rule": "x", "list.user": "0plain"}
    negated = {found.child for found in walk(node) if isinstance(found, Not)}
    for found in walk(node):
        if not isinstance(found, Comparison) or not isinstance(found.left, Field) or found in negated:
            continue
        value = found.right.items[0] if isinstance(found.right, Values) else found.right
        text = value.text if isinstance(value, Value) else "x"
        event.setdefault(found.left.key, {"!=": "another", "<": "0"}.get(found.operator, text))
    return {field: value for field, value in event.items() if field != "base.macro"}


def test_each_snippet_silences_its_case_and_no_neighbour() -> None:
    """The rule is silent for the alert's values, and not where any one of them is another."""
    wrong = []
    for owner, change in SNIPPETS:
        for name, node in PLAIN[change] if owner not in NO_EXCEPTION else ():
            event = event_of(node, change)
            compared = [
                field for field, value in event.items() if field == "list.user" or re.fullmatch(r"\d+plain", value)
            ]
            fires = compile_condition(node)
            if not any(re.search(r"\d+plain", to_text(found)) for found in walk(node)):
                continue
            wrong += [(owner, name, "is not silent")] if fires(event.get) else []
            wrong += [
                (owner, name, field)
                for field in compared
                if field
                in {side.key for found in walk(node) if isinstance(found, Comparison) for side in fields_of(found.left)}
                and not fires({**event, field: "neighbour"}.get)
            ]
    assert not wrong, "\n".join(map(str, wrong))
