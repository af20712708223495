"""What the release makes of the project's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.release.parts import to_import_form

DASHBOARDS = sorted((Path(__file__).parents[4] / "dashboards").glob("*.json"))


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_says_what_it_needs_and_asks_for_nothing(file: Path) -> None:
    """Grafana's form for others: every kind of panel and of data source is named, and nothing else is changed."""
    document = json.loads(file.read_text("utf-8"))
    made = to_import_form(document)
    needs = {(each["type"], each["id"]) for each in made["__requires"]}
    text = json.dumps(document)
    kinds = {"timeseries", "stat", "table", "logs", "text", "bargauge"}
    assert {name for kind, name in needs if kind == "panel"} == {kind for kind in kinds if f'"type": "{kind}"' in text}
    sources = {"prometheus", "loki", "victoriametrics-logs-datasource"}
    used = {source for source in sources if f'{{"type": "{source}", "uid"' in text}
    assert {name for kind, name in needs if kind == "datasource"} == used
    assert ("grafana", "grafana") in needs
    assert made["__inputs"] == []
    assert made["id"] is None
    assert {name: made[name] for name in document} == document
