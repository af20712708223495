"""Whole reports of example alerts: how long they are, and which steps they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.lint.length import check_length
from tests.unit.catalog.builder import CONTAIN, LOOK, catalog_of

VERIFY = {"verify": "Did it hold?", "where": "node", "run": "id", "shows": "a line means that it held."}
SOUND = [LOOK, CONTAIN, VERIFY]


def found(directory: Path, **changes: Any) -> str:
    return "\n".join(str(each) for each in check_length(catalog_of(directory, {"steps": SOUND} | changes)))


def test_a_sound_entry_passes(tmp_path: Path) -> None:
    """Nothing is found on either of its example alerts, a host's and a pod's."""
    assert found(tmp_path) == ""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"impact": "word " * 450}, "the brief report has"),
        ({"benign": ["word " * 900]}, "the full report has"),
        ({"summary": "word " * 150}, "the text before the first command has"),
        ({"what": "word " * 15}, "the title has"),
        ({"steps": [LOOK]}, "1 steps; expected 2 to 5"),
        ({"steps": [LOOK] * 6}, "6 steps; expected 2 to 5"),
        ({"steps": [LOOK, CONTAIN | {"contain": "Freeze it."}]}, "contains without showing whether it held"),
        ({"steps": [CONTAIN, LOOK, VERIFY]}, "contains before it looks"),
    ],
)
def test_a_report_that_is_too_long_or_out_of_order_is_found(
    tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    """Each limit is found on the report as a reader gets it."""
    assert expected in found(tmp_path, **changes)
