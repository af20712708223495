"""Counting what the lab has run."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.catalog.proof import digest
from exporter.errors import CatalogError
from exporter.lint.proven import blocks, blocks_of, count, read_results, to_lines


def test_a_block_is_proven_until_its_author_changes_it() -> None:
    """Only the very text counts: another digest is another block."""
    assert digest("stat -- %{fd.name}\n") == digest("stat -- %{fd.name}  ")
    assert digest("stat -- %{fd.name}") != digest("stat %{fd.name}")


def test_blocks_are_counted_once_with_their_undos() -> None:
    """Nothing run: every block waits. Everything run: none does."""
    catalog = load_catalog(())
    every = list(blocks(catalog))
    assert len({block.digest for block in every}) == len(every)
    nothing, everything = count(catalog, set()), count(catalog, {block.digest for block in every})
    assert nothing.proven == 0
    assert nothing.blocks == len(every) == len(nothing.waiting) + sum(nothing.reasons.values())
    assert everything.proven == len(every)
    assert everything.changing_proven == everything.changing > 0
    assert everything.waiting == ()
    assert f"{len(every)} of {len(every)} commands were run" in to_lines(everything)[0]


def test_what_rules_without_an_entry_get_is_counted() -> None:
    """People run it as they run the rest."""
    catalog = load_catalog(())
    every = {block.digest for block in blocks(catalog)}
    composed = {block.digest for piece in catalog.composer.pieces.values() for block in blocks_of(piece)}
    written = {block.digest for entry in catalog.entries for block in blocks_of(entry)}
    assert composed - written
    assert composed <= every


def test_results_are_read_from_every_file(tmp_path: Path) -> None:
    """A folder without results is an error that says what was expected."""
    with pytest.raises(CatalogError, match="make lab"):
        read_results(tmp_path)
    (tmp_path / "falco").mkdir()
    (tmp_path / "falco" / "test_a.txt").write_text("aa\nbb\n", "utf-8")
    (tmp_path / "test_b.txt").write_text("cc\n", "utf-8")
    assert read_results(tmp_path) == {"aa", "bb", "cc"}
