"""The shipped catalog, read entry by entry as alerts come."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import NoReturn

import pytest

from exporter.catalog import shipped
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.loader import Documents, load_documents
from exporter.catalog.shipped import ShippedCatalog
from exporter.errors import CatalogError, ExporterError
from exporter.verdict import atoms
from exporter.yaml_nodes import Node, read_text
from tests.reference import reference_alert


@pytest.fixture(scope="module")
def whole() -> Catalog:
    return load_catalog()


def test_every_entry_is_found_as_in_the_whole_catalog(whole: Catalog) -> None:
    """Whatever rule comes first, by its current or an earlier name, it gets the entry that the whole catalog gives."""
    catalog = ShippedCatalog()
    for entry in whole.entries:
        for name in (entry.rule, *entry.former_names):
            found = catalog.entry(name, entry.source)
            assert found is not None, name
            assert (found.rule, found.place) == (entry.rule, entry.place)
    assert len(catalog.entries) == len(whole.entries)


def test_all_entries_can_be_had_at_once(whole: Catalog) -> None:
    """Listing the catalog reads what was not read yet."""
    assert [entry.place for entry in ShippedCatalog().entries] == [entry.place for entry in whole.entries]


def test_an_entry_by_itself_says_what_it_says_in_its_file(whole: Catalog) -> None:
    """Reading one entry takes all of it, and nothing of its neighbours."""
    catalog = ShippedCatalog()
    for entry in whole.entries:
        assert said(catalog.entry(entry.rule, entry.source)) == said(entry), entry.rule


def test_one_alert_reads_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first alert of a file waits for its own entry only, and the second of a rule for nothing."""
    read: list[int] = []

    def counted(nodes: list[Node], documents: Documents) -> None:
        load_documents(nodes, documents)
        read.append(len(documents.entries))

    monkeypatch.setattr(shipped, "load_documents", counted)
    catalog = ShippedCatalog()
    for rule in ("Terminal shell in container", "Read sensitive file untrusted", "Terminal shell in container"):
        assert catalog.entry(rule, "syscall") is not None
    assert read == [1, 1]


def test_a_damaged_entry_is_said_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks second gets the error as well, and not the answer that there is no entry."""

    def damaged(path: Path, error_type: type[ExporterError]) -> str:
        return read_text(path, error_type).replace("summary:", "sumary:")

    monkeypatch.setattr(shipped, "read_text", damaged)
    catalog = ShippedCatalog()
    for _ in range(2):
        with pytest.raises(CatalogError, match="unknown key 'sumary'"):
            catalog.entry("Terminal shell in container", "syscall")


def test_what_was_prepared_is_not_made_for_the_first_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging the first alert reads no steps that entries share, and makes no table of the general signs."""
    catalog = ShippedCatalog()
    catalog.prepare("syscall")

    def made(*_: object) -> NoReturn:
        pytest.fail("made for an alert")

    monkeypatch.setattr(shipped, "load_files", made)
    monkeypatch.setattr(atoms, "Together", made)
    alert = replace(reference_alert(), rule="A rule of our own")
    assert catalog.judge.judge(alert).signs
    assert catalog.advice_for(alert).composed


def said(value: object) -> object:
    """Return what a piece of the catalog says: templates of two readings are never the same objects."""
    if is_dataclass(value):
        return [said(getattr(value, each.name)) for each in fields(value)]
    if isinstance(value, tuple | list):
        return [said(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return getattr(value, "text", str(value).partition(" at 0x")[0])


def test_a_rule_of_nobodys_gets_composed_advice() -> None:
    """A rule that no shipped file knows gets no entry, and advice composed with the shipped procedures."""
    catalog = ShippedCatalog()
    alert = replace(reference_alert(), rule="A rule of our own")
    assert catalog.match(alert) is None
    assert catalog.advice_for(alert).composed
