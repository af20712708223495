"""The writer of exceptions: what it writes loads, silences this case, and nothing else, whatever the values are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.escaping import Unembeddable
from exporter.falco.condition import And, Field, Not, Value, compile_condition, walk
from exporter.falco.condition import Comparison as Compared
from exporter.falco.exceptions import (
    Comparison,
    condition_value,
    exception_name,
    list_item,
    write_exception,
)
from exporter.falco.rules_file import read_rules
from tests.hostile import hostile_values

BASE = """\
- list: shell_binaries
  items: [sh, bash, "a b"]
- list: allowed_programs
  items: []
- rule: A rule
  desc: d
  condition: evt.type = open and not proc.name in (allowed_programs)
  output: x
  priority: WARNING
"""
ORDINARY = (
    "O'Brien",
    "(sd-pam)",
    "a=b",
    "a,b",
    'say "hi" now',
    "nginx: worker process",
    "x #y",
    "",
    " ",
    "-1",
    "yes",
    "null",
    "'",
    '"',
    "(",
    "shell_binaries",
    "x shell_binaries",
    "ls shell_binaries x",
    "ls (shell_binaries) x",
    "a\\",
    "a\\ b",
    "C:\\x\\",
    "*?[a]\\ shell_binaries y\\",
    "a\nb\tc\r",
    "x or",
    "é ü 日本",
    'x" or evt.num >= 0 or okta.actor.name = "y z',
    "/tmp/x)or(evt.num>=0",
    "x')or(evt.num>=0",
    "w" * 255,
)
FIELDS = ("proc.cmdline", "proc.name", "proc.aname[2]")
VALUES = (
    st.sampled_from([*ORDINARY, *hostile_values().values()])
    | st.text(max_size=40)
    | st.text(alphabet="ab_ \"'\\()=,\n*?[]shell_binaries", max_size=30)
)


def silenced(text: str, event: dict[str, str]) -> bool:
    """Whether the rule, with this exception laid over it, does not fire for an event that it fires for."""
    rules = read_rules(text, base=read_rules(BASE))
    assert rules.problems == []
    return not compile_condition(rules.condition("A rule"))({"evt.type": "open", **event}.get)


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_an_exception_silences_this_case_and_no_neighbour(values: list[str]) -> None:
    """It loads with the operators that were meant; another value in any one field is not silenced."""
    event = dict(zip(FIELDS, values, strict=False))
    try:
        text = write_exception("A rule", "syscall", [Comparison(field, value) for field, value in event.items()])
    except Unembeddable:
        return
    rules = read_rules(text, base=read_rules(BASE))
    assert rules.problems == []
    node = rules.condition("A rule")
    assert isinstance(node, And)
    exception = node.children[-1]
    assert isinstance(exception, Not)
    added = [found for found in walk(exception.child) if not isinstance(found, And)]
    assert [found.left.key for found in added if isinstance(found, Compared) and isinstance(found.left, Field)] == [
        *event
    ]
    assert len(added) == len(event)
    assert node.children[:-1] == (read_rules(BASE).condition("A rule"),)
    assert silenced(text, event)
    for field, value in event.items():
        for other in {value + "x", value[:-1], "", "sh", value.upper()} - {value}:
            assert not silenced(text, {**event, field: other})
        assert not silenced(text, {name: kept for name, kept in event.items() if name != field})


@pytest.mark.parametrize("value", ORDINARY)
def test_every_ordinary_value_has_a_form(value: str) -> None:
    """None of these is refused: people, daemons and paths have such names."""
    assert silenced(write_exception("A rule", "syscall", [Comparison("proc.name", value)]), {"proc.name": value})


@pytest.mark.parametrize("value", ["a\0b", *map(chr, (0xD800, 0xDC80, 0xFFFD)), "w" * 256, "é" * 128])
def test_what_has_no_form_is_refused(value: str) -> None:
    """NUL, bytes that are no UTF-8 or no longer known, and what is longer than Falco compares with."""
    with pytest.raises(Unembeddable):
        write_exception("A rule", "syscall", [Comparison("proc.name", value)])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("proc.nothing", "x"),
        ("alert.rule", "x"),
        ("proc.name or evt.num", "x"),
        ("proc.aname[2]) or (evt.num", "x"),
        ("user.uid", "root"),
        ("user.uid", "1 or 1"),
        ("evt.is_open_read", "yes"),
        ("fd.sip", "nowhere"),
        ("fd.types", "()"),
    ],
)
def test_a_field_or_kind_that_falco_would_refuse_is_refused(field: str, value: str) -> None:
    """What would not load is not written."""
    with pytest.raises(Unembeddable):
        write_exception("A rule", "syscall", [Comparison(field, value)])


def test_no_comparison_is_no_exception() -> None:
    """Nothing silences a whole rule."""
    with pytest.raises(Unembeddable, match="whole rule"):
        write_exception("A rule", "syscall", [])


def test_kinds_of_fields() -> None:
    """Numbers, truth values, addresses and lists are compared as their kind wants it."""
    event = {"user.uid": "0", "evt.is_open_read": "true", "fd.sip": "::1", "fd.types": "(file,directory)"}
    text = write_exception("A rule", "syscall", [Comparison(field, value) for field, value in event.items()])
    assert silenced(text, event)
    assert not silenced(text, {**event, "user.uid": "00"})
    assert not silenced(text, {**event, "fd.types": "(file,ipv4)"})


def test_the_written_operators() -> None:
    """An equal text stays one; only a list's name inside a value needs a pattern, which takes nothing else."""
    named = "ls shell_binaries x"
    comparisons = [Comparison("proc.name", "a*b"), Comparison("proc.cmdline", named), Comparison("user.uid", "0")]
    [rule] = yaml.safe_load(write_exception("A rule", "syscall", comparisons))
    [exception] = rule["exceptions"]
    assert exception["comps"] == ["=", "glob", "="]
    assert exception["values"] == [['"a*b"', '"ls[ ]shell_binaries x"', '"0"']]
    for operator in ("startswith", "endswith", "contains"):
        with pytest.raises(Unembeddable, match="take the word shell_binaries for a list"):
            write_exception("A rule", "syscall", [Comparison("proc.cmdline", named, operator)])


