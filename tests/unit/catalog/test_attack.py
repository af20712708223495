"""ATT&CK's table."""

from __future__ import annotations

from exporter.catalog.advice import Technique
from exporter.catalog.attack import attack_table, techniques_of
from exporter.catalog.index import official_rules


def test_names_technique_and_tactic() -> None:
    """Ids become names; the tactic is the one that was asked for."""
    expected = Technique("T1685.006", "Clear Linux or Mac System Logs", "TA0112", "Defense Impairment")
    assert techniques_of((("T1685.006", "TA0112"),)) == (expected,)


def test_an_id_that_is_not_there_is_its_own_name() -> None:
    """An operator's own catalog may name what the table lacks."""
    assert techniques_of((("T9999", "TA9999"),)) == (Technique("T9999", "T9999", "TA9999", "TA9999"),)


def test_a_revoked_id_leads_to_what_replaced_it() -> None:
    """Outdated ids lead to current ones, unknown ones nowhere."""
    table = attack_table()
    assert table.current("T1070.002") == "T1685.006"
    assert table.current("T1562") == "T1685"
    assert table.current("T1059.004") == "T1059.004"
    assert table.current("T9999") is None


def test_the_table_agrees_with_itself() -> None:
    """Techniques serve tactics that exist, sub-techniques have parents, nothing is current and replaced."""
    table = attack_table()
    assert len(table.tactics) == 15
    assert len(table.techniques) == 697
    for technique_id, (name, tactics) in table.techniques.items():
        assert name
        assert tactics
        assert set(tactics) <= table.tactics.keys()
        assert technique_id.split(".")[0] in table.techniques
    assert not table.replaced.keys() & table.techniques.keys()
    assert set(table.replaced.values()) <= table.techniques.keys()


def test_every_technique_that_falco_tags_is_known() -> None:
    """Upstream's tags, outdated ones included, all lead to a current technique."""
    from exporter.catalog.compose import techniques_in

    for facts in official_rules():
        named = [tag for tag in facts.tags if tag[:1] == "T" and tag[1:5].isdigit()]
        assert len(techniques_in(named)) == len(set(named)), facts.rule
