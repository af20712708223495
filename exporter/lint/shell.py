"""Commands are bash that parses, whatever the alert's values, and that shellcheck has nothing against.

Owns running ``bash -n`` and ``shellcheck`` over many commands at once: one
process for each command would take minutes. Nothing is ever executed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.catalog.catalog import Catalog
from exporter.catalog.steps import CommandStep
from exporter.catalog.template import Absent, CommandTemplate
from exporter.escaping import Unembeddable
from exporter.lint.finding import Finding
from exporter.lint.samples import VALUES
from exporter.lint.walk import changes, commands
from exporter.prose import Lookup

_BATCH = 250
_SENTINEL = "#' )\n#\" )\n"
"""Comments; but where a quote was left open each closes it and leaves a stray bracket, so that no error hides."""
_UNQUOTED = "SC2086"
"""Shellcheck's "info" on an unquoted variable, which may hold a value of the alert."""
_NOT_OURS = frozenset({"SC2148", "SC2034", "SC2154", "SC1091", "SC2174"})
"""A snippet has no shebang, is not all of a program, names files that are not here; its last directory is private."""


@dataclass(frozen=True, slots=True)
class Script:
    """One command line to look at."""

    place: str
    owner: str
    text: str


def rendered(template: CommandTemplate, lookup: Lookup) -> str:
    """Return the command with the lookup's values, empty where it would not be shown."""
    try:
        return template.render(lookup)
    except (Absent, Unembeddable):
        return ""


def scripts(catalog: Catalog, *, values: str) -> Iterator[Script]:
    """Yield every command with values of this kind (``samples.VALUES``) in place, undo included."""
    for owned, step in commands(catalog):
        lookup = VALUES[values](step.condition.only)
        for template in (step.run, step.undo):
            if text := rendered(template, lookup):
                yield Script(step.place, owned.owner, text)
    for owned, change in changes(catalog):
        for text in (change.check, change.load):
            if text:
                yield Script(change.place, owned.owner, text)


def check_shell(catalog: Catalog) -> Iterator[Finding]:
    """Yield commands that do not parse as rendered, and what shellcheck warns of."""
    for values in ("plain", "hostile", "hidden"):
        for script, message in syntax_errors(list(scripts(catalog, values=values))):
            yield Finding(script.place, script.owner, f"bash -n, {values} values: {message} in: {script.text}")
    for owned, step in commands(catalog):
        yield from _leftovers(owned.owner, step)
    for script, message in shellcheck(list(scripts(catalog, values="spaced"))):
        yield Finding(script.place, script.owner, f"shellcheck: {message}")


def _leftovers(owner: str, step: CommandStep) -> Iterator[Finding]:
    """Angle brackets and capitals that a reader would have to replace are neither bash nor pasteable."""
    if found := re.search(r"<[A-Za-z][A-Za-z _-]*>|\bYOUR[_-][A-Z]+", step.run.text):
        yield Finding(step.place, owner, f"{found[0]} cannot be pasted; set a shell variable on the first line instead")


def syntax_errors(found: Sequence[Script]) -> Iterator[tuple[Script, str]]:
    """Yield scripts that bash cannot parse, with its message."""
    unique = list({script.text: script for script in found}.values())
    for start in range(0, len(unique), _BATCH):
        batch = unique[start : start + _BATCH]
        joined = "".join([f"f() {{\n{script.text}\n{_SENTINEL}}}\n" for script in batch])
        if _bash(joined):
            for script in batch:
                if message := _bash(f"f() {{\n{script.text}\n{_SENTINEL}}}\n"):
                    yield script, message


def _bash(text: str) -> str:
    """Return bash's first complaint; -n parses and never runs."""
    bash = shutil.which("bash") or "/bin/bash"
    done = subprocess.run(
        [bash, "--noprofile", "--norc", "-n"], input=text.encode(), capture_output=True, check=False, timeout=60
    )
    return done.stderr.decode(errors="replace").strip().split("\n")[0] if done.returncode or done.stderr else ""


def shellcheck(found: Sequence[Script]) -> Iterator[tuple[Script, str]]:
    """Yield shellcheck's warnings, errors and notes on unquoted variables; nothing where it is not installed."""
    program = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    unique = list({script.text: script for script in found}.values())
    if program is None or not unique:
        return
    with tempfile.TemporaryDirectory() as directory:
        names = {}
        for number, script in enumerate(unique):
            path = Path(directory, f"{number}.sh")
            path.write_text(script.text + "\n", encoding="utf-8", errors="replace")
            names[str(path)] = script
        command = [program, "--norc", "-s", "bash", "-f", "json", "-S", "info", *names]
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)
        for item in json.loads(done.stdout or b"[]"):
            code = f"SC{item['code']}"
            if code not in _NOT_OURS and (item["level"] in {"warning", "error"} or code == _UNQUOTED):
                yield names[item["file"]], f"{code} line {item['line']}: {item['message']}"