def test_parts_that_an_author_wrote() -> None:
    """Other operators take the value as it is."""
    text = write_exception("A rule", "syscall", [Comparison("fd.name", "/srv/*/", "startswith")])
    assert silenced(text, {"fd.name": "/srv/*/x"})
    assert not silenced(text, {"fd.name": "/srv/a/x"})


@given(st.lists(VALUES, min_size=2, max_size=2, unique=True))
@example(["x", "y"])
def test_two_exceptions_of_one_rule_load_together(values: list[str]) -> None:
    """Their names differ, and each silences its own case."""
    try:
        texts = [write_exception("A rule", "syscall", [Comparison("proc.name", value)]) for value in values]
    except Unembeddable:
        return
    for value in values:
        assert silenced("".join(texts), {"proc.name": value})


def test_the_name_depends_on_rule_field_operator_and_value() -> None:
    """No two cases share a name, even where their texts joined would be the same."""
    cases = [
        ("r", [Comparison("a.b", "c"), Comparison("d.e", "f")]),
        ("r", [Comparison("a.b", "cd.e"), Comparison("f.g", "")]),
        ("r", [Comparison("a.b", "c")]),
        ("r", [Comparison("a.b", "c", "startswith")]),
        ("s", [Comparison("a.b", "c")]),
    ]
    assert len({exception_name(rule, comparisons) for rule, comparisons in cases}) == len(cases)


@pytest.mark.parametrize("rule", ["A rule", "yes", "x: y", "[x]", "a 'b' \"c\"", "# x", "é"])
def test_any_rule_can_be_named(rule: str) -> None:
    """The rule's name is read back as it was."""
    text = write_exception(rule, "syscall", [Comparison("proc.name", "x")])
    base = read_rules(BASE)
    base.rules[rule] = base.rules["A rule"]
    assert read_rules(text, base=base).problems == []


