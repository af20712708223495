"""Which advice a rule gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import load_catalog
from exporter.errors import CatalogError
from tests.unit.catalog.builder import catalog_of


def alert(rule: str, source: str = "syscall") -> Alert:
    return Alert(0, rule, Priority.WARNING, source, "", "", {}, ())


def test_matches_by_rule_and_source_then_by_rule(tmp_path: Path) -> None:
    """Of two entries for a name the one of the alert's source is taken; another source gets what there is."""
    catalog = catalog_of(tmp_path, {}, {"source": "other", "impact": "Another."})
    assert catalog.advice_for(alert("Clear Log Activities")).source == "syscall"
    assert catalog.advice_for(alert("Clear Log Activities", "other")).source == "other"
    assert not catalog.advice_for(alert("Clear Log Activities", "third")).composed


def test_matches_by_a_name_that_upstream_used_earlier(tmp_path: Path) -> None:
    """Upstream's renames and an entry's own former names lead to the entry and the rule's facts."""
    catalog = catalog_of(tmp_path, {"rule": "Schedule Cron Jobs", "former_names": ["Our crontab rule"]})
    for name in ("Schedule Cron Jobs in Container", "Our crontab rule"):
        assert catalog.advice_for(alert(name)).rule == "Schedule Cron Jobs"
        facts = catalog.facts(name)
        assert facts is not None
        assert facts.rule == "Schedule Cron Jobs"


def test_an_operators_directory_is_laid_over_the_shipped_catalog(tmp_path: Path) -> None:
    """An entry of the operator's replaces the shipped one, `mode: extend` adds to it, new rules join."""
    path = tmp_path / "ours.yaml"
    path.write_text(
        "entries:\n"
        "  - {rule: Clear Log Activities, source: syscall, summary: Ours., impact: Ours.}\n"
        "  - {rule: Terminal shell in container, mode: extend, recommend: [Call the platform team.]}\n"
        "  - {rule: Our own rule, source: syscall, summary: Ours., impact: Ours.}\n",
        encoding="utf-8",
    )
    shipped, catalog = load_catalog(), load_catalog([tmp_path])
    replaced, extended = catalog.entry("Clear Log Activities"), catalog.entry("Terminal shell in container")
    before = shipped.entry("Terminal shell in container")
    assert replaced is not None
    assert replaced.summary.text == "Ours."
    assert extended is not None
    assert before is not None
    assert len(extended.recommendations) == len(before.recommendations) + 1
    assert catalog.entry("Our own rule") is not None
    assert len(catalog.entries) == len(shipped.entries) + 1


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing catalog directory is an error before anything starts."""
    with pytest.raises(CatalogError, match="no such directory"):
        load_catalog([tmp_path / "missing"])
