"""Rules files: read and put together as Falco does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.falco.condition import ConditionError, parse, to_text
from exporter.falco.rules import RuleException, paste_exceptions, paste_lists
from exporter.falco.rules_file import read_rules, read_rules_files

RULE = """\
- rule: A
  desc: d
  condition: evt.type = open
  output: out %proc.name
  priority: WARNING
"""


def test_scalars_are_texts_as_in_yaml_cpp() -> None:
    """What YAML 1.1 takes for booleans, numbers, times, dates and a value key is a text to Falco."""
    rules = read_rules("- list: x\n  items: [on, yes, 1_000, 1:30, 2026-01-02, 010, =, 1.0, 'null', \"~\", <<]\n")
    assert rules.lists["x"].items == ("on", "yes", "1_000", "1:30", "2026-01-02", "010", "=", "1.0", "null", "~", "<<")
    assert rules.problems == []


def test_comps_as_falcos_documentation_writes_them() -> None:
    """A bare ``=`` among the operators."""
    rules = read_rules(
        RULE + "  exceptions:\n  - name: known\n    fields: [proc.name, proc.pname]\n    comps: [=, startswith]\n"
        "    values:\n    - [nc, cron]\n"
    )
    assert rules.problems == []
    assert rules.pasted("A") == "(evt.type = open) and not (( proc.name = nc and  proc.pname startswith cron))"


def test_several_documents_anchors_and_equal_keys() -> None:
    """Documents follow one another, an alias repeats its anchor, of two equal keys the first counts."""
    rules = read_rules(
        "- list: a\n  items: &x [p, q]\n- list: b\n  items: *x\n---\n- list: c\n  items: [r]\n  items: [s]\n---\n"
    )
    assert {name: found.items for name, found in rules.lists.items()} == {"a": ("p", "q"), "b": ("p", "q"), "c": ("r",)}


def test_append_and_override_in_order() -> None:
    """``append: true`` and ``override`` change what came before, and only that."""
    rules = read_rules(
        RULE
        + """\
- macro: m
  condition: proc.name = a
- list: l
  items: [a]
- macro: m
  condition: or proc.name = b
  append: true
- list: l
  items: [b]
  override: {items: append}
- rule: A
  condition: and not m
  tags: [x]
  output: (more)
  override: {condition: append, tags: append, output: append}
- rule: A
  priority: CRITICAL
  enabled: false
  override: {priority: replace, enabled: replace}
- rule: A
  enabled: yes
"""
    )
    assert rules.problems == []
    assert rules.macros["m"].condition == "proc.name = a or proc.name = b"
    assert rules.lists["l"].items == ("a", "b")
    rule = rules.rules["A"]
    assert (rule.condition, rule.priority, rule.tags, rule.output, rule.enabled) == (
        "evt.type = open and not m",
        "CRITICAL",
        ("x",),
        "out %proc.name (more)",
        True,
    )
    assert to_text(rules.condition("A")) == "evt.type = open and (not (proc.name = a or proc.name = b))"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- rule: B\n  priority: ERROR\n  override: {priority: replace}\n", "no rule of this name"),
        ("- macro: x\n  condition: or y\n  append: true\n", "no macro of this name"),
        ("- list: x\n  items: [y]\n  override: {items: append}\n", "no list of this name"),
        ("- rule: A\n  priority: ERROR\n  override: {priority: append}\n", "override priority: append"),
        ("- rule: A\n  override: {output: replace}\n", "the item has no output"),
        ("- rule: A\n  output: x\n  tags: [y]\n  override: {output: replace}\n", "tags without an entry"),
        ("- rule: A\n  condition: x\n  append: true\n  override: {condition: append}\n", "both append and override"),
        ("- rule: A\n  source: okta\n  desc: d\n  condition: x\n  output: y\n  priority: INFO\n", "source"),
        ("- rule: B\n  condition: x\n  output: y\n  priority: INFO\n", "nothing under desc"),
        ("- list: x\n  items: [[y]]\n", "found a list in items"),
        ("- macro: x\n", "nothing under condition"),
        ("- rule:\n  enabled: false\n", "has no name"),
    ],
)
def test_names_what_falco_would_refuse(text: str, expected: str) -> None:
    """An item that Falco would refuse is named with its line; the rest of the file stays."""
    rules = read_rules(RULE + text, "mine.yaml")
    assert list(rules.rules) == ["A"]
    (problem,) = rules.problems
    assert problem.startswith("mine.yaml:6: ")
    assert expected in problem


def test_exceptions_are_appended_by_name() -> None:
    """A second exception of the same name may bring values only, as field.md's report found with real Falco."""
    values = "- rule: A\n  exceptions:\n  - {name: n, values: [[b]]}\n  override: {exceptions: append}\n"
    first = values.replace("values: [[b]]", "fields: [proc.name], values: [[a]]")
    rules = read_rules(RULE + first + values)
    assert rules.problems == []
    assert rules.pasted("A") == "(evt.type = open) and not (( proc.name = a) or ( proc.name = b))"
    (problem,) = read_rules(RULE + first + first).problems
    assert "only values can be appended" in problem
    (problem,) = read_rules(RULE + values).problems
    assert "exception n has no fields" in problem


