"""A file to read and a place for the position."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.model import JsonLines


@pytest.fixture
def settings(tmp_path: Path) -> JsonLines:
    return JsonLines(file=tmp_path / "alerts.jsonl", state_file=tmp_path / "position.json")
