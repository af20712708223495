"""Falco's condition grammar."""

from __future__ import annotations

import pytest

from exporter.lint.condition import Comparison, ConditionError, parse_condition


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
        "ka.req.pod.containers.image.repository intersects (a/b, c)",
        "jevt.value[/requestObject/spec] exists",
        "tolower(proc.name) = bash",
        "basename(toupper(proc.exepath)) startswith X",
        "proc.aname[2] glob '*sh'",
        "(a or b) and not(c)",
        "proc.name=a and\n  fd.name=b",
    ],
)
def test_reads_what_falco_reads(text: str) -> None:
    """Conditions of upstream's kinds parse."""
    parse_condition(text)


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
        'proc.name = "a',
        "evt.num > many",
        "not",
        "foo bar",
    ],
)
def test_refuses_what_falco_refuses(text: str) -> None:
    """Conditions that Falco would not load raise, saying what was expected."""
    with pytest.raises(ConditionError, match=r"expected|is empty|cannot be read"):
        parse_condition(text)


def test_tells_fields_macros_and_lists_apart() -> None:
    """What is compared, with what, and what else it refers to."""
    found = parse_condition('proc.name in (shells, "a b") and not my_macro and len(fd.name) > 3')
    assert found.comparisons == [
        Comparison("proc.name", "in", ("shells", "a b"), transformed=False),
        Comparison("fd.name", ">", ("3",), transformed=True),
    ]
    assert found.macros == ["my_macro"]
    assert found.lists == ["shells"]
