"""Facts about rules."""

from __future__ import annotations

import pytest

from exporter.catalog.index import RuleFacts, facts_of, official_rules
from exporter.falco.rules_file import read_rules

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
  condition: shell and not allowed and not proc.pname in (mine) and proc.cmdline != "quoted.field = 1"
  output: Shell (process=%proc.name parent=%proc.aname[2] file=%fd.name)
  priority: WARNING
  tags: [maturity_stable, host, T1059]
  exceptions:
    - name: known
      fields: [proc.name]
- rule: A shell
  enabled: false
"""


def test_reads_what_a_rule_leads_to() -> None:
    """Fields, macros, lists and empty hooks are found through macros; what the condition does not use is not."""
    assert facts_of(read_rules(RULES)) == [
        RuleFacts(
            rule="A shell",
            priority="Warning",
            source="syscall",
            ruleset="rules.yaml",
            maturity="stable",
            tags=("maturity_stable", "host", "T1059"),
            fields=("fd.name", "proc.aname[2]", "proc.name"),
            macros=("allowed", "never_true", "shell"),
            lists=("mine", "shells"),
            hooks=("allowed", "mine"),
            exceptions=("known",),
        )
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("proc.name = a b", "expected 'and'"), ("nobody", "nobody is defined nowhere"), ("loop", "loop leads back")],
)
def test_a_condition_that_does_not_load_is_told(condition: str, expected: str) -> None:
    """The rule keeps its facts, and the rules name what Falco would refuse."""
    rules = read_rules(f"- macro: loop\n  condition: not loop\n{RULES}".replace("shell and", f"{condition} and"))
    assert [facts.rule for facts in facts_of(rules)] == ["A shell"]
    assert len(rules.problems) == 1
    assert expected in rules.problems[0]


def test_the_shipped_index_is_whole() -> None:
    """All official rules, two that are published only, Falco's five own alerts and our test alert, each with fields."""
    rules = {facts.rule: facts for facts in official_rules()}
    assert len(rules) == 246
    assert rules["Falco internal: capture size limit reached"].priority == "Informational"
    assert "allowed_clear_log_files" in rules["Clear Log Activities"].hooks
    assert {"container.id", "k8s.pod.name"} <= rules["Clear Log Activities"].available_fields
    assert "container.id" not in rules["K8s Role Created"].available_fields
