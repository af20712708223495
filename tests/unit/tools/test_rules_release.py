"""What a new rules release means: what was added, renamed, moved, changed and removed, with the entry of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.rules_release import main

RULE = """
- rule: {name}
  desc: x
  condition: {condition}
  output: Something happened (file=%fd.name {field})
  priority: {priority}
  tags: [maturity_{maturity}, host]
"""
SHELLS = "- list: shells\n  items: [{items}]\n- macro: is_shell\n  condition: proc.name in (shells){more}\n"


def rule(name: str, **more: str) -> str:
    """One rule; what is not given is as in every other."""
    given = {
        "condition": "evt.type = open",
        "field": "%proc.pname",
        "priority": "WARNING",
        "maturity": "stable",
        **more,
    }
    return RULE.format(name=name, **given)


def compared(
    directory: Path, capsys: pytest.CaptureFixture[str], old: dict[str, str], new: dict[str, str]
) -> tuple[int, str, str]:
    """What the comparison of two releases says, each given as files with their text."""
    for release, files in (("old", old), ("new", new)):
        (directory / release).mkdir()
        for name, text in files.items():
            (directory / release / name).write_text(text, encoding="utf-8")
    status = main([str(directory / "old"), str(directory / "new")])
    return status, *capsys.readouterr()


def test_each_rule_is_told_once_with_its_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules that stay as they are are counted only."""
    old = [
        rule("Clear Log Activities", field="%proc.cmdline"),
        rule("Netcat Runs", condition="spawned_nc"),
        rule("Gone", condition="a = 1"),
    ]
    more = "evt.type in (open, openat) and not proc.name in (rsyslogd, logrotate, systemd-journal)"
    old += [rule("Read sensitive file untrusted", condition=more), rule("Same", condition="evt.type = x")]
    new = [rule("Clear Log Activities", field="%proc.name", priority="ERROR"), rule("Same", condition="evt.type = x")]
    new += [rule("Read it", condition=f"{more} and fd.num > 0"), rule("Brand new", condition="container.id != host")]
    moved = rule("Netcat Runs", condition="spawned_nc", maturity="incubating")
    macro = "- macro: spawned_nc\n  condition: proc.name = nc\n"
    status, said, _ = compared(
        tmp_path,
        capsys,
        {"falco_rules.yaml": macro + "".join(old)},
        {"falco_rules.yaml": "".join(new), "falco-incubating_rules.yaml": macro + moved},
    )
    assert status == 0
    first, *blocks = said.strip().split("\n\n")
    assert first == "1 added, 1 renamed, 2 changed, 1 removed, 1 as before"
    data = "exporter/catalog/data/"
    assert blocks[0].splitlines() == [
        "added: Brand new (falco_rules.yaml, syscall, Warning, stable)",
        f"  no entry: write one in {data}falco_rules.yaml",
    ]
    assert blocks[1].startswith("renamed: Read sensitive file untrusted -> Read it (falco_rules.yaml")
    assert f"  entry: {data}falco_rules.yaml:" in blocks[1]
    assert blocks[1].endswith(": give it the new name, and the old one under `former_names`")
    assert "  priority: Warning -> Error\n  fields of the output: -proc.cmdline +proc.name\n" in blocks[2]
    assert blocks[2].startswith("changed: Clear Log Activities (")
    assert blocks[2].endswith("  entry uses what alerts no longer carry: proc.cmdline")
    assert blocks[3].startswith("changed: Netcat Runs (falco-incubating_rules.yaml, syscall, Warning, incubating)\n")
    assert "  file: falco_rules.yaml -> falco-incubating_rules.yaml\n  maturity: stable -> incubating\n" in blocks[3]
    assert blocks[4].splitlines() == ["removed: Gone (falco_rules.yaml, syscall, Warning, stable)"]


def test_what_conditions_lead_to_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list or macro that changes changes every rule above it."""
    text = rule("Run shell untrusted", condition="evt.type = execve and is_shell")
    old, new = SHELLS.format(items="bash, ash", more=""), SHELLS.format(items="bash, nu", more=" and proc.tty != 0")
    _, said, _ = compared(tmp_path, capsys, {"falco_rules.yaml": old + text}, {"falco_rules.yaml": new + text})
    assert "  macro is_shell:\n    was proc.name in (shells)\n    now proc.name in (shells) and proc.tty != 0\n" in said
    assert "  list shells: -ash +nu\n" in said


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without rules ends it; an item that changes what is elsewhere is named."""
    overlay = "- rule: Somewhere else\n  append: true\n  condition: and evt.num > 0\n"
    status, said, _ = compared(tmp_path, capsys, {"a.yaml": rule("A")}, {"a.yaml": rule("A"), "b.yaml": overlay})
    assert (status, said.splitlines()[0]) == (0, "0 added, 0 renamed, 0 changed, 0 removed, 1 as before")
    assert "b.yaml:1: rule Somewhere else: is changed, but no rule of this name comes before it" in said
    (tmp_path / "none").mkdir()
    assert main([str(tmp_path / "none"), str(tmp_path / "new")]) == 2
    assert "found no .yaml file" in capsys.readouterr().err
    assert main(["one"]) == 2
