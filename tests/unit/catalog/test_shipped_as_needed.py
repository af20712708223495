"""The shipped catalog, read file by file as alerts come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.shipped import ShippedCatalog
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


def test_a_rule_of_nobodys_gets_composed_advice() -> None:
    """A rule that no shipped file knows gets no entry, and advice composed with the shipped procedures."""
    catalog = ShippedCatalog()
    alert = replace(reference_alert(), rule="A rule of our own")
    assert catalog.match(alert) is None
    assert catalog.advice_for(alert).composed
