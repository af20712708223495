"""The garbage collector looks seldom."""

from __future__ import annotations

import gc

import pytest

from exporter.memory import COLLECTION_THRESHOLD, tune_memory


def test_garbage_is_looked_for_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog that is read makes many objects and no garbage."""
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(gc, "set_threshold", lambda *given: asked.append(given))
    tune_memory()
    assert asked == [(COLLECTION_THRESHOLD, 20, 20)]