@given(VALUES)
def test_condition_values_are_one_value(value: str) -> None:
    """Within a condition the value is one text, whatever lists there are."""
    try:
        text = condition_value(value)
    except Unembeddable:
        return
    rules = read_rules(BASE)
    rules.rules["A rule"] = replace(rules.rules["A rule"], condition=f"proc.name = {text} and a.b exists")
    node = rules.condition("A rule")
    assert isinstance(node, And)
    assert node.children[0] == Compared(Field("proc.name"), "=", Value(value, quoted=True))


def test_an_item_with_a_lists_name_inside_is_refused() -> None:
    """Falco would paste that list into the item."""
    with pytest.raises(Unembeddable, match="shell_binaries"):
        list_item("ls shell_binaries x")


@pytest.mark.parametrize(
    ("value", "values"),
    [("(a,b)", "['\"a\"', '\"b\"']"), ("(a", "['\"(a\"']"), ("a)", "['\"a)\"']"), ("ab", "['\"ab\"']")],
)
def test_only_what_stands_in_parentheses_is_a_list(value: str, values: str) -> None:
    """Falco writes a field of several values so; a parenthesis on one side belongs to the value."""
    written = write_exception("A rule", "k8s_audit", [Comparison("ka.req.pod.containers.image", value)])
    [exception] = yaml.safe_load(written)[0]["exceptions"]
    assert str(exception["values"][0][0]) == values


def test_an_empty_element_is_refused() -> None:
    """It would match what the author did not mean."""
    with pytest.raises(Unembeddable) as refused:
        write_exception("A rule", "k8s_audit", [Comparison("ka.req.pod.containers.image", "(a,)")])
    assert str(refused.value) == "the list is empty or has an empty element"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("ka.nothing", "x", "ka.nothing is not a field of Falco's event source syscall"),
        ("proc.pid", "x" * 70, f"proc.pid = {'x' * 60!r}: expected a number"),
        ("proc.name", "a\ufffd", "the value holds U+FFFD, which stands for bytes that are not known"),
        ("proc.name", "a\ud800", "the value holds bytes that are not valid UTF-8"),
        ("proc.name", "x" * 5_000, "the value has 5000 bytes; Falco compares with at most"),
    ],
)
def test_a_refusal_says_why(field: str, value: str, reason: str) -> None:
    """The report leaves the exception out and says so."""
    with pytest.raises(Unembeddable) as refused:
        write_exception("A rule", "syscall", [Comparison(field, value)])
    assert str(refused.value).startswith(reason)


def test_no_comparison_says_what_it_would_do() -> None:
    """An exception of nothing would silence the rule."""
    with pytest.raises(Unembeddable) as refused:
        write_exception("A rule", "syscall", [])
    assert str(refused.value) == "no field to compare: the exception would silence the whole rule"


def test_an_operator_that_the_writer_does_not_know_is_an_error_of_ours() -> None:
    """It names those that there are."""
    with pytest.raises(ValueError, match=r"^'in': expected one of =, startswith, endswith, contains$"):
        write_exception("A rule", "syscall", [Comparison("proc.name", "x", "in")])


def test_plain_words_stay_plain_and_yaml_words_do_not() -> None:
    """A rule called like a YAML word stays a text."""
    assert write_exception("A rule", "syscall", [Comparison("proc.name", "x")]).startswith("- rule: A rule\n")
    for word in ("yes", "Null", "on"):
        assert write_exception(word, "syscall", [Comparison("proc.name", "x")]).startswith(f'- rule: "{word}"\n')


def test_the_name_of_an_exception_stays_the_same() -> None:
    """Exceptions in rules files refer to it; lone surrogates have one too."""
    assert exception_name("A rule", [Comparison("proc.name", "x")]) == "accepted_558840ee2f"
    assert exception_name("A\ud800", [Comparison("proc.name", "x")]).startswith("accepted_")
