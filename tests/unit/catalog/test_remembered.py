"""What an entry remembers changes nothing of what it says."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from random import Random

import pytest

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.model import Entry
from exporter.catalog.remembered import KEY_LIMIT_CHARACTERS, VALUES_KEPT, RememberedEntry, _Remembered
from exporter.verdict.judgement import UNDECIDED
from tests.hostile import hostile_values

VALUES = (None, "a", "/usr/bin/b c", "-rf", "0", "sshd", "3ad7b26ded6d", *list(hostile_values().values())[:6])


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def of(entry: Entry, chance: Random, before: Mapping[str, str | None]) -> dict[str, str | None]:
    """Values for every field that the entry uses; most of them those of the alert before."""
    return {
        name: before[name] if name in before and chance.random() < 0.8 else chance.choice(VALUES)
        for name in sorted(entry.fields_used())
    }


def test_every_entry_says_what_it_would_have_said(catalog: Catalog) -> None:
    """Over alerts that differ in a few fields, hostile ones among them, nothing of one shows in another."""
    chance = Random(7)
    for entry in catalog.entries:
        remembered = RememberedEntry(entry)
        values: dict[str, str | None] = {}
        for _ in range(12):
            values = of(entry, chance, values)
            assert remembered.render(values.get, UNDECIDED, "") == entry.render(values.get, UNDECIDED, ""), entry.rule


def test_what_is_the_same_is_the_same_object(catalog: Catalog) -> None:
    """A step that looks at none of the fields that changed is given again as it is."""
    entry = catalog.entry("Clear Log Activities")
    assert entry is not None
    remembered = RememberedEntry(entry)
    values = dict.fromkeys(entry.fields_used(), "x")
    first = remembered.render(values.get, UNDECIDED, "")
    second = remembered.render((values | {"fd.name": "/var/log/other"}).get, UNDECIDED, "")
    same = [command for command in second.commands if any(command is known for known in first.commands)]
    assert same
    assert first.commands != second.commands
    assert remembered.render(values.get, UNDECIDED, "").commands == first.commands


def test_what_is_kept_is_bounded(catalog: Catalog) -> None:
    """Neither the number nor the length of values makes it grow."""
    entry = catalog.entry("Clear Log Activities")
    assert entry is not None
    remembered = RememberedEntry(entry)
    for number in range(30):
        remembered.render(dict.fromkeys(entry.fields_used(), f"v{number}").get, UNDECIDED, "")
    remembered.render(dict.fromkeys(entry.fields_used(), "x" * (KEY_LIMIT_CHARACTERS + 1)).get, UNDECIDED, "")
    steps = [found for found in gc.get_objects() if isinstance(found, _Remembered) and found.fields]
    assert steps
    assert all(len(step.kept) <= VALUES_KEPT for step in steps)
    assert not any("xxxx" in str(key) for step in steps for key in step.kept)
