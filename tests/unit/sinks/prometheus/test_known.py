"""Which rules are known before their first event."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.config.model import Metrics
from exporter.sinks.prometheus.known import known_rules

RULE = "- rule: Mine\n  desc: x\n  condition: evt.type = open\n  output: x\n  priority: notice\n"


def test_rules_files_say_which_rules_begin_at_zero(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Theirs do; of the shipped ones only Falco's own messages; without files the stable ones."""
    file = tmp_path / "rules.yaml"
    file.write_text(RULE)
    catalog = load_catalog()
    given = [rule for rule in known_rules(Metrics(rules_files=(file,)), catalog) if rule.begins_at_zero]
    assert [rule.rule for rule in given if rule.source != "internal"] == ["Mine"]
    assert given[0].covered is False
    default = [rule for rule in known_rules(Metrics(), catalog) if rule.begins_at_zero]
    assert len(default) > 20
    assert caplog.records == []


def test_files_without_a_rule_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is no rules file would otherwise leave every series to begin with its first event, in silence."""
    file = tmp_path / "other.yaml"
    file.write_text("- rulee: Mine\n  desc: x\n")
    assert list(known_rules(Metrics(rules_files=(file,)), load_catalog()))
    assert [record.message for record in caplog.records] == [
        f"metrics.rules_files: {file}:1: found 'rulee', 'desc', expected a rule, a macro or a list; "
        "Falco would not load it, so it is left out",
        f"metrics.rules_files: found no rule in {file}; expected Falco's rules files",
    ]
