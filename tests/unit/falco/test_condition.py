"""Falco's conditions: what parses, what it means, and that printing keeps it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.falco.condition import (
    And,
    Call,
    Comparison,
    ConditionError,
    Field,
    Macro,
    Node,
    Not,
    Or,
    Value,
    Values,
    compile_condition,
    parse,
    to_text,
    walk,
)
from tests.hostile import hostile_values

NAME = Field("proc.name")


@pytest.mark.parametrize(
    "text",
    [
        "proc.name = nginx",
        "not (proc.name in (a, b) and fd.name startswith /etc) or some_macro",
        "not not proc.name exists",
        'proc.cmdline contains "a \\"b\\" (c)"',
        "evt.num >= 3 and fd.sport != 22",
        "fd.name pmatch (/etc, /usr)",
        "proc.name in (shells)",
        "proc.name in shells",
        "proc.name in ()",
        "ka.req.pod.containers.image.repository intersects (a/b, c)",
        "jevt.value[/requestObject/spec] exists",
        "tolower(proc.name) = bash",
        "basename(toupper(proc.exepath)) startswith X",
        "proc.aname[2] glob '*sh'",
        "(a or b) and not(c)",
        "a or(b) or(c)",
        "proc.name=a and\n  fd.name=b",
        "proc.name startswith oneof (a, b)",
        "proc.name = oneof",
        "proc.name = val(proc.pname)",
        'join("-", (proc.name, proc.pname)) = a-b',
        "concat(proc.name, '/', proc.pname) = a/b",
        "evt.rawarg.flags > 0x10",
        "proc.name = <NA>",
    ],
)
def test_reads_what_falco_reads(text: str) -> None:
    """Conditions of upstream's kinds parse, and their printed form means the same."""
    node = parse(text)
    assert parse(to_text(node)) == node


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proc.name",
        "proc.name =",
        "proc.name = a b",
        "(proc.name = a",
        "proc.name = a)",
        "proc.name = a and",
        "and proc.name = a",
        "proc.name like a",
        "proc.name in a.b",
        "proc.name in (a, b",
        "proc.name in (a,)",
        'proc.name = "a',
        'proc.name = "a\\"',
        'proc.name = "a\\\\"',
        "proc.name = 'a\\\"b'",
        'proc.name = "a\\qb"',
        "proc.name = a=b",
        "proc.name = (sd-pam)",
        "proc.name = O'Brien",
        "proc.name = a,b",
        "evt.num > many",
        "foo bar",
        "a orb",
        "a or(b)and(c)",
        "proc.aname[2 = a",
        "proc.name = a\0",
        "join(',', ((proc.name))) = a",
        "(" * 100 + "a" + ")" * 100,
        "(" * 50_000,
    ],
)
def test_refuses_what_falco_refuses(text: str) -> None:
    """Conditions that Falco would not load raise, saying what was expected, however deep they are."""
    with pytest.raises(ConditionError, match=r"expected|is empty|brackets within"):
        parse(text)


def test_tells_fields_macros_and_values_apart() -> None:
    """What is compared, with what, and what else the condition refers to."""
    node = parse('proc.name in (shells, "a b") and not my_macro and len(fd.name) > 3')
    assert node == And(
        (
            Comparison(NAME, "in", Values((Value("shells"), Value("a b", quoted=True)))),
            Not(Macro("my_macro")),
            Comparison(Call("len", (Field("fd.name"),)), ">", Value("3")),
        )
    )
    assert [found.name for found in walk(node) if isinstance(found, Macro)] == ["my_macro"]


def test_and_binds_closer_than_or() -> None:
    """``a or b and c`` is ``a or (b and c)``, and the printed form says so."""
    assert parse("a or b and c") == Or((Macro("a"), And((Macro("b"), Macro("c")))))
    assert to_text(parse("a or b and c")) == "a or (b and c)"


