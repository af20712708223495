"""Facts about rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.catalog.index import RuleFacts, official_rules, read_rules_file
from exporter.errors import CatalogError

RULES = """\
- list: shells
  items: [sh, bash]
- list: mine
  items: []
- macro: never_true
  condition: (evt.num=0)
- macro: allowed
  condition: (never_true)
- macro: shell
  condition: (proc.name in (shells))
- macro: unused
  condition: (fd.sport = 22)
- rule: A shell
  desc: x
  condition: shell and not allowed and not proc.pname in (mine) and "quoted.field = 1" != proc.cmdline
  output: Shell (process=%proc.name parent=%proc.aname[2] file=%fd.name)
  priority: WARNING
  tags: [maturity_stable, host, T1059]
  exceptions:
    - name: known
      fields: [proc.name]
- rule: A shell
  enabled: false
"""


def test_reads_what_a_rule_leads_to(tmp_path: Path) -> None:
    """Fields, macros, lists and empty hooks are found through macros; what the condition does not use is not."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    assert read_rules_file(path) == [
        RuleFacts(
            rule="A shell",
            priority="Warning",
            source="syscall",
            ruleset="rules.yaml",
            maturity="stable",
            tags=("maturity_stable", "host", "T1059"),
            fields=("fd.name", "proc.aname[2]", "proc.name"),
            condition_fields=("evt.num", "proc.name", "proc.pname"),
            macros=("allowed", "never_true", "shell"),
            lists=("mine", "shells"),
            hooks=("allowed", "mine"),
            exceptions=("known",),
        )
    ]


@pytest.mark.parametrize(("text", "expected"), [("a: b", "found no list"), ("[", "cannot be read")])
def test_says_what_is_wrong_with_a_rules_file(tmp_path: Path, text: str, expected: str) -> None:
    """A file that is no rules file is refused by name."""
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError, match=expected):
        read_rules_file(path)


def test_the_shipped_index_is_whole() -> None:
    """All official rules and Falco's five own alerts are there, with sources and fields."""
    rules = {facts.rule: facts for facts in official_rules()}
    assert len(rules) == 243
    assert rules["Falco internal: capture size limit reached"].priority == "Informational"
    assert "allowed_clear_log_files" in rules["Clear Log Activities"].hooks
    assert {"container.id", "k8s.pod.name"} <= rules["Clear Log Activities"].available_fields
    assert "container.id" not in rules["K8s Role Created"].available_fields
