"""Made-up rules, their alerts and their catalog are what the exporter reads."""

from __future__ import annotations

from pathlib import Path

from benchmarks.many_rules import of_rule, rules, write_catalog
from exporter.catalog.catalog import load_catalog
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sources.decode import from_grpc


def test_rules_are_as_many_as_asked_and_official_first() -> None:
    """Each once, by name and source."""
    found = rules(2_000)
    assert len(set(found)) == 2_000
    assert ("Terminal shell in container", "syscall") in found[:243]
    assert found[243][0].startswith("Own rule")


def test_an_altered_message_is_an_alert_of_the_rule() -> None:
    """Rule and source are the ones given."""
    altered = from_grpc(stamp(of_rule(next(flood_messages()), "Own rule 00007", "syscall"), 1_700_000_000_000_000_000))
    assert (altered.rule, altered.source) == ("Own rule 00007", "syscall")


def test_a_written_catalog_is_read_beside_the_shipped_one(tmp_path: Path) -> None:
    """Each entry counts once."""
    write_catalog(tmp_path / "catalog", 30)
    assert len(load_catalog([tmp_path / "catalog"]).entries) == len(load_catalog().entries) + 30