def test_unescapes_as_falco_does() -> None:
    """The escapes of libs' escaping.cpp; a backslash before a blank is a backslash."""
    node = parse(r'''proc.name = "a\"b\\c\n\t\/\ 'd\xc3\xa9"''')
    assert isinstance(node, Comparison)
    assert node.right == Value('a"b\\c\n\t/\\' + "'dé", quoted=True)


_WORDS = st.from_regex(r"[a-z]{1,3}(?:_[a-z]{1,3})?", fullmatch=True).filter(
    lambda word: not word.startswith(("and", "or", "not", "in"))
)
_FIELDS = st.builds(
    Field, st.sampled_from(["proc.name", "fd.name", "ka.req.x"]), st.none() | st.sampled_from(["2", "/a b"])
)
_TEXTS = st.text().filter(lambda text: "\0" not in text)
_VALUES = st.builds(Value, _TEXTS, st.just(value=True)) | st.builds(
    Value, st.sampled_from(["a", "/etc/x*", "<NA>", "-1"])
)
_COMPARISONS = (
    st.builds(Comparison, _FIELDS, st.sampled_from(["=", "!=", "contains", "startswith", "glob"]), _VALUES)
    | st.builds(Comparison, _FIELDS, st.sampled_from(["in", "pmatch"]), st.builds(Values, st.tuples(_VALUES, _VALUES)))
    | st.builds(Comparison, _FIELDS, st.just("exists"))
)


