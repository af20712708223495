"""``catalog``: what its actions print and answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.cli import main

RULES = """\
- rule: Clear Log Activities
  desc: d
  condition: open_write
  output: file=%fd.name
  priority: WARNING
- rule: Ours
  desc: d
  condition: spawned_process
  output: "%proc.name"
  priority: NOTICE
  tags: [maturity_sandbox]
"""
OVERLAY = """\
source: syscall
entries:
  - rule: Ours
    summary: "%{proc.name} ran."
    impact: Nothing.
"""


def test_list_shows_each_entry_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """Each entry is a line with source, priority and maturity."""
    assert main(["catalog", "list", "--source", "syscall"]) == 0
    out, err = capsys.readouterr()
    (line,) = [line for line in out.splitlines() if line.startswith("Clear Log Activities ")]
    assert line.split()[3:6] == ["syscall", "Warning", "stable"]
    assert err.strip() == f"{len(out.splitlines()) - 1} entries"


def test_list_names_the_sources_when_none_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown source answers 1 and says which there are."""
    assert main(["catalog", "list", "--source", "nothing"]) == 1
    assert "syscall" in capsys.readouterr().err


def test_show_renders_a_rules_advice(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule's advice is shown with made-up values, in the form asked for."""
    assert main(["catalog", "show", "Clear Log Activities", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["advice"] == "written"
    assert document["fields"]["fd.name"] == "/etc/example.conf"
    assert document["mitigation"]["commands"]


def test_show_suggests_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped rule ends with 2 and the rule that is nearest."""
    assert main(["catalog", "show", "Clear Log Actvities"]) == 2
    assert "did you mean 'Clear Log Activities'" in capsys.readouterr().err


def test_coverage_answers_for_any_rules_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing rules are named; below the minimum the answer is 1, with an own entry it is 0."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    assert main(["catalog", "coverage", str(rules)]) == 1
    out = capsys.readouterr().out
    assert "missing: Ours (syscall, Notice, sandbox)" in out
    assert "1 of 2 rules have an entry of their own: 50.0 % (minimum 100 %)" in out
    assert main(["catalog", "coverage", str(rules), "--min", "50"]) == 0
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ours.yaml").write_text(OVERLAY, encoding="utf-8")
    assert main(["catalog", "coverage", str(rules), "--catalog.directories", str(tmp_path / "own")]) == 0


def test_coverage_of_no_rules_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without rules does not count as covered."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("- macro: x\n  condition: y\n", encoding="utf-8")
    assert main(["catalog", "coverage", str(rules)]) == 2
    assert "no rules found" in capsys.readouterr().err


def test_validate_finds_what_is_wrong_in_an_overlay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An entry of one's own is checked like the shipped ones, and named with file and line."""
    (tmp_path / "ours.yaml").write_text(OVERLAY, encoding="utf-8")
    assert main(["catalog", "validate", "--catalog.directories", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path}/ours.yaml:3: Ours: " in out


@pytest.mark.parametrize("text", ["clear log activities", "CLEAR LOG", " clear  log "])
def test_show_takes_a_part_that_one_rule_has(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In any case and spacing."""
    assert main(["catalog", "show", text, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rule"] == "Clear Log Activities"


def test_show_prefers_a_whole_name_to_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is part of a longer one is found too."""
    assert main(["catalog", "show", "console login without mfa", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rule"] == "Console Login Without MFA"


def test_show_names_the_rules_that_have_the_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Several: exit 2 and their names, the first eight; never one of them by chance."""
    assert main(["catalog", "show", "ssh"]) == 2
    said = capsys.readouterr().err
    assert "rules have 'ssh' in their name: " in said
    assert "'Read ssh information'" in said
    assert main(["catalog", "show", "gcp"]) == 2
    assert " more; give more of the name" in capsys.readouterr().err
    assert main(["catalog", "show", ""]) == 2
