"""Steps as rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.catalog.builder import LOOK, catalog_of


@pytest.mark.parametrize(
    "text", ["stat -- %{fd.name}", "stat -- /proc/1/root%{fd.name}", "grep -qx 'x$' -- \"$p\"%{fd.name}"]
)
@pytest.mark.parametrize(
    ("value", "shell"),
    [
        ("/var/log/auth.log", "sh"),
        ("/var/log/it's $HOME", "sh"),
        ("/var/log/x\n touch owned", "bash"),
        ("/var/log/\x1b[31m", "bash"),
    ],
)
def test_a_block_with_a_hidden_character_is_for_bash(tmp_path: Path, text: str, value: str, shell: str) -> None:
    """``$'…'`` stands for a line feed in bash and zsh; sh takes it for a dollar sign and a word."""
    (step,) = next(iter(catalog_of(tmp_path, {"steps": [LOOK | {"run": text}]}).entries)).commands
    (command,) = step.render({"fd.name": value}.get)
    assert command.shell == shell