def _several(kind: type[And | Or], children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.lists(children.filter(lambda node: not isinstance(node, kind)), min_size=2, max_size=3).map(
        lambda found: kind(tuple(found))
    )


_NODES: st.SearchStrategy[Node] = st.recursive(
    _COMPARISONS | st.builds(Macro, _WORDS),
    lambda children: (
        _several(And, children)
        | _several(Or, children)
        | children.filter(lambda node: not isinstance(node, Not)).map(Not)
    ),
    max_leaves=8,
)


@given(_NODES)
def test_printing_and_reading_again_changes_nothing(node: Node) -> None:
    """Whatever a condition holds, its text is read as the same condition."""
    assert parse(to_text(node)) == node


@given(st.text(alphabet="ab.c01 ()\"'\\=,<>!nort[]xistexé\n", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """No text gives anything but a condition or a ConditionError."""
    try:
        node = parse(text)
    except ConditionError:
        return
    assert parse(to_text(node)) == node


@pytest.mark.parametrize("text", hostile_values().values())
def test_a_quoted_value_is_one_value(text: str) -> None:
    """Every hostile value that has a notation comes back as itself."""
    if "\0" in text:
        return
    node = And((Comparison(NAME, "=", Value(text, quoted=True)), Macro("rest")))
    assert parse(to_text(node)) == node


EVENT = {
    "proc.name": "bash",
    "proc.cmdline": "bash -c 'echo hi'",
    "user.uid": "0",
    "user.loginuid": "-1",
    "fd.name": "/etc/pam.d/su",
    "fd.sip": "10.1.2.3",
    "evt.arg.mode": "16",
    "ka.images": "(a,b)",
    "proc.aname[2]": "sshd",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proc.name = bash", True),
        ("proc.name == 'bash'", True),
        ("proc.name != bash", False),
        ("proc.name in (sh, bash)", True),
        ("proc.name in (sh, dash)", False),
        ("proc.cmdline contains echo", True),
        ("proc.cmdline icontains ECHO", True),
        ("proc.cmdline startswith bash", True),
        ('proc.cmdline endswith "\'"', True),
        ("fd.name glob /etc/*/s?", True),
        ("fd.name glob /etc/[!a-o]am.d/su", True),
        ("fd.name glob /etc/pam", False),
        ("fd.name iglob /ETC/*", True),
        (r"fd.name glob '/etc/pam\\.d/*'", True),
        ("fd.name regex '/etc/[a-z.]+/su'", True),
        ("fd.name regex '/etc'", False),
        ("fd.name pmatch (/usr, /etc/pam.d)", True),
        ("fd.name pmatch (/etc/pam)", False),
        ("fd.name pmatch (/*/pam.d)", True),
        ("user.uid < 10", True),
        ("user.uid < 0", False),
        ("user.loginuid < 0", True),
        ("proc.name > 3", False),
        ("evt.arg.mode = 0x10", True),
        ("evt.arg.mode in (0x10)", True),
        ("evt.arg.mode >= 0x11", False),
        ("fd.snet in (10.0.0.0/8, 192.168.0.0/16)", True),
        ("fd.snet = 192.168.0.0/16", False),
        ("ka.images intersects (b, c)", True),
        ("ka.images in (b, c)", False),
        ("ka.images in (a, b, c)", True),
        ("proc.aname[2] = sshd", True),
        ("proc.name exists", True),
        ("toupper(proc.name) = BASH", True),
        ("basename(fd.name) = su", True),
        ("len(proc.name) = 4", True),
        ("proc.name = val(proc.name)", True),
        ("concat(proc.name, '-', user.uid) = bash-0", True),
        ("join('+', (proc.name, user.uid)) = bash+0", True),
        ("proc.name startswith anyof (x, ba)", True),
        ("proc.name startswith allof (b, x)", False),
        ("proc.name startswith oneof (b, ba)", False),
        ("not proc.name = bash or user.uid = 0", True),
        # Absent: false or unknown.
        ("fd.l4proto = tcp", None),
        ("fd.l4proto != tcp", None),
        ("fd.l4proto exists", None),
        ("fd.l4proto in (tcp)", None),
        ("toupper(fd.l4proto) = TCP", None),
        ("proc.name = val(fd.l4proto)", None),
        ("fd.l4proto = tcp or proc.name = bash", True),
        ("fd.l4proto = tcp and proc.name = sh", False),
        ("fd.l4proto = tcp and proc.name = bash", None),
        ("fd.l4proto = tcp or proc.name = sh", None),
    ],
)
def test_means_what_falco_means(text: str, expected: bool | None) -> None:
    """What each operator says of an event; an absent field is false to Falco and unknown to Kleene."""
    assert compile_condition(text, absent_is_unknown=True)(EVENT.get) is expected
    assert compile_condition(text)(EVENT.get) is bool(expected)


def test_not_of_an_absent_field() -> None:
    """Falco's ``not`` of an absent field is true, Kleene's unknown."""
    assert compile_condition("not fd.l4proto = tcp")(EVENT.get) is True
    assert compile_condition("not fd.l4proto = tcp", absent_is_unknown=True)(EVENT.get) is None


def test_macros_are_looked_up() -> None:
    """Macros mean what they are given as; an unknown one and a loop are errors."""
    macros = {"shell": parse("proc.name in (sh, bash)"), "root_shell": parse("shell and user.uid = 0")}
    assert compile_condition("root_shell", macros=macros)(EVENT.get) is True
    with pytest.raises(ConditionError, match="macro nobody is not known"):
        compile_condition("nobody", macros=macros)
    with pytest.raises(ConditionError, match="leads back to itself"):
        compile_condition("a", macros={"a": parse("not a")})


@pytest.mark.parametrize("text", ["proc.name regex '('", "fd.snet = nowhere", "getopt((proc.name), 'a') = b"])
def test_what_cannot_be_evaluated_is_said(text: str) -> None:
    """A pattern, network or transformer that cannot be evaluated is an error when the condition is compiled."""
    with pytest.raises(ConditionError):
        compile_condition(text)


def test_no_value_makes_a_glob_slow() -> None:
    """Many stars and a long value that nearly matches take no time that anybody would see."""
    fits = compile_condition("proc.name glob '*a*a*a*a*a*a*a*a*a*b'")
    started = time.perf_counter()
    assert fits({"proc.name": "a" * 20_000}.get) is False
    assert time.perf_counter() - started < 1
