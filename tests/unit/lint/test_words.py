"""What a piece of bash runs."""

from __future__ import annotations

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.lint.shell import rendered
from exporter.lint.walk import commands
from exporter.lint.words import simple_commands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b | c 'd e'; f && g", [["a", "b"], ["c", "d e"], ["f"], ["g"]]),
        ('x=1 y="$(inner arg)" outer "$x"', [["inner", "arg"], ["outer", "$x"]]),
        ("if [ -n x ]; then a; else b; fi", [["[", "-n", "x", "]"], ["a"], ["b"]]),
        ("cat <<'END' | run -f -\nnot a command; x\nEND\nlast", [["cat"], ["run", "-f", "-"], ["last"]]),
        ("a > out 2>&1 < in b", [["a", "b"]]),
        ("a &>/dev/null # comment; b", [["a"]]),
        ("diff <(sort a) <(sort b)", [["sort", "a"], ["sort", "b"], ["diff"]]),
        ("a \\\n  --b", [["a", "--b"]]),
        ("case $x in (a|b) one ;; *) two ;; esac", [["case", "$x", "in"], ["one"], ["two"]]),
        ("echo \"a $(b 'c') d\" `e`", [["b", "c"], ["e"], ["echo", "a $(b 'c') d", "`e`"]]),
        ("(cd /x && a)", [["cd", "/x"], ["a"]]),
        ("a ${b%%/*} $'x\\ty'", [["a", "${b%%/*}", "x\\ty"]]),
    ],
)
def test_finds_every_simple_command(text: str, expected: list[list[str]]) -> None:
    """Pipelines, substitutions, loops and here-documents are looked into; nothing else is taken for a command."""
    assert simple_commands(text) == expected


def test_both_readers_of_bash_agree_on_where_the_catalogs_commands_begin() -> None:
    """The catalog's own reader refuses a value as a command's name; this one finds each value behind a name."""
    templates = [template for _, step in commands(load_catalog()) for template in (step.run, step.undo)]
    texts = [rendered(template, lambda _field: "thevalue") for template in templates if template.fields]
    found = [words for text in texts for words in simple_commands(text)]
    assert sum("thevalue" in " ".join(words[1:]) for words in found) > 300
    assert [words for words in found if "thevalue" in words[0]] == []