@pytest.mark.parametrize(
    ("exception", "pasted"),
    [
        (RuleException("e", "proc.name", None, ("a", "b c")), ' and not (proc.name in (a, "b c"))'),
        (RuleException("e", "fd.name", "pmatch", ("/a",)), " and not (fd.name pmatch (/a))"),
        (RuleException("e", ("f.a", "f.b"), None, (("x", "y z"),)), ' and not (( f.a = x and  f.b = "y z"))'),
        (RuleException("e", ("f.a",), ("in",), ((("x", "y"),),)), " and not (( f.a in (x, y)))"),
        (RuleException("e", ("f.a",), ("in",), (("x",),)), " and not (( f.a in (x)))"),
        (RuleException("e", ("f.a",), ("startswith oneof",), (("x",),)), " and not (( f.a startswith oneof (x)))"),
        (RuleException("e", ("f.a",), None, (("x) or (c",),)), ' and not (( f.a = "x) or (c"))'),
        (RuleException("e", ("f.a",), None, (("x)or(c",),)), " and not (( f.a = x)or(c))"),
        (RuleException("e", ("f.a",), None, ()), ""),
    ],
)
def test_exceptions_are_pasted_as_falco_pastes_them(exception: RuleException, pasted: str) -> None:
    """Values become part of the text: quoted only where they hold a space."""
    assert paste_exceptions("c", [exception]) == "(c)" + pasted


def test_an_exception_whose_values_do_not_fit_its_fields_is_refused() -> None:
    """Rows of another length than the fields."""
    with pytest.raises(ConditionError, match="2 values"):
        paste_exceptions("c", [RuleException("e", ("a.b", "c.d"), None, (("x",),))])


@pytest.mark.parametrize(
    ("text", "pasted"),
    [
        ("proc.name in (shells)", "proc.name in ( sh, bash )"),
        ("proc.name in (a, shells,b)", "proc.name in (a, sh, bash ,b)"),
        ("proc.name in (shells_2, my_shells)", None),
        ('proc.cmdline = "x shells y"', 'proc.cmdline = "x sh, bash y"'),
        ('proc.cmdline = "shells"', None),
        ("proc.name in (a, empty)", "proc.name in (a  )"),
        ("proc.name in (empty, a)", "proc.name in (   a)"),
    ],
)
def test_lists_are_pasted_as_falco_pastes_them(text: str, pasted: str | None) -> None:
    """A list's name counts between delimiters, in quotes too."""
    found, used = paste_lists(text, {"shells": ["sh", "bash"], "empty": []})
    assert found == (pasted or text)
    assert bool(used) is (pasted is not None)


def test_lists_within_lists() -> None:
    """A list sees those defined before its last change, as Falco does."""
    rules = read_rules("- list: a\n  items: [x, b]\n- list: b\n  items: [y, a]\n")
    assert rules.list_items() == {"a": ("x", "b"), "b": ("y", "x", "b")}


@pytest.mark.parametrize("depth", [65, 500, 100_000])
def test_no_depth_ends_the_program(depth: int) -> None:
    """Nested YAML is an error that names the file, however deep."""
    for text in ("[" * depth, "- list: x\n  items: " + "[" * depth + "]" * depth, "- " * depth):
        with pytest.raises(ConfigError, match=r"mine.yaml:\d+: "):
            read_rules(text, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b", "found no list"),
        ("[", "cannot be read as YAML"),
        ("- x", "found the text 'x'"),
        ("- *x", "no anchor"),
        ("- \x01", "cannot be read as YAML"),
        ("- \ud800", "cannot be read as YAML"),
    ],
)
def test_says_what_is_no_rules_file(text: str, expected: str) -> None:
    """A file that Falco would not read is refused by name."""
    with pytest.raises(ConfigError, match=f"(?s)mine.yaml.*{expected}"):
        read_rules(text, "mine.yaml")


def test_a_directory_is_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    """As Falco's ``rules_files``: .yaml and .yml, sorted; other files are left alone."""
    (tmp_path / "b.yml").write_text("- rule: A\n  priority: CRITICAL\n  override: {priority: replace}\n")
    (tmp_path / "a.yaml").write_text(RULE)
    (tmp_path / "c.txt").write_text("no rules")
    rules = read_rules_files([tmp_path])
    assert rules.problems == []
    assert rules.rules["A"].priority == "CRITICAL"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"found no \.yaml file"):
        read_rules_files([tmp_path / "empty"])
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rules_files([tmp_path / "missing.yaml"])


def test_reading_on_leaves_the_base_as_it_is() -> None:
    """More rules over a base: the base can be used again."""
    base = read_rules(RULE)
    read_rules("- rule: A\n  enabled: false\n", base=base)
    assert base.rules["A"].enabled
    assert parse(base.pasted("A")) == base.condition("A")


def test_an_item_that_is_none_of_falcos_is_told() -> None:
    """A misspelt key makes an item that Falco leaves out with a warning; the file is read on."""
    rules = read_rules("- rulee: x\n  desc: y\n" + RULE, "a.yaml")
    assert rules.problems == ["a.yaml:1: found 'rulee', 'desc', expected a rule, a macro or a list"]
    assert len(rules.rules) == 1
