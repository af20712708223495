"""Values in an author's snippet: what Falco's loader makes of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalog.template import ContentTemplate
from exporter.escaping import Unembeddable
from exporter.falco.condition import And, Comparison, Field, Value, parse, walk
from exporter.falco.rules_file import read_rules
from tests.hostile import hostile_values
from tests.unit.falco.test_exceptions import ORDINARY, VALUES

CONDITIONS = (
    "- macro: m\n  condition: proc.name = %{v} and a.b exists\n",
    "- macro: m\n  condition: >-\n    proc.name = %{v}\n    and a.b exists\n",
    "- macro: m\n  condition: |\n    proc.name = %{v}\n    and a.b exists\n",
)


@pytest.mark.parametrize("text", CONDITIONS)
@given(value=VALUES)
def test_a_value_in_a_condition_is_one_value(text: str, value: str) -> None:
    """Plain, folded and literal scalars: Falco reads the author's operators and this value."""
    try:
        content = ContentTemplate(text, "falco").render({"v": value}.get)
    except Unembeddable:
        return
    rules = read_rules("- list: shell_binaries\n  items: [sh, 'a b']\n" + content)
    assert rules.problems == []
    assert parse(rules.macros["m"].condition) == And(
        (Comparison(Field("proc.name"), "=", Value(value, quoted=True)), Comparison(Field("a.b"), "exists"))
    )


@pytest.mark.parametrize("value", [value for value in ORDINARY if not re.search(r" .*_.* |shell_binaries\)", value)])
def test_ordinary_values_stand_in_a_block_scalar(value: str) -> None:
    """None of these is refused in the form that the catalog uses."""
    assert value is not None
    ContentTemplate(CONDITIONS[1], "falco").render({"v": value}.get)


@pytest.mark.parametrize(
    "text", ["- list: l\n  items: [a, %{v}, b]\n", "- list: l\n  items:\n  - a\n  - %{v}\n  - b\n"]
)
@given(value=VALUES)
def test_a_value_in_a_list_is_one_item(text: str, value: str) -> None:
    """Flow and block sequences."""
    try:
        content = ContentTemplate(text, "falco").render({"v": value}.get)
    except Unembeddable:
        return
    rules = read_rules(content + "\n- macro: m\n  condition: proc.name in (l)\n")
    rules.rules["r"] = read_rules(
        "- rule: r\n  desc: d\n  condition: proc.name in (l)\n  output: x\n  priority: INFO\n"
    ).rules["r"]
    (node,) = list(walk(rules.condition("r")))
    assert isinstance(node, Comparison)
    assert [item.text for item in node.right.items] == ["a", value, "b"]  # type: ignore[union-attr]


@given(st.sampled_from(list(hostile_values().values())))
def test_a_value_in_an_exception_is_one_value(value: str) -> None:
    """As the catalog writes exceptions."""
    text = (
        "- rule: r\n  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      comps: [=, in]\n"
        "      values:\n        - [%{v}, [%{v}]]\n  override:\n    exceptions: append\n"
    )
    try:
        content = ContentTemplate(text, "falco").render({"v": value}.get)
    except Unembeddable:
        return
    base = read_rules("- rule: r\n  desc: d\n  condition: a.b exists\n  output: x\n  priority: INFO\n")
    rules = read_rules(content, base=base)
    assert rules.problems == []
    found = [node for node in walk(rules.condition("r")) if isinstance(node, Comparison)]
    assert [(node.left, node.operator) for node in found] == [
        (Field("a.b"), "exists"),
        (Field("proc.name"), "="),
        (Field("fd.name"), "in"),
    ]
    assert found[1].right == Value(value, quoted=True)
