"""Running bash -n and shellcheck over many commands at once."""

from __future__ import annotations

import pytest

from exporter.lint.shell import Script, syntax_errors

BROKEN = ["echo 'a", 'echo "a', "echo `a", "echo $(a", "echo ${a", "if a; then", "cat <<E\nx", "} ; {", "a 'b' \"c"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_command_among_many_is_found(text: str) -> None:
    """An open quote or bracket is not closed by what follows it in the same batch."""
    found = [Script(str(number), "x", f"echo {number}") for number in range(40)]
    found.insert(20, Script("broken", "x", text))
    assert [script.place for script, _ in syntax_errors(found)] == ["broken"]


def test_two_broken_commands_do_not_mend_each_other() -> None:
    """Two open quotes are two findings."""
    scripts = [Script("1", "x", "echo 'a"), Script("2", "x", "echo b'")]
    assert {script.place for script, _ in syntax_errors(scripts)} == {"1", "2"}
